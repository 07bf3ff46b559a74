"""The memory that waiting messages use, and the memory that an outage uses with a journal.

The collector accepts connections but never answers. The resident memory of the process is read
before and after, so that everything counts: objects, unused memory in the allocator, and the
listener's data. Linux only.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from . import runs
from .clients import LABELS, NAME, PROPERTIES, USER, open_subject
from .collector import Collector

WAITING = ("ours", "ours-plain", "segment", "posthog", "rudder")
WARM_UP = 5_000


def child(name: str, url: str, journal: str, count: int) -> dict[str, Any]:
    """Let `count` messages wait, and return how many bytes the process grew."""
    subject = open_subject(name, url, journal=journal)
    subject.calls(WARM_UP)
    before = _resident_bytes()
    subject.calls(count)
    grown = _resident_bytes() - before
    return {"grown": grown, "encoded": _encoded_bytes() if name not in WAITING[2:] else 0}


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _encoded_bytes() -> int:
    """Return the size of the measured event's message in the queue."""
    from segment_logging._messages.encoding import encode  # noqa: PLC0415
    from segment_logging._messages.ids import new_message_id  # noqa: PLC0415
    from segment_logging._messages.wire import wire_form  # noqa: PLC0415
    from segment_logging._records.defaults import LIBRARY  # noqa: PLC0415

    fields = {"user_id": USER, "event": NAME, "properties": PROPERTIES, "timestamp": 1.0,
              "context": LIBRARY, "message_id": new_message_id()}  # fmt: skip
    return len(encode(wire_form("track", fields)))


def run(short: bool) -> list[runs.Row]:
    """Run all measurements and print the results."""
    rounds, count, outage = (1, 20_000, 40_000) if short else (3, 50_000, 100_000)
    found = defaultdict(lambda: defaultdict(list))
    names = ("ours", "segment", "journal") if short else (*WAITING, "journal")
    with Collector(is_mute=True) as collector, runs.directory() as journal:
        for name in runs.in_turns(names, rounds):
            result = runs.child(
                "memory",
                name=name,
                url=collector.url,
                journal=os.path.join(journal, str(len(found["journal"]["grown"]))),
                count=outage if name == "journal" else count,
            )
            for key, value in result.items():
                found[name][key].append(value)
    each = {
        name: [grown / (outage if name == "journal" else count) for grown in found[name]["grown"]]
        for name in names
    }
    encoded = found["ours"]["encoded"][0]
    header = ("waiting messages", "messages", "bytes each", "spread", "times encoded size")
    runs.show(
        header,
        [
            [
                LABELS[name],
                f"{outage if name == 'journal' else count:,}",
                f"{median(each[name]):.0f}",
                runs.spread(each[name]),
                f"{median(each[name]) / encoded:.2f}x",
            ]
            for name in names
        ],
    )
    return [
        runs.Row(
            what="memory per waiting message, relative to its encoded size",
            budget=1.2,
            values=[size / encoded for size in each["ours"]],
        ),
        runs.Row(
            what="the same during an outage with a journal",
            budget=0.05,  # not 0, because the list of journal files still grows
            values=[size / encoded for size in each["journal"]],
        ),
    ]


if __name__ == "__main__":
    runs.main(run, child, leaves_at_once=True)
