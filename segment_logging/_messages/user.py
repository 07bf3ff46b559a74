"""The user whom a message is about."""

# No `from __future__ import annotations`, for the reason given in `calls`.

from dataclasses import dataclass

from typing_extensions import override

from .._public import public_in
from ..errors import InvalidMessage
from .proxies import behind


@public_in("segment_logging")
@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user, identified by a user id, an anonymous id, or both.

    Ids must be text, because Segment drops a message whose id is anything else.

    Raises:
        InvalidMessage: if neither id is given, or if an id is empty or not text.
    """

    user_id: str | None = None
    anonymous_id: str | None = None

    def __post_init__(self) -> None:
        for name in ("user_id", "anonymous_id"):
            value = behind(getattr(self, name))
            if isinstance(value, str):
                value = str.__str__(value)  # a subclass may define its own methods
            object.__setattr__(self, name, value)
            if value is not None and (not isinstance(value, str) or not value):
                what = "empty" if value == "" else type(value).__name__
                raise InvalidMessage(
                    f"{name} must be text, not {what} (id_not_string): pass a str, or None",
                    field=name,
                )
        if self.user_id is None and self.anonymous_id is None:
            raise InvalidMessage(
                "a user needs a user_id or an anonymous_id (no_user_anon_id): pass one of them",
                field="user_id",
            )

    @override
    def __str__(self) -> str:
        """Return the user id, or the anonymous id if there is no user id."""
        return self.user_id or self.anonymous_id or ""
