"""Is it the batch or the network? Finding out when a batch has used up its attempts.

If another batch is delivered meanwhile, the first one fails because of what it contains. It moves
behind all others and is halved until the guilty message stands alone. If the other batch fails too,
nothing is moved or halved.
"""

from __future__ import annotations

from collections.abc import Callable

from .._queues.message_queue import MessageQueue
from .attempts import Attempts, Delivery
from .outcomes import Answered, Halved, Outcome, SetBack


def outcome_of_stuck(
    delivery: Delivery,
    queue: MessageQueue,
    acknowledge: Callable[[Answered], None],
    stuck: Attempts,
) -> Outcome:
    """Try the next batch once, or the halves of the stuck one if it is alone.

    Args:
        delivery: makes the attempt.
        queue: the queue that the stuck batch was taken from.
        acknowledge: called with the answer if the next batch is delivered.
        stuck: the attempts that are used up, at the batch that was taken last.

    Returns:
        SetBack if the stuck batch is to blame. Halved if its halves must be tried. Otherwise the
        outcome of an outage.
    """
    if queue.is_empty:
        return Halved() if stuck.split() else stuck.give_in()
    queue.hold()
    batch = queue.take()
    if batch is not None:
        delivered = delivery.tally.batches
        others = delivery.attempts_at(batch)
        outcome = others.make()
        if isinstance(outcome, Answered):  # delivered, refused by the server, or some of each
            acknowledge(outcome)
        if not others.are_over:
            delivery.resume_later(others)
        if delivery.tally.batches > delivered:
            stuck.suspect()
            return SetBack()
    queue.put_back()
    queue.take()  # the batch that was held
    return stuck.give_in()
