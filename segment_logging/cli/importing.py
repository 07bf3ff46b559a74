"""`segment-logging import FILE…`: send files of messages, one JSON object per line."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import stat
import time
from collections.abc import Sequence
from typing import Any

from .._locks import try_lock
from .._reports import counted, were
from .._trust import NotOurs
from ..errors import ConfigurationError, SegmentError
from . import connection
from .again import again
from .bookmark import Bookmark, ChangedFile, Place
from .elsewhere import hint_at_others, is_file_or_pattern
from .importer import Imported, Importer, not_resumable
from .lines import STDIN, Source
from .output import remark
from .progress import Progress
from .refusals import Letters, Shown, reasons_of
from .repeats import text_of_repeats
from .sender import Sender
from .stopping import Signals, Stopped
from .trial import try_import

NAME = "import"
SUMMARY = "send files of messages, one JSON object per line"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Send files of messages, one JSON object per line: those of SegmentJsonFormatter, of "
        "Segment's own archives, and dead letters. Files may be compressed with gzip. Run the "
        "command again to continue where it stopped."
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="a file to send, or - for stdin")
    parser.add_argument(
        "--dead-letters",
        metavar="FILE",
        help="where to write lines that can never be delivered, with the reason "
        "(default: FILE.dead-letters.jsonl)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="send nothing, only count messages and bad lines"
    )
    parser.add_argument(
        "--new-ids", action="store_true", help="give every message a new message id"
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
    check_files(options.files)
    if options.dry_run:
        return try_import(options)
    command = _Import(options)
    try:
        with command.signals.caught():
            command.run()
    except Stopped as stopped:
        command.progress.end()
        command.tell(is_stopped=True)
        return stopped.exit_code
    return command.tell()


def check_files(files: Sequence[str]) -> None:
    """Check that all files exist and are different, before anything is done.

    Raises:
        ConfigurationError: they are not.
        OSError: one cannot be examined.
    """
    seen: set[Any] = set()
    for path in files:
        try:
            found = None if path == STDIN else os.stat(path)
        except FileNotFoundError:
            hint = hint_at_others(path, is_file_or_pattern)
            raise ConfigurationError(f"{path}: there is no such file{hint}") from None
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise ConfigurationError(f"{path} is a directory: pass files")
        same = STDIN if found is None else (found.st_dev, found.st_ino)
        if same in seen:
            raise ConfigurationError(f"{path} is given twice: pass it once")
        seen.add(same)


class _Import:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.signals = Signals()
        self.progress = Progress()
        self.totals = Imported()
        self._letters: list[Letters] = []
        self._has_begun = False
        self._last_error: SegmentError | None = None  # of the last attempt

    def run(self) -> None:
        done = []
        for path in self.options.files:
            source = Source(path)
            try:
                bookmark = self._import(source)
            except (ConfigurationError, ChangedFile, OSError) as error:
                if not self._has_begun:
                    raise
                self._say(path, text_of(error, path))
                self.totals.is_complete = False
                return
            finally:
                self.progress.end()
                source.close()
            if not self.totals.is_complete:
                return
            done.append(bookmark)
        for bookmark in done:  # only now, so that no file is sent twice if a later one fails
            if bookmark is not None:
                bookmark.remove()

    def _import(self, source: Source) -> Bookmark | None:
        """Import one file. Return its bookmark, to be removed when all files are complete."""
        if source.is_resumable:
            lock(source)
        letters = Letters(self._path_of_letters(source), source.name)
        self._letters.append(letters)
        kept_in = "the file" if source.is_resumable else None
        with connection.connected(self.options, kept_in=kept_in, dead_letters=letters) as delivery:
            place, bookmark, kept = self._start(source)
            importer = Importer(
                Sender(delivery, self.progress, rate=self.options.rate, sleep=time.sleep),
                letters,
                progress=self.progress,
                signals=self.signals,
                say=lambda text: self._say(source.name, text),
                show=Shown(source.name),
            )
            importer.totals = self.totals
            self._has_begun = True
            self.totals.is_complete = False  # until it is
            self.totals.is_complete = importer.run(source, bookmark, place)
            self._last_error = delivery.trouble
        return kept

    def _start(self, source: Source) -> tuple[Place, Bookmark | None, Bookmark | None]:
        """Return where to begin, the bookmark if it can be written, and the bookmark to remove."""
        salt = secrets.token_hex(16) if self.options.new_ids else ""
        if not source.is_resumable:
            return Place(salt=salt), None, None
        bookmark = Bookmark(source.path, source.head)
        found = bookmark.find()
        if found is not None and bool(found.salt) != self.options.new_ids:
            how = "without" if self.options.new_ids else "with"
            raise ConfigurationError(
                f"the import of {source.name} has begun {how} --new-ids: continue it {how} that "
                f"option, or remove {bookmark.path} to import the whole file"
            )
        place = found or Place(salt=salt)
        if not source.is_compressed and place.offset > (source.total_bytes or 0):
            raise ChangedFile(
                f"{source.name} is shorter than what {bookmark.path} says was imported: "
                "remove the bookmark to import the whole file"
            )
        try:
            bookmark.put(place)
        except NotOurs:  # somebody else may have prepared it
            raise
        except OSError as error:
            self._say(source.name, not_resumable(error))
            return place, None, bookmark
        return place, bookmark, bookmark

    def _path_of_letters(self, source: Source) -> str:
        path: str | None = self.options.dead_letters
        if path is None:
            name = "stdin" if source.path == STDIN else source.path
            path = f"{name}.dead-letters.jsonl"
        if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(source.descriptor)):
            raise ConfigurationError(
                "dead letters cannot be written to the file that is imported: "
                "pass another file with --dead-letters"
            )
        return path

    def _say(self, name: str, text: str) -> None:
        remark(f"{name}: {text}")

    def tell(self, *, is_stopped: bool = False) -> int:
        """Print the totals, and return the exit code."""
        totals = self.totals
        if self.options.json:
            print(
                json.dumps(
                    {
                        "delivered": totals.delivered,
                        "dead_lettered": totals.dead_lettered,
                        "undated": totals.undated,
                        "repeated": totals.repeats.number,
                        "complete": totals.is_complete,
                        "reasons": dict(totals.reasons),
                    }
                )
            )
        else:
            for text in self._lines(is_stopped):
                print(text)
        return 0 if totals.is_complete and not totals.dead_lettered else 1

    def _lines(self, is_stopped: bool) -> list[str]:
        totals = self.totals
        lines = [f"{counted(totals.delivered, 'message')} {were(totals.delivered)} delivered"]
        if totals.dead_lettered:
            paths = dict.fromkeys(one.path for one in self._letters if one.has_written)
            where = f"see {', '.join(paths)}" if paths else "they are only counted"
            lines.append(f"{counted(totals.dead_lettered, 'line')} can never be delivered: {where}")
        lines += reasons_of(totals.reasons)
        if totals.undated:
            lines.append(
                f"{counted(totals.undated, 'message')} had no timestamp: "
                "Segment uses the time of arrival instead"
            )
        if totals.repeats.number:
            lines.append(text_of_repeats(totals.repeats.number))
        if totals.trouble:
            lines.append(f"{totals.trouble}: everything before was imported")
        way_on = ""
        if STDIN not in self.options.files:
            way_on = f": {again(self._last_error, 'run the command again to continue')}"
        if is_stopped:
            lines.append(f"stopped{way_on}")
        elif not totals.is_complete:
            lines.append(f"the import is not complete{way_on}")
        return lines


def lock(source: Source) -> None:
    """Lock a file until it is closed.

    Raises:
        ConfigurationError: another process has locked it.
    """
    if os.name == "posix" and not try_lock(source.descriptor):
        raise ConfigurationError(
            f"another process is importing or replaying {source.name}: wait until it has ended"
        )


def text_of(error: Exception, path: str) -> str:
    """Return what is wrong, for a single line on stderr."""
    if isinstance(error, OSError):
        return f"{error.filename or path}: {error.strerror or type(error).__name__}"
    return str(error)
