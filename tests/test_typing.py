"""What type checkers say about a program of the package's users: no more and no less.

`tests/typing/accepted.py` is right, line by line, and runs; of `tests/typing/rejected.py` every
line that ends in `# error` is wrong, and no other.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import unittest
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from .builders import PROJECT, run_python

PROGRAMS = PROJECT / "tests" / "typing"
ACCEPTED, REJECTED = PROGRAMS / "accepted.py", PROGRAMS / "rejected.py"

Lines = Mapping[Path, frozenset[int]]
"""Programs to the numbers of the lines that a checker complains of."""


def wrong_lines(program: Path) -> frozenset[int]:
    """Return the numbers of the lines that are marked as wrong."""
    lines = program.read_text(encoding="utf-8").splitlines()
    return frozenset(n for n, line in enumerate(lines, 1) if line.endswith("  # error"))


def run_checker(
    module: str, *arguments: str | Path, timeout: float = 180
) -> subprocess.CompletedProcess[str]:
    """Run a type checker, as a user of the package would in a project of his own."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


def by_program(complaints: Iterable[tuple[str, int]]) -> Lines:
    """Return them by program; those about other files are not ours to judge here."""
    found = [(PROJECT / path, line) for path, line in complaints]
    return {
        program: frozenset(line for path, line in found if path == program)
        for program in (ACCEPTED, REJECTED)
    }


@cache
def of_mypy() -> Lines:
    """Return what mypy says.

    Raises:
        SkipTest: it is not installed.
    """
    if importlib.util.find_spec("mypy") is None:
        raise unittest.SkipTest("mypy is not installed")
    done = run_checker("mypy", "--strict", "--output=json", ACCEPTED, REJECTED)
    if done.stderr:
        raise AssertionError(done.stderr)
    said = map(json.loads, done.stdout.splitlines())
    return by_program((one["file"], one["line"]) for one in said if one["severity"] == "error")


@cache
def of_pyright() -> Lines:
    """Return what pyright says.

    Raises:
        SkipTest: it is not installed, or could not fetch the part of it that runs on Node.js.
    """
    if importlib.util.find_spec("pyright") is None:
        raise unittest.SkipTest("pyright is not installed")
    try:
        version = run_checker("pyright", "--version")
    except subprocess.TimeoutExpired:
        raise unittest.SkipTest("pyright could not be fetched in time") from None
    if version.returncode or not version.stdout.startswith("pyright "):
        reason = version.stderr.strip().rpartition("\n")[2]
        raise unittest.SkipTest(f"pyright does not run here: {reason}")
    done = run_checker(
        "pyright", "--outputjson", "--pythonpath", sys.executable, ACCEPTED, REJECTED
    )
    said = json.loads(done.stdout)["generalDiagnostics"]
    return by_program((one["file"], one["range"]["start"]["line"] + 1) for one in said)


class TestPrograms(unittest.TestCase):
    def test_accepted_by_mypy(self) -> None:
        """mypy --strict has nothing to say against a right program."""
        self.assertEqual(of_mypy()[ACCEPTED], frozenset())

    def test_accepted_by_pyright(self) -> None:
        """Nor has pyright in its strict mode, of which warnings count, too."""
        self.assertEqual(of_pyright()[ACCEPTED], frozenset())

    def test_rejected_by_mypy(self) -> None:
        """mypy --strict finds every wrong line, and only those."""
        self.assertEqual(of_mypy()[REJECTED], wrong_lines(REJECTED))

    def test_rejected_by_pyright(self) -> None:
        """So does pyright."""
        self.assertEqual(of_pyright()[REJECTED], wrong_lines(REJECTED))

    def test_marked(self) -> None:
        """The marks are found, and a right program has none."""
        self.assertGreater(len(wrong_lines(REJECTED)), 30)
        self.assertEqual(wrong_lines(ACCEPTED), frozenset())

    def test_runs(self) -> None:
        """What type checkers accept also runs, without a complaint of the handler's."""
        counts = run_python(
            f"""
import json, logging, runpy
from segment_logging import SegmentHandler
from segment_logging.testing import FakeClient
handler = SegmentHandler("key", client=FakeClient())
handler.setLevel(logging.DEBUG)
logging.getLogger("tests.typing").addHandler(handler)
logging.getLogger("tests.typing").setLevel(logging.DEBUG)
runpy.run_path({str(ACCEPTED)!r})
handler.drain(10)
counts = handler.counts()
print(json.dumps([counts.delivered, counts.invalid, counts.ignored]))
"""
        )
        self.assertEqual(counts, [22, 0, 1])


if __name__ == "__main__":
    unittest.main()
