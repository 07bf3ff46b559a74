"""Every exception of the package.

    SegmentError
    ├── InvalidMessage (ValueError)        Segment would drop it, or it cannot be written as JSON
    │   └── MessageTooLarge                above what one request may carry
    ├── DeliveryError                      one attempt failed; says whether another may help
    └── ConfigurationError (ValueError)    an option that cannot work; raised at construction

A text says the value's place, the rule and the way out; it never holds a write key or a
message's content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import override


class SegmentError(Exception):
    """Base of every error this package raises."""


class InvalidMessage(SegmentError, ValueError):
    """Segment would answer 200 and silently drop this message, so it is refused here.

    Attributes:
        field: the name of the field at fault, or None when it is the message as a whole.
        refused: what the message was to be made of, for the dead letters, or None.
    """

    def __init__(self, text: str, *, field: str | None = None) -> None:
        super().__init__(text)
        self.field = field
        self.refused: Mapping[str, Any] | None = None


class MessageTooLarge(InvalidMessage):
    """A message or a body above Segment's limit.

    Attributes:
        size_bytes: the encoded size.
        limit_bytes: what it may be at most.
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
        status: the HTTP status, or None when no answer came.
        retry_after: seconds the server asked to wait before the next attempt, or None.
        retryable: whether the same request may succeed later. With a status, the handler goes by
            that instead.
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
    """An option that cannot work. Raised when the handler or client is made, never later."""
