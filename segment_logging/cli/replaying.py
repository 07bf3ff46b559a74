"""`segment-logging replay FILE…`: send dead letters again, once what was wrong is corrected."""

from __future__ import annotations

import argparse
import json
import os
import time

from .._reports import counted, were
from ..errors import ConfigurationError, SegmentError
from . import connection
from .again import again
from .bookmark import Place
from .dead_letter_file import LettersAgain, bookmark_of, files_of, recover, remove_settled
from .elsewhere import hint_at_others
from .importer import Imported, Importer
from .importing import lock
from .lines import STDIN, Source
from .output import remark
from .progress import Progress
from .refusals import Shown, reasons_of
from .sender import Sender
from .stopping import Signals, Stopped

NAME = "replay"
SUMMARY = "send dead letters again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Send dead letters again, with their message ids. Those that are delivered leave the file; "
        "those that are refused again stay in it. Correct what was wrong first: the write key, or "
        "the messages in the file. Programs may write to the file at the same time."
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="a file of dead letters; FILE.1 is sent first"
    )
    parser.add_argument(
        "--rate",
        type=connection.positive_number,
        metavar="N",
        help="the largest number of messages to send per second (default: no limit)",
    )
    connection.add_sending_options(parser)
    connection.add_key_options(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    paths = []
    for given in options.files:
        if given == STDIN:
            raise ConfigurationError("replay removes letters from their file: pass a file")
        found = files_of(os.path.realpath(given))
        if not found:
            hint = hint_at_others(given, lambda path: bool(files_of(path)))
            raise ConfigurationError(f"{given}: there is no such file{hint}")
        paths += [path for path in found if path not in paths]
    command = _Replay(options)
    code = None
    try:
        with command.signals.caught():
            command.run(paths)
    except Stopped as stopped:
        code = stopped.exit_code
    command.progress.end()
    return command.tell(code)


class _Replay:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.signals = Signals()
        self.progress = Progress()
        self.totals = Imported()
        self._last_error: SegmentError | None = None  # of the last attempt

    def run(self, paths: list[str]) -> None:
        connection.key_of(self.options)  # raises before anything is done
        for path in paths:
            with self.signals.held():
                recover(path, time.sleep)
            if os.path.exists(path):
                self._replay(path)
            if not self.totals.is_complete:
                return

    def _replay(self, path: str) -> None:
        source = Source(path)
        try:
            if not source.is_resumable or source.is_compressed:
                raise ConfigurationError(
                    f"letters cannot be removed from {path}: uncompress it, or use import"
                )
            lock(source)
            self._send(path, source)
        finally:
            source.close()

    def _send(self, path: str, source: Source) -> None:
        bookmark = bookmark_of(path, source.head)
        place = bookmark.find() or Place()
        end = source.total_bytes or 0
        if place.offset:  # a replay was killed
            self.totals.repeats.remember(source.lines(end=place.offset))
        letters = LettersAgain(path, source)
        with connection.connected(
            self.options, kept_in="the file", dead_letters=letters
        ) as delivery:
            importer = Importer(
                Sender(delivery, self.progress, rate=self.options.rate, sleep=time.sleep),
                letters,
                progress=self.progress,
                signals=self.signals,
                say=lambda text: remark(f"{path}: {text}"),
                show=Shown(path),
                keeps_repeats=True,  # a letter that Segment drops would leave the file
            )
            importer.totals = self.totals
            self.totals.is_complete = False  # until it is
            try:
                bookmark.put(place)
                self.totals.is_complete = importer.run(source, bookmark, place, end=end)
                self._last_error = delivery.trouble
            finally:
                with self.signals.held():
                    remove_settled(path, source, importer.place, time.sleep)

    def tell(self, code: int | None) -> int:
        """Print the totals, and return the exit code."""
        totals = self.totals
        if self.options.json:
            told = {
                "delivered": totals.delivered,
                "dead_lettered": totals.dead_lettered,
                "complete": totals.is_complete,
                "reasons": dict(totals.reasons),
            }
            print(json.dumps(told))
        else:
            number = totals.delivered
            print(f"{counted(number, 'message')} {were(number)} delivered")
            if totals.dead_lettered:
                print(f"{counted(totals.dead_lettered, 'letter')} {_stay(totals.dead_lettered)}")
            for text in reasons_of(totals.reasons):
                print(text)
            if not totals.is_complete:
                way_on = again(self._last_error, "run the command again to continue")
                print(f"the other letters are still in the file: {way_on}")
        if code is not None:
            return code
        return 0 if totals.is_complete and not totals.dead_lettered else 1


def _stay(number: int) -> str:
    return f"{'stays' if number == 1 else 'stay'} in the file, with the reason"
