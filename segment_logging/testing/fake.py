"""A client without a network, which answers as a script says."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .._client.answers import Fault, fault_of
from .._messages.batch import Batch
from .._messages.calls import Call
from .._messages.message import Message
from .._process.threads import new_rlock
from ..errors import DeliveryError

Answer = int | tuple[int, float] | BaseException | type[BaseException] | None
"""What the network answers to one request: a status; a status and the seconds of its Retry-After;
an exception to raise; or None, which means 200."""

Script = Iterable[Answer] | Callable[[Message], Answer]


class FakeClient:
    """A `Client` without a network.

    Args:
        script: the answers, one for each request in turn; when they are used up, every answer is
            200. Or a function that is called with the message sent and returns its answer.

    Attributes:
        requests: every message or batch sent, with repetitions, whatever the answer was.
        batches: the batches that were answered with a 2xx.
        messages: the calls that were answered with a 2xx, alone or in batches, in order.
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
        """Answer as the script says.

        Raises:
            DeliveryError: the script says a status other than 2xx. If the script says to raise an
                exception, that is raised.
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
        """Remember that the client was closed."""
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
            f"the FakeClient answered {status}, as its script says: change the script",
            status=status,
            retry_after=retry_after,
            retryable=fault_of(status) is Fault.NETWORK,
        )
