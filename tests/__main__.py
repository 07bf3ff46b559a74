"""Runs the tests and ends with one line of counts: `python -W error -m tests [pattern]`.

The pattern picks tests whose dotted name contains it, or matches it when it has a `*`. The exit
status is 1 when a test failed, and when none ran.
"""

from __future__ import annotations

import logging
import sys
import unittest
from pathlib import Path

from typing_extensions import override


class Counting(unittest.TextTestResult):
    """Counts what passed: the stock result counts only what did not."""

    passed = 0

    @override
    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.passed += 1

    @override
    def addExpectedFailure(self, test: unittest.TestCase, err: object) -> None:
        super().addExpectedFailure(test, err)  # type: ignore[arg-type]
        self.passed += 1


def main(arguments: list[str]) -> int:
    """Run the tests that the pattern picks and return the exit status."""
    here = Path(__file__).parent
    loader = unittest.TestLoader()
    if arguments:
        loader.testNamePatterns = [
            pattern if "*" in pattern else f"*{pattern}*" for pattern in arguments
        ]
    suite = loader.discover(str(here), top_level_dir=str(here.parent))
    result = unittest.TextTestRunner(
        resultclass=Counting,  # type: ignore[arg-type]  # typeshed's is generic
    ).run(suite)
    assert isinstance(result, Counting)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    logging.shutdown()  # what it may have to say belongs above the last line
    sys.stderr.flush()
    print(f"{result.passed} passed, {failed} failed, {len(result.skipped)} skipped", flush=True)
    return 1 if failed or not result.passed + len(result.skipped) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
