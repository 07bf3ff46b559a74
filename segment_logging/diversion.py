"""Where messages go instead of into the pipelines, while a test captures them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

Enqueue = Callable[[bytes], None]
"""Takes an encoded message on its way."""


class Diversion(Protocol):
    """Takes the messages of every handler in the process."""

    def take(self, record: logging.LogRecord) -> Enqueue:
        """Return what takes the record's encoded message."""

    def reject(self, record: logging.LogRecord, error: BaseException) -> None:
        """Take note that a record made no message, and why."""
