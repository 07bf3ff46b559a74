"""A command that runs until it is stopped: signals, figures, a liveness file, and metrics."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from types import FrameType
from typing import Any

from .._clock import monotonic
from .._process.bell import Bell
from .._queues.journal.left_behind import left_in, text_of_left
from .._reports import Reporter, counted, report
from .deliverer import Deliverer, Figures
from .metrics import DELIVERER
from .other_keys import other_keys_in
from .other_users import other_users_in
from .other_users import text_of as text_of_users
from .remaining import report_remaining
from .stopping import passed_to
from .waiting import WRONG_KEY
from .watching import LivenessFile, metrics_served, print_line

_LOOK_EVERY = 1.0  # seconds
_FIGURES_EVERY = 60.0  # seconds
STOP_SECONDS = 5.0
"""Seconds until the requests under way are dropped."""

END_SECONDS = 1.0
"""Seconds after that to end the threads, and to count the messages that are left."""

STUCK_AFTER = 300.0
"""Seconds after which a thread counts as stuck. A request takes at most half of that."""


class Service:
    """Runs deliverers until SIGTERM or Ctrl-C.

    Args:
        deliverers: one for each write key of a journal.
        directory: the directory that was given as the journal.
        linger: how many seconds to continue after the signal, while there is something to send.
        as_json: whether figures are printed as JSON.
        is_quiet: whether no figures are printed.
        liveness_path: a file whose time is set while all threads work, or None.
        metrics_port: a port on loopback for Prometheus, or None.
    """

    def __init__(
        self,
        deliverers: Sequence[Deliverer],
        *,
        directory: str,
        linger: float,
        as_json: bool,
        is_quiet: bool,
        liveness_path: str | None,
        metrics_port: int | None,
    ) -> None:
        self._deliverers = deliverers
        self._directory = directory
        self._linger = linger
        self._as_json = as_json
        self._is_quiet = is_quiet
        self._metrics_port = metrics_port
        self._reporter = Reporter()
        self._liveness = LivenessFile(liveness_path, self._reporter)
        self._bell = Bell()
        self._signals = 0
        self._before: dict[str, Figures] = {}
        self._other_keys = 0  # of which messages wait
        self._reported: set[str] = set()  # other write keys, and directories

    def run(self) -> None:
        """Deliver until a signal arrives."""
        _allow_many_files()
        with passed_to(self._on_signal), metrics_served(self._metrics_port, self._metrics):
            path = self._deliverers[0].place.path
            if not os.path.isdir(path):
                advice = "check that the programs use it"
                print_line(f"{path} does not exist, so it is created: {advice}")
            self._look_around()
            for one in self._deliverers:
                one.start()
            print_line(f"delivering from {path} for {counted(len(self._deliverers), 'write key')}")
            self._watch(lambda: self._signals > 0)
            if self._linger:
                until = monotonic() + self._linger
                self._watch(lambda: self._signals > 1 or self._is_done or monotonic() >= until)
            until = monotonic() + STOP_SECONDS
            for one in self._deliverers:
                one.stop(until)
            for one in self._deliverers:
                one.join(until + END_SECONDS / 2)
            self._tell_figures()
            report_remaining(self._deliverers, until + END_SECONDS, wait=self._bell.wait)

    @property
    def _is_done(self) -> bool:
        return all(one.is_done for one in self._deliverers)

    def _watch(self, is_over: Callable[[], bool]) -> None:
        """Do the periodic work until it is over."""
        next_figures = monotonic() + _FIGURES_EVERY
        while not is_over():
            now = monotonic()
            self._set_liveness(now)
            if now >= next_figures:
                next_figures = now + _FIGURES_EVERY
                self._look_around()
                self._tell_figures()
            self._bell.wait(_LOOK_EVERY)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._bell.ring()

    def _metrics(self) -> str:
        samples = [(one.place.key_name, one.figures(self._other_keys)) for one in self._deliverers]
        return DELIVERER.text(samples)

    def _set_liveness(self, now: float) -> None:
        """Set the time of the liveness file, unless a thread seems to be stuck."""
        if all(now - one.tended_at <= STUCK_AFTER for one in self._deliverers):
            self._liveness.touch()

    def _tell_figures(self) -> None:
        """Print the figures since the last time."""
        for one in self._deliverers:
            figures = one.figures(self._other_keys)
            before, self._before[figures.key] = self._before.get(figures.key), figures
            if not self._is_quiet:
                line = json.dumps(asdict(figures)) if self._as_json else text_of(figures, before)
                print_line(line)

    def _look_around(self) -> None:
        """Look for messages that this command does not send."""
        self._look_for_other_keys()
        self._look_for_other_users()
        self._look_for_left_behind()

    def _look_for_other_users(self) -> None:
        """Report each directory of another user once."""
        path = self._deliverers[0].place.path
        with suppress(OSError):
            new = self._unreported(other_users_in(self._directory, path))
            if new:
                report(text_of_users(new, self._directory, path))

    def _look_for_left_behind(self) -> None:
        """Report once each directory in which a change of the journal's mode left messages."""
        place = self._deliverers[0].place
        for path in self._unreported(left_in(place.root, place.trust)):
            report(text_of_left(path, place.root, place.trust))

    def _unreported(self, names: Sequence[str]) -> list[str]:
        """Return the names that are passed for the first time."""
        new = [name for name in names if name not in self._reported]
        self._reported.update(new)
        return new

    def _look_for_other_keys(self) -> None:
        """Count the other write keys with messages in the journal, and report each once."""
        own = {one.place.key_name for one in self._deliverers}
        with suppress(OSError), self._deliverers[0].place.folder() as folder:
            found = other_keys_in(folder, own)
            self._other_keys = len(found)
            new = self._unreported(found)
            if new:
                report(
                    f"the journal has messages of {counted(len(new), 'other write key')} "
                    f"({', '.join(new[:5])}, the beginnings of their SHA-256), which stay there: "
                    "pass all keys with --write-key-file, and restart this command; "
                    f"{WRONG_KEY}"
                )


def text_of(figures: Figures, before: Figures | None) -> str:
    """Return one line with the figures since another time, or since the start."""
    since: dict[str, Any] = asdict(figures)
    if before is not None:
        since = {
            name: value - getattr(before, name) if isinstance(value, int) else value
            for name, value in since.items()
        }
    if not figures.is_delivering and not since["delivered"]:
        if figures.is_standing_by:
            return f"{figures.key}: standing by, because another process delivers"
        # Before the first try, there are no errors.
        text = "not delivering, and perhaps nobody is; stderr has the errors, if any"
        return f"{figures.key}: {text}"
    unread = figures.unreadable
    return (
        f"{figures.key}: {counted(since['delivered'], 'message')} delivered in "
        f"{counted(since['requests'], 'request')}, "
        f"{counted(since['dead_lettered'], 'dead letter')}, {since['retried']} retried, "
        f"{figures.pending} pending, the oldest for {figures.lag_seconds:.1f} s"
        f"{f', {unread} unreadable' if unread else ''}"
    )


def _allow_many_files() -> None:
    """Allow as many open files as this user may have: each file of a batch is open and locked."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415  # not available on Windows

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
