"""Segment's calls as values: frozen, slotted, keyword-only, checked when they are made.

A message says what was called; how it is written and what Segment demands of it stands in
`wire`. Nothing here knows of logging, time or the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from typing_extensions import Self, override

from .encoding import decode, encode
from .errors import InvalidMessage
from .limits import MAX_BATCH_MESSAGES
from .rules import write_timestamp
from .user import User
from .wire import FIELDS, batch_fields, read_form, wire_form


class Message:
    """What a `Client` sends: one of Identify, Track, Page, Screen, Group, Alias, or a Batch."""

    __slots__ = ()

    type: ClassVar[str]
    """Segment's name of the call, and the last part of its endpoint's path."""

    @staticmethod
    def from_dict(form: Mapping[str, Any]) -> Message:
        """Return the message of a plain dict in wire form, as `to_dict` writes it.

        Without a `type`, keys that only one call has tell which it is; page and screen need one.

        Raises:
            InvalidMessage: what Segment would drop, or no call at all.
        """
        if isinstance(form, Mapping) and "batch" in form and form.get("type", "batch") == "batch":
            return Batch.read(form)
        return Call.read(form)

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form: camelCase, `type` first, None left out, ISO timestamps."""
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
        form = self.to_dict()  # whatever Segment would drop raises here
        for name, key in (("group_id", "groupId"), ("previous_id", "previousId")):
            if name in FIELDS[self.type]:
                object.__setattr__(self, name, form[key])  # as text, also of a number

    @override
    def to_dict(self) -> dict[str, Any]:
        ids = {"user_id": self.user.user_id, "anonymous_id": self.user.anonymous_id}
        own = {name: getattr(self, name) for name in FIELDS[self.type] if name not in _IDS}
        return wire_form(self.type, {**ids, **own}, self.extra)

    @staticmethod
    def read(form: Mapping[str, Any]) -> Call:
        """Return the call of a plain dict in wire form; see `Message.from_dict`."""
        call_type, fields, extra = read_form(form)
        user = User(user_id=fields.get("user_id"), anonymous_id=fields.get("anonymous_id"))
        own = {name: fields.get(name) for name in FIELDS[call_type] if name not in _IDS}
        return _CALLS[call_type](user=user, extra=extra or None, **own)


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


_IDS = ("user_id", "anonymous_id")  # fields of the user on the wire, and of User here
_CALLS: dict[str, type[Call]] = {
    call.type: call for call in (Identify, Track, Page, Screen, Group, Alias)
}


class Batch(Message):
    """Up to 2,500 calls in one request.

    Made of messages, or by `of_lines` of calls that are encoded already: then nothing is decoded
    unless somebody asks for `batch`, and the body is a join of the bytes.

    Args:
        batch: calls, in the order they are to arrive.
        context: merged by Segment into every call's context.
        integrations: merged by Segment into every call's integrations.

    Raises:
        InvalidMessage: no calls (empty_batch), more than 2,500 (answered 200, and dropped), or
            something else among them.
    """

    __slots__ = ("_lines", "_messages", "context", "integrations")

    type: ClassVar[str] = "batch"
    context: Mapping[str, Any] | None
    integrations: Mapping[str, Any] | None
    _lines: tuple[bytes, ...] | None
    _messages: tuple[Call, ...] | None

    def __init__(
        self,
        batch: Iterable[Message],
        *,
        context: Mapping[str, Any] | None = None,
        integrations: Mapping[str, Any] | None = None,
    ) -> None:
        calls: list[Call] = []
        for message in batch:
            if not isinstance(message, Call):
                raise InvalidMessage(
                    f"a batch holds calls, not {type(message).__name__}: "
                    "pass Identify, Track, Page, Screen, Group or Alias",
                    field="batch",
                )
            calls.append(message)
        self._set(tuple(calls), None, context, integrations)

    @classmethod
    def of_lines(
        cls,
        lines: Sequence[bytes],
        *,
        context: Mapping[str, Any] | None = None,
        integrations: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return a batch of calls that are encoded already, one JSON object a line."""
        batch = cls.__new__(cls)
        batch._set(None, tuple(lines), context, integrations)
        return batch

    @classmethod
    def read(cls, form: Mapping[str, Any]) -> Self:
        """Return the batch of a plain dict in wire form; see `Message.from_dict`."""
        if not isinstance(form["batch"], Sequence):
            raise InvalidMessage("batch must be a list: pass a list of calls", field="batch")
        return cls(
            [Call.read(call) for call in form["batch"]],
            context=form.get("context"),
            integrations=form.get("integrations"),
        )

    def _set(
        self,
        messages: tuple[Call, ...] | None,
        lines: tuple[bytes, ...] | None,
        context: Mapping[str, Any] | None,
        integrations: Mapping[str, Any] | None,
    ) -> None:
        count = len(messages or lines or ())
        if not count:
            raise InvalidMessage(
                "a batch of no messages (empty_batch): send it when there is one", field="batch"
            )
        if count > MAX_BATCH_MESSAGES:
            raise InvalidMessage(
                f"a batch of {count:,} messages, at most {MAX_BATCH_MESSAGES:,} are kept: "
                "split it, or push them through a Batcher",
                field="batch",
            )
        for name, value in (("context", context), ("integrations", integrations)):
            if value is not None and not isinstance(value, Mapping):
                raise InvalidMessage(f"{name} must be an object: pass a dict", field=name)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_lines", lines)
        object.__setattr__(self, "_messages", messages)

    @property
    def batch(self) -> tuple[Call, ...]:
        """The calls, in order; decoded on demand when the batch was made of lines."""
        calls = self._messages
        if calls is None:
            calls = tuple(Call.read(decode(line)) for line in self.lines)
            object.__setattr__(self, "_messages", calls)
        return calls

    @property
    def lines(self) -> tuple[bytes, ...]:
        """The calls encoded, one JSON object each."""
        lines = self._lines
        if lines is None:
            lines = tuple(encode(call.to_dict()) for call in self.batch)
            object.__setattr__(self, "_lines", lines)
        return lines

    @override
    def to_dict(self) -> dict[str, Any]:
        calls = [decode(line) for line in self.lines]
        return {"batch": calls, **batch_fields(self.context, self.integrations)}

    def __len__(self) -> int:
        return len(self.lines if self._messages is None else self._messages)

    @override
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Batch is frozen: make another to change its {name}")

    @override
    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Batch is frozen: make another to change its {name}")

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Batch):
            return NotImplemented
        return (self.batch, self.context, self.integrations) == (
            other.batch, other.context, other.integrations
        )  # fmt: skip

    __hash__ = None  # type: ignore[assignment]

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        make = partial(Batch, context=self.context, integrations=self.integrations)
        return make, (self.batch,)

    @override
    def __repr__(self) -> str:
        return f"<Batch of {len(self)} messages>"
