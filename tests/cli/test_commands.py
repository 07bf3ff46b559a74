"""Tests for the command line as a whole: usage, errors, versions, completion."""

from __future__ import annotations

import shutil
import subprocess
import unittest

from segment_logging import __version__
from segment_logging.cli import COMMANDS
from tests.cli.cases import run_command
from tests.docs.pages import PAGES


class TestCommands(unittest.TestCase):
    def test_usage(self) -> None:
        """Incomplete or unknown commands are refused in one line, with where to find the usage."""
        for arguments in ([], ["no-command"], ["import"], ["import", "f", "--max-attempts", "0"]):
            code, out, said = run_command(*arguments)
            self.assertEqual((code, out, len(said.splitlines())), (2, "", 1), said)
            self.assertIn("usage: segment-logging", said)

    def test_misspelt_option(self) -> None:
        """An unknown option is refused, with the one that was meant."""
        for option, meant in (("--write-kye", "--write-key"), ("--dry-rn", "--dry-run")):
            code, _, said = run_command("import", "file", option)
            self.assertEqual(code, 2)
            self.assertIn(f"there is no argument {option}: did you mean {meant}?", said)

    def test_misspelt_option_with_a_value(self) -> None:
        """The option is named even if its value was taken for another argument of the command."""
        for arguments, meant in (
            (["send", "--wriet-key", "k"], "--write-key"),
            (["journal", "--jsn"], "--json"),
            (["--verison"], "--version"),
        ):
            code, _, said = run_command(*arguments)
            self.assertEqual(code, 2)
            self.assertIn(f": did you mean {meant}?", said)

    def test_version(self) -> None:
        """--version prints the version."""
        code, out, _ = run_command("--version")
        self.assertEqual((code, out), (0, f"segment-logging {__version__}\n"))

    def test_help(self) -> None:
        """Each command has a help text with its own name, its summary and all its options."""
        _, every, _ = run_command("--help")
        for module in COMMANDS:
            code, out, _ = run_command(module.NAME, "--help")
            self.assertEqual(code, 0)
            self.assertTrue(out.startswith(f"usage: segment-logging {module.NAME} "), out)
            self.assertIn(module.SUMMARY, " ".join(every.split()))

    def test_documented(self) -> None:
        """The documentation contains the help text of each command."""
        told = "".join(PAGES["docs/command-line.md"].split())
        for module in COMMANDS:
            with self.subTest(command=module.NAME):
                _, out, _ = run_command(module.NAME, "--help")
                self.assertIn("".join(out.split()), told)

    def test_collector(self) -> None:
        """`collector` is one of the commands."""
        code, _, said = run_command("collector", "--port", "99999999")
        self.assertEqual(code, 2)
        self.assertIn("99999999", said)

    def test_write_key_is_not_shown(self) -> None:
        """No error shows the write key."""
        code, _, said = run_command("send", "--write-key", "s e c r e t")
        self.assertEqual(code, 2)
        self.assertNotIn("s e c", said)


class TestCompletion(unittest.TestCase):
    def test_scripts(self) -> None:
        """The script of each shell is valid, and knows the commands and their options."""
        for shell in ("bash", "zsh", "fish"):
            code, script, _ = run_command("completion", shell)
            self.assertEqual(code, 0)
            for word in ("import", "replay", "dry-run", "collector"):
                self.assertIn(word, script)
            with self.subTest(shell=shell):
                if shutil.which(shell) is None:
                    self.skipTest(f"needs {shell}")
                done = subprocess.run([shell, "-n"], input=script, text=True, check=False,
                                      capture_output=True)  # fmt: skip
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_bash(self) -> None:
        """In bash, the script completes an option of a command."""
        if shutil.which("bash") is None:
            self.skipTest("needs bash")
        _, script, _ = run_command("completion", "bash")
        program = (
            "COMP_WORDS=(segment-logging import --dr); COMP_CWORD=2; _segment_logging; "
            'echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", f"{script}\n{program}"], text=True, check=True,
                              capture_output=True)  # fmt: skip
        self.assertEqual(done.stdout, "--dry-run\n")


if __name__ == "__main__":
    unittest.main()
