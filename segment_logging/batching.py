"""What fits in one request: `Batcher` decides, `AutoBatcher` sends when the answer is no.

The size is that of the body as it will be sent: envelope, commas, context and `sentAt` included,
and the counters move only when a message is taken in. No clock but the one passed in, no thread,
no socket; `AutoBatcher` does I/O only through its client.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol

from typing_extensions import Self

from .batch import Batch
from .encoding import decode, encode
from .errors import InvalidMessage, MessageTooLarge
from .ids import new_message_id
from .limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, MAX_MESSAGE_BYTES
from .messages import Call, Message
from .rules import write_timestamp
from .wire import batch_body


class Batcher:
    """Collects messages up to what one request may carry: 500,000 bytes and 2,500 messages.

    Args:
        context: put on the batch once, for Segment to merge into every message.
        integrations: likewise.
        auto_timestamp: give a message without a timestamp that of its `push`.
        clock: seconds since the epoch.

    Raises:
        InvalidMessage: a context or integrations that is no object or cannot be written as JSON.
        MessageTooLarge: the two leave no room for one message of the largest size.
    """

    def __init__(
        self,
        context: Mapping[str, Any] | None = None,
        integrations: Mapping[str, Any] | None = None,
        *,
        auto_timestamp: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # As they are now: a dict that grew later would push a full batch over the limit.
        self._context = _snapshot("context", context)
        self._integrations = _snapshot("integrations", integrations)
        self._auto_timestamp = auto_timestamp
        self._clock = clock
        empty = batch_body((), self._context, self._integrations, sent_at=0.0)
        self._envelope_bytes = len(empty)
        if self._envelope_bytes + MAX_MESSAGE_BYTES > MAX_BATCH_BYTES:
            raise MessageTooLarge(
                self._envelope_bytes, MAX_BATCH_BYTES - MAX_MESSAGE_BYTES, "batch context"
            )
        self._clear()

    def _clear(self) -> None:
        self._lines: list[bytes] = []
        self._size_bytes = self._envelope_bytes
        self._batch: Batch | None = None  # of these lines, once somebody has asked for it

    def push(self, message: Message) -> Message | None:
        """Take the message in, or hand it back when it does not fit any more.

        A message handed back is the same object, and nothing was counted: a smaller one may
        still fit. The message is encoded here; changing its dicts afterwards changes nothing.

        Returns:
            None when it was taken in, else the message.

        Raises:
            MessageTooLarge: above 32,000 bytes; no batch can ever hold it.
            InvalidMessage: a Batch, or values that cannot be written as JSON.
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
        """Take in a message that is encoded already; False when it does not fit any more.

        Raises:
            MessageTooLarge: above 32,000 bytes.
        """
        return self.fill(iter((line,))) is None

    def fill(self, lines: Iterator[bytes]) -> bytes | None:
        """Take in messages that are encoded already, until there are no more or one does not fit.

        Returns:
            None, or the line that did not fit.

        Raises:
            MessageTooLarge: above 32,000 bytes; those before it are in.
        """
        taken = self._lines
        size_bytes = self._size_bytes - (not taken)  # before the first there is no comma
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

    def take(self) -> Batch:
        """Return what was collected as one batch, and start anew.

        Raises:
            InvalidMessage: nothing was collected; ask `is_empty` first.
        """
        batch = self.peek()
        self._clear()
        return batch

    def peek(self) -> Batch:
        """Return what was collected as one batch, and keep it: what is to be sent before it is
        forgotten. The same object until the next message is taken in.

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
        """Bytes of the body as it will be sent."""
        return self._size_bytes

    def __len__(self) -> int:
        """How many messages were collected."""
        return len(self._lines)


def batches_of(lines: Iterable[bytes]) -> Iterator[Batch]:
    """Yield encoded messages as batches, each as full as it can be, in order.

    Raises:
        MessageTooLarge: a message above 32,000 bytes.
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


class _Sender(Protocol):
    def send(self, write_key: str, message: Message) -> None: ...


class AutoBatcher:
    """A Batcher that sends its batch when the next message does not fit.

    Nothing is lost when sending fails: the batch is kept, in order, for the next `flush`, and
    every message is given an id if it has none, so that Segment recognises what it got already.
    There is no timer: call `flush` now and then, or use it as a context manager, which flushes at
    its end.

    One thread at a time.

    Args:
        client: sends the batches.
        batcher: collects the messages.
        write_key: of the Segment source.
    """

    def __init__(self, client: _Sender, batcher: Batcher, write_key: str) -> None:
        self._client = client
        self._batcher = batcher
        self._write_key = write_key
        self._full: list[Batch] = []  # could not be sent, and made room for others

    def push(self, message: Message) -> None:
        """Take the message in; send the batch first when it does not fit any more.

        Raises:
            MessageTooLarge, InvalidMessage: the message is refused, the batch untouched.
            DeliveryError: the message *was* taken in; the full batch could not be sent and waits
                for the next `flush`.
        """
        handed_back = self._put(message)
        if handed_back is None:
            return
        self._full.append(self._batcher.take())
        self._batcher.push(handed_back)
        self._send_full()

    def _put(self, message: Message) -> Message | None:
        has_id = isinstance(message, Call) and (
            message.message_id is not None or "messageId" in (message.extra or ())
        )
        if has_id or not isinstance(message, Call):
            return self._batcher.push(message)
        try:
            return self._batcher.push(replace(message, message_id=new_message_id()))
        except MessageTooLarge:
            return self._batcher.push(message)  # perhaps it is only the id that has no room

    def flush(self) -> None:
        """Send everything that was taken in; does nothing when there is nothing.

        Raises:
            DeliveryError: what could not be sent waits for the next `flush`.
        """
        self._send_full()
        if self._batcher.is_empty:
            return
        try:
            self._client.send(self._write_key, self._batcher.peek())
        except MessageTooLarge:
            self._full.append(self._batcher.take())
            self._send_full()
        else:
            self._batcher.take()  # only now: a send that raises leaves it where it is

    def _send_full(self) -> None:
        while self._full:
            batch = self._full[0]
            try:
                self._client.send(self._write_key, batch)
            except MessageTooLarge:  # for a client that adds to the body, as one with OAuth
                if len(batch) == 1:
                    raise
                self._full[:1] = batch.halves()
            else:
                del self._full[0]  # likewise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.flush()
        except Exception:  # nothing is lost: it waits for the next flush
            if error is None:  # the block's own error tells more
                raise
