"""Where messages go in place of the pipelines, while a test captures them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

Enqueue = Callable[[bytes], None]
"""Takes in an encoded message."""


class Diversion(Protocol):
    """Takes the messages of every handler in the process."""

    def take(self, record: logging.LogRecord) -> Enqueue:
        """Return what takes the record's encoded message."""

    def reject(self, record: logging.LogRecord, error: BaseException) -> None:
        """Take note that a record made no message, and why."""


current: Diversion | None = None
"""Where messages go now; None for the pipelines."""

_askers: list[Callable[[], None]] = []


def on_change(ask_again: Callable[[], None]) -> Callable[[], None]:
    """Have a function called whenever messages are to go elsewhere."""
    _askers.append(ask_again)
    return ask_again


def divert(diversion: Diversion | None) -> None:
    """Lead every handler's messages there; None leads them back into the pipelines."""
    global current
    current = diversion
    for ask_again in _askers:
        ask_again()
