"""For tests, the project's own and yours: a client without a network, and captured events.

with capture_segment() as captured:
    sign_up("u-17")
assert captured.messages[0].event == "Signup"
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import overload

from typing_extensions import override

from .batch import Batch
from .encoding import decode
from .errors import DeliveryError
from .handler import SegmentHandler, divert
from .messages import Call, Message
from .outcomes import Fault, fault_of

Answer = int | tuple[int, float] | BaseException | type[BaseException] | None
"""What the network answers one request: a status; a status and the seconds of its Retry-After;
an exception to raise; None for 200."""

Script = Iterable[Answer] | Callable[[Message], Answer]


class FakeClient:
    """A `Client` without a network.

    Args:
        script: the answers, one for each request in turn and 200 when they are used up; or a
            function from the message sent to its answer.

    Attributes:
        requests: everything sent, with its repetitions, whatever was answered.
        batches: the batches that were answered with a 2xx.
        messages: the calls that were, alone or in batches, in order.
        write_keys: the write key of each request.
        is_closed: whether `close` was the last thing called.
    """

    def __init__(self, script: Script = ()) -> None:
        self._answer = script if callable(script) else _answers(script)
        self._lock = RLock()
        self.requests: list[Message] = []
        self.batches: list[Batch] = []
        self.messages: list[Call] = []
        self.write_keys: list[str] = []
        self.is_closed = False

    def send(self, write_key: str, message: Message) -> None:
        """Answer as the script says.

        Raises:
            DeliveryError: the script says another status than 2xx; or what it says to raise.
        """
        self.is_closed = False
        with self._lock:
            self.requests.append(message)
            self.write_keys.append(write_key)
            answer = self._answer(message)
        _raise_unless_taken(answer)
        with self._lock:
            if isinstance(message, Batch):
                self.batches.append(message)
                self.messages.extend(message.batch)
            elif isinstance(message, Call):
                self.messages.append(message)

    def close(self) -> None:
        """Remember that it was called."""
        self.is_closed = True


def _answers(script: Iterable[Answer]) -> Callable[[Message], Answer]:
    answers = iter(script)
    return lambda message: next(answers, None)


def _raise_unless_taken(answer: Answer) -> None:
    match answer:
        case None:
            return
        case int():
            status, retry_after = answer, None
        case (status, retry_after):
            pass
        case _:
            raise answer
    if not 200 <= status < 300:
        raise DeliveryError(
            f"the fake answered {status}: change its script",
            status=status,
            retry_after=retry_after,
            retryable=fault_of(status) is Fault.NETWORK,
        )


class Captured(Sequence[Call]):
    """What was captured, as a sequence of messages in the order they were logged.

    Attributes:
        messages: the calls.
        invalid: why events were refused that Segment would have dropped.
    """

    def __init__(self) -> None:
        self.messages: list[Call] = []
        self.invalid: list[BaseException] = []
        self._seen: weakref.WeakSet[logging.LogRecord] = weakref.WeakSet()
        self._refused: weakref.WeakSet[logging.LogRecord] = weakref.WeakSet()

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> list[Call]: ...
    @override
    def __getitem__(self, index: int | slice) -> Call | list[Call]:
        return self.messages[index]

    @override
    def __len__(self) -> int:
        return len(self.messages)

    def take(self, record: logging.LogRecord) -> Callable[[bytes], None]:
        """Return what takes the record's message: once, however many handlers it comes past."""
        is_new = record not in self._seen
        self._seen.add(record)
        return self._keep if is_new else lambda line: None

    def _keep(self, line: bytes) -> None:
        self.messages.append(Call.read(decode(line)))

    def reject(self, record: logging.LogRecord, error: BaseException) -> None:
        """Keep why an event was refused: once, however many handlers it comes past."""
        if record not in self._refused:
            self._refused.add(record)
            self.invalid.append(error)


@contextmanager
def capture_segment(
    logger: str | None = None, *, level: int | str = logging.INFO, allow_invalid: bool = False
) -> Iterator[Captured]:
    """Capture what is logged to Segment inside a `with` block; nothing is sent.

    Works with the program's own handlers, whose options then hold, and without any: what reaches
    the logger is read as a SegmentHandler with default options reads it. Messages are captured in
    the caller's thread, at once: there is nothing to flush or to wait for.

    Args:
        logger: the logger to capture from; None for all.
        level: from which on; the logger's own level is lowered to it meanwhile.
        allow_invalid: do not raise at the end when an event was refused.

    Raises:
        InvalidMessage: an event was logged that Segment would drop; at the end of the block.
    """
    captured = Captured()
    target = logging.getLogger(logger)
    handler = SegmentHandler("captured", client=FakeClient())
    before = target.level
    target.addHandler(handler)
    target.setLevel(level)
    if before != logging.NOTSET:
        target.setLevel(min(before, target.level))
    outer = divert(captured)
    try:
        yield captured
    finally:
        divert(outer)
        target.setLevel(before)
        target.removeHandler(handler)
        handler.close()
    if captured.invalid and not allow_invalid:
        raise captured.invalid[0]
