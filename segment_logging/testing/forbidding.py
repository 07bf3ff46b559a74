"""A switch that makes sending an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from .._client.http_client import divert_sending
from .._messages.batch import Batch
from .._messages.calls import Call
from .._messages.message import Message
from .._process.delivering import is_delivering
from .._process.shutdown import drain_all
from .failures import SHOWN_MESSAGES, title_of
from .layers import Layers

DRAIN_TIMEOUT = 2.0
"""Seconds to wait, around a block, for messages on their way: they need milliseconds."""

_WAY_OUT = (
    "capture what the test logs, by SegmentTestCase, capture_segment() or the fixture "
    "segment_events; give the code a FakeClient; or let it send inside allow_sending()"
)

_layers: Layers[Callable[[Message], None]] = Layers(divert_sending)


class SendingForbidden(AssertionError):
    """Something was to be sent to Segment inside `forbid_sending()`; it was not."""


@contextmanager
def forbid_sending() -> Iterator[None]:
    """Make it an error that anything is sent by an `HttpClient` inside a `with` block.

    A client that the code calls itself raises at once. A handler sends on a thread of its own,
    where nobody would see that: the block ends when its messages have come as far as the client,
    and then raises, with what they are. None is sent, whoever catches the errors. Captured
    messages and those for a `FakeClient` come to no HttpClient.

    What was logged before the block is not the block's: it is waited for, for two seconds at most.

    Of this process only. Blocks may nest: the innermost raises.

    Raises:
        SendingForbidden: something was to be sent; an AssertionError.
    """
    forbidden: list[Call] = []

    def refuse(message: Message) -> None:
        __tracebackhide__ = True
        calls = message.batch if isinstance(message, Batch) else [message]
        new = [call for call in calls if isinstance(call, Call) and call not in forbidden]
        forbidden.extend(new)  # some clients try again
        if not is_delivering():
            raise SendingForbidden(_text(forbidden))

    drain_all(DRAIN_TIMEOUT)
    with _layers.add(refuse):
        try:
            yield
        finally:
            drain_all(DRAIN_TIMEOUT)
    if forbidden:
        raise SendingForbidden(_text(forbidden))


@contextmanager
def allow_sending() -> Iterator[None]:
    """Let messages be sent inside a `with` block, although they must not be around it.

    A handler's message is sent later: drain the handler before the block ends.
    """
    with _layers.add(None):
        yield


def _text(calls: Sequence[Call]) -> str:
    what = "a message was" if len(calls) == 1 else f"{len(calls)} messages were"
    lines = [f"{what} to be sent to Segment inside forbid_sending():"]
    lines.extend(f"  {title_of(call)}" for call in calls[:SHOWN_MESSAGES])
    if len(calls) > SHOWN_MESSAGES:
        lines.append(f"  and {len(calls) - SHOWN_MESSAGES} more")
    return "\n".join([*lines, _WAY_OUT])
