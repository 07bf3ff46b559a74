"""Where the time of one call goes, stage by stage.

The stages are functions of the package, and each is timed alone on a prepared record. If one stage
contains another, the times are subtracted block by block. The client is in the same process and
answers immediately, and nothing is delivered while a stage is timed. Each encoder has its own
process.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from itertools import repeat
from statistics import median
from typing import Any

from . import runs
from .clients import NAME, PROPERTIES, USER, Nothing

CALLS = 400


class Silent:
    """A client that does not send anything."""

    def send(self, write_key: str, message: object) -> None:
        pass

    def close(self) -> None:
        pass


def child(plain: bool, blocks: int, journal: str) -> dict[str, float]:
    """Return the median of each stage, in µs."""
    if plain:
        sys.modules["orjson"] = None
    from segment_logging import SegmentHandler  # noqa: PLC0415
    from segment_logging._messages.ids import new_message_id  # noqa: PLC0415
    from segment_logging._messages.lines import BEST  # noqa: PLC0415
    from segment_logging._messages.values import write_timestamp  # noqa: PLC0415
    from segment_logging._records.defaults import LIBRARY  # noqa: PLC0415
    from segment_logging._records.once import MESSAGE_ID  # noqa: PLC0415

    handlers = {
        "nothing": Nothing(),
        "memory": SegmentHandler("bench", client=Silent(), flush_interval=3600.0),
        "journal": SegmentHandler("bench", client=Silent(), flush_interval=3600.0, journal=journal),
    }
    loggers = {name: _logger(name, handler) for name, handler in handlers.items()}
    extra = {"user_id": USER, "properties": PROPERTIES}
    record = loggers["nothing"].makeRecord(
        "bench", logging.INFO, __file__, 1, NAME, (), None, None, extra
    )
    reader = handlers["memory"]._reader
    write = reader.writer_of(record)
    message_id, context = new_message_id(), BEST.written(LIBRARY)
    values = (
        "track", "event", "properties", USER, None, NAME, None, PROPERTIES,
        write_timestamp(record.created), message_id, context, None,
    )  # fmt: skip

    def write_line() -> bytes:
        line = BEST.put_together(*values)
        return line if BEST.finish is None else BEST.finish(line)

    def handle(name: str) -> None:
        record.__dict__.pop(MESSAGE_ID, None)  # a handler ignores a record that it has seen
        handlers[name].handle(record)

    line = write_line() + b"\n"
    file = os.open(os.path.join(journal, "written"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    stages: dict[str, Callable[[], object]] = {
        "logging": lambda: loggers["nothing"].info(NAME, extra=extra),
        "all": lambda: loggers["memory"].info(NAME, extra=extra),
        "all, journal": lambda: loggers["journal"].info(NAME, extra=extra),
        "nothing": lambda: handlers["nothing"].handle(record),
        "handle": lambda: handle("memory"),
        "handle, journal": lambda: handle("journal"),
        "writer": lambda: reader.writer_of(record),
        "line": lambda: write(record, record.__dict__, message_id),
        "id": new_message_id,
        "timestamp": lambda: write_timestamp(record.created),
        "encode": write_line,
        "write": lambda: os.write(file, line),
        "empty": lambda: None,
    }
    found: dict[str, list[float]] = defaultdict(list)
    for block in range(-1, blocks):
        # Both queues are empty, so the first message wakes the listener or creates a journal file.
        first = {key: runs.timed(_loop_of(stages[key]), 1)[0] for key in ("all", "all, journal")}
        order = list(stages) if block % 2 else list(reversed(stages))
        took = {key: runs.timed(_loop_of(stages[key]), CALLS)[0] for key in order}
        for key in ("memory", "journal"):
            handlers[key].drain(10)
        if block >= 0:
            for key, value in (*_told_apart(took).items(), *_extra(first, took).items()):
                found[key].append(value)
    os.close(file)
    return {key: median(values) for key, values in found.items()}


def _loop_of(stage: Callable[[], object]) -> Callable[[int], None]:
    def loop(count: int) -> None:
        for _ in repeat(None, count):
            stage()

    return loop


def _logger(name: str, handler: logging.Handler) -> logging.Logger:
    logger = logging.getLogger(f"profile.{name}")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return logger


def _told_apart(took: dict[str, float]) -> dict[str, float]:
    """Return the time of each stage alone, from the times of stages that contain each other."""
    took = {key: value - took["empty"] for key, value in took.items()}  # subtract the loop
    return {
        "logging": took["logging"],
        "spared": -took["nothing"],
        "writer": took["writer"],
        "values": took["line"] - took["timestamp"] - took["encode"],
        "timestamp": took["timestamp"],
        "encode": took["encode"],
        "id": took["id"],
        "put": took["handle"] - took["line"] - took["writer"],
        "rest": took["all"] - took["logging"] + took["nothing"] - took["handle"],
        "all": took["all"],
        "journal": took["handle, journal"] - took["handle"],
        "write": took["write"],
        "all, journal": took["all, journal"],
    }


def _extra(first: dict[str, float], took: dict[str, float]) -> dict[str, float]:
    """Return how much more the first call of a batch costs than the others."""
    return {f"first, {key}": value - took[key] for key, value in first.items()}


STAGES = {
    "logging": "logging itself: level, caller, LogRecord, extras; the no-op handler",
    "spared": "the no-op handler, which is not called: lock, filters",
    "writer": "is the record an event, and who writes it: `writer_of`",
    "values": "its values: a `Writer` without the two below",
    "timestamp": "timestamp as ISO text",
    "encode": "JSON: a `LineEncoder`",
    "put": "`handle`, `emit` and the queue",
    "id": "- message id",
    "rest": "unaccounted for: colder caches in a whole call",
    "all": "**one call**",
    "journal": "the journal instead of the memory queue",
    "write": "- one `os.write`",
    "all, journal": "**one call with a journal**",
    "first, all": "once per batch: its first call wakes the listener",
    "first, all, journal": "once per batch: the same, and the journal creates a new file",
}


def run(short: bool, *, markdown: bool = False) -> list[runs.Row]:
    """Run all measurements and print the results."""
    rounds, blocks = (1, 20) if short else (5, 60)
    found: dict[bool, dict[str, list[float]]] = {True: defaultdict(list), False: defaultdict(list)}
    with runs.directory() as journal:
        for plain in runs.in_turns((False, True), rounds):
            result = runs.child("profile_call", plain=plain, blocks=blocks, journal=journal)
            for key, value in result.items():
                found[plain][key].append(value)
    lines = []
    for key, label in STAGES.items():
        line = [label]
        for plain in (False, True):
            figures = found[plain]
            ratio = [a / b for a, b in zip(figures[key], figures["logging"])]
            line += [f"{median(figures[key]):.2f}", f"{median(ratio):.2f}"]
        lines.append(line)
    header = ("stage", "with speed, µs", "times baseline", "without, µs", "times baseline")
    runs.show(header, lines, markdown=markdown)
    return []


def _run(short: bool) -> list[Any]:
    return run(short, markdown=not sys.stdout.isatty())


if __name__ == "__main__":
    runs.main(_run, child)
