"""The interface between the handler and a client, and between a client and OAuth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .._messages.message import Message
from .._public import public_in

if TYPE_CHECKING:
    from .answers import Answer

Timeout = float | tuple[float, float] | list[float]
"""Seconds to connect and seconds to wait for an answer, or one number for both."""


@public_in("segment_logging")
@runtime_checkable
class Client(Protocol):
    """Sends one message or batch, once. The handler requires nothing else of a client."""

    def send(self, write_key: str, message: Message) -> None:
        """Send `message`, and return once the server has answered with a 2xx.

        Raises:
            DeliveryError: the message was not delivered. `status`, `retry_after` and `retryable`
                give the details. Any other exception counts as a network fault, and the message
                is sent again.
        """

    def close(self) -> None:
        """Release the client's resources. The next `send` may acquire them again."""


class Tokens(Protocol):
    """Provides the tokens to authenticate with, like `segment_logging.oauth.OAuth`."""

    def token(self, post: Callable[[str, Mapping[str, str]], Answer]) -> str: ...
    def forget(self) -> None: ...
