"""Tests for the test runner: what it counts, shows and skips."""

from __future__ import annotations

import io
import unittest
from contextlib import redirect_stderr, redirect_stdout

from .suite import Outcome, modules, run, show, with_second_attempts
from .workers import run_in_workers

SAMPLES = "tests.samples"


def run_in_a_worker(*arguments: str) -> tuple[Outcome, str]:
    """Run the samples in a worker, and return their outcome and output."""
    outcomes = list(run_in_workers([SAMPLES], arguments, jobs=1))
    return outcomes[0]


class TestRun(unittest.TestCase):
    def test_counts(self) -> None:
        """Each test counts once, regardless of its subtests."""
        with redirect_stdout(io.StringIO()):
            outcome = run(SAMPLES, ["Plain"])
        self.assertEqual((outcome.passed, outcome.failed, outcome.skipped), (1, 2, 2))

    def test_report(self) -> None:
        """A failure is reported with the test's name, its docstring and the failing line."""
        with redirect_stdout(io.StringIO()):
            report = run(SAMPLES, ["*.test_fails"]).report
        self.assertIn("FAILED: test_fails (tests.samples.Plain.test_fails)\nThis test", report)
        self.assertIn("self.assertEqual(1, 2)", report)

    def test_not_importable(self) -> None:
        """A module that cannot be imported counts as a failure."""
        outcome = run("tests.no_such_module", ["a pattern"])
        self.assertEqual((outcome.failed, outcome.passed), (1, 0))
        self.assertIn("No module named", outcome.report)

    def test_modules(self) -> None:
        """All test modules are found, and no other modules."""
        self.assertIn(__name__, modules())
        self.assertNotIn(SAMPLES, modules())


class TestShow(unittest.TestCase):
    def shown(self, *outcomes: Outcome, at_least: int = 0) -> tuple[int, str]:
        """Return the exit status and the last line."""
        with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()):
            status = show([(outcome, "") for outcome in outcomes], at_least=at_least)
        return status, stdout.getvalue().splitlines()[-1]

    def test_sum(self) -> None:
        """The last line shows the totals of all modules."""
        one = Outcome(module="one", passed=3, skipped=1)
        self.assertEqual(self.shown(one, one), (0, "6 passed, 0 failed, 2 skipped"))

    def test_missing(self) -> None:
        """The line of a module says what this machine lacks for the tests that were skipped."""
        one = Outcome(module="one", passed=1, skipped=2, missing=["needs RabbitMQ"])
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as stderr:
            show([(one, "")])
        self.assertIn("2 skipped  one (needs RabbitMQ)", stderr.getvalue())

    def test_status(self) -> None:
        """The exit status is 1 if a test failed, if no test ran, or if too few passed."""
        passed = Outcome(module="one", passed=3)
        self.assertEqual(self.shown(passed, Outcome(module="two", failed=1))[0], 1)
        self.assertEqual(self.shown(Outcome(module="none"))[0], 1)
        self.assertEqual(self.shown(passed, at_least=4)[0], 1)
        self.assertEqual(self.shown(passed, at_least=3)[0], 0)


class TestSecondAttempts(unittest.TestCase):
    def counted(self, count: int, second: Outcome) -> tuple[list[Outcome], str]:
        """Return what counts if `count` modules failed at first, and what was printed."""
        first = [Outcome(module="good", passed=2)]
        first += [
            Outcome(module=f"bad{number}", passed=1, failed=1, report="why it failed")
            for number in range(count)
        ]
        with redirect_stderr(io.StringIO()) as stderr:
            outcomes = with_second_attempts(
                [(outcome, "") for outcome in first], lambda module: [(second, "")]
            )
            return [outcome for outcome, _ in outcomes], stderr.getvalue()

    def test_passes(self) -> None:
        """A module that passes at its second attempt has passed; why it failed is printed."""
        second = Outcome(module="bad0", passed=2)
        outcomes, printed = self.counted(1, second)
        self.assertEqual([outcome.failed for outcome in outcomes], [0, 0])
        self.assertIs(outcomes[1], second)
        self.assertIn("why it failed", printed)

    def test_fails_again(self) -> None:
        """A module that fails twice has failed."""
        outcomes, _ = self.counted(1, Outcome(module="bad0", passed=1, failed=1))
        self.assertEqual([outcome.failed for outcome in outcomes], [0, 1])

    def test_many(self) -> None:
        """If many modules fail, the later ones have failed at their first attempt."""
        outcomes, _ = self.counted(9, Outcome(module="again", passed=2))
        self.assertEqual(sum(outcome.failed for outcome in outcomes), 4)


class TestWorkers(unittest.TestCase):
    def test_what_is_written(self) -> None:
        """A test's output is returned with its outcome."""
        outcome, written = run_in_a_worker("Plain")
        self.assertEqual((outcome.passed, outcome.failed, outcome.skipped), (1, 2, 2))
        self.assertEqual(written, "before it fails\n")

    def test_death(self) -> None:
        """A test that ends its process counts as a failure, and a new process runs the rest."""
        outcomes = [one for one, _ in run_in_workers([SAMPLES] * 2, ["Dying"], jobs=1)]
        self.assertEqual([outcome.failed for outcome in outcomes], [1, 1])
        self.assertIn("exit status 3", outcomes[0].report)

    def test_fast(self) -> None:
        """With --fast, a test is skipped as soon as it starts a process or a server."""
        self.assertEqual(run_in_a_worker("Starting")[0].passed, 3)
        outcome, _ = run_in_a_worker("--fast", "Starting")
        self.assertEqual((outcome.passed, outcome.failed, outcome.skipped), (0, 0, 3))


if __name__ == "__main__":
    unittest.main()
