"""The `logging.Handler`: takes records in, and hands encoded messages to this process's pipeline.

It takes no lock on the caller's way, and raises nothing into the application. What happens behind
it happens on the pipeline's thread.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import Never

from typing_extensions import Unpack, override

from . import _handlers
from ._delivery import diversion
from ._delivery.counts import Counts
from ._delivery.diversion import Enqueue
from ._delivery.own import OwnPipeline
from ._delivery.refusals import Refusals
from ._messages.ids import new_message_id
from ._options.delivery import DeliveryKeywords, DeliveryOptions, write_key_of
from ._options.records import RecordKeywords, RecordOptions
from ._options.table import chosen, refuse_unknown, rows_of, takes_options
from ._process.delivering import deadline_of_delivery
from ._process.forks import in_forked_child
from ._process.logging_lock import holds_logging_lock
from ._process.threads import THREAD_NAME
from ._records.once import is_first_meeting
from ._records.reader import RecordReader
from ._reports import report, say_refused
from .errors import UnknownArgument

_TABLES = (DeliveryOptions, RecordOptions)


class Keywords(DeliveryKeywords, RecordKeywords, total=False):
    """The options, for type checkers."""


class SegmentHandler(logging.Handler):
    """Turns log records that carry analytics keys into Segment calls, delivered in the background.

        logger.info("Signup", extra={"user_id": "u-17", "properties": {"plan": "pro"}})

    Every option is a plain value that a dictConfig can hold, or an object for code. All times are
    in seconds. Making a handler starts no thread and opens no connection or file; the first event
    does.

    Args:
        write_key: of the Segment source; None takes SEGMENT_WRITE_KEY. Without either, nothing is
            sent, and one warning says so.
        host: where to send to, scheme and name, with or without `/v1`; None takes SEGMENT_HOST,
            else the region's host.
        region: "us" or "eu": where the workspace is.
        client: what sends, in place of an HttpClient with these options.
        flush_interval: how long a message may wait for company.
        max_queue_messages: bound of the memory queue.
        max_queue_bytes: bound of the memory queue, in encoded bytes.
        overflow: when the queue is full, "drop" the newest message and count it, or "block" the
            caller.
        block_timeout: how long to block at most; after that the message is dropped.
        journal: directory in which every message is on disk before the logging call returns.
        journal_sync: when a message survives a power cut: "off" (never for sure), "interval"
            (0.1 s later), "emit" (at once).
        max_journal_bytes: bound of the journal; beyond it the memory queue takes over, and then
            `overflow` decides.
        dead_letters: path of a JSON-lines file for what can never be delivered, with the reason.
        max_attempts: how often a batch is tried, including the first time.
        timeout: to connect and to wait for an answer, or one number for both.
        gzip: compress request bodies.
        proxies: scheme to proxy URL; None takes the environment's.
        oauth: client_id, key_id and private_key (PEM, or its path) of an OAuth application;
            perhaps server and scope.
        shutdown_timeout: how long `flush`, `close` and the end of the process wait without an
            acknowledged batch; with a journal, in all.
        max_shutdown: how long they wait in all, whatever the server does; None for no limit, and
            at most 25 after SIGTERM.
        on_error: called with the error and the messages that are given up, in the delivering
            thread.
        capture: "marked": a record is an event if it carries an analytics key; "all": every
            record is.
        context: merged under the context of every message.
        integrations: merged under the integrations of every message.
        include_extras: whether other extras become properties, or traits of identify and group.
        exclude_extras: patterns of more extras that do not: those of tracing and cloud loggers
            never do.
        keep_extras: patterns of those that do after all, such as "task_id".
        before_send: called with each message in the caller's thread; returns the message to send,
            or None.
        redact: keys to leave out of properties, traits and context: "password", "*.pin",
            "context.ip".
        hashed: keys whose value is replaced by the SHA-256 of its text.
        allow_events: patterns like "Order *": all other tracks, pages and screens are ignored.
        deny_events: patterns of the tracks, pages and screens to ignore.
        sample_rate: the share of users to keep, with all of their messages: from 0 to 1.
        consent: category ids to True or False; or a function that returns that, and None if
            nothing is known.

    Raises:
        ConfigurationError: an option cannot work, or does not exist; a ValueError that names it.
    """

    takes_no_reports = True
    """This package's own records never become events."""

    @takes_options(*_TABLES)
    def __init__(
        self, write_key: str | None = None, *positional: Never, **options: Unpack[Keywords]
    ) -> None:
        if positional:
            raise UnknownArgument(
                "SegmentHandler takes its options by name: "
                "write SegmentHandler(write_key, host=..., timeout=...)"
            )
        known = ("write_key", *rows_of(*_TABLES))
        refuse_unknown("SegmentHandler", options, known, kind="option")
        self._options = chosen(DeliveryOptions, options)
        self._reader = RecordReader(chosen(RecordOptions, options))
        self._write_key = write_key_of(write_key)
        super().__init__()
        self._own = OwnPipeline(self._options, self._write_key)
        self._mark = new_message_id()
        self._forget()
        _handlers.add(self)
        if self._write_key is None:
            report("no write key, so nothing is sent: pass write_key or set SEGMENT_WRITE_KEY")

    def _forget(self) -> None:
        """Be as if new: in no process yet, with nothing counted."""
        self._own.forget()
        self._pid = _NO_PROCESS  # whose pipeline `_enqueue` leads into
        self._enqueue: Enqueue | None = None
        self._ignored = 0
        self._invalid = 0
        self._refusals = Refusals(self._own)

    # The caller's way. --------------------------------------------------------------------------

    @override
    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record in, without the lock that `logging.Handler` holds meanwhile."""
        try:
            if self.filters:
                passed = self.filter(record)
                if not passed:
                    return False
                if isinstance(passed, logging.LogRecord):  # from 3.12, a filter may replace it
                    record = passed
        except BaseException as error:
            self._reject(record, error)
            return False
        self.emit(record)
        return True

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Send the record's message on its way, if it is an event. Raises no Exception."""
        line = None
        try:
            fields = self._reader.fields_of(record)
            if fields is None:
                self._ignored += 1
                return
            about = record.__dict__  # a filter may have taken anything out of it
            # By the thread's name as well: a QueueHandler of the program's may have moved the
            # record to another thread.
            if deadline_of_delivery.get() is not None or about.get("threadName") == THREAD_NAME:
                self._ignored += 1
                return
            # The record has read the process id already, so we need not pay for that again.
            enqueue = self._enqueue if about.get("process") == self._pid else self._open(record)
            if enqueue is None or not is_first_meeting(record, self._mark):
                self._ignored += 1
                return
            line = self._reader.line_of(record, fields)
            if line is None:
                self._ignored += 1
            else:
                enqueue(line)
        except BaseException as error:
            self._reject(record, error, line)

    def _reject(
        self, record: logging.LogRecord, error: BaseException, line: bytes | None = None
    ) -> None:
        self._invalid += 1
        if not isinstance(error, Exception):  # a `sys.exit` in a hook, or Ctrl-C: the program's own
            raise error
        if diversion.current is None:
            self._refusals.add(self._reader.refusal_of(record, error, line))
        self.handleError(record)

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        """Say on stderr what was wrong with a record and where it was logged.

        By the rules of `logging.Handler`: silent if `logging.raiseExceptions` is False, and never
        raising. Unlike it, without the record's message and arguments, which are personal data.
        """
        error = sys.exc_info()[1]
        if diversion.current is not None and error is not None:
            diversion.current.reject(record, error)
        elif logging.raiseExceptions and error is not None:
            say_refused(record, error)

    def _open(self, record: logging.LogRecord) -> Enqueue | None:
        """Return the way into this process's pipeline, None without a write key.

        The first event of a process comes here, and so does any record that carries the id of
        another process.
        """
        if diversion.current is not None:
            return diversion.current.take(record)
        pipeline = self._own.open()
        if pipeline is None:
            return None
        self._enqueue, self._pid = pipeline.enqueue, pipeline.pid
        return self._enqueue

    # What a program asks of it. -----------------------------------------------------------------

    @override
    def flush(self) -> None:
        """Send what waits now, and wait for the answers: `shutdown_timeout` without one, at most.

        A batch between two attempts is not hurried, as each attempt counts.
        """
        pipeline = self._own.get()
        if pipeline is not None and not holds_logging_lock():
            pipeline.draining.flush()

    def drain(self, timeout: float) -> bool:
        """Wait until every message accepted so far, and what a journal held, is answered for.

        Returns:
            True if each was delivered or became a dead letter, False if `timeout` seconds were
            over first.
        """
        if self._options.keeps:
            self._own.open()  # what other processes have left counts as accepted
        pipeline = self._own.get()
        if pipeline is None:
            return True
        return pipeline.draining.drain(0.0 if holds_logging_lock() else timeout, backlog=True)

    @override
    def close(self) -> None:
        """Deliver what waits, within `shutdown_timeout`. The next record opens it again.

        Inside dictConfig it does not wait, as the delivering thread may need the lock that
        dictConfig holds; delivery then goes on in the background.
        """
        pipeline = self._own.get()
        if pipeline is not None:
            pipeline.close(wait=not holds_logging_lock())
        self._refusals.tell_at_last()
        super().close()

    def counts(self) -> Counts:
        """Return what became of the records that this process logged."""
        pipeline = self._own.get()
        counts = Counts() if pipeline is None else pipeline.count()
        return replace(counts, ignored=self._ignored, invalid=counts.invalid + self._invalid)

    @override
    def __repr__(self) -> str:
        counts = self.counts()
        where = "nowhere, without a write key" if self._write_key is None else self._options.where
        return (
            f"<{type(self).__name__} to {where}: {counts.accepted} accepted, "
            f"{counts.delivered} delivered, {counts.dead_lettered} dead letters, "
            f"{counts.dropped} dropped, {counts.pending} pending, {counts.invalid} invalid>"
        )


_NO_PROCESS = -1  # not None, which a record without a process id has


@diversion.on_change
def _ask_again() -> None:
    """The next event of each handler asks for the way again."""
    for handler in tuple(_handlers.handlers):
        handler._pid = _NO_PROCESS


@in_forked_child
def _leave_parent() -> None:
    """The pipelines are the parent's, and each handler begins anew."""
    for handler in tuple(_handlers.handlers):
        handler._forget()
