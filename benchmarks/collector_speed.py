"""Checks that the collector does not slow the clients down.

A bare socket sends prepared requests as fast as the collector answers them. Some are as large as an
SDK's requests (100 events), and others are as large as a full batch of this package. The results
are compared with the rates at which the clients send.
"""

from __future__ import annotations

import json
import socket
from statistics import median
from time import perf_counter

from . import runs
from .clients import LABELS, PROPERTIES
from .collector import Collector

NAMES = ("ours", "segment")


def _rate_of(port: int, events: int, requests: int) -> tuple[float, float]:
    """Return the requests and megabytes per second for bodies with this many events."""
    event = {"type": "track", "event": "Order Completed", "properties": PROPERTIES}
    line = json.dumps(event).ljust(560).encode()
    body = b'{"batch":[' + b",".join([line] * events) + b"]}"
    head = f"POST /v1/batch HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    with socket.create_connection(("127.0.0.1", port)) as peer:
        began = perf_counter()
        for _ in range(requests):
            peer.sendall(request)
            if not peer.recv(65536).endswith(b"}"):
                raise SystemExit("the collector's answer arrived in several pieces")
        rate = requests / (perf_counter() - began)
    return rate, rate * len(body) / 1e6


def run(short: bool) -> list[runs.Row]:
    """Run all measurements and print the results. They have no budget."""
    rounds, count = (1, 8_000) if short else (5, 20_000)
    lines = []
    with Collector() as collector, runs.directory() as journal:
        taken = {}
        for events in (100, 870):
            rates = [_rate_of(collector.port, events, 300) for _ in range(rounds)]
            requests, megabytes = (median(values) for values in zip(*rates))
            taken[events] = megabytes
            lines.append(
                [
                    f"maximum, with {events} events per body",
                    f"{requests:,.0f}",
                    f"{megabytes:,.0f}",
                    "",
                ]
            )
        for name in runs.in_turns(NAMES, 1):
            collector.reset()
            result = runs.child(
                "cpu_per_event", name=name, url=collector.url, journal=journal, count=count
            )
            counts = collector.counts()
            megabytes = counts["bytes"] / counts["events"] * result["rate"] / 1e6
            requests = counts["requests"] / counts["events"] * result["rate"]
            spare = taken[870 if name == "ours" else 100] / megabytes
            lines.append(
                [
                    f"sent by {LABELS[name]}",
                    f"{requests:,.0f}",
                    f"{megabytes:,.0f}",
                    f"{spare:.0f}x",
                ]
            )
    runs.show(("the collector", "requests/s", "MB/s", "headroom"), lines)
    return []


if __name__ == "__main__":
    runs.main(run)
