"""The command line.

    segment-logging send               send the messages on stdin
    segment-logging import FILE…       send files of messages, one JSON object per line
    segment-logging replay FILE…       send dead letters again
    segment-logging journal DIR        show what waits in a journal, or send it
    segment-logging check              find out why events do not arrive
    segment-logging deliver DIR        send the messages that other processes write to a journal
    segment-logging relay              send the messages in a broker's queue to Segment
    segment-logging collector          run a local endpoint that shows what arrives
    segment-logging completion SHELL   print a script that completes commands and options

Exit codes: 0 if everything succeeded, 1 if something failed, 2 if the command could not start, and
130 or 143 if Ctrl-C or SIGTERM stopped it. Services end with 0 then.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from typing_extensions import override

from .._version import __version__
from ..errors import SegmentError
from . import (
    checking,
    collecting,
    completion,
    delivering,
    importing,
    journal,
    relaying,
    replaying,
    sending,
)
from .output import accept_all_text, flush_stderr, flush_stdout, remark

COMMANDS = (
    sending, importing, replaying, journal, checking, delivering, relaying, collecting, completion,
)  # fmt: skip
"""The modules of the commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: the command-line arguments. None means the arguments of the process.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    accept_all_text()
    try:
        options = parsed(arguments)
        code: int = options.run(options)
    except SegmentError as error:
        return _fail(str(error))
    except OSError as error:
        if (fault := flush_stdout(error)) is not None or isinstance(error, BrokenPipeError):
            return _not_printed(fault or error)
        what = f"{error.filename}: " if error.filename else ""
        return _fail(f"{what}{error.strerror or type(error).__name__}")
    except KeyboardInterrupt:
        return 130
    finally:
        flush_stderr()
    fault = flush_stdout()
    return code if fault is None else _not_printed(fault)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are a single line.

    Attributes:
        given: the arguments of the process. An unknown option among them explains other errors:
            its value looks like an argument of the command.
    """

    given: Sequence[str] = ()

    @override
    def error(self, message: str) -> NoReturn:
        known = self.option_names()
        for name in (text.partition("=")[0] for text in self.given if text.startswith("--")):
            if name not in (*known, "--", "--version"):
                message = self.unknown(name)
                break
        self.exit(2, f"{self.prog}: {message} (usage: {self.prog} --help)\n")

    def option_names(self) -> list[str]:
        """Return the names of all options."""
        return [name for action in self._actions for name in action.option_strings]

    def unknown(self, given: str) -> str:
        """Return the error for an argument that does not exist."""
        meant = get_close_matches(given.partition("=")[0], self.option_names(), 1)
        hint = f": did you mean {meant[0]}?" if meant else ""
        if not given.startswith("-"):
            hint = ": write files before the options"
        return f"there is no argument {given}{hint}"


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments. End the process with exit code 2 if they are wrong."""
    options, unknown = parser(arguments).parse_known_args(arguments)
    if unknown:
        command: Parser = options.parser
        command.error(command.unknown(unknown[0]))
    return options


def parser(given: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of all commands.

    Args:
        given: the arguments that it will parse, for its errors.
    """
    made = Parser(
        prog="segment-logging",
        description="Send messages to Segment, or run a local endpoint.",
        allow_abbrev=False,
    )
    made.given = given
    made.add_argument("--version", action="version", version=f"segment-logging {__version__}")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for module in COMMANDS:
        command = commands.add_parser(module.NAME, help=module.SUMMARY, allow_abbrev=False)
        command.given = given
        module.add_arguments(command)
        command.set_defaults(run=module.run, parser=command, root=made)
    return made


def _fail(text: str) -> int:
    remark(text)
    return 2


def _not_printed(error: OSError) -> int:
    """Return the exit code of a command that did its work, but could not print all of it."""
    if not isinstance(error, BrokenPipeError):  # `head` has read what it needs
        remark(f"stdout cannot be written: {error.strerror or type(error).__name__}")
    return 1
