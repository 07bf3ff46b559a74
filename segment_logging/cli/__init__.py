"""The command line.

    segment-logging import FILE        send a file of messages, one JSON object per line
    segment-logging collector          run a local endpoint that shows what arrives

Exit codes: 0 if everything succeeded, 1 if something failed, 2 if the command could not start.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing

from .._client.hosts import host_of
from .._client.http_client import HttpClient
from .._delivery.attempts import Delivery
from .._delivery.dead_letters import DeadLetters
from .._delivery.retries import RetryPolicy
from .._options.delivery import write_key_of
from .._process.clock import monotonic
from .._reports import counted, were
from ..collector.__main__ import main as run_collector
from ..errors import ConfigurationError
from .importing import ChangedFile, Imported, Importer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: the command-line arguments. None means the arguments of the process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["collector"]:
        return run_collector(arguments[1:])
    return _import(_parser().parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="segment-logging", description="Send messages to Segment, or run a local endpoint."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("collector", help="run a local endpoint that shows what arrives")
    importing = commands.add_parser(
        "import",
        help="send a file of messages, one JSON object per line",
        description="Send a file of messages, one JSON object per line, as written by "
        "SegmentJsonFormatter. Run the command again to continue where it stopped.",
    )
    importing.add_argument("file", metavar="FILE", help="the file to send")
    importing.add_argument("--write-key", metavar="KEY", help="default: SEGMENT_WRITE_KEY")
    importing.add_argument(
        "--host", metavar="URL", help="default: SEGMENT_HOST, or the host of the region"
    )
    importing.add_argument(
        "--region", choices=("us", "eu"), default="us", help="workspace region (default: us)"
    )
    importing.add_argument(
        "--dead-letters",
        metavar="FILE",
        help="where to write lines that can never be delivered, with the reason "
        "(default: FILE.dead-letters.jsonl)",
    )
    importing.add_argument(
        "--max-attempts", type=int, default=11, help="attempts per batch (default: 11)"
    )
    importing.add_argument("--gzip", action="store_true", help="compress request bodies")
    importing.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _import(options: argparse.Namespace) -> int:
    letters_path = options.dead_letters or f"{options.file}.dead-letters.jsonl"
    letters = DeadLetters(letters_path)
    progress = _Progress()
    try:
        write_key = write_key_of(options.write_key)
        if write_key is None:
            raise ConfigurationError("no write key: pass --write-key or set SEGMENT_WRITE_KEY")
        host = host_of(options.host, options.region)
        if not os.path.isfile(options.file):
            raise ConfigurationError(
                f"{options.file} is not a file: pass a file of messages, one JSON object per line"
            )
        if os.path.exists(letters_path) and os.path.samefile(options.file, letters_path):
            raise ConfigurationError(
                "dead letters cannot be written to the file that is imported: "
                "pass another file with --dead-letters"
            )
        with closing(HttpClient(host, gzip=options.gzip)) as client:
            delivery = Delivery(
                client,
                write_key,
                policy=RetryPolicy(max_attempts=options.max_attempts),
                kept_in="the file",
                dead_letters=letters,
            )
            done = Importer(delivery, letters, sleep=time.sleep, on_progress=progress.show).run(
                options.file
            )
    except (ConfigurationError, ChangedFile) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or options.file}: {error.strerror or error}")
    except KeyboardInterrupt:
        progress.end()
        print("stopped: run the command again to continue", file=sys.stderr)
        return 1
    progress.end()
    _tell(done, letters_path, as_json=options.json)
    return 0 if done.is_complete and not done.dead_lettered else 1


def _tell(done: Imported, letters_path: str, *, as_json: bool) -> None:
    if as_json:
        print(
            json.dumps(
                {
                    "delivered": done.delivered,
                    "dead_lettered": done.dead_lettered,
                    "undated": done.undated,
                    "complete": done.is_complete,
                }
            )
        )
        return
    print(f"{counted(done.delivered, 'message')} {were(done.delivered)} delivered")
    if done.dead_lettered:
        print(f"{counted(done.dead_lettered, 'line')} can never be delivered: see {letters_path}")
    if done.undated:
        print(
            f"{counted(done.undated, 'message')} had no timestamp: "
            "Segment uses the time of arrival instead"
        )
    if not done.is_complete:
        print("the import is not complete: run the command again to continue")


class _Progress:
    """A progress line on stderr, which is shown only if stderr is a terminal."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._is_shown = False

    def show(self, done: Imported) -> None:
        if not sys.stderr.isatty():
            return
        part = done.read_bytes / done.total_bytes if done.total_bytes else 1.0
        rate = done.delivered / max(0.001, monotonic() - self._began)
        bar = ("#" * round(30 * part)).ljust(30, ".")
        plural = "" if done.delivered == 1 else "s"
        text = f"[{bar}] {part:4.0%}  {done.delivered:,} message{plural}, {rate:,.0f}/s"
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)
        self._is_shown = True

    def end(self) -> None:
        if self._is_shown:
            print(file=sys.stderr)


def _fail(text: str) -> int:
    print(f"segment-logging: {text}", file=sys.stderr)
    return 2
