"""A switch that makes sending an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from .._client.http_client import divert_sending
from .._handlers import drain
from .._messages.batch import Batch
from .._messages.calls import Call
from .._messages.message import Message
from .._process.delivering import is_delivering
from .._reports import counted
from .failures import SHOWN_MESSAGES, title_of
from .layers import Layers

DRAIN_TIMEOUT = 2.0
"""Seconds to wait, before and after a block, for messages on their way. They need milliseconds."""

_WAY_OUT = (
    "capture what the test logs, with SegmentTestCase, capture_segment() or the fixture "
    "segment_events; give the code a FakeClient; or let it send inside allow_sending()"
)

_layers: Layers[Callable[[Message], None]] = Layers(divert_sending)


class SendingForbidden(AssertionError):
    """Something would have been sent to Segment inside `forbid_sending()`, and was not."""


@contextmanager
def forbid_sending() -> Iterator[None]:
    """Make it an error to send anything through an `HttpClient` inside a `with` block.

    A client that the code calls itself raises at once. A handler sends on a thread of its own,
    where nobody would see the error. So the end of the block waits until the handler's messages
    have got as far as the client, and then raises an error that lists them. Nothing is sent, even
    if the code catches the errors. Messages that are captured, or that go to a `FakeClient`, never
    get to an HttpClient.

    Messages that were logged before the block are not held against it: the block waits for them
    before it begins, for two seconds at most.

    Only this process is affected. Blocks may be nested: the innermost one raises.

    Raises:
        SendingForbidden: something would have been sent. This is an AssertionError.
    """
    forbidden: list[Call] = []

    def refuse(message: Message) -> None:
        __tracebackhide__ = True
        calls = message.batch if isinstance(message, Batch) else [message]
        new = [call for call in calls if isinstance(call, Call) and call not in forbidden]
        forbidden.extend(new)  # each call once: it may come again, as another attempt
        if not is_delivering():
            raise SendingForbidden(_text(forbidden))

    drain(DRAIN_TIMEOUT)
    with _layers.add(refuse):
        try:
            yield
        finally:
            drain(DRAIN_TIMEOUT)
    if forbidden:
        raise SendingForbidden(_text(forbidden))


@contextmanager
def allow_sending() -> Iterator[None]:
    """Let messages be sent inside a `with` block, even if the block is inside `forbid_sending()`.

    A handler sends its messages later, so drain the handler before the block ends.
    """
    with _layers.add(None):
        yield


def _text(calls: Sequence[Call]) -> str:
    what = counted(len(calls), "message")
    lines = [f"{what} would have been sent to Segment inside forbid_sending():"]
    lines.extend(f"  {title_of(call)}" for call in calls[:SHOWN_MESSAGES])
    if len(calls) > SHOWN_MESSAGES:
        lines.append(f"  and {len(calls) - SHOWN_MESSAGES} more")
    return "\n".join([*lines, _WAY_OUT])
