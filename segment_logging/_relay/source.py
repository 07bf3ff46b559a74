"""Delivery of the messages of one Segment source, with a thread of its own.

The queue and the thread exist for as long as the connection to the broker. What was not settled
when the connection ended is delivered again, perhaps to another relay.
"""

from __future__ import annotations

from .._client.client import Client
from .._delivery.attempts import Delivery
from .._delivery.listener import Listener
from .._delivery.outcomes import Tally
from .._delivery.retries import RetryPolicy
from .._process.life import Life
from .._process.lifecycle import Action, Event
from .bundle import ReceivedBundle
from .bundle_queue import BundleQueue
from .dead_queue import QueuedLetters

FLUSH_INTERVAL = 0.25
"""Seconds that bundles wait for others to fill a batch."""


class Source:
    """Sends received bundles to Segment, in full batches where possible.

    Args:
        write_key: the source's write key.
        queue: holds the bundles.
        client: sends batches. It is used by this source only.
        policy: the number of attempts, and the time between them.
        letters: stores messages that can never be delivered.
    """

    def __init__(
        self,
        write_key: str,
        *,
        queue: BundleQueue,
        client: Client,
        policy: RetryPolicy,
        letters: QueuedLetters,
    ) -> None:
        self._queue = queue
        self._letters = letters
        self._life = Life()
        self._delivery = Delivery(
            client,
            write_key,
            policy=policy,
            kept_in=queue.kept_in,
            dead_letters=letters,
            letters_name=f"the queue {letters.queue}",
        )
        self._listener = Listener(
            queue,
            self._delivery,
            self._life,
            ring=self._on_bundle,
            flush_interval=FLUSH_INTERVAL,
            chores=self._do_chores,
        )

    def receive(self, tag: int, lines: list[bytes]) -> None:
        """Queue the messages of a bundle. Starts the thread if necessary."""
        self._queue.add(ReceivedBundle(tag, lines, self._queue.on_settled))

    def _on_bundle(self) -> None:
        match self._life.on(Event.MESSAGE):
            case Action.START:
                self._listener.start()
            case Action.WAKE:
                self._listener.wake()

    def _do_chores(self, now: float) -> float | None:
        moments = (self._queue.tend(now), self._delivery.catch_up())
        return min((moment for moment in moments if moment is not None), default=None)

    def stop(self, deadline: float) -> None:
        """Let the running request end, but start no other. Does not wait.

        Args:
            deadline: the monotonic time at which the request is broken off.
        """
        self._queue.close()
        self._life.on(Event.EXIT, deadline=deadline)
        self._listener.wake()

    def close(self) -> None:
        """Report what was not reported yet, and close the connections."""
        self._delivery.sum_up()
        if not self.is_running:
            self._delivery.close()

    @property
    def is_running(self) -> bool:
        """Whether the thread is running."""
        return self._listener.is_running

    @property
    def asked_to_wait_until(self) -> float:
        """When the Retry-After that the thread waits for ends; -inf if it waits for none."""
        return self._listener.asked_to_wait_until

    @property
    def tally(self) -> Tally:
        """The totals of its messages."""
        return self._delivery.tally

    @property
    def received(self) -> int:
        """How many messages it has received."""
        return self._queue.received

    @property
    def dead_lettered(self) -> int:
        """How many messages were stored as dead letters."""
        return self._letters.stored
