"""Ctrl-C and SIGTERM in a command: where they may interrupt it, and its exit code then."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Stopped(KeyboardInterrupt):
    """A signal has stopped the command.

    It is a KeyboardInterrupt, which no code in between takes for an error.

    Attributes:
        exit_code: 128 plus the number of the signal, as shells expect.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


class Signals:
    """Raises Stopped in the main thread, but not in the middle of an uninterrupted block."""

    def __init__(self) -> None:
        self._is_held = False
        self._pending: int | None = None

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._is_held:
            self._pending = number
        else:
            raise Stopped(number)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Raise Stopped in the block if Ctrl-C is pressed or SIGTERM arrives."""
        with passed_to(self._arrived, even_if_ignored=False):
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block end before Stopped is raised, because it must not be done by halves."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            if self._pending is not None:
                number, self._pending = self._pending, None
                raise Stopped(number)


@contextmanager
def passed_to(
    handler: Callable[[int, FrameType | None], object], *, even_if_ignored: bool = True
) -> Iterator[None]:
    """Call a function in the block if Ctrl-C is pressed or SIGTERM arrives.

    Args:
        handler: called in the main thread with the number of the signal.
        even_if_ignored: whether a signal is caught that the process ignores, as after `nohup`.
    """
    before: list[tuple[signal.Signals, Any]] = []
    try:
        for caught in (signal.SIGINT, signal.SIGTERM):
            if even_if_ignored or signal.getsignal(caught) != signal.SIG_IGN:
                before.append((caught, signal.signal(caught, handler)))
    except ValueError:  # another thread than the main one, which gets no signals
        pass
    try:
        yield
    finally:
        for caught, previous in before:
            signal.signal(caught, signal.SIG_DFL if previous is None else previous)
