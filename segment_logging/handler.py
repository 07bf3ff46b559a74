"""The `logging.Handler` that turns records into messages and queues them for delivery.

In the caller's thread, putting an event into the memory queue takes no lock once the pipeline is
open, and no `Exception` reaches the application. The messages are sent by the pipeline's thread.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Never

from typing_extensions import Unpack, override

from . import _handlers
from ._delivery import diversion
from ._delivery.counts import Counts, summary_of
from ._delivery.diversion import Enqueue
from ._delivery.own import OwnPipeline, report_doubts
from ._delivery.refusals import Refusals
from ._messages.ids import new_message_id
from ._options.delivery import DeliveryKeywords, DeliveryOptions, write_key_of
from ._options.records import RecordKeywords, RecordOptions
from ._options.table import chosen, refuse_unknown, rows_of, takes_options
from ._process.delivering import deadline_of_delivery
from ._process.forks import NO_PROCESS
from ._process.logging_lock import holds_logging_lock
from ._process.threads import THREAD_NAME
from ._records.once import MESSAGE_ID, is_first_meeting
from ._records.reader import RecordReader
from ._records.writers import not_an_event, unusual
from .errors import UnknownArgument

_TABLES = (DeliveryOptions, RecordOptions)


class Keywords(DeliveryKeywords, RecordKeywords, total=False):
    """The options, for type checkers."""


class SegmentHandler(logging.Handler):
    """Turns log records with analytics keys into Segment calls, and sends them in the background.

        logger.info("Signup", extra={"user_id": "u-17", "properties": {"plan": "pro"}})

    Most options are plain values that can be written in a dictConfig. All times are in seconds.
    Creating a handler starts no thread and opens no connection or file. The first event does that.

    Args:
        write_key: the Segment source's write key; None means SEGMENT_WRITE_KEY. Without either,
            nothing is sent, and one warning is reported.
        host: base URL of the server, with or without `/v1`; None means SEGMENT_HOST or, if that is
            not set, the region's host.
        region: region of the workspace: "us" or "eu".
        client: client to send with, instead of an HttpClient with these options.
        broker: `amqp` or `amqps` URL of a broker to publish to, instead of sending to Segment;
            `segment-logging relay` sends what it holds; `?queue=` names another queue than
            `segment-logging`.
        flush_interval: how long a message may wait for others to fill its batch.
        max_queue_messages: maximum number of messages in the memory queue.
        max_queue_bytes: maximum size of the memory queue, in encoded bytes.
        overflow: when the queue is full, "drop" the new message and count it, or "block" the
            caller.
        block_timeout: how long to block at most; after that, the message is dropped.
        journal: directory in which every message is stored before the logging call returns.
        journal_sync: when messages are synced to disk, to survive a power cut: "off" (left to the
            operating system), "interval" (0.1 s later) or "emit" (before the logging call returns).
        max_journal_bytes: maximum size of the journal; beyond it, messages go to the memory queue,
            and `overflow` applies when that is full.
        journal_group: a group (name or number) whose members may read and remove the journal's
            files, for a `segment-logging deliver` that runs as another user; None means no group.
        deliver: whether this process delivers; if False, messages are only written to the journal,
            and `segment-logging deliver` delivers them.
        dead_letters: path of a JSON Lines file to which undeliverable messages are written, with
            the reason.
        max_dead_letter_bytes: maximum size of the dead-letter file and its predecessor,
            `<path>.1`, together; the oldest dead letters are removed first.
        max_attempts: how many times a batch is tried, including the first attempt.
        timeout: time limits for connecting and for waiting for an answer, or one number for both.
        gzip: whether to compress request bodies.
        proxies: proxy URLs by scheme; None means those from the environment.
        headers: additional request headers by name; those that the package sets cannot be replaced.
        oauth: client_id, key_id and private_key (PEM, or the path of a PEM file) of an OAuth
            application, and optionally server and scope.
        shutdown_timeout: how long to wait in `flush` and `close` and at process exit for the next
            batch to be acknowledged; with a journal, how long to wait in total.
        max_shutdown: how long to wait in `flush` and `close` and at process exit in total, even
            while batches are being acknowledged; None means no limit; with `exit_on_sigterm`, and
            when an ASGI server stops, the limit is at most 25.
        on_error: called in the delivery thread with the error and the abandoned messages.
        capture: which records are events: "marked" (those with an analytics key) or "all".
        context: default context for every message; the message's own values win.
        integrations: default integrations for every message; the message's own values win.
        include_extras: whether all other extras become properties (or, for identify and group,
            traits).
        exclude_extras: patterns of extras to leave out, in addition to those of tracing and cloud
            loggers.
        keep_extras: patterns of extras to keep that would otherwise be left out, such as "task_id".
        page_query: which query parameters stay in the URLs of `context.page`: "campaign" (utm_*,
            gclid and the like), "all", or a list of patterns of names to keep in addition to
            "campaign".
        before_send: called in the caller's thread with each message; returns the message to send,
            or None.
        redact: keys to remove from properties, traits and context, such as "password", "*.pin" or
            "context.ip".
        hashed: keys whose values are replaced with the SHA-256 of their text.
        allow_events: patterns of the tracks, pages and screens to send, such as "Order *"; None
            means all.
        deny_events: patterns of the tracks, pages and screens to ignore.
        sample_rate: fraction of users to keep, from 0 to 1; all messages of other users are
            ignored.
        consent: a mapping of category ids to True or False, or a function that returns one (or None
            if nothing is known).

    Raises:
        ConfigurationError: an option is invalid or does not exist. This is a ValueError.
    """

    takes_no_reports = True
    """Marks this handler as one that ignores the package's own reports."""

    @takes_options(*_TABLES)
    def __init__(
        self, write_key: str | None = None, *positional: Never, **options: Unpack[Keywords]
    ) -> None:
        if positional:
            raise UnknownArgument(
                "SegmentHandler accepts options by name only: "
                "write SegmentHandler(write_key, host=..., timeout=...)"
            )
        refuse_unknown("SegmentHandler", options, ("write_key", *rows_of(*_TABLES)), kind="option")
        self._options = chosen(DeliveryOptions, options)
        self._reader = RecordReader(chosen(RecordOptions, options))
        self._writer_of = self._reader.writer_of
        self._write_key = write_key_of(write_key)
        super().__init__()
        self._own = OwnPipeline(self._options, self._write_key)
        self._mark = new_message_id()
        self._forget()
        _handlers.add(self)
        report_doubts(self._options, self._write_key)

    def _forget(self) -> None:
        """Reset to the initial state: no pipeline, and all counts at zero."""
        self._own.forget()
        self._pid = NO_PROCESS  # the process of the pipeline that `_enqueue` belongs to
        self._enqueue: Enqueue | None = None
        self._ignored = 0
        self._invalid = 0
        self._refusals = Refusals(self._own)

    @override
    def handle(self, record: logging.LogRecord) -> bool:
        """Filter and emit a record, without the lock that `logging.Handler` would hold."""
        if self.filters:
            try:
                passed = self.filter(record)
            except BaseException as error:
                self._reject(record, error)
                return False
            if not passed:
                return False
            if isinstance(passed, logging.LogRecord):  # since Python 3.12, a filter may replace it
                record = passed
        self.emit(record)
        return True

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's message if the record is an event. Never raises an `Exception`."""
        line = None
        try:
            write = self._writer_of(record)
            fields = self._reader.fields_of(record) if write is unusual else None
            about = record.__dict__  # a filter may have removed any attribute
            if (
                (write is not_an_event or (write is unusual and fields is None))
                or deadline_of_delivery.get() is not None
                # The program's own QueueHandler may have passed the record to another thread.
                or about.get("threadName") == THREAD_NAME
            ):
                self._ignored += 1
                return
            pid = about.get("process") or os.getpid()  # None if logging.logProcesses is False
            enqueue = self._enqueue if pid == self._pid else self._open(record)
            message_id = None
            if MESSAGE_ID not in about:
                message_id = new_message_id()
                about[MESSAGE_ID] = (message_id, self._mark)
            elif is_first_meeting(about, self._mark):
                message_id = about[MESSAGE_ID][0]
            if enqueue is None or message_id is None:
                self._ignored += 1
                return
            try:
                line = written = write(record, about, message_id)
            except Exception:
                written = None
            if type(written) is not bytes:  # it needs more care, is refused, or is not encoded yet
                line = None
                line = self._reader.line_after(written, record, fields)
            if line:
                enqueue(line)
            else:
                self._ignored += 1
        except BaseException as error:
            self._reject(record, error, line)

    def _reject(
        self, record: logging.LogRecord, error: BaseException, line: bytes | None = None
    ) -> None:
        self._invalid += 1
        if not isinstance(error, Exception):  # sys.exit in a hook, or Ctrl-C
            raise error
        if diversion.current is None:
            with suppress(Exception):  # close to the recursion limit, or with no memory left
                self._refusals.add(self._reader.refusal_of(record, error, line))
        self.handleError(record)

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        """Print on stderr what was wrong with a record and where it was logged.

        Each reason is printed at most ten times a minute for each place in the program, so a loop
        over bad data does not fill stderr. `logging.raiseExceptions = False` turns it off. Unlike
        `logging.Handler.handleError`, this does not print the record's message and arguments, which
        may be personal data. Never raises.
        """
        error = sys.exc_info()[1]
        if diversion.current is not None and error is not None:
            diversion.current.reject(record, error)
        elif logging.raiseExceptions and error is not None:
            self._refusals.say(record, error)

    def _open(self, record: logging.LogRecord) -> Enqueue | None:
        """Return the function that queues messages in this process, or None without a write key."""
        if diversion.current is not None:
            return diversion.current.take(record)
        pipeline = self._own.open()
        if pipeline is None:
            return None
        self._enqueue, self._pid = pipeline.enqueue, pipeline.pid
        return self._enqueue

    @override
    def flush(self) -> None:
        """Send the waiting messages and wait until they are delivered or abandoned.

        This stops waiting after `shutdown_timeout` without an acknowledged batch. It does not cut
        short the wait between two attempts, because the number of attempts is limited.
        """
        pipeline = self._own.get()
        if pipeline is not None and not holds_logging_lock():
            pipeline.draining.flush()

    def drain(self, timeout: float) -> bool:
        """Wait until all accepted messages, and those in the journal, are delivered or abandoned.

        This includes messages of dead processes that another process is sending.

        Args:
            timeout: the maximum number of seconds to wait.

        Returns:
            False if the time ran out first.
        """
        if self._options.keeps:
            self._own.open()  # so that messages left by other processes count as accepted
        pipeline, wait = self._own.get(), 0.0 if holds_logging_lock() else timeout
        return pipeline is None or pipeline.draining.drain(wait, backlog=True, elsewhere=True)

    @override
    def close(self) -> None:
        """Deliver the waiting messages, waiting as long as `flush` does.

        Inside dictConfig, this does not wait, because the delivery thread may need the lock that
        dictConfig holds. Delivery then continues in the background. The next event reopens the
        handler.
        """
        pipeline = self._own.get()
        if pipeline is not None:
            pipeline.close(wait=not holds_logging_lock())
        self._refusals.tell_at_last()
        super().close()

    def counts(self) -> Counts:
        """Return this process's counts by outcome, with what others left in the journal."""
        pipeline = self._own.get()
        counts = Counts() if pipeline is None else pipeline.count()
        return replace(counts, ignored=self._ignored, invalid=counts.invalid + self._invalid)

    @override
    def __repr__(self) -> str:
        counts = self.counts()
        where = "nowhere, without a write key" if self._write_key is None else self._options.where
        said = summary_of(counts, hands_over=not self._options.deliver)
        return f"<{type(self).__name__} to {where}: {said}>"
