"""Diversion of everything that clients would send over a network, for tests."""

from __future__ import annotations

from collections.abc import Callable

from .._messages.message import Message

instead: Callable[[Message], None] | None = None
"""The function that receives the messages. None if clients send them."""


def divert_sending(
    to: Callable[[Message], None] | None,
) -> Callable[[Message], None] | None:
    """Make every `HttpClient` and `BrokerClient` pass its messages to a function and send nothing.

    Args:
        to: a function that receives the messages; None turns sending on again.

    Returns:
        The previous function.
    """
    global instead
    before, instead = instead, to
    return before
