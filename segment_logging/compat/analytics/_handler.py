"""The SegmentHandler of one client, which tells the caller what happened to each message."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from typing_extensions import override

from ..._client.client import Client
from ..._delivery import diversion
from ..._delivery.counts import Counts
from ..._delivery.diversion import Enqueue
from ..._identity.binding import current_identity, only_identity
from ..._identity.who import NOBODY
from ..._messages.batch import Batch
from ..._process.delivering import delivering_by
from ..._process.threads import new_rlock
from ...errors import MessageTooLarge
from ...handler import SegmentHandler
from ._calls import CallRecord, locate


class ClientHandler(SegmentHandler):
    """Queues or sends the records of one client's calls, and leaves the outcome on them."""

    is_for_loggers = False
    """It gets its records from a client. `segment-logging check` reads this."""

    def __init__(self, write_key: str, **options: Any) -> None:
        super().__init__(write_key, **options)
        self._idle: list[Client] = []  # for sync mode; a client sends one message at a time

    @override
    def _forget(self) -> None:
        super()._forget()
        self._accepting = new_rlock()  # a thread of the parent process may have held the old one
        self._sync = Counts()

    def take(self, record: CallRecord) -> None:
        """Handle a call's record. It is about the ids that were passed, not about a bound user."""
        if current_identity() is NOBODY:
            self.handle(record)
        else:
            with only_identity(NOBODY):
                self.handle(record)

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        """Leave the error on the record, and report it unless the caller raises it."""
        error = sys.exc_info()[1]
        if isinstance(record, CallRecord):
            record.error = error
            locate(record)
        if diversion.current is not None or not isinstance(error, MessageTooLarge):
            super().handleError(record)

    @override
    def _open(self, record: logging.LogRecord) -> Enqueue | None:
        """Return what accepts the record's message: a new function for each call."""
        assert isinstance(record, CallRecord)
        # A test that captures wants the calls also if they would not be sent.
        if diversion.current is not None:
            return partial(_accept, record, diversion.current.take(record))
        if not record.is_sent:
            return partial(_accept, record, _discard)
        if record.is_sync:
            return partial(self._send_now, record)
        pipeline = self._own.open()
        return None if pipeline is None else partial(_put, record, pipeline.enqueue)

    def _send_now(self, record: CallRecord, line: bytes) -> None:
        """Send a message in the calling thread, once."""
        try:
            client = self._idle.pop()
        except IndexError:  # another thread is using it, or this is the first call
            client = self._options.new_client()
        try:
            assert self._write_key is not None
            # Records of the HTTP library must not become messages, which would be sent in turn.
            with delivering_by(lambda: None):
                client.send(self._write_key, Batch.of_lines([line]))
            record.is_accepted = True
        except Exception as error:
            record.error = error
        finally:
            self._idle.append(client)
            ended = record.is_accepted
            with self._accepting:
                before = self._sync
                self._sync = replace(
                    before,
                    accepted=before.accepted + 1,
                    delivered=before.delivered + ended,
                    batches=before.batches + ended,
                    dead_lettered=before.dead_lettered + (not ended),
                )

    @override
    def close(self) -> None:
        super().close()
        while self._idle:
            self._idle.pop().close()

    @override
    def counts(self) -> Counts:
        """Return the counts, which include the messages that were sent in sync mode."""
        queued, sync = super().counts(), self._sync
        return replace(
            queued,
            accepted=queued.accepted + sync.accepted,
            delivered=queued.delivered + sync.delivered,
            dead_lettered=queued.dead_lettered + sync.dead_lettered,
            batches=queued.batches + sync.batches,
        )


class Queue:
    """What programs may ask of the official client's queue. Messages cannot be taken from it."""

    def __init__(self, handler: ClientHandler, maxsize: int) -> None:
        self._handler = handler
        self.maxsize = maxsize

    def qsize(self) -> int:
        """Return how many messages are waiting or being sent."""
        return self._handler.counts().pending

    def empty(self) -> bool:
        return not self.qsize()

    def full(self) -> bool:
        return 0 < self.maxsize <= self.qsize()

    def join(self) -> None:
        """Do what the client's `flush` does."""
        self._handler.flush()


def _put(record: CallRecord, enqueue: Callable[[bytes], bool], line: bytes) -> None:
    record.is_accepted = enqueue(line)  # False if the queue is full


def _accept(record: CallRecord, accept: Enqueue, line: bytes) -> None:
    accept(line)
    record.is_accepted = True


def _discard(line: bytes) -> None:
    pass
