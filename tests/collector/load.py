"""The collector's CPU time and memory under full load: `python -m tests.collector.load`.

It sends full batches as fast as they are answered, and prints the collector's CPU time per event
and its memory after each tenth of the events.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

PROPERTIES = {
    "order_id": "o-1029384", "total": 129.5, "currency": "EUR", "coupon": None, "is_new": True,
    "items": [{"sku": "A-17", "quantity": 1}, {"sku": "B-2", "quantity": 3}],
}  # fmt: skip


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(prog="python -m tests.collector.load")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=800, help="events per request")
    parser.add_argument("--page", action="store_true", help="also read the stream, as a page does")
    parser.add_argument("--quiet", action="store_true", help="do not have the messages printed")
    options = parser.parse_args()
    process = subprocess.Popen(
        [sys.executable, "-m", "segment_logging.collector", "--port", "0"]
        + ["--quiet"] * options.quiet,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+:\d+", process.stdout.readline())
    assert found is not None
    reader = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
    page = None
    if options.page:
        page = subprocess.Popen([sys.executable, "-c", _PAGE, f"{found[0]}/api/stream"])
    try:
        _measure(process.pid, found[0], options)
    finally:
        for one in (page, process, reader):
            if one is not None:
                one.terminate()
                one.wait(10)


_PAGE = """
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as stream:
    while stream.read1(1_000_000):
        pass
"""


def _measure(pid: int, url: str, options: argparse.Namespace) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    sent, before = 0, _cpu_seconds(pid)
    steps = max(options.events // options.batch // 10, 1)
    print(f"{'events':>10}  {'us/event':>8}  {'MB':>6}")
    while sent < options.events:
        for _ in range(steps):
            body = json.dumps(
                {"batch": _events(sent, options.batch), "sentAt": "2026-11-23T08:00Z"}
            )
            connection.request("POST", "/v1/batch", body)
            assert connection.getresponse().read() == b'{"success": true}'
            sent += options.batch
        spent = (_cpu_seconds(pid) - before) / sent
        print(f"{sent:10,}  {spent * 1e6:8.1f}  {_memory_mb(pid):6.0f}", flush=True)
    with urlopen(f"{url}/api/counts", timeout=60) as answer:
        assert json.load(answer)["accepted"] == sent


def _events(first: int, count: int) -> list[dict[str, Any]]:
    return [
        {
            "type": "track",
            "event": f"Order {number % 7}",
            "userId": f"u-{number % 1000}",
            "messageId": f"segment-logging-{number:032x}",
            "timestamp": "2026-11-23T08:00:00.000Z",
            "properties": PROPERTIES,
            "context": {"library": {"name": "segment-logging", "version": "1.0"}},
        }
        for number in range(first, first + count)
    ]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    main()
