"""A client that does not use the network and answers according to a script."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .._client.answers import Fault, fault_of
from .._messages.batch import Batch
from .._messages.calls import Call
from .._messages.message import Message
from .._process.threads import new_rlock
from ..errors import DeliveryError

Answer = int | tuple[int, float] | BaseException | type[BaseException] | None
"""The answer to one request: a status, a status with a Retry-After in seconds, an exception to
raise, or None for status 200."""

Script = Iterable[Answer] | Callable[[Message], Answer]


class FakeClient:
    """A `Client` that does not use the network.

    Args:
        script: the answers in order, one for each request. After the last one, every answer is
            200. It can also be a function that takes the message and returns its answer.

    Attributes:
        requests: every message or batch that was sent, including repeated attempts.
        batches: the batches that were answered with a 2xx status.
        messages: the calls that were answered with a 2xx status, in order. They include calls that
            were sent in batches.
        write_keys: the write key of each request.
        is_closed: whether `close` was called and nothing has been sent since.
    """

    def __init__(self, script: Script = ()) -> None:
        self._answer = script if callable(script) else _answers(script)
        self._lock = new_rlock()
        self.requests: list[Message] = []
        self.batches: list[Batch] = []
        self.messages: list[Call] = []
        self.write_keys: list[str] = []
        self.is_closed = False

    def send(self, write_key: str, message: Message) -> None:
        """Answer according to the script.

        Raises:
            DeliveryError: the scripted status is not 2xx. If the script contains an exception, that
                exception is raised instead.
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
        """Mark the client as closed."""
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
            f"the FakeClient answered {status}, as scripted: change its script to avoid this",
            status=status,
            retry_after=retry_after,
            retryable=fault_of(status) is Fault.NETWORK,
        )
