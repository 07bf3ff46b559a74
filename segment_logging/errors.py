"""The package's exceptions.

    SegmentError
    ├── InvalidMessage (ValueError)        Segment would drop it, or it cannot be encoded as JSON
    │   └── MessageTooLarge                it exceeds Segment's size limit
    ├── DeliveryError                      an attempt to send a request failed
    └── ConfigurationError (ValueError)    an option has an invalid value
        └── UnknownArgument (TypeError)    an option or argument does not exist

The text of an error names the invalid field or option, the rule and the solution. It never contains
a write key or the contents of a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from typing_extensions import override


class SegmentError(Exception):
    """Base class of all errors that this package raises."""


class InvalidMessage(SegmentError, ValueError):
    """A message that Segment would answer with 200 but drop, or that cannot be encoded as JSON.

    Attributes:
        field: the name of the invalid field, or None if the message as a whole is invalid.
        refused: the values the message was to be made from, for the dead letters, or None.
    """

    def __init__(self, text: str, *, field: str | None = None) -> None:
        super().__init__(text)
        self.field = field
        self.refused: Mapping[str, Any] | None = None


class MessageTooLarge(InvalidMessage):
    """A message or a body that exceeds Segment's size limit.

    Attributes:
        size_bytes: the encoded size.
        limit_bytes: the largest allowed size.
    """

    def __init__(self, size_bytes: int, limit_bytes: int, what: str = "message") -> None:
        super().__init__(
            f"{what} of {size_bytes:,} bytes is above the limit of {limit_bytes:,}: "
            "send fewer or shorter values, or references to them"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        self._what = what

    @override
    def __reduce__(self) -> tuple[type[MessageTooLarge], tuple[int, int, str]]:
        return type(self), (self.size_bytes, self.limit_bytes, self._what)


class Cause(Enum):
    """Why there was no answer to a request."""

    CONNECTION = auto()
    """No connection could be made, so nothing was sent."""
    UPLOAD = auto()
    """The time was over before all of the request was sent."""
    NO_TIME = auto()
    """The time for delivery was already over, so no request was made."""
    OTHER = auto()
    """Anything else."""


class DeliveryError(SegmentError):
    """A failed attempt to send a request.

    Attributes:
        status: the HTTP status, or None if there was no answer.
        retry_after: how many seconds the server asked to wait before the next attempt, or None.
        retryable: whether the same request may succeed later. The handler uses this only if there
            is no status.
        refused: the server's words by message id, if the server accepted a batch but refused these
            messages in it. All others are delivered.
        delivered: how many messages, from the start of the batch, were delivered although the
            attempt failed. The handler sends only the others again. If it is above 0, `refused`
            applies to these messages only.
        cause: why there was no answer, as far as is known.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        retryable: bool = True,
        refused: Mapping[str, str] = MappingProxyType({}),
        delivered: int = 0,
        cause: Cause = Cause.OTHER,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after
        self.retryable = retryable
        self.refused = dict(refused)
        self.delivered = delivered
        self.cause = cause


class ConfigurationError(SegmentError, ValueError):
    """An invalid option. Raised when the handler or client is created, never later."""


class UnknownArgument(ConfigurationError, TypeError):
    """An option or argument that does not exist. The text suggests the one that was meant."""
