"""`AutoBatcher`: a batcher that sends a batch when it is full."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from .._messages.batch import Batch
from .._messages.batcher import Batcher
from .._messages.calls import Call
from .._messages.ids import new_message_id
from .._messages.message import Message
from .._public import public_in
from ..errors import DeliveryError, MessageTooLarge


class _Sender(Protocol):
    def send(self, write_key: str, message: Message) -> None: ...


@public_in("segment_logging")
class AutoBatcher:
    """A Batcher that sends its batch when the next message does not fit.

    A failed send loses nothing: the batch is kept, in order, for the next `flush`. Messages
    without an id get one, so that Segment recognises messages that it has already received. There
    is no timer: call `flush` from time to time, or use the object as a context manager, which
    flushes on exit.

    It is not thread-safe.

    Args:
        client: the client that sends the batches.
        batcher: the batcher that collects the messages.
        write_key: the write key of the Segment source.
    """

    def __init__(self, client: _Sender, batcher: Batcher, write_key: str) -> None:
        self._client = client
        self._batcher = batcher
        self._write_key = write_key
        self._full: list[Batch] = []  # taken from the batcher, but not delivered yet

    def push(self, message: Message) -> None:
        """Add a message. If it does not fit in the current batch, send that batch.

        Raises:
            MessageTooLarge, InvalidMessage: the message is refused, and the batch is unchanged.
            DeliveryError: the full batch could not be sent, and is kept for the next `flush`. The
                message *was* added.
        """
        handed_back = self._put(message)
        if handed_back is None:
            return
        self._full.append(self._batcher.take())
        self._batcher.push(handed_back)
        self._send_full()

    def _put(self, message: Message) -> Message | None:
        if not isinstance(message, Call) or message.has_id:
            return self._batcher.push(message)
        try:
            return self._batcher.push(replace(message, message_id=new_message_id()))
        except MessageTooLarge:
            return self._batcher.push(message)  # it may fit without the id

    def flush(self) -> None:
        """Send all messages that were added. Do nothing if there are none.

        Raises:
            DeliveryError: a batch could not be sent. All unsent messages are kept for the next
                `flush`. Those of a batch that were delivered, or that are in the error's `refused`,
                are not kept.
        """
        self._send_full()
        if self._batcher.is_empty:
            return
        try:
            self._client.send(self._write_key, self._batcher.peek())
        except MessageTooLarge:
            self._full.append(self._batcher.take())
            self._send_full()
        except DeliveryError as error:
            if error.refused or error.delivered > 0:
                self._full = _unsent(self._batcher.take(), error)
            raise
        else:
            self._batcher.take()  # only now, so that a failed send leaves the batch in place

    def _send_full(self) -> None:
        while self._full:
            batch = self._full[0]
            try:
                self._client.send(self._write_key, batch)
            except MessageTooLarge:  # a client with OAuth adds the write key to the body
                if len(batch) == 1:
                    raise
                self._full[:1] = batch.halves()
            except DeliveryError as error:
                self._full[:1] = _unsent(batch, error)
                raise
            else:
                del self._full[0]  # only now, as above

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
        except Exception:  # nothing is lost: the next `flush` tries again
            if error is None:  # an error in the block itself matters more
                raise


def _unsent(batch: Batch, error: DeliveryError) -> list[Batch]:
    """Return what is left of a batch after an error: one batch, or none."""
    if error.delivered > 0:
        rest = batch.without(error.delivered)
    else:
        rest = None if error.refused else batch
    return [] if rest is None else [rest]
