"""Functions that find the test modules and run them one at a time.

Nothing in this module starts a process; `workers` does that.
"""

from __future__ import annotations

import sys
import time
import unittest
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

from typing_extensions import override

HERE = Path(__file__).parent

_PROCESSES_AND_SERVERS = frozenset(
    ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "socket.bind")
)
"""Audit events. Starting a process or a server raises one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a module's tests.

    Attributes:
        module: the module's dotted name.
        report: a description of the failures, or an empty string if there were none.
        seconds: the time that the tests took.
        missing: what this machine lacks, so that tests were skipped.
    """

    module: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    report: str = ""
    seconds: float = 0.0
    missing: Sequence[str] = ()

    @property
    def count(self) -> int:
        """The number of tests in the module."""
        return self.passed + self.failed + self.skipped

    @override
    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def modules() -> list[str]:
    """Return the names of all test modules, with those that take longest first."""
    paths = [path.relative_to(HERE.parent) for path in HERE.rglob("test_*.py")]
    names = sorted(".".join(path.with_suffix("").parts) for path in paths)
    return sorted(names, key=lambda name: not name.startswith(_TAKE_LONGEST))


_TAKE_LONGEST = ("tests.broker.", "tests.browser.", "tests.faults.", "tests.hosts.", "tests.relay.")
"""Their tests start many processes."""


_NEED_AN_OPERATING_SYSTEM = (
    "tests.broker.",
    "tests.cli.",
    "tests.compat.",
    "tests.delivery.test_foreign_files",
    "tests.delivery.test_overflowed",
    "tests.delivery.test_poison",
    "tests.docs.test_privacy",
    "tests.handler.test_drain_async",
    "tests.queues.journal.",
    "tests.queues.test_spill",
    "tests.queues.test_stored",
    "tests.relay.",
)
"""Modules whose tests need threads, users, locks or sparse files. A Python that was compiled for
browsers has none of them."""


def run(module: str, patterns: Sequence[str] = ()) -> Outcome:
    """Run the tests of a module.

    Args:
        module: the module's dotted name.
        patterns: parts of the names of the tests to run. If empty, all tests run. A pattern with
            a `*` must match the whole name.
    """
    if sys.platform == "emscripten" and module.startswith(_NEED_AN_OPERATING_SYSTEM):
        return Outcome(
            module=module,
            passed=0,
            failed=0,
            skipped=1,
            report="",
            seconds=0.0,
            missing=["needs an operating system"],
        )
    began = time.perf_counter()
    result = Counting()
    result.startTestRun()
    _load(module, [one if "*" in one else f"*{one}*" for one in patterns]).run(result)
    result.stopTestRun()
    return Outcome(
        module=module,
        passed=result.passed,
        failed=len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses),
        skipped=len(result.skipped_ids),
        report="".join(result.reports()),
        seconds=time.perf_counter() - began,
        missing=sorted(result.missing),
    )


def with_second_attempts(
    outcomes: Iterable[tuple[Outcome, str]],
    run_again: Callable[[str], Iterable[tuple[Outcome, str]]],
) -> Iterator[tuple[Outcome, str]]:
    """Yield the outcomes, with those of second attempts in place of the first few failures.

    The failure of a first attempt is printed, but does not count.

    Args:
        outcomes: the outcomes of first attempts, each with the output of the module's tests.
        run_again: the function that runs the module with a given name again.
    """
    failed: list[str] = []
    for outcome, written in outcomes:
        if outcome.failed and len(failed) < _MOST_SECOND_ATTEMPTS:
            print(f"{written}{outcome.report}", file=sys.stderr, flush=True)
            failed.append(outcome.module)
        else:
            yield outcome, written
    for module in failed:
        print(f"second attempt: {module}", file=sys.stderr, flush=True)
        yield from run_again(module)


_MOST_SECOND_ATTEMPTS = 5
"""If more modules failed, a busy machine is hardly the cause."""


