"""`Batcher`: what fits into one request.

The size is that of the body as it will be sent, including envelope, commas, context and `sentAt`;
the counters move only when a message is taken in. Pure: no clock but the one that is passed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from .._public import public_in
from ..errors import InvalidMessage, MessageTooLarge
from .batch import Batch
from .body import batch_body, batch_fields
from .calls import Call
from .encoding import decode, encode
from .limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, MAX_MESSAGE_BYTES
from .message import Message
from .values import write_timestamp


@public_in("segment_logging")
class Batcher:
    """Collects messages, up to what one request may carry: 500,000 bytes and 2,500 messages.

    Args:
        context: put on the batch once, for Segment to merge into every message.
        integrations: put on the batch in the same way.
        auto_timestamp: a message without a timestamp gets the time of its `push`.
        clock: seconds since the epoch.

    Raises:
        InvalidMessage: context or integrations is not an object, or cannot be written as JSON.
        MessageTooLarge: together they leave no room for one message of the largest size.
    """

    def __init__(
        self,
        context: Mapping[str, Any] | None = None,
        integrations: Mapping[str, Any] | None = None,
        *,
        auto_timestamp: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # As they are now: a dict that grows later would push a full batch over the limit.
        self._context = _snapshot("context", context)
        self._integrations = _snapshot("integrations", integrations)
        self._auto_timestamp = auto_timestamp
        self._clock = clock
        fields = batch_fields(self._context, self._integrations)
        empty = batch_body((), fields, sent_at=0.0)
        self._envelope_bytes = len(empty)
        if self._envelope_bytes + MAX_MESSAGE_BYTES > MAX_BATCH_BYTES:
            raise MessageTooLarge(
                self._envelope_bytes, MAX_BATCH_BYTES - MAX_MESSAGE_BYTES, "batch context"
            )
        self._clear()

    def _clear(self) -> None:
        self._lines: list[bytes] = []
        self._size_bytes = self._envelope_bytes
        self._batch: Batch | None = None  # made of these lines when somebody asks for it

    def push(self, message: Message) -> Message | None:
        """Take the message in, or hand it back if it does not fit any more.

        A message that is handed back is the same object, and was not counted, so a smaller one
        may still fit. The message is encoded here; changing its dicts afterwards changes nothing.

        Returns:
            None if it was taken in, else the message.

        Raises:
            MessageTooLarge: it is above 32,000 bytes, so no batch can ever hold it.
            InvalidMessage: it is a Batch, or a value cannot be written as JSON.
        """
        if not isinstance(message, Call):
            raise InvalidMessage(
                f"a batch holds calls, not {type(message).__name__}: push the calls one by one"
            )
        form = message.wire_form()
        if self._auto_timestamp and message.timestamp is None:
            form["timestamp"] = write_timestamp(self._clock())
        return None if self.push_line(encode(form)) else message

    def push_line(self, line: bytes) -> bool:
        """Take in a message that is already encoded. False if it does not fit any more.

        Raises:
            MessageTooLarge: it is above 32,000 bytes.
        """
        return self.fill(iter((line,))) is None

    def fill(self, lines: Iterator[bytes]) -> bytes | None:
        """Take in messages that are already encoded, until one does not fit or none are left.

        Returns:
            None, or the line that did not fit.

        Raises:
            MessageTooLarge: one is above 32,000 bytes; those before it are in.
        """
        taken = self._lines
        size_bytes = self._size_bytes - (not taken)  # the first has no comma before it
        try:
            for line in lines:
                if len(line) > MAX_MESSAGE_BYTES:
                    raise MessageTooLarge(len(line), MAX_MESSAGE_BYTES)
                after = size_bytes + len(line) + 1
                if after > MAX_BATCH_BYTES or len(taken) == MAX_BATCH_MESSAGES:
                    return line
                taken.append(line)
                size_bytes = after
        finally:
            size_bytes += not taken
            if size_bytes != self._size_bytes:
                self._size_bytes, self._batch = size_bytes, None
        return None

    def __copy__(self) -> Self:
        """Return a batcher with the same messages; what either of them takes in is its own."""
        other = self.__class__.__new__(self.__class__)
        other.__dict__.update(self.__dict__, _lines=self._lines.copy())
        return other

    def take(self) -> Batch:
        """Return what was collected as one batch, and start over.

        Raises:
            InvalidMessage: nothing was collected; ask `is_empty` first.
        """
        batch = self.peek()
        self._clear()
        return batch

    def peek(self) -> Batch:
        """Return what was collected as one batch, and keep it.

        For those who send a batch before they let go of it. It is the same object each time, until
        the next message is taken in.

        Raises:
            InvalidMessage: nothing was collected; ask `is_empty` first.
        """
        if self._batch is None:
            self._batch = Batch.of_lines(
                self._lines, context=self._context, integrations=self._integrations
            )
        return self._batch

    @property
    def is_empty(self) -> bool:
        """Whether nothing was collected."""
        return not self._lines

    @property
    def size_bytes(self) -> int:
        """Size of the body as it will be sent."""
        return self._size_bytes

    def __len__(self) -> int:
        """How many messages were collected."""
        return len(self._lines)


def batches_of(lines: Iterable[bytes]) -> Iterator[Batch]:
    """Yield encoded messages as batches, in order, each as full as possible.

    Raises:
        MessageTooLarge: a message is above 32,000 bytes.
    """
    batcher = Batcher(auto_timestamp=False)
    waiting = iter(lines)
    left_over: bytes | None = b""
    while left_over is not None:
        left_over = batcher.fill(waiting)
        if not batcher.is_empty:
            yield batcher.take()
        if left_over is not None:
            batcher.push_line(left_over)


def _snapshot(name: str, value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidMessage(f"{name} must be an object: pass a dict", field=name)
    snapshot: dict[str, Any] = decode(encode(value))
    return snapshot
