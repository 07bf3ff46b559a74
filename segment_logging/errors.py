"""Every exception of the package.

    SegmentError
    ├── InvalidMessage (ValueError)        Segment would drop it, or it cannot be written as JSON
    │   └── MessageTooLarge                above what one request may carry
    ├── DeliveryError                      one attempt failed; says whether another may help
    └── ConfigurationError (ValueError)    an option that cannot work; raised when it is given
        └── UnknownArgument (TypeError)    a misspelt option or argument

An error's text names the place of the value, the rule and the way out. It never holds a write key,
nor what a message holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import override


class SegmentError(Exception):
    """Base of every error that this package raises."""


class InvalidMessage(SegmentError, ValueError):
    """Segment would answer this message with 200 and silently drop it, so it is refused here.

    Attributes:
        field: the name of the field at fault, or None if it is the message as a whole.
        refused: what the message was to be made of, for the dead letters, or None.
    """

    def __init__(self, text: str, *, field: str | None = None) -> None:
        super().__init__(text)
        self.field = field
        self.refused: Mapping[str, Any] | None = None


class MessageTooLarge(InvalidMessage):
    """A message or a body is above Segment's limit.

    Attributes:
        size_bytes: the encoded size.
        limit_bytes: the largest size allowed.
    """

    def __init__(self, size_bytes: int, limit_bytes: int, what: str = "message") -> None:
        super().__init__(
            f"{what} of {size_bytes:,} bytes is above the limit of {limit_bytes:,}: "
            "send fewer or shorter values, or a reference to them"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        self._what = what

    @override
    def __reduce__(self) -> tuple[type[MessageTooLarge], tuple[int, int, str]]:
        return type(self), (self.size_bytes, self.limit_bytes, self._what)


class DeliveryError(SegmentError):
    """One attempt to send failed.

    Attributes:
        status: the HTTP status, or None if no answer came.
        retry_after: seconds that the server asked to wait before the next attempt, or None.
        retryable: whether the same request may succeed later. If there is a status, the handler
            goes by that instead.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        retryable: bool = True,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after
        self.retryable = retryable


class ConfigurationError(SegmentError, ValueError):
    """An option cannot work. Raised when the handler or client is made, never later."""


class UnknownArgument(ConfigurationError, TypeError):
    """An option or argument that does not exist, with the one that was probably meant."""
