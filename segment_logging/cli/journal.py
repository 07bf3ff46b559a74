"""`segment-logging journal DIR`: what waits in a journal, and why; and sending it."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256

from .._clock import monotonic
from .._files import Folder, own_path
from .._options.delivery import write_key_of
from .._queues.journal.directory import (
    HANDED_OVER,
    directory_names,
    file_names,
    is_locked,
    is_owned,
)
from .._queues.journal.sources import DELIVER_LOCK
from .._queues.journal.stored import read_lines
from .._reports import counted, printable, were
from ..errors import ConfigurationError
from ..handler import SegmentHandler
from . import connection
from .progress import Progress
from .stopping import Signals, Stopped
from .tables import show_table

NAME = "journal"
SUMMARY = "show what waits in a journal, or send it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The messages of one process.

    Attributes:
        key: the first 12 hex digits of the SHA-256 of the write key.
        pid: the process.
        is_alive: whether the process lives.
        is_handed_over: whether the process has `deliver=False`, so that another one sends them.
        is_deliverer_running: whether a `segment-logging deliver` runs for this write key.
        since: when it began, as ISO 8601.
        messages: how many messages wait.
        size_bytes: how many bytes they have.
        why: why they wait.
    """

    key: str
    pid: int | None
    is_alive: bool
    is_handed_over: bool
    is_deliverer_running: bool
    since: str
    messages: int
    size_bytes: int
    why: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Show what waits in a journal: the messages of which process, since when, how many, and "
        "why. With --drain, send what processes that have ended have left."
    )
    parser.add_argument("directory", metavar="DIR", help="the directory that is the journal")
    parser.add_argument("--drain", action="store_true", help="send the messages of ended processes")
    parser.add_argument(
        "--timeout",
        type=connection.positive_number,
        metavar="SECONDS",
        default=60.0,
        help="with --drain: stop after this time without a delivery (default: 60)",
    )
    connection.add_sending_options(parser)
    connection.add_key_options(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    if not os.path.isdir(options.directory):
        raise ConfigurationError(f"{options.directory} is not a directory: pass a journal")
    path = own_path(options.directory)
    with Folder.at(path):  # raises if it is somebody else's
        pass
    if options.drain:
        return _drain(options)
    key = None
    with suppress(ConfigurationError, OSError):
        key = _name_of(connection.key_of(options))
    waiting = list(waiting_in(path))
    set_aside = _size_of_quarantine(path)
    if options.json:
        told = [{**asdict(one), "is_this_key": one.key == key} for one in waiting]
        print(json.dumps({"waiting": told, "quarantine_bytes": set_aside}))
    else:
        _show(waiting, key, set_aside)
    return 0


def _name_of(write_key: str) -> str:
    return sha256(write_key.encode()).hexdigest()[:12]


def waiting_in(path: str) -> Iterator[Waiting]:
    """Yield what waits in a journal, by write key and process, oldest first.

    Args:
        path: the directory that belongs to this user.
    """
    with Folder.at(path) as root:
        keys = [name for name in root.names() if len(name) == 12]
        for key in keys:
            try:
                with root.folder(key) as folder, folder.folder("live") as live:
                    is_delivered = _is_deliverer_running(folder)
                    for name in directory_names(live):
                        found = _waiting(live, key, name, is_delivered=is_delivered)
                        if found is not None:
                            yield found
            except (FileNotFoundError, NotADirectoryError):
                continue


def _is_deliverer_running(folder: Folder) -> bool:
    try:
        return is_locked(folder, DELIVER_LOCK)
    except OSError:  # there has never been one, or there are no locks
        return False


def _waiting(live: Folder, key: str, name: str, *, is_delivered: bool) -> Waiting | None:
    nanoseconds, _, rest = name.partition("-")
    pid = rest.partition("-")[0]
    since = ""
    with suppress(ValueError, OverflowError, OSError):
        since = datetime.fromtimestamp(int(nanoseconds) / 1e9, UTC).isoformat(timespec="seconds")
    messages = size_bytes = 0
    is_alive, is_handed_over, unread = False, name.endswith(HANDED_OVER), ""
    try:
        with live.folder(name) as folder:
            is_alive = is_owned(folder)
            for file in file_names(folder):
                try:
                    size_bytes += folder.size_bytes_of(file)
                    messages += len(read_lines(folder, file)[0])
                except FileNotFoundError:  # sent meanwhile
                    continue
                except OSError as error:
                    unread = f"{printable(file)} cannot be read ({error.strerror}): check it"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        unread = f"it cannot be read ({error.strerror}): check its owner and permissions"
    if not unread and not messages and not is_alive:
        return None
    why = unread or _why(is_alive, is_handed_over, is_delivered)
    return Waiting(
        key=key, pid=int(pid) if pid.isdecimal() else None, is_alive=is_alive,
        is_handed_over=is_handed_over, is_deliverer_running=is_delivered,
        since=since, messages=messages, size_bytes=size_bytes, why=why,
    )  # fmt: skip


def _why(is_alive: bool, is_handed_over: bool, is_delivered: bool) -> str:
    match is_alive, is_handed_over, is_delivered:
        case True, False, _:
            return "its process is running, and sends them"
        case True, True, True:
            return "its process is running, and `segment-logging deliver` sends them"
        case True, True, False:
            return (
                "its process is running and hands them over, but no `segment-logging deliver` is "
                "running for this write key: start it"
            )
        case False, _, True:
            return "its process has ended, and `segment-logging deliver` sends them"
        case False, True, False:
            return (
                "its process has ended after handing them over, and no `segment-logging deliver` "
                "is running for this write key: start it, or use --drain"
            )
        case _:
            return "its process has ended; the next one with this write key sends them, or --drain"


def _size_of_quarantine(path: str) -> int:
    try:
        with Folder.at(path) as root, root.folder("quarantine") as folder:
            return sum(size for _, size in folder.sizes())
    except OSError:
        return 0


def _show(waiting: list[Waiting], key: str | None, set_aside: int) -> None:
    messages = sum(one.messages for one in waiting)
    print(f"{counted(messages, 'message')} {'waits' if messages == 1 else 'wait'}")
    headers = ("process", "write key", "since", "messages", "bytes", "why")
    rows = [
        (
            str(one.pid or ""),
            "this one" if one.key == key else one.key,
            one.since,
            f"{one.messages:,}",
            f"{one.size_bytes:,}",
            one.why,
        )
        for one in waiting
    ]
    is_shown = bool(rows) and show_table(headers, rows)
    for one in () if is_shown else waiting:
        whose = "this write key" if one.key == key else f"write key {one.key}"
        process = f"process {one.pid}" if one.pid is not None else "a process"
        print(
            f"  {counted(one.messages, 'message')} ({one.size_bytes:,} bytes) of {process}, "
            f"{whose}, since {one.since}: {one.why}"
        )
    if set_aside:
        print(
            f"{set_aside:,} bytes are in the quarantine, because they are damaged or their dead "
            "letters could not be written: look at them, and remove them"
        )


def _drain(options: argparse.Namespace) -> int:
    write_key = write_key_of(connection.key_of(options))
    path = own_path(options.directory)
    handler = SegmentHandler(
        write_key,
        host=options.host,
        region=options.region,
        gzip=options.gzip,
        max_attempts=options.max_attempts,
        journal=options.directory,
        shutdown_timeout=0.0,
    )
    key = _name_of(str(write_key))
    progress = Progress()
    signals = Signals()
    code = None
    is_done = False
    try:
        with signals.caught():
            progress.begin(0, None)
            until = monotonic() + options.timeout
            settled = 0
            while not (is_done := handler.drain(1.0)) and monotonic() < until:
                counts = handler.counts()
                if counts.delivered + counts.dead_lettered > settled:
                    settled = counts.delivered + counts.dead_lettered
                    until = monotonic() + options.timeout
                progress.settled(counts.delivered, 0)
                progress.waiting(max(0.0, until - monotonic()), "no answer yet", is_new=False)
    except Stopped as stopped:
        code = stopped.exit_code
    progress.end()
    counts = handler.counts()
    handler.close()
    left = [one for one in waiting_in(path) if one.messages and not one.is_alive]
    own = sum(one.messages for one in left if one.key == key)
    others = sum(one.messages for one in left if one.key != key)
    if options.json:
        told = {
            "delivered": counts.delivered, "dead_lettered": counts.dead_lettered,
            "left": own, "left_of_other_keys": others, "complete": is_done,
        }  # fmt: skip
        print(json.dumps(told))
    else:
        print(f"{counted(counts.delivered, 'message')} {were(counts.delivered)} delivered")
        if counts.dead_lettered:
            number = counts.dead_lettered
            print(
                f"{counted(number, 'message')} became dead letters: see {path}/dead-letters.jsonl"
            )
        if own or not is_done:
            print(f"{counted(own, 'message')} could not be sent yet: run the command again")
        if others:
            print(
                f"{counted(others, 'message')} of other write keys: run it with these keys or, if "
                "they were wrong, import the files with the right key"
            )
    if code is not None:
        return code
    return 0 if is_done and not counts.dead_lettered and not own else 1
