"""`Batcher`, which collects the messages that fit into one request.

It tracks the exact size of the body that will be sent, including the envelope, commas, context and
`sentAt`. The counters change only when a message is added. Pure: the clock is passed in.
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
    """Collects messages up to the limits of one request: 500,000 bytes and 2,500 messages.

    Args:
        context: sent once per batch. Segment merges it into every message.
        integrations: sent once per batch, like `context`.
        auto_timestamp: if True, a message without a timestamp gets the time of its `push`.
        clock: returns seconds since the epoch.

    Raises:
        InvalidMessage: if context or integrations is not an object, or cannot be written as JSON.
        MessageTooLarge: if together they leave no room for a message of the maximum size.
    """

    def __init__(
        self,
        context: Mapping[str, Any] | None = None,
        integrations: Mapping[str, Any] | None = None,
        *,
        auto_timestamp: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # Copied, because a dict that grows later could push a full batch over the limit.
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
        self._batch: Batch | None = None  # made from these lines on demand

    def push(self, message: Message) -> Message | None:
        """Add a message, or return it if it no longer fits.

        A message that does not fit is not counted, so a smaller one may still fit. The message is
        encoded here, so changing its dicts afterwards has no effect.

        Returns:
            None if the message was added, otherwise the message itself.

        Raises:
            MessageTooLarge: if the message is larger than 32,000 bytes and cannot fit any batch.
            InvalidMessage: if it is a Batch, or if a value cannot be written as JSON.
        """
        if not isinstance(message, Call):
            raise InvalidMessage(
                f"a batch can only contain calls, not {type(message).__name__}: "
                "push the calls one by one"
            )
        form = message.wire_form()
        if self._auto_timestamp and message.timestamp is None:
            form["timestamp"] = write_timestamp(self._clock())
        return None if self.push_line(encode(form)) else message

    def push_line(self, line: bytes) -> bool:
        """Add an encoded message. Return False if it no longer fits.

        Raises:
            MessageTooLarge: if the message is larger than 32,000 bytes.
        """
        return self.fill(iter((line,))) is None

    def fill(self, lines: Iterator[bytes]) -> bytes | None:
        """Add encoded messages until one does not fit or none are left.

        Returns:
            The line that did not fit, or None.

        Raises:
            MessageTooLarge: if a message is larger than 32,000 bytes. The messages before it have
                been added.
        """
        taken = self._lines
        size_bytes = self._size_bytes - (not taken)  # the first message has no comma before it
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
        """Return a batcher with the same messages. Adding to one does not change the other."""
        other = self.__class__.__new__(self.__class__)
        other.__dict__.update(self.__dict__, _lines=self._lines.copy())
        return other

    def take(self) -> Batch:
        """Return the collected messages as one batch, and start over.

        Raises:
            InvalidMessage: if no messages were collected; check `is_empty` first.
        """
        batch = self.peek()
        self._clear()
        return batch

    def peek(self) -> Batch:
        """Return the collected messages as one batch, without removing them.

        This is for callers that remove a batch only after they have sent it. The same object is
        returned until the next message is added.

        Raises:
            InvalidMessage: if no messages were collected; check `is_empty` first.
        """
        if self._batch is None:
            self._batch = Batch.of_lines(
                self._lines, context=self._context, integrations=self._integrations
            )
        return self._batch

    @property
    def is_empty(self) -> bool:
        """Whether there are no collected messages."""
        return not self._lines

    @property
    def size_bytes(self) -> int:
        """The size of the request body in bytes."""
        return self._size_bytes

    def __len__(self) -> int:
        """Return the number of collected messages."""
        return len(self._lines)


def batches_of(lines: Iterable[bytes]) -> Iterator[Batch]:
    """Yield batches of encoded messages, in order, each as full as possible.

    Raises:
        MessageTooLarge: if a message is larger than 32,000 bytes.
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
