"""Batches of a limited number of messages, as the official SDK's `upload_size` asks for."""

from __future__ import annotations

from ..._client.client import Client
from ..._messages.batch import Batch
from ..._messages.message import Message


class SmallBatches:
    """Sends a batch as several requests with a limited number of messages each.

    If one of them fails, the next attempt continues there, so that no message is sent twice.

    Args:
        client: sends the requests.
        size: the most messages in a request.
    """

    def __init__(self, client: Client, size: int) -> None:
        self._client = client
        self._size = max(1, size)
        self._unfinished: tuple[Message, list[Batch]] | None = None

    @property
    def host(self) -> str | None:
        return getattr(self._client, "host", None)

    def send(self, write_key: str, message: Message) -> None:
        if not isinstance(message, Batch) or len(message) <= self._size:
            self._client.send(write_key, message)
            return
        if self._unfinished is not None and self._unfinished[0] is message:
            left = self._unfinished[1]
        else:
            lines, size = message.lines, self._size
            left = [
                Batch.of_lines(lines[start : start + size]) for start in range(0, len(lines), size)
            ]
            self._unfinished = (message, left)
        while left:
            self._client.send(write_key, left[0])
            del left[0]
        self._unfinished = None

    def close(self) -> None:
        self._client.close()
