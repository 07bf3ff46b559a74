"""Batches: many calls in one request, as objects or already encoded.

The pipeline makes batches from encoded messages, so each message is encoded only once. A client
that needs objects, such as the fake client, gets them decoded on demand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import FrozenInstanceError
from functools import partial
from typing import Any, ClassVar, Self

from typing_extensions import override

from .._public import public_in
from ..errors import InvalidMessage
from .body import OWN_KEYS, batch_body, batch_fields
from .calls import Call, call_of
from .encoding import decode, encode
from .limits import MAX_BATCH_MESSAGES
from .message import Message
from .wire import CALL_TYPES


@public_in("segment_logging")
class Batch(Message):
    """Up to 2,500 calls in one request.

    A batch is made from calls, or by `of_lines` from encoded calls. A batch made from lines
    decodes nothing until `batch` is read, and its body is built by joining the lines.

    Args:
        batch: the calls, in the order in which they should arrive.
        context: merged by Segment into every call's context.
        integrations: merged by Segment into every call's integrations.
        extra: additional top-level keys, spelled as on the wire.

    Raises:
        InvalidMessage: if there are no calls (empty_batch), if there are more than 2,500 (Segment
            would answer 200 and drop them), if an item is not a call, or if `extra` contains one
            of the batch's own keys.
    """

    __slots__ = ("_fields", "_lines", "_messages", "context", "extra", "integrations")

    type: ClassVar[str] = "batch"
    context: Mapping[str, Any] | None
    integrations: Mapping[str, Any] | None
    extra: Mapping[str, Any] | None
    _fields: dict[str, Any]
    _lines: tuple[bytes, ...] | None
    _messages: tuple[Call, ...] | None

    def __init__(
        self,
        batch: Iterable[Message],
        *,
        context: Mapping[str, Any] | None = None,
        integrations: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(batch, Iterable):
            raise InvalidMessage(
                f"batch must be a list of calls, not {type(batch).__name__}: pass a list",
                field="batch",
            )
        calls: list[Call] = []
        for message in batch:
            if not isinstance(message, Call):
                raise InvalidMessage(
                    f"a batch can only contain calls, not {type(message).__name__}: "
                    f"pass {', '.join(map(str.capitalize, CALL_TYPES))}",
                    field="batch",
                )
            calls.append(message)
        self._set(tuple(calls), None, context, integrations, extra)

    @classmethod
    def of_lines(
        cls,
        lines: Sequence[bytes],
        *,
        context: Mapping[str, Any] | None = None,
        integrations: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return a batch of encoded calls, one JSON object per line."""
        batch = cls.__new__(cls)
        batch._set(None, tuple(lines), context, integrations, extra)
        return batch

    @override
    @classmethod
    def read(cls, form: Mapping[str, Any]) -> Self:
        if not isinstance(form["batch"], Sequence):
            raise InvalidMessage("batch must be a list: pass a list of calls", field="batch")
        extra = {key: value for key, value in form.items() if key not in OWN_KEYS}
        return cls(
            [call_of(call) for call in form["batch"]],
            context=form.get("context"),
            integrations=form.get("integrations"),
            extra=extra or None,
        )

    def _set(
        self,
        messages: tuple[Call, ...] | None,
        lines: tuple[bytes, ...] | None,
        context: Mapping[str, Any] | None,
        integrations: Mapping[str, Any] | None,
        extra: Mapping[str, Any] | None,
    ) -> None:
        count = len(messages or lines or ())
        if not count:
            raise InvalidMessage(
                "a batch needs at least one call (empty_batch): do not send empty batches",
                field="batch",
            )
        if count > MAX_BATCH_MESSAGES:
            raise InvalidMessage(
                f"a batch of {count:,} messages is above Segment's limit of "
                f"{MAX_BATCH_MESSAGES:,}: split it, or use a Batcher",
                field="batch",
            )
        for name, value in {
            "context": context,
            "integrations": integrations,
            "extra": extra,
            "_fields": batch_fields(context, integrations, extra),
            "_lines": lines,
            "_messages": messages,
        }.items():
            object.__setattr__(self, name, value)

    @property
    def batch(self) -> tuple[Call, ...]:
        """The calls in order. They are decoded on first use if the batch was made from lines."""
        calls = self._messages
        if calls is None:
            calls = tuple(call_of(decode(line)) for line in self.lines)
            object.__setattr__(self, "_messages", calls)
        return calls

    @property
    def lines(self) -> tuple[bytes, ...]:
        """The encoded calls, one JSON object each."""
        lines = self._lines
        if lines is None:
            lines = tuple(encode(call.wire_form()) for call in self.batch)
            object.__setattr__(self, "_lines", lines)
        return lines

    def halves(self) -> tuple[Self, Self]:
        """Return two batches: the first half of the calls and the second half.

        Raises:
            InvalidMessage: if there is only one call.
        """
        middle = len(self) // 2
        return self._with(self.lines[:middle]), self._with(self.lines[middle:])

    def without(self, count: int) -> Self | None:
        """Return the batch without its first `count` calls, or None if no calls are left."""
        if not count:
            return self
        left = self.lines[count:]
        if not left:
            return None
        return self._with(left)

    def _with(self, lines: Sequence[bytes]) -> Self:
        """Return a batch of other calls with this batch's context, integrations and extra."""
        return self.of_lines(
            lines, context=self.context, integrations=self.integrations, extra=self.extra
        )

    def body(self, *, sent_at: float, also: Mapping[str, Any] | None = None) -> bytes:
        """Return the request body; see `batch_body`."""
        return batch_body(self.lines, self._fields, sent_at=sent_at, also=also)

    @override
    def to_dict(self) -> dict[str, Any]:
        calls = [decode(line) for line in self.lines]
        fields: dict[str, Any] = decode(encode(self._fields))
        return {"batch": calls, **fields}

    def __len__(self) -> int:
        return len(self.lines if self._messages is None else self._messages)

    @override
    def __setattr__(self, name: str, value: object = None) -> None:
        raise FrozenInstanceError(f"a Batch is frozen: make a new one with a different {name}")

    __delattr__ = __setattr__

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Batch):
            return NotImplemented
        return (self.batch, self._fields) == (other.batch, other._fields)

    __hash__ = None  # type: ignore[assignment]

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        make = partial(
            Batch, context=self.context, integrations=self.integrations, extra=self.extra
        )
        return make, (self.batch,)

    @override
    def __repr__(self) -> str:
        return f"<Batch of {len(self)} messages>"
