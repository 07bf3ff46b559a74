"""Segment's six calls as value objects: frozen, slotted, keyword-only, and checked when created.

The `wire` module defines how a call is written and what Segment requires of it. Nothing here
depends on logging, time or the network.
"""

# No `from __future__ import annotations`: `typing.get_type_hints` would resolve the annotations in
# the class's `__module__`, which is set to the public module.

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
from .wire import FIELDS, KEYS, call_type_of, read_form, wire_form

_IDS = ("user_id", "anonymous_id")  # on the wire, they belong to the call; here, to its User
_OWN_KEYS = {
    call_type: tuple((name, KEYS[name]) for name in names if name not in _IDS)
    for call_type, names in FIELDS.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Message):
    """The fields that all calls have.

    Attributes:
        user: the user whom the call is about.
        message_id: the id by which Segment detects duplicates; at most 100 characters.
        timestamp: the time of the event, as a datetime (a naive one is local time) or ISO 8601
            text. It is stored as a datetime in UTC with milliseconds, which is Segment's precision.
        context: Segment's context object.
        integrations: maps the names of destinations to True, False or options.
        extra: additional top-level keys, spelled as on the wire.
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
        form = self.wire_form()  # raises if Segment would drop the call
        for name, key in (("group_id", "groupId"), ("previous_id", "previousId")):
            if name in FIELDS[self.type]:
                object.__setattr__(self, name, form[key])  # text, even if a number was passed

    @property
    def has_id(self) -> bool:
        """Whether the call has a message id, in its field or as an extra key."""
        return self.message_id is not None or "messageId" in (self.extra or ())

    @override
    def to_dict(self) -> dict[str, Any]:
        form: dict[str, Any] = decode(encode(self.wire_form()))
        return form

    def wire_form(self) -> dict[str, Any]:
        """Return the wire form with the original values, which are not copied or encoded."""
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
    """Return the call for a plain dict in wire form; see `Message.from_dict`.

    Raises:
        InvalidMessage: if Segment would drop the call, or if the dict is not a call.
    """
    call = kinds[call_type_of(form)].read(form)
    assert isinstance(call, Call)
    return call


def own_call_of(form: Mapping[str, Any]) -> Call:
    """Return the call for a wire form that this package has made, without checking it again.

    Args:
        form: the wire form. The call contains its objects.
    """
    kind = kinds[form["type"]]
    call, user = object.__new__(kind), object.__new__(User)
    assert isinstance(call, Call)
    set_field, value_of = object.__setattr__, form.get
    set_field(user, "user_id", value_of("userId"))
    set_field(user, "anonymous_id", value_of("anonymousId"))
    set_field(call, "user", user)
    for name, key in _OWN_KEYS[kind.type]:
        set_field(call, name, value_of(key))
    set_field(call, "timestamp", datetime.fromisoformat(form["timestamp"]))
    set_field(call, "extra", None)
    return call


@public_in("segment_logging")
@dataclass(frozen=True, slots=True, kw_only=True)
class Identify(Call):
    """Who a user is, and their traits. https://segment.com/docs/connections/spec/identify/"""

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
    """Which web page a user viewed. https://segment.com/docs/connections/spec/page/"""

    type: ClassVar[str] = "page"
    name: str | None = None
    category: str | None = None
    properties: Mapping[str, Any] | None = field(default_factory=dict)


@public_in("segment_logging")
@dataclass(frozen=True, slots=True, kw_only=True)
class Screen(Call):
    """Which screen of an app a user viewed. https://segment.com/docs/connections/spec/screen/"""

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
    """Two ids of the same user. https://segment.com/docs/connections/spec/alias/"""

    type: ClassVar[str] = "alias"
    previous_id: str
