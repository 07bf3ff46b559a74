"""A comparison of writers with the reference, for random records and options.

python -m tests.records.differential --cases 100000     runs for four minutes
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segment_logging._messages.lines import FAST, STANDARD
from segment_logging._options.records import RecordOptions
from segment_logging._records.reader import RecordReader
from segment_logging._records.writers import not_an_event, unusual
from tests.records.random_records import (
    bindings,
    dialects,
    extras,
    loggers,
    messages,
    options,
    record_of,
    within,
)

ENCODERS = tuple(encoder for encoder in (FAST, STANDARD) if encoder is not None)


def _outcome(work: Callable[[], Any]) -> str:
    try:
        line = work()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "not sent" if not line else json.dumps(json.loads(line), sort_keys=True)


def compare(reader: RecordReader, record: logging.LogRecord, ways: Counter[str]) -> None:
    """Raise an AssertionError if the writer of a record and the reference differ."""
    write = reader.writer_of(record)
    fields = reader.fields_of(record)
    ways["all"] += 1
    if write is unusual:
        return
    if write is not_an_event or fields is None:
        assert write is not_an_event and fields is None, (write, fields)
        ways["not an event"] += 1
        return
    try:
        written = write(record, record.__dict__, "m-1")
    except Exception:
        return
    if written is None:
        return
    ways["written"] += 1
    ways["structlog"] += "_logger" in record.__dict__
    ways["loguru"] += "extra" in record.__dict__
    found = _outcome(lambda: reader.sent(written) if isinstance(written, dict) else written)
    expected = _outcome(lambda: reader.line_of(record, fields))
    assert found == expected, f"\nwritten:   {found}\nreference: {expected}"


def run(cases: int, *, is_repeatable: bool = False) -> Counter[str]:
    """Compare the two ways for this number of random records, and count what was written how.

    Args:
        cases: the number of comparisons.
        is_repeatable: whether to use the same records each time.
    """
    ways: Counter[str] = Counter()
    per_example = 4 * len(ENCODERS)

    @given(
        st.lists(st.tuples(messages, extras, loggers, dialects), min_size=4, max_size=4),
        options,
        bindings,
    )
    @settings(
        max_examples=max(1, cases // per_example),
        deadline=None,
        database=None,
        derandomize=is_repeatable,
        suppress_health_check=list(HealthCheck),
    )
    def differential(logged: list[Any], chosen: RecordOptions, binding: Any) -> None:
        readers = [RecordReader(chosen, encoder) for encoder in ENCODERS]
        records = [record_of(*one) for one in logged]
        for reader in readers:
            for record in records:
                with within(binding):
                    compare(reader, record, ways)

    differential()
    return ways


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--repeatable", action="store_true", help="the same records each time")
    given_options = parser.parse_args()
    counted = run(given_options.cases, is_repeatable=given_options.repeatable)
    print(f"{counted['all']:,} cases, no difference; {counted['written']:,} written by writers")
    sys.exit(0)
