"""Access to the lock of `logging`, which is private to the standard library."""

from __future__ import annotations

import logging


def holds_logging_lock(module: object = logging) -> bool:
    """Return whether the calling thread holds logging's lock, for example inside dictConfig.

    A thread that holds this lock must not wait for other threads. If Python does not provide this
    information, the result is False. All waits have a limit, so this cannot cause a deadlock.

    Args:
        module: the `logging` module.
    """
    is_owned = getattr(getattr(module, "_lock", None), "_is_owned", None)
    try:
        return bool(is_owned()) if callable(is_owned) else False
    except Exception:
        return False
