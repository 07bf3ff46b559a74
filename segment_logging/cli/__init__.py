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
import os
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
    options = parsed(arguments)
    try:
        code: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SegmentError as error:
        return _fail(str(error))
    except BrokenPipeError:
        # So that Python does not report it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return _fail(f"{what}{error.strerror or type(error).__name__}")
    except KeyboardInterrupt:
        return 130
    return code


class Parser(argparse.ArgumentParser):
    """A parser whose errors are a single line."""

    @override
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (usage: {self.prog} --help)\n")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments. End the process with exit code 2 if they are wrong."""
    options, unknown = parser().parse_known_args(arguments)
    if unknown:
        command: Parser = options.parser
        known = [name for action in command._actions for name in action.option_strings]
        meant = get_close_matches(unknown[0].partition("=")[0], known, 1)
        hint = f": did you mean {meant[0]}?" if meant else ""
        if not unknown[0].startswith("-"):
            hint = ": write files before the options"
        command.error(f"there is no argument {unknown[0]}{hint}")
    return options


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    made = Parser(
        prog="segment-logging",
        description="Send messages to Segment, or run a local endpoint.",
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=f"segment-logging {__version__}")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for module in COMMANDS:
        command = commands.add_parser(module.NAME, help=module.SUMMARY, allow_abbrev=False)
        module.add_arguments(command)
        command.set_defaults(run=module.run, parser=command, root=made)
    return made


def _fail(text: str) -> int:
    print(f"segment-logging: {text}", file=sys.stderr)
    return 2
