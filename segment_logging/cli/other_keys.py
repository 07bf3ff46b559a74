"""Other write keys whose messages wait in a journal, and that nobody sends."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from .._files import Folder
from .._queues.journal.left_behind import KEY_NAME, has_waiting
from .waiting import is_deliverer_running


def other_keys_in(root: Folder, own: Collection[str]) -> list[str]:
    """Return the names of the other write keys whose messages wait.

    Messages that a running process or another `segment-logging deliver` sends are not counted.

    Args:
        root: the directory that is used as the journal.
        own: the names of the write keys that are not meant, like the names that are returned: the
            first 12 hex digits of the SHA-256 of each.

    Raises:
        OSError: the directory cannot be read.
    """
    names = [name for name in root.names() if KEY_NAME.fullmatch(name) and name not in own]
    return [name for name in names if _has_messages(root, name)]


def _has_messages(root: Folder, key: str) -> bool:
    # No file is read, so they may belong to a user whose files are not sent.
    with (
        suppress(OSError),
        root.folder(key, is_ours=False) as folder,
        folder.folder("live", is_ours=False) as live,
    ):
        if not is_deliverer_running(folder):
            return has_waiting(live)
    return False
