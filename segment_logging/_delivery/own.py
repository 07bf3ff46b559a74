"""A handler's pipeline in this process, created on demand."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from .._client import diverted
from .._client.request_headers import without_effect
from .._options.delivery import DeliveryOptions
from .._process.forks import leave_parent
from .._process.threads import new_rlock
from .._reports import report
from .unsent import Unsent

if TYPE_CHECKING:
    from .hand_over import HandOver
    from .pipeline import Pipeline


class OwnPipeline:
    """Creates a handler's pipeline, once in each process.

    Args:
        options: the handler's options.
        write_key: the Segment source's write key. If None, nothing is sent.
    """

    def __init__(self, options: DeliveryOptions, write_key: str | None) -> None:
        self._options = options
        self._write_key = write_key
        # Only one of them is imported, because a process that does not deliver needs no network.
        self._new: Callable[[DeliveryOptions, str], Pipeline | HandOver]
        if options.deliver:
            from .pipeline import Pipeline  # noqa: PLC0415

            self._new = Pipeline
        else:
            from .hand_over import HandOver  # noqa: PLC0415

            self._new = HandOver
        self.forget()

    def forget(self) -> None:
        """Reset this object after a fork. A thread of the parent may have held the old lock."""
        self._opening = new_rlock()
        self._pipeline: Pipeline | HandOver | None = None

    @property
    def has_dead_letters(self) -> bool:
        """Whether messages that can never be delivered are written to a file."""
        return self._options.dead_letters_path is not None

    def get(self) -> Pipeline | HandOver | None:
        """Return this process's pipeline, or None before the first event."""
        pipeline = self._pipeline
        return pipeline if pipeline is not None and pipeline.pid == os.getpid() else None

    def open(self) -> Pipeline | HandOver | Unsent | None:
        """Return this process's pipeline, created if necessary, or None without a write key.

        A test that forbids sending must not depend on a write key. Without one, it gets what would
        have been sent.
        """
        if self._write_key is None:
            would_send = self._options.deliver and self._options.client is None
            return Unsent() if diverted.instead is not None and would_send else None
        pipeline = self.get()
        if pipeline is None:
            # This is done without our lock, because creating a pipeline takes logging's lock, and
            # the thread that holds logging's lock may be waiting for ours.
            pipeline = self._new(self._options, self._write_key)
        with self._opening:
            if self._pipeline is not None and self._pipeline.pid != pipeline.pid:
                leave_parent()  # the fork bypassed the interpreter, as in uWSGI
                self._pipeline = None
            if self._pipeline is None:
                self._pipeline = pipeline
                # A handler that is garbage-collected still delivers the messages it accepted.
                weakref.finalize(self, pipeline.close, wait=False).atexit = False
            return self._pipeline


def report_doubts(options: DeliveryOptions, write_key: str | None) -> None:
    """Report what a handler with these options will not do, although its user may expect it."""
    if write_key is None:
        report("no write key, so nothing is sent: pass write_key or set SEGMENT_WRITE_KEY")
    elif not options.deliver and (ignored := options.ignored_here):
        report(
            f"{', '.join(ignored)} {'has' if len(ignored) == 1 else 'have'} no effect with "
            "deliver=False: pass such options to the command or the handler that sends the journal"
        )
    elif names := without_effect(options.headers or {}):
        report(f"headers cannot replace {', '.join(names)}: omit what the package sets itself")
