"""Segment's six calls as values: frozen, slotted, keyword-only, checked when they are made.

A call says what happened; `wire` says how it is written and what Segment demands of it. Nothing
here knows of logging, time or the network.
"""

# Annotations are evaluated here, so that `typing.get_type_hints` works on these classes, whose
# `__module__` is the public one.

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Self

from typing_extensions import override

from .._public import public_in
from ..errors import InvalidMessage
from .encoding import decode, encode
from .message import Message, kinds
from .user import User
from .values import write_timestamp
from .wire import FIELDS, call_type_of, read_form, wire_form

_IDS = ("user_id", "anonymous_id")  # on the wire, fields of the call; here, of its User


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Message):
    """The fields that every call has.

    Attributes:
        user: who did it.
        message_id: what Segment recognises a repetition by; at most 100 characters.
        timestamp: when it happened: a datetime (a naive one is local time) or ISO 8601 text. Kept
            as a datetime in UTC with whole milliseconds, which is what Segment keeps.
        context: Segment's context object.
        integrations: destination names to True, False or options.
        extra: more top-level keys, as they are to stand on the wire.
    """

    user: User
    message_id: str | None = None
    timestamp: datetime | str | None = None
    context: Mapping[str, Any] | None = None
    integrations: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.user, User):
            raise InvalidMessage(
                f"user must be a User, not {type(self.user).__name__}: "
                "pass User(user_id=...) or User(anonymous_id=...)",
                field="user",
            )
        for name in ("properties", "traits"):
            if getattr(self, name, ()) is None:
                object.__setattr__(self, name, {})
        if self.timestamp is not None:
            moment = datetime.fromisoformat(write_timestamp(self.timestamp))
            object.__setattr__(self, "timestamp", moment)
        form = self.wire_form()  # raises for whatever Segment would drop
        for name, key in (("group_id", "groupId"), ("previous_id", "previousId")):
            if name in FIELDS[self.type]:
                object.__setattr__(self, name, form[key])  # as text, even if it was a number

    @property
    def has_id(self) -> bool:
        """Whether it has a message id, if only as an extra key."""
        return self.message_id is not None or "messageId" in (self.extra or ())

    @override
    def to_dict(self) -> dict[str, Any]:
        form: dict[str, Any] = decode(encode(self.wire_form()))
        return form

    def wire_form(self) -> dict[str, Any]:
        """Return the wire form with the values as they were given, to be encoded. Not a copy."""
        ids = {"user_id": self.user.user_id, "anonymous_id": self.user.anonymous_id}
        own = {name: getattr(self, name) for name in FIELDS[self.type] if name not in _IDS}
        return wire_form(self.type, {**ids, **own}, self.extra)

    @override
    @classmethod
    def read(cls, form: Mapping[str, Any]) -> Self:
        _, fields, extra = read_form(form)
        user = User(user_id=fields.get("user_id"), anonymous_id=fields.get("anonymous_id"))
        own = {name: fields.get(name) for name in FIELDS[cls.type] if name not in _IDS}
        return cls(user=user, extra=extra or None, **own)


def call_of(form: Mapping[str, Any]) -> Call:
    """Return the call of a plain dict in wire form; see `Message.from_dict`.

    Raises:
        InvalidMessage: Segment would drop it, or it is not a call.
    """
    call = kinds[call_type_of(form)].read(form)
    assert isinstance(call, Call)
    return call


@public_in("segment_logging")
@dataclass(frozen=True, slots=True, kw_only=True)
class Identify(Call):
    """Who a user is: traits to remember. https://segment.com/docs/connections/spec/identify/"""

    type: ClassVar[str] = "identify"
    traits: Mapping[str, Any] | None = field(default_factory=dict)


@public_in("segment_logging")
@dataclass(frozen=True, slots=True, kw_only=True)
class Track(Call):
    """What a user did. https://segment.com/docs/connections/spec/track/"""

    type: ClassVar[str] = "track"
    event: str
    properties: Mapping[str, Any] | None = field(default_factory=dict)


@public_in("segment_logging")
@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Call):
    """Which web page a user saw. https://segment.com/docs/connections/spec/page/"""

    type: ClassVar[str] = "page"
    name: str | None = None
    category: str | None = None
    properties: Mapping[str, Any] | None = field(default_factory=dict)


@public_in("segment_logging")
@dataclass(frozen=True, slots=True, kw_only=True)
class Screen(Call):
    """Which screen of an app a user saw. https://segment.com/docs/connections/spec/screen/"""

    type: ClassVar[str] = "screen"
    name: str | None = None
    category: str | None = None
    properties: Mapping[str, Any] | None = field(default_factory=dict)


@public_in("segment_logging")
@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Call):
    """Which account a user belongs to. https://segment.com/docs/connections/spec/group/"""

    type: ClassVar[str] = "group"
    group_id: str
    traits: Mapping[str, Any] | None = field(default_factory=dict)


@public_in("segment_logging")
@dataclass(frozen=True, slots=True, kw_only=True)
class Alias(Call):
    """Two ids of one user. https://segment.com/docs/connections/spec/alias/"""

    type: ClassVar[str] = "alias"
    previous_id: str
