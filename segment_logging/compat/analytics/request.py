"""The error for a batch that a server refused, in the place where the official SDK has it."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from ...errors import DeliveryError


class APIError(DeliveryError):
    """A request that was answered, but not with a 2xx.

    `on_error` receives it, and in sync mode it is raised. If there was no answer at all, it is a
    `segment_logging.DeliveryError` instead, which is the base class of this one.

    The arguments are those of the official class, so that tests can create one.

    Attributes:
        status: the HTTP status.
        code: a word for what happened. In the errors of this package, it is always "unknown".
        message: what happened. In the errors of this package, this includes what the server said
            and what to do.
        response: what was passed. In the errors of this package, it is None.
    """

    def __init__(
        self, status: int, code: str, message: str, response: Any = None, **about: Any
    ) -> None:
        super().__init__(message, status=status, **about)
        self.args = (status, code, message, response)  # copy and pickle pass them again
        self.code = code
        self.message = message
        self.response = response

    @override
    def __str__(self) -> str:
        return f"[Segment] {self.code}: {self.message} ({self.status})"


def as_official(error: BaseException) -> BaseException:
    """Return an error as the official SDK's users expect it."""
    if not isinstance(error, DeliveryError) or error.status is None:
        return error
    official = APIError(
        error.status,
        "unknown",
        str(error),
        retry_after=error.retry_after,
        retryable=error.retryable,
        refused=error.refused,
    )
    official.__cause__ = error
    return official
