"""A handler's pipeline in this process, created on demand."""

from __future__ import annotations

import os
import weakref

from .._options.delivery import DeliveryOptions
from .._process.forks import leave_parent
from .._process.threads import new_rlock
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
        self.forget()

    def forget(self) -> None:
        """Reset this object after a fork. A thread of the parent may have held the old lock."""
        self._opening = new_rlock()
        self._pipeline: Pipeline | None = None

    @property
    def has_dead_letters(self) -> bool:
        """Whether messages that can never be delivered are written to a file."""
        return self._options.dead_letters_path is not None

    def get(self) -> Pipeline | None:
        """Return this process's pipeline, or None before the first event."""
        pipeline = self._pipeline
        return pipeline if pipeline is not None and pipeline.pid == os.getpid() else None

    def open(self) -> Pipeline | None:
        """Return this process's pipeline, created if necessary, or None without a write key."""
        if self._write_key is None:
            return None
        pipeline = self.get()
        if pipeline is None:
            # This is done without our lock, because creating a pipeline takes logging's lock, and
            # the thread that holds logging's lock may be waiting for ours.
            pipeline = Pipeline(self._options, self._write_key)
        with self._opening:
            if self._pipeline is not None and self._pipeline.pid != pipeline.pid:
                leave_parent()  # the fork bypassed the interpreter, as in uWSGI
                self._pipeline = None
            if self._pipeline is None:
                self._pipeline = pipeline
                # A handler that is garbage-collected still delivers the messages it accepted.
                weakref.finalize(self, pipeline.close, wait=False).atexit = False
            return self._pipeline
