"""The pipeline of a handler in this process: made when it is needed, and never a parent's."""

from __future__ import annotations

import os
import weakref

from .._options.delivery import DeliveryOptions
from .._process.forks import leave_parent
from .._process.threads import new_rlock
from .pipeline import Pipeline


class OwnPipeline:
    """Makes a handler's pipeline, once in each process.

    Args:
        options: the handler's options.
        write_key: of the Segment source; None if nothing is to be sent.
    """

    def __init__(self, options: DeliveryOptions, write_key: str | None) -> None:
        self._options = options
        self._write_key = write_key
        self.forget()

    def forget(self) -> None:
        """Be as if new, as after a fork: a lock may be held by a thread of the parent."""
        self._opening = new_rlock()
        self._pipeline: Pipeline | None = None

    @property
    def has_dead_letters(self) -> bool:
        """Whether what can never be delivered is written down."""
        return self._options.dead_letters_path is not None

    def get(self) -> Pipeline | None:
        """Return the pipeline of this process, None before its first event."""
        pipeline = self._pipeline
        return pipeline if pipeline is not None and pipeline.pid == os.getpid() else None

    def open(self) -> Pipeline | None:
        """Return the pipeline of this process, None without a write key."""
        if self._write_key is None:
            return None
        pipeline = self.get()
        if pipeline is None:
            # Without the lock: making one takes logging's lock, whose holder may want ours.
            pipeline = Pipeline(self._options, self._write_key)
        with self._opening:
            if self._pipeline is not None and self._pipeline.pid != pipeline.pid:
                leave_parent()  # the interpreter was not told of this fork: it is uWSGI's
                self._pipeline = None
            if self._pipeline is None:
                self._pipeline = pipeline
                # A handler that nobody keeps any more still delivers what it accepted.
                weakref.finalize(self, pipeline.close, wait=False).atexit = False
            return self._pipeline
