"""The messages that are left in a journal when `segment-logging deliver` ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from .._clock import monotonic
from .._delivery.losses import text_of_kept
from .._files import Folder
from .._queues.journal.directory import HANDED_OVER, directory_names, file_names, is_owned
from .._queues.journal.place import Place
from .._queues.journal.sources import ADOPTING_LOCK
from .._queues.journal.stored import read_lines
from .._reports import report
from .deliverer import Deliverer
from .waiting import is_held

TAKE_OVER_SECONDS = 1.25
"""How long to wait for another command to take over. A standby command tries every second."""

_LOOK_EVERY = 0.1  # seconds
_COUNT_SECONDS = 0.5  # for which messages are counted even if the time is up


class Remaining(NamedTuple):
    """The messages of a write key that no process is sending.

    Attributes:
        messages: how many were counted.
        is_exact: whether everything was counted. False if the time was up, or if something could
            not be read, so that there may be more.
    """

    messages: int
    is_exact: bool


def report_remaining(
    deliverers: Sequence[Deliverer], until: float, *, wait: Callable[[float], object]
) -> None:
    """Report how many messages are left, unless another command delivers them.

    Nothing shows whether another command is standing by, so this waits briefly for one to take
    over. It does not wait if nothing is left.

    Args:
        deliverers: the deliverers, one for each write key. They have ended.
        until: when to be done, as monotonic time in seconds.
        wait: waits for a number of seconds.
    """
    began = monotonic()
    count_until = began + max(_COUNT_SECONDS, (until - began) / 2)
    left: list[tuple[Deliverer, Remaining]] = []
    for one in deliverers:
        if not one.is_another_delivering:
            found = remaining_in(one.place, count_until, is_ours=one.is_delivering)
            if not found.is_exact:
                found = Remaining(max(found.messages, one.figures().pending), is_exact=False)
            if found.messages:
                left.append((one, found))
    wait_until = min(until, began + TAKE_OVER_SECONDS)
    while left := [(one, found) for one, found in left if not one.is_another_delivering]:
        if monotonic() >= wait_until:
            break
        wait(_LOOK_EVERY)
    for one, found in left:
        report(
            text_of_kept(
                found.messages,
                f"the journal {one.place.path}",
                one.trouble,
                is_exact=found.is_exact,
                key_name=one.place.key_name if len(deliverers) > 1 else None,
            )
        )


def remaining_in(place: Place, until: float, *, is_ours: bool = False) -> Remaining:
    """Count the messages of a write key that no process is sending.

    Args:
        place: where the journal is.
        until: when to stop counting, as monotonic time in seconds.
        is_ours: whether this process still holds the write key's locks, because a request hangs.
    """
    messages, is_exact = 0, True
    try:
        with place.key_folder() as key, key.folder("live") as live:
            is_adopted = not is_ours and is_held(key, ADOPTING_LOCK)
            for name in directory_names(live):
                with suppress(FileNotFoundError, NotADirectoryError):
                    found = _remaining_of(live, name, until, is_adopted=is_adopted)
                    messages += found.messages
                    is_exact &= found.is_exact
                if monotonic() >= until:
                    return Remaining(messages, is_exact=False)
    except FileNotFoundError:
        pass
    except OSError:
        is_exact = False
    return Remaining(messages, is_exact)


def _remaining_of(live: Folder, name: str, until: float, *, is_adopted: bool) -> Remaining:
    """Count the messages of one process.

    Raises:
        FileNotFoundError: it no longer exists.
        NotADirectoryError: it is not a directory.
    """
    messages, is_exact = 0, True
    try:
        with live.folder(name) as folder:
            is_sent = not name.endswith(HANDED_OVER) if is_owned(folder) else is_adopted
            if is_sent:  # by another process
                return Remaining(0, is_exact=True)
            for file in file_names(folder):
                try:
                    messages += len(read_lines(folder, file)[0])
                except FileNotFoundError:  # sent in the meantime
                    continue
                except OSError:
                    messages += folder.size_bytes_of(file) > 0
                    is_exact = False
                if monotonic() >= until:
                    return Remaining(messages, is_exact=False)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError:
        is_exact = False
    return Remaining(messages, is_exact)