def show(outcomes: Iterable[tuple[Outcome, str]], *, at_least: int = 0) -> int:
    """Print the outcome of each module, the failures and the totals.

    Args:
        outcomes: the modules' outcomes, each with the output of the module's tests.
        at_least: the number of tests that must pass.

    Returns:
        The exit status.
    """
    every = []
    for outcome, written in outcomes:
        every.append(outcome)
        if outcome.count:
            why = f" ({'; '.join(outcome.missing)})" if outcome.missing else ""
            print(f"{outcome.seconds:5.1f} s  {outcome}  {outcome.module}{why}", file=sys.stderr)
        print(written, end="", file=sys.stderr, flush=True)
    print(*(outcome.report for outcome in every), sep="", file=sys.stderr, flush=True)
    total = Outcome(
        module="all",
        passed=sum(outcome.passed for outcome in every),
        failed=sum(outcome.failed for outcome in every),
        skipped=sum(outcome.skipped for outcome in every),
    )
    if total.passed < at_least:
        print(f"too few tests passed; the minimum is {at_least}", file=sys.stderr, flush=True)
    print(total, flush=True)
    return 1 if total.failed or not total.count or total.passed < at_least else 0


def skip_processes() -> None:
    """From now on, skip every test that starts a process or a server. This cannot be undone."""

    def refuse(event: str, arguments: Any) -> None:
        if event in _PROCESSES_AND_SERVERS:
            raise unittest.SkipTest("starts a process or a server")

    sys.addaudithook(refuse)


def _load(module: str, patterns: Sequence[str]) -> unittest.TestSuite:
    loader = unittest.TestLoader()
    loader.testNamePatterns = list(patterns) or None
    try:
        return loader.loadTestsFromModule(import_module(module))
    except unittest.SkipTest as reason:
        is_meant = not patterns or any(fnmatchcase(module, pattern) for pattern in patterns)
        return unittest.TestSuite([_Unloaded(module, reason)] if is_meant else [])
    except Exception as error:
        return unittest.TestSuite([_Unloaded(module, error)])


class _Unloaded(unittest.TestCase):
    """A placeholder for a module that could not be imported."""

    def __init__(self, module: str, error: Exception) -> None:
        super().__init__("fail_to_load")
        self._module = module
        self._error = error

    @override
    def id(self) -> str:
        return self._module

    @override
    def __str__(self) -> str:
        return self._module

    def fail_to_load(self) -> None:
        """Raise the exception that the import raised."""
        raise self._error


class Counting(unittest.TestResult):
    """A result that also counts passed tests. A test with skipped subtests counts as one skip."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0
        self.skipped_ids: set[str] = set()
        self.missing: set[str] = set()

    @override
    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.passed += 1

    @override
    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self.passed += 1

    @override
    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        if reason.startswith("needs "):
            self.missing.add(reason)
        whole = getattr(test, "test_case", None)
        self.skipped_ids.add((whole if isinstance(whole, unittest.TestCase) else test).id())

    @override
    def addError(self, test: unittest.TestCase, err: Any) -> None:
        if (missing := _missing_here(err[1])) is None:
            super().addError(test, err)
        else:
            self.addSkip(test, missing)

    @override
    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None and (missing := _missing_here(err[1])) is not None:
            self.addSkip(test, missing)
        else:
            super().addSubTest(test, subtest, err)

    def reports(self) -> Iterator[str]:
        """Yield a description of each failure."""
        for kind, failed in (("FAILED", self.failures), ("ERROR", self.errors)):
            for test, reason in failed:
                told = test.shortDescription() or ""
                yield f"\n{'=' * 70}\n{kind}: {test}\n{told}\n{'-' * 70}\n{reason}"
        for test in self.unexpectedSuccesses:
            yield f"\n{'=' * 70}\nPASSED, but should have failed: {test}\n"


def _missing_here(error: BaseException) -> str | None:
    """Return what this platform lacks if that caused the error, and None otherwise."""
    if sys.platform != "emscripten":
        return None
    if isinstance(error, ModuleNotFoundError):
        is_ours = str(error.name).startswith(("tests", "segment_logging"))
        return None if is_ours else f"needs {error.name}"
    told = str(error)
    return told if told.endswith(_NO_THREADS_AND_NO_PROCESSES) else None


_NO_THREADS_AND_NO_PROCESSES = ("can't start new thread", "does not support processes.")
