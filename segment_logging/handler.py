"""The `logging.Handler`: takes records in, gives encoded messages to this process's pipeline.

Takes no lock on the caller's way, and never raises into the application. What happens behind,
happens on the pipeline's thread.
"""

from __future__ import annotations

import logging
import os
import sys
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from threading import RLock, get_ident
from typing import Any

from typing_extensions import override

from .client import Client, Tokens
from .counts import Counts
from .delivery import OnError
from .diversion import Diversion, Enqueue
from .errors import InvalidMessage
from .http import Timeout
from .locks import holds_logging_lock
from .pipeline import Pipeline
from .pipelines import expect_exit, leave_parent
from .reading import BeforeSend, Consent, Reading
from .records import RecordReader
from .reports import report, say_refused
from .settings import Settings, write_key_of
from .threads import THREAD_NAME, own_threads


class SegmentHandler(logging.Handler):
    """Turns log records that carry analytics keys into Segment calls, delivered behind.

        logger.info("Signup", extra={"user_id": "u-17", "properties": {"plan": "pro"}})

    Every option is a plain value that a dictConfig can hold, or an object for code. All times are
    seconds. Construction starts no thread and opens no connection or file; the first event does.

    Args:
        write_key: of the Segment source; SEGMENT_WRITE_KEY when None; with neither, one warning.
        host: scheme and name to send to; SEGMENT_HOST when None, else the region's.
        region: "us" or "eu", where the workspace is.
        client: what sends, instead of an HttpClient of these options.
        capture: "marked": records that carry an analytics key are events; "all": every one is.
        flush_interval: how long a message may wait for company.
        max_queue_messages: bound of the memory queue.
        max_queue_bytes: likewise, of the encoded messages.
        overflow: with a full queue, "drop" the newest message and count it, or "block" the caller.
        block_timeout: how long to block at most; then the message is dropped.
        journal: directory in which every message is on disk before the logging call returns.
        journal_sync: when it survives a power cut: "off", "interval" (soon), "emit" (at once).
        max_journal_bytes: bound of the journal; beyond it `overflow` decides.
        dead_letters: path of a JSON-lines file for what can never be delivered.
        max_attempts: tries of one batch, the first one included.
        timeout: to connect and to wait for an answer, or one number for each of both.
        gzip: compress request bodies.
        proxies: scheme to proxy URL; the environment's when None.
        oauth: client_id, key_id and private_key (PEM, or its path) of an OAuth application.
        shutdown_timeout: how long `close` and the end of the process may take.
        context: merged under every message's context.
        integrations: merged under every message's integrations.
        include_extras: whether other extras become properties, or traits of identify and group.
        before_send: called with each message, in the caller's thread; returns what to send or None.
        redact: keys to leave out of properties, traits, context: "password", "*.pin", "context.ip".
        hashed: likewise; the value becomes the SHA-256 of its text.
        allow_events: patterns, as "Order *"; other tracks, pages and screens are ignored.
        deny_events: likewise; these are ignored.
        sample_rate: which part of the users is kept, with all of their messages: from 0 to 1.
        consent: category ids to True or False; or what returns that, None if nothing is known.
        on_error: called with the error and the messages given up, in the listener's thread.

    Raises:
        ConfigurationError: an option that cannot work; a ValueError that names it.
    """

    takes_no_reports = True
    """This package's own records never become events."""

    def __init__(
        self,
        write_key: str | None = None,
        *,
        host: str | None = None,
        region: str = "us",
        client: Client | None = None,
        capture: str = "marked",
        flush_interval: float = 1.0,
        max_queue_messages: int = 100_000,
        max_queue_bytes: int = 64 * 1024 * 1024,
        overflow: str = "drop",
        block_timeout: float = 10.0,
        journal: str | os.PathLike[str] | None = None,
        journal_sync: str = "interval",
        max_journal_bytes: int = 1024 * 1024 * 1024,
        dead_letters: str | os.PathLike[str] | None = None,
        max_attempts: int = 11,
        timeout: Timeout = (3.05, 15.0),
        gzip: bool = False,
        proxies: Mapping[str, str] | None = None,
        oauth: Mapping[str, str] | Tokens | None = None,
        shutdown_timeout: float = 5.0,
        context: Mapping[str, Any] | None = None,
        integrations: Mapping[str, Any] | None = None,
        include_extras: bool = True,
        before_send: BeforeSend | None = None,
        redact: Sequence[str] = (),
        hashed: Sequence[str] = (),
        allow_events: Sequence[str] | None = None,
        deny_events: Sequence[str] = (),
        sample_rate: float = 1.0,
        consent: Consent | None = None,
        on_error: OnError | None = None,
    ) -> None:
        given = locals()
        given["host"] = os.environ.get("SEGMENT_HOST") or None if host is None else host
        self._settings = Settings(**{field.name: given[field.name] for field in fields(Settings)})
        reading = Reading(**{field.name: given[field.name] for field in fields(Reading)})
        self._write_key = write_key_of(write_key)
        self._reader = RecordReader(reading)
        super().__init__()
        self._forget()
        _handlers.add(self)
        expect_exit()
        if self._write_key is None:
            report("no write key, so nothing is sent: pass write_key or set SEGMENT_WRITE_KEY")

    def _forget(self) -> None:
        """Be as new: in no process yet, nothing counted."""
        self._opening = RLock()
        self._pipeline: Pipeline | None = None
        self._pid = _NO_PROCESS  # whose pipeline `_enqueue` leads into
        self._enqueue: Enqueue | None = None
        self._ignored = 0
        self._invalid = 0

    # The caller's way. --------------------------------------------------------------------------

    @override
    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record in, without the lock that `logging.Handler` holds meanwhile."""
        try:
            if self.filters:
                passed = self.filter(record)
                if not passed:
                    return False
                if isinstance(passed, logging.LogRecord):  # from 3.12: a filter may replace it
                    record = passed
        except BaseException as error:
            self._reject(record, error)
            return False
        self.emit(record)
        return True

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Send the record's message on its way if it is an event. Raises no Exception."""
        try:
            fields = self._reader.fields_of(record)
            if fields is None:
                self._ignored += 1
                return
            about = record.__dict__  # from which a filter may have taken anything
            # By name, too: a QueueHandler of the program's may have moved the record elsewhere.
            if get_ident() in own_threads or about.get("threadName") == THREAD_NAME:
                self._ignored += 1
                return
            # The record has read the process id already: no need to pay for it again.
            enqueue = self._enqueue if about.get("process") == self._pid else self._open(record)
            line = None if enqueue is None else self._reader.line_of(record, fields)
            if line is None or enqueue is None:
                self._ignored += 1
            else:
                enqueue(line)
        except BaseException as error:
            self._reject(record, error)

    def _reject(self, record: logging.LogRecord, error: BaseException) -> None:
        self._invalid += 1
        if not isinstance(error, Exception):  # a `sys.exit` in a hook, Ctrl-C: the program's own
            raise error
        pipeline = self._own_pipeline()
        if isinstance(error, InvalidMessage) and pipeline is not None and _diversion is None:
            pipeline.refuse(error)
        self.handleError(record)

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        """Say on stderr what was wrong with a record and where it was logged.

        By the rules of `logging.Handler`: silent when `logging.raiseExceptions` is False, and
        never raises. Unlike it, without the record's message and arguments: personal data.
        """
        error = sys.exc_info()[1]
        if _diversion is not None and error is not None:
            _diversion.reject(record, error)
        elif logging.raiseExceptions and error is not None:
            say_refused(record, error)

    def _open(self, record: logging.LogRecord) -> Enqueue | None:
        """Return the way into this process's pipeline, None without a write key. The first event
        of a process comes here, and any that carries another process's id."""
        if _diversion is not None:
            return _diversion.take(record)
        return self._open_pipeline()

    def _open_pipeline(self) -> Enqueue | None:
        if self._write_key is None:
            return None
        pipeline = self._own_pipeline()
        if pipeline is None:
            # Without the lock: making one takes logging's lock, whose holder may want ours.
            pipeline = Pipeline(self._settings, self._write_key)
        with self._opening:
            if self._pipeline is not None and self._pipeline.pid != pipeline.pid:
                leave_parent()  # a fork that the interpreter was not told of: uWSGI's
                self._pipeline = None
            if self._pipeline is None:
                self._pipeline = pipeline
                # A handler that nobody keeps any more still delivers what it accepted.
                weakref.finalize(self, pipeline.close, wait=False).atexit = False
            self._enqueue = self._pipeline.enqueue
            self._pid = self._pipeline.pid
            return self._enqueue

    # What a program asks of it. -----------------------------------------------------------------

    @override
    def flush(self) -> None:
        """Send what waits now, and wait for the answers, `shutdown_timeout` at most. Who is in
        between two attempts is not hurried: each of them counts."""
        pipeline = self._own_pipeline()
        if pipeline is not None and not holds_logging_lock():
            pipeline.flush()

    def drain(self, timeout: float) -> bool:
        """Wait until every message accepted so far, and what a journal held, is answered for.

        Returns:
            True when each was delivered or became a dead letter, False when `timeout` seconds
            were over.
        """
        if self._settings.journal is not None:
            self._open_pipeline()  # what others left in the journal counts as accepted
        pipeline = self._own_pipeline()
        if pipeline is None:
            return True
        return pipeline.drain(0.0 if holds_logging_lock() else timeout, backlog=True)

    @override
    def close(self) -> None:
        """Deliver what waits, within `shutdown_timeout`; the next record opens it again.

        Inside dictConfig it does not wait, as the delivering thread may need the lock that
        dictConfig holds; delivery then goes on behind.
        """
        pipeline = self._own_pipeline()
        if pipeline is not None:
            pipeline.close(wait=not holds_logging_lock())
        super().close()

    def counts(self) -> Counts:
        """Return what became of the records that this process logged."""
        pipeline = self._own_pipeline()
        counts = Counts() if pipeline is None else pipeline.count()
        return replace(counts, ignored=self._ignored, invalid=counts.invalid + self._invalid)

    def _own_pipeline(self) -> Pipeline | None:
        """The pipeline of this process, None before its first event."""
        pipeline = self._pipeline
        return pipeline if pipeline is not None and pipeline.pid == os.getpid() else None


_NO_PROCESS = -1  # not None, which a record without a process id has
_handlers: weakref.WeakSet[SegmentHandler] = weakref.WeakSet()
_diversion: Diversion | None = None


def divert(diversion: Diversion | None) -> Diversion | None:
    """Lead every handler's messages elsewhere than into its pipeline, None ends it; returns where
    they were led until now."""
    global _diversion
    before, _diversion = _diversion, diversion
    for handler in tuple(_handlers):
        handler._pid = _NO_PROCESS  # so that its next event asks for the way again
    return before


def _after_fork_in_child() -> None:
    leave_parent()
    for handler in tuple(_handlers):
        handler._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
