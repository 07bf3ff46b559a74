"""Finds messages with the id of another message. Segment keeps only the first of them. Pure."""

from __future__ import annotations

from .._reports import counted
from .forms import Ready

REPEATED = (
    "another message with different content has the same message id: Segment would drop this one"
)
MAX_IDS = 100_000
"""How many ids are remembered, which takes about 20 MB."""


class Repeats:
    """Remembers the first message with each id.

    Attributes:
        number: how many messages had the id of another message and different content. A message
            that is equal to the first one is not counted, because it does not matter which is kept.
    """

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self.number = 0

    def add(self, message: Ready) -> bool:
        """Return whether an earlier message had this id but different content, and count it."""
        content = hash(message.encoded)
        first = self._first.get(message.message_id)
        if first is None:
            if len(self._first) < MAX_IDS:
                self._first[message.message_id] = content
            return False
        is_repeated = first != content
        self.number += is_repeated
        return is_repeated


def text_of_repeats(number: int) -> str:
    """Return a line about messages that have the id of another message."""
    have = "has" if number == 1 else "have"
    what = f"{counted(number, 'message')} {have} the message id of another message"
    return f"{what} with different content: Segment keeps only the first"
