"""Sending a batch once, and what becomes of batches that are not sent again.

`_client.answers` decides what an answer means, and `retries` decides how long to wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import SystemRandom

from .._client.client import Client
from .._clock import monotonic
from .._messages.batch import Batch
from .._options.delivery import OnError
from .._reports import Reporter, counted, were, where
from ..errors import Cause, DeliveryError, InvalidMessage, SegmentError
from .abandoned import Abandoned, Letters
from .blame import was_not_made
from .outcomes import Tally, TryAgain
from .retries import Progress, RetryPolicy

_random = SystemRandom().random  # leaves the program's own random numbers alone

_NOT_TRIED = DeliveryError("no time was left for a request", cause=Cause.NO_TIME)

_ATTEMPTS_BEFORE_A_WORD = 4  # reached after about 1.5 s; a brief hiccup is over by then


class Sending:
    """Sends batches through a client, and keeps the totals.

    Args:
        client: sends one batch, once.
        write_key: the Segment source's write key.
        policy: the number of attempts, and the time between them.
        random: returns a number from 0 to 1, for the jitter.
        kept_in: where messages that cannot be delivered now are kept for later, for reports. None
            means that they become dead letters.
        set_aside_in: where the files of batches are moved whose dead letters cannot be written, for
            reports. None means `kept_in`.
        dead_letters: stores messages that are given up. If None, they are only counted.
        letters_name: what it stores them in, for reports.
        on_error: called with messages that are given up, if not None.
        clock: returns the monotonic time in seconds.
    """

    def __init__(
        self,
        client: Client,
        write_key: str,
        *,
        policy: RetryPolicy,
        random: Callable[[], float] = _random,
        kept_in: str | None = None,
        set_aside_in: str | None = None,
        dead_letters: Letters | None = None,
        letters_name: str = "the dead letters",
        on_error: OnError | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._client = client
        self._write_key = write_key
        self._policy = policy
        self._random = random
        self._kept_in = kept_in
        self._set_aside_in = set_aside_in or kept_in
        self._has_letters = dead_letters is not None
        self._letters_name = letters_name
        self._reporter = Reporter(clock=clock)
        self.abandoned = Abandoned(dead_letters, on_error, self._reporter)
        """Stores messages that are given up."""
        self.tally = Tally()
        """The totals for all messages. Replaced as a whole, so any thread may read it."""
        self.trouble: SegmentError | None = _NOT_TRIED
        """The reason why the remaining messages are not delivered: the last attempt's error.

        If the last attempt succeeded, or there was none, this is an error that says that no time
        was left. Attempts at these messages may have failed before that. During an attempt that
        does not follow a failed one, it is None.
        """

    def close(self) -> None:
        """Close the client's connections. The next attempt opens them again. Never raises."""
        try:
            self._client.close()
        except Exception as error:
            what = f"client.close failed ({type(error).__name__} in {where(error)}): fix it"
            self._reporter.once("close", what)

    def sum_up(self) -> None:
        """Report what was not reported yet, because there is no later chance."""
        self._reporter.catch_up(at_last=True)

    def catch_up(self) -> float | None:
        """Report what was not reported yet. Return when to call this again, if at all."""
        return self._reporter.catch_up()

    def send(self, batch: Batch) -> SegmentError | None:
        """Send a batch once. Return the error if that failed, or None if it succeeded."""
        before = self.trouble
        if before is _NOT_TRIED:
            self.trouble = None
        try:
            self._client.send(self._write_key, batch)
        except (DeliveryError, InvalidMessage) as error:
            if was_not_made(error):  # the last attempt's error is the reason, if there was one
                self.trouble = _NOT_TRIED if getattr(error, "delivered", 0) else before
                return error
            self.trouble = error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the user's own client may raise anything
            self.trouble = DeliveryError(
                f"client failed ({type(error).__name__} in {where(error)}): fix its `send`, "
                "or have it raise DeliveryError"
            )
            self.trouble.__cause__ = error
        else:
            self.trouble = _NOT_TRIED
            for kind in ("trying", "kept"):
                self._reporter.over(kind)
            return None
        return self.trouble

    def wait_after(self, error: SegmentError, progress: Progress) -> TryAgain | None:
        """Return how long to wait before another attempt, or None if there will be none."""
        if progress.counted == _ATTEMPTS_BEFORE_A_WORD:
            self._reporter.once("trying", f"{error}; trying again while messages wait")
        seconds = self._policy.wait_before(progress, random=self._random())
        if seconds is None:
            return None
        return TryAgain(seconds=seconds, is_asked=progress.retry_after is not None)

    def keep(self, error: SegmentError) -> bool:
        """Return whether a batch that cannot be delivered now is kept, and report it if so."""
        if self._kept_in is not None:
            self._reporter.once("kept", f"{error}; messages are waiting in {self._kept_in}")
        return self._kept_in is not None

    def give_up(self, batch: Batch, error: SegmentError) -> bool:
        """Turn a batch into dead letters. Return whether to set it aside instead.

        A batch is set aside if the queue keeps messages and its dead letters cannot be written.
        """
        is_stored = self.abandoned.store_lines(batch.lines, error)
        if self._has_letters and is_stored:
            outcome = f"written to {self._letters_name}"
        elif self._has_letters:
            outcome = f"set aside in {self._set_aside_in}" if self._kept_in else "abandoned"
        else:
            outcome = "abandoned: set dead_letters or a journal to keep such messages"
        self._reporter.each(
            "given up",
            len(batch),
            lambda count: f"{error}; {counted(count, 'message')} {were(count)} {outcome}",
        )
        self.abandoned.tell(batch.lines, error)
        return self._kept_in is not None and not is_stored

    def count(self, **more: int) -> None:
        """Add numbers to the tally."""
        self.tally = replace(
            self.tally, **{name: getattr(self.tally, name) + added for name, added in more.items()}
        )
