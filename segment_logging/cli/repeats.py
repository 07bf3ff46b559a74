"""Finds messages with the id of another message. Segment keeps only the first of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from .._messages.encoding import decode
from .._messages.ids import new_message_id
from .._reports import counted
from .forms import BadLine, Ready, is_dead_letter, ready
from .lines import Line

REPEATED = (
    "another message with different content has the same message id: Segment would drop this one"
)
MAX_IDS = 100_000
"""How many ids are remembered, which takes about 12 MB."""

_MARK = REPEATED.encode()


class Repeats:
    """Remembers the first message with each id.

    Attributes:
        number: how many messages had the id of another message and different content. A message
            that is equal to the first one is not counted, because it does not matter which is kept.
    """

    def __init__(self) -> None:
        self._first: dict[int, int] = {}  # hashes, because ids may be long
        self.number = 0

    def add(self, message: Ready) -> bool:
        """Return whether an earlier message had this id but different content, and count it."""
        key, content = hash(message.message_id), hash(message.encoded)
        first = self._first.get(key)
        if first is None:
            if len(self._first) < MAX_IDS:
                self._first[key] = content
            return False
        is_repeated = first != content
        self.number += is_repeated
        return is_repeated

    def remember(self, lines: Iterable[Line]) -> None:
        """Remember the messages in lines that a previous run has settled."""
        for line in lines:
            with suppress(BadLine):
                self.add(ready(line, new_message_id))


def reason_for_repeat(message_id: str) -> str:
    """Return the reason in a letter that is kept because another message had its id."""
    return f"{REPEATED}: {message_id}"


def is_kept_repeat(content: bytes, message: Ready) -> bool:
    """Return whether a line is a letter that was kept because of its id, and still has that id."""
    if _MARK not in content:
        return False
    letter = decode(content.decode("utf-8-sig"))
    return is_dead_letter(letter) and letter["reason"] == reason_for_repeat(message.message_id)


def text_of_repeats(number: int) -> str:
    """Return a line about messages that have the id of another message."""
    have = "has" if number == 1 else "have"
    what = f"{counted(number, 'message')} {have} the message id of another message"
    return f"{what} with different content: Segment keeps only the first"
