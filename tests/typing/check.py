"""Run mypy and pyright on the two programs in this directory, and check their errors.

    python -W error -m tests.typing.check

This is a part of `make lint`. Every line of `accepted.py` is correct. In `rejected.py`, every line
that ends in `# error` is wrong, and all other lines are correct.
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

from ..builders import PROJECT
from ..suite import run, show
from ..test_typing import ACCEPTED, REJECTED, wrong_lines

Lines = Mapping[Path, frozenset[int]]
"""For each program, the numbers of the lines in which a checker reports an error."""


def run_checker(
    module: str, *arguments: str | Path, timeout: float = 180
) -> subprocess.CompletedProcess[str]:
    """Run a type checker the way a user of the package would in their own project."""
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
    """Return the lines with errors for each program, and ignore errors in other files."""
    found = [(PROJECT / path, line) for path, line in complaints]
    return {
        program: frozenset(line for path, line in found if path == program)
        for program in (ACCEPTED, REJECTED)
    }


@cache
def of_mypy() -> Lines:
    """Return the lines in which mypy reports errors.

    Raises:
        SkipTest: mypy is not installed.
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
    """Return the lines in which pyright reports errors.

    Raises:
        SkipTest: pyright is not installed, or it could not download its part for Node.js.
    """
    if importlib.util.find_spec("pyright") is None:
        raise unittest.SkipTest("pyright is not installed")
    try:
        version = run_checker("pyright", "--version")
    except subprocess.TimeoutExpired:
        raise unittest.SkipTest("pyright could not be downloaded in time") from None
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
        """mypy --strict reports no errors in a correct program."""
        self.assertEqual(of_mypy()[ACCEPTED], frozenset())

    def test_accepted_by_pyright(self) -> None:
        """pyright in strict mode reports no errors or warnings in a correct program."""
        self.assertEqual(of_pyright()[ACCEPTED], frozenset())

    def test_rejected_by_mypy(self) -> None:
        """mypy --strict reports an error in every wrong line, and only in those."""
        self.assertEqual(of_mypy()[REJECTED], wrong_lines(REJECTED))

    def test_rejected_by_pyright(self) -> None:
        """pyright reports an error in every wrong line, and only in those."""
        self.assertEqual(of_pyright()[REJECTED], wrong_lines(REJECTED))


if __name__ == "__main__":
    sys.exit(show([(run("tests.typing.check"), "")]))
