"""Run the signup application against a local collector and show what arrives: `make demo`.

The demo needs no write key and no network. With `KEEP=1 make demo`, the collector keeps running
until Ctrl-C, so that its page can be used.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from segment_logging.collector import Collector
from segment_logging.collector.lines import columns_of, table

APP = Path(__file__).with_name("signup_app.py")
EXPECTED = Counter(page=3, track=5, identify=3, group=3, screen=3, alias=1)


def main() -> int:
    """Run the demo. Return 0 if all messages arrived and Segment would not drop any of them."""
    keep = os.environ.get("KEEP", "") not in ("", "0")
    with Collector() as collector:
        print(f"The collector's page: {collector.url}")
        print("Output of the application:\n", flush=True)
        app = subprocess.run(
            [sys.executable, APP],
            env={**os.environ, "SEGMENT_HOST": collector.url, "SEGMENT_WRITE_KEY": "demo"},
            timeout=60,
            check=False,
        )
        status = show(collector, app.returncode)
        if keep:
            print(f"\nThe page stays at {collector.url} until Ctrl-C.", flush=True)
            with suppress(KeyboardInterrupt):
                while True:
                    time.sleep(3600)
        else:
            print("\nTo look at the page, run: KEEP=1 make demo")
    return status


def show(collector: Collector, app_status: int) -> int:
    """Print what arrived, and return the exit status."""
    messages, dropped, requests = collector.messages, collector.dropped, collector.requests
    plural = "request" if len(requests) == 1 else "requests"
    print("\nWhat arrived at the collector:\n")
    print(table([columns_of(message) for message in messages]))
    print(
        f"\n{len(messages)} messages arrived in {len(requests)} {plural}; "
        f"Segment would drop {len(dropped)}"
    )
    for message, code in dropped:
        print(f"Segment would drop ({code}): {' '.join(columns_of(message))}")
    missing = EXPECTED - Counter(message["type"] for message in messages)
    for call_type, count in missing.items():
        print(f"missing: {count} {call_type}")
    return 1 if app_status or dropped or missing else 0


if __name__ == "__main__":
    sys.exit(main())
