"""Makes it an error to send anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from .._client.diverted import divert_sending
from .._handlers import drain_all
from .._messages.batch import Batch
from .._messages.calls import Call
from .._messages.message import Message
from .._process.delivering import is_delivering
from .._reports import counted
from .failures import SHOWN_MESSAGES, title_of
from .layers import Layers

DRAIN_TIMEOUT = 2.0
"""How many seconds to wait for pending messages before and after a block. They usually take a few
milliseconds."""

_WAY_OUT = (
    "capture the test's events with SegmentTestCase, capture_segment() or the segment_events "
    "fixture, before anything logs some; pass a FakeClient to the code; or wrap it in "
    "allow_sending()"
)

_layers: Layers[Callable[[Message], None]] = Layers(divert_sending)


class SendingForbidden(AssertionError):
    """Raised when code tries to send to Segment inside `forbid_sending()`. Nothing was sent."""


@contextmanager
def forbid_sending() -> Iterator[None]:
    """Make it an error to send anything to Segment or to a broker inside a `with` block.

    If the code calls a client directly, the client raises immediately. A handler sends in a
    background thread, where an exception would go unnoticed. Leaving the block therefore waits
    until the handlers' messages have reached the client, and then raises an error that lists them.
    Nothing is sent, even if the code catches the errors. A handler without a write key is treated
    as if it had one, so a test fails in CI as it does elsewhere. Messages that are captured or that
    go to a `FakeClient` are allowed, because they never reach an HttpClient.

    Messages that were logged before the block do not count. The block waits up to two seconds for
    them to be sent before it begins.

    Only this process is checked. A child that is forked in the block also sends nothing, but what
    it logs does not raise an error at the end of the block. A child that is started in another way,
    such as with "spawn", does send. Parallel test runs need a block around each test, in the child.

    Blocks can be nested, and the innermost block raises.

    Raises:
        SendingForbidden: something would have been sent. This is an AssertionError.
    """
    forbidden: list[Call] = []

    def refuse(message: Message) -> None:
        __tracebackhide__ = True
        calls = message.batch if isinstance(message, Batch) else [message]
        new = [call for call in calls if isinstance(call, Call) and call not in forbidden]
        forbidden.extend(new)  # list each call only once, even if it is attempted again
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
    """Allow sending inside a `with` block, even within `forbid_sending()`.

    Handlers send in the background, so drain the handler before the block ends.
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
