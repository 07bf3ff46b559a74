"""What waits in a journal, by write key and process, and why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from .._files import Folder
from .._queues.journal.directory import (
    HANDED_OVER,
    directory_names,
    file_names,
    is_locked,
    is_owned,
)
from .._queues.journal.sources import ADOPTING_LOCK, DELIVER_LOCK
from .._queues.journal.stored import read_lines
from .._reports import printable
from .._trust import PRIVATE, NotOurs, Trust

WRONG_KEY = "if a key was a mistake, import the files with the right key"
"""The way out for messages of a write key that nobody should send with."""

_CHECK = "check its owner and permissions"


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
        is_unread: whether some of them could not be read, so that there may be more.
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
    is_unread: bool
    why: str


def waiting_in(path: str, trust: Trust = PRIVATE) -> Iterator[Waiting]:
    """Yield what waits in a journal, by write key and process, oldest first.

    Args:
        path: the directory that is used.
        trust: who else may own its files.
    """
    with Folder.at(path, trust) as root:
        keys = [name for name in root.names() if len(name) == 12]
        for key in keys:
            try:
                with root.folder(key) as folder, folder.folder("live") as live:
                    is_delivered = is_deliverer_running(folder)
                    is_adopted = is_held(folder, ADOPTING_LOCK)
                    for name in directory_names(live):
                        found = _waiting(
                            live, key, name, is_delivered=is_delivered, is_adopted=is_adopted
                        )
                        if found is not None:
                            yield found
            except (FileNotFoundError, NotADirectoryError):
                continue


def is_deliverer_running(folder: Folder) -> bool:
    """Return whether a `segment-logging deliver` runs for a write key, given its directory."""
    return is_held(folder, DELIVER_LOCK)


def is_held(folder: Folder, lock: str) -> bool:
    """Return whether a process holds a lock in a write key's directory."""
    try:
        return is_locked(folder, lock)
    except OSError:  # there has never been one, or there are no locks
        return False


def _waiting(
    live: Folder, key: str, name: str, *, is_delivered: bool, is_adopted: bool
) -> Waiting | None:
    nanoseconds, _, rest = name.partition("-")
    pid = rest.partition("-")[0]
    since = ""
    with suppress(ValueError, OverflowError, OSError):
        since = datetime.fromtimestamp(int(nanoseconds) / 1e9, UTC).isoformat(timespec="seconds")
    messages = size_bytes = 0
    is_alive, is_handed_over, unread = False, name.endswith(HANDED_OVER), ""
    condition = ""
    try:
        with live.folder(name) as folder:
            if live.trust.group is not None:
                uid = os.fstat(folder.descriptor).st_uid
                condition = f" if it runs as user {uid} or with --owner {uid}"
            is_alive = is_owned(folder)
            for file in file_names(folder):
                try:
                    size_bytes += folder.size_bytes_of(file)
                    messages += len(read_lines(folder, file)[0])
                except FileNotFoundError:  # sent meanwhile
                    continue
                except OSError as error:
                    unread = f"{printable(file)} cannot be read ({error.strerror}): {_CHECK}"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        check = _CHECK
        if isinstance(error, NotOurs) and live.trust.group is not None:
            check = "name that user with --owner"
        unread = f"it cannot be read ({error.strerror}): {check}"
    if not unread and not messages and not is_alive:
        return None
    why = unread or _why(is_alive, is_handed_over, is_delivered, is_adopted, condition)
    return Waiting(
        key=key, pid=int(pid) if pid.isdecimal() else None, is_alive=is_alive,
        is_handed_over=is_handed_over, is_deliverer_running=is_delivered,
        since=since, messages=messages, size_bytes=size_bytes,
        is_unread=bool(unread), why=why,
    )  # fmt: skip


def _why(
    is_alive: bool, is_handed_over: bool, is_delivered: bool, is_adopted: bool, condition: str
) -> str:
    """Return why messages wait.

    Args:
        condition: the condition under which `segment-logging deliver` sends them, or an empty text.
    """
    match is_alive, is_handed_over, is_delivered, is_adopted:
        case True, False, _, _:
            return "its process is running, and sends them"
        case True, True, True, _:
            return f"its process is running, and `segment-logging deliver` sends them{condition}"
        case True, True, False, _:
            return (
                "its process is running and hands them over, but no `segment-logging deliver` is "
                f"running for this write key: start it; {WRONG_KEY}"
            )
        case False, _, True, _:
            return f"its process has ended, and `segment-logging deliver` sends them{condition}"
        case False, _, False, True:
            return "its process has ended, and another process is sending them"
        case False, True, False, False:
            return (
                "its process has ended after handing them over, and no `segment-logging deliver` "
                f"is running for this write key: start it, or use --drain; {WRONG_KEY}"
            )
        case _:
            return "its process has ended; the next one with this key will send them, or --drain"


def size_of_quarantine(path: str, trust: Trust = PRIVATE) -> int:
    """Return how many bytes are in the quarantine of a journal."""
    try:
        with Folder.at(path, trust) as root, root.folder("quarantine") as folder:
            return sum(size for _, size in folder.sizes())
    except OSError:
        return 0
