"""Diversion of messages from the pipelines, for tests that capture them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

Enqueue = Callable[[bytes], object]
"""A function that accepts an encoded message."""


class Diversion(Protocol):
    """Receives the messages from every handler in the process."""

    def take(self, record: logging.LogRecord) -> Enqueue:
        """Return the function that will receive the record's encoded message."""

    def reject(self, record: logging.LogRecord, error: BaseException) -> None:
        """Store the error for a record that could not be turned into a message."""


current: Diversion | None = None
"""The active diversion. None if messages go to the pipelines."""

_askers: list[Callable[[], None]] = []


def on_change(ask_again: Callable[[], None]) -> Callable[[], None]:
    """Register a function to be called whenever the diversion changes."""
    _askers.append(ask_again)
    return ask_again


def divert(diversion: Diversion | None) -> None:
    """Divert every handler's messages. If None, send them to the pipelines again."""
    global current
    current = diversion
    for ask_again in _askers:
        ask_again()
