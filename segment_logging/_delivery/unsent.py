"""The substitute for a pipeline while a test forbids sending and there is no write key."""

from __future__ import annotations

from typing import ClassVar

from .._client import diverted
from .._messages.calls import call_of
from .._messages.encoding import decode
from .._process.delivering import delivering_by
from .._process.forks import NO_PROCESS
from ..errors import InvalidMessage


class Unsent:
    """Passes each message to the test at once. The handler asks for a new object at each event."""

    pid: ClassVar[int] = NO_PROCESS

    def enqueue(self, line: bytes) -> bool:
        """Pass a message on as the delivery thread would, so that nothing is raised here."""
        instead = diverted.instead
        if instead is not None:
            with delivering_by(lambda: None):
                instead(call_of(decode(line)))
        return True

    def refuse(self, refusal: InvalidMessage) -> None:
        """Ignore a message that would not have been sent."""
