"""The error for a batch that a server refused, in the place where the official SDK has it."""

from __future__ import annotations

from ...errors import DeliveryError


class APIError(DeliveryError):
    """A request that was answered, but not with a 2xx.

    `on_error` receives it, and in sync mode it is raised. If there was no answer at all, it is a
    `segment_logging.DeliveryError` instead, which is the base class of this one.

    Attributes:
        status: the HTTP status.
        code: always "unknown". What the server said is in the message.
        message: what happened, what the server said, and what to do.
        response: always None.
    """

    code = "unknown"
    response = None

    @property
    def message(self) -> str:
        return str(self)


def as_official(error: BaseException) -> BaseException:
    """Return an error as the official SDK's users expect it."""
    if not isinstance(error, DeliveryError) or error.status is None:
        return error
    official = APIError(
        str(error),
        status=error.status,
        retry_after=error.retry_after,
        retryable=error.retryable,
        refused=error.refused,
    )
    official.__cause__ = error
    return official
