"""The seam to the network: what the handler needs of a client, and what a client needs of OAuth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from .._messages.message import Message
from .._public import public_in
from .answers import Answer


@public_in("segment_logging")
@runtime_checkable
class Client(Protocol):
    """Sends one message or batch, once. The handler needs nothing else of a client."""

    def send(self, write_key: str, message: Message) -> None:
        """Send `message`, and return once it was answered with a 2xx.

        Raises:
            DeliveryError: it was not; `status`, `retry_after` and `retryable` say more. Any other
                exception counts as a network fault, and the message is sent again.
        """

    def close(self) -> None:
        """Release what the client holds; the next `send` may open it again."""


class Tokens(Protocol):
    """Provides the tokens to authenticate with: `segment_logging.oauth.OAuth`."""

    def token(self, post: Callable[[str, Mapping[str, str]], Answer]) -> str: ...
    def forget(self) -> None: ...
