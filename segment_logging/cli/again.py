"""Advice on running a command again, for the last line that it prints."""

from __future__ import annotations

from .._delivery.blame import needs_correction
from .._delivery.losses import text_of_trouble
from ..errors import SegmentError


def again(trouble: SegmentError | None, otherwise: str) -> str:
    """Return what to do about messages that were not sent.

    Args:
        trouble: why the last attempt failed, or None.
        otherwise: what to do if the same attempt may succeed later.
    """
    if not needs_correction(trouble):
        return otherwise
    return (
        "running the command again does not help until this is corrected: "
        f"{text_of_trouble(trouble)}"
    )
