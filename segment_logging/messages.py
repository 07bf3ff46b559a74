"""Segment's calls as values: frozen, slotted, keyword-only, checked when they are made.

A message says what was called; how it is written and what Segment demands of it stands in
`wire`. Nothing here knows of logging, time or the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any, ClassVar

from typing_extensions import override

from .encoding import decode, encode
from .errors import InvalidMessage
from .rules import write_timestamp
from .user import User
from .wire import FIELDS, read_form, wire_form

_IDS = ("user_id", "anonymous_id")  # fields of a call on the wire, and of User here
_KINDS: dict[str, type[Message]] = {}  # by their `type`


class Message:
    """What a `Client` sends: one of Identify, Track, Page, Screen, Group, Alias, or a Batch."""

    __slots__ = ()

    type: ClassVar[str]
    """Segment's name of the call, and the last part of its endpoint's path."""

    @override
    def __init_subclass__(cls) -> None:
        if "type" in cls.__dict__:
            _KINDS[cls.type] = cls

    @staticmethod
    def from_dict(form: Mapping[str, Any]) -> Message:
        """Return the message of a plain dict in wire form, as `to_dict` writes it.

        Without a `type`, keys that only one call has tell which it is; page and screen need one.

        Raises:
            InvalidMessage: what Segment would drop, or no call at all.
        """
        if isinstance(form, Mapping) and "batch" in form and form.get("type", "batch") == "batch":
            message: Message = import_module(".batch", __package__).Batch.read(form)
            return message
        return Call.read(form)

    @classmethod
    def read(cls, form: Mapping[str, Any]) -> Message:
        """Return the message of a plain dict in wire form, when its kind is known already."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form: camelCase, `type` first, None left out, ISO timestamps.

        A copy that holds only what JSON has.

        Raises:
            InvalidMessage: it holds what cannot be written as JSON.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Message):
    """The fields every call has.

    Attributes:
        user: who did it.
        message_id: what Segment recognises a repetition by; at most 100 characters.
        timestamp: when it happened: a datetime (naive: local time) or ISO 8601 text; kept as a
            datetime in UTC of whole milliseconds, which is what Segment keeps.
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
            moment = datetime.fromisoformat(write_timestamp(self.timestamp)[:-1] + "+00:00")
            object.__setattr__(self, "timestamp", moment)
        form = self.wire_form()  # whatever Segment would drop raises here
        for name, key in (("group_id", "groupId"), ("previous_id", "previousId")):
            if name in FIELDS[self.type]:
                object.__setattr__(self, name, form[key])  # as text, also of a number

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
    def read(cls, form: Mapping[str, Any]) -> Call:
        call_type, fields, extra = read_form(form)
        user = User(user_id=fields.get("user_id"), anonymous_id=fields.get("anonymous_id"))
        own = {name: fields.get(name) for name in FIELDS[call_type] if name not in _IDS}
        kind: Any = _KINDS[call_type]
        call = kind(user=user, extra=extra or None, **own)
        assert isinstance(call, Call)
        return call


@dataclass(frozen=True, slots=True, kw_only=True)
class Identify(Call):
    """Who a user is: traits to remember. https://segment.com/docs/connections/spec/identify/"""

    type: ClassVar[str] = "identify"
    traits: Mapping[str, Any] | None = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track(Call):
    """What a user did. https://segment.com/docs/connections/spec/track/"""

    type: ClassVar[str] = "track"
    event: str
    properties: Mapping[str, Any] | None = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Call):
    """Which web page a user saw. https://segment.com/docs/connections/spec/page/"""

    type: ClassVar[str] = "page"
    name: str | None = None
    category: str | None = None
    properties: Mapping[str, Any] | None = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen(Call):
    """Which screen of an app a user saw. https://segment.com/docs/connections/spec/screen/"""

    type: ClassVar[str] = "screen"
    name: str | None = None
    category: str | None = None
    properties: Mapping[str, Any] | None = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Call):
    """Which account a user belongs to. https://segment.com/docs/connections/spec/group/"""

    type: ClassVar[str] = "group"
    group_id: str
    traits: Mapping[str, Any] | None = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias(Call):
    """Two ids of one user. https://segment.com/docs/connections/spec/alias/"""

    type: ClassVar[str] = "alias"
    previous_id: str
