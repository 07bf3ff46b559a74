"""The lock of `logging` itself, which is private to the standard library: asked for here alone."""

from __future__ import annotations

import logging


def holds_logging_lock(module: object = logging) -> bool:
    """Whether the calling thread is inside dictConfig or the like, and so must not wait for others.

    Where Python no longer says, the answer is False: whoever waits then waits with a limit.

    Args:
        module: `logging`.
    """
    is_owned = getattr(getattr(module, "_lock", None), "_is_owned", None)
    try:
        return bool(is_owned()) if callable(is_owned) else False
    except Exception:
        return False
