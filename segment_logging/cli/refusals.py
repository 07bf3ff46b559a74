"""What happens to lines that are not messages: they are counted, shown, and become dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .._delivery.dead_letters import DeadLetters
from .._reports import counted
from ..errors import InvalidMessage, SegmentError
from .importer import Refused
from .output import remark

_SHOWN = 5  # lines that are not messages, for each file


class Letters:
    """The dead letters of an import. If they cannot be written, they are only counted.

    They are still in the imported file, so this is no reason to stop.
    """

    def __init__(self, path: str, name: str) -> None:
        self.path = path
        self._letters = DeadLetters(path)
        self._name = name
        self._is_reported = False
        self.has_written = False

    def write(self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True) -> None:
        """Append messages with the reason. Never raises OSError."""
        try:
            self._letters.write(messages, error, sync=sync)
            self.has_written = True
        except OSError as fault:
            if not self._is_reported:
                self._is_reported = True
                remark(
                    f"{self._name}: dead letters cannot be written to {self.path} "
                    f"({fault.strerror}), so they are only counted: pass --dead-letters"
                )

    def refuse(self, lines: Sequence[Refused]) -> None:
        """Append lines that are not messages."""
        by_reason: dict[str, list[Any]] = {}
        for one in lines:
            by_reason.setdefault(_reason_for(one), []).append(one.reason.found)
        for reason, found in by_reason.items():
            self.write(found, InvalidMessage(reason))


class Shown:
    """Prints the first lines of a file that are not messages: their numbers and the reasons."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def __call__(self, refused: Refused) -> None:
        self._count += 1
        if self._count <= _SHOWN:
            remark(f"{self._name}: line {refused.line.number}: {refused.reason}")
        elif self._count == _SHOWN + 1:
            remark(f"{self._name}: more such lines follow")


def reasons_of(reasons: Counter[str]) -> list[str]:
    """Return a line for each reason, the most frequent first."""
    return [f"  {counted(count, 'line')}: {kind}" for kind, count in reasons.most_common()]


def _reason_for(refused: Refused) -> str:
    """Return the reason for a dead letter. It is the same for lines with the same problem."""
    if refused.line.is_too_long:
        return f"line {refused.line.number} is {refused.reason}"
    return f"the line is not a message: {refused.reason.kind}"
