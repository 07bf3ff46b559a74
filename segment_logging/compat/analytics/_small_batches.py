"""Batches of a limited number of messages, as the official SDK's `upload_size` asks for."""

from __future__ import annotations

from collections.abc import Iterator

from ..._client.client import Client
from ..._messages.batch import Batch
from ..._messages.message import Message
from ...errors import DeliveryError, SegmentError


class SmallBatches:
    """Sends a batch as several requests with a limited number of messages each.

    If one of them fails, the error's `delivered` is the number of messages in those before it, so
    that the delivery neither sends them again nor makes dead letters of them.

    Args:
        client: sends the requests.
        size: the most messages in a request.
    """

    def __init__(self, client: Client, size: int) -> None:
        self._client = client
        self._size = max(1, size)
        self._failed: Batch | None = None  # the last request

    @property
    def host(self) -> str | None:
        return getattr(self._client, "host", None)

    def send(self, write_key: str, message: Message) -> None:
        """Send one message or batch, once.

        Raises:
            DeliveryError: a request failed, or the server refused some of the messages.
        """
        if not isinstance(message, Batch) or len(message) <= self._size:
            self._client.send(write_key, message)
            return
        error = self._error_of_attempt(write_key, message)
        # No frame that the error has passed shows the write key and the messages.
        del write_key, message
        if error is not None:
            raise error

    def close(self) -> None:
        self._client.close()

    def _error_of_attempt(self, write_key: str, batch: Batch) -> SegmentError | None:
        """Send once, and return the error, without the frames it came through; None if sent."""
        delivered, refused, partial = 0, dict[str, str](), None
        for small in self._requests_of(batch):
            try:
                self._client.send(write_key, small)
            except DeliveryError as error:
                refused |= error.refused
                if not error.refused or error.delivered:  # otherwise, all of it is settled
                    self._failed = small
                    error.delivered += delivered
                    error.refused = refused
                    return error.with_traceback(None)
                partial = error
            except SegmentError as error:  # nothing was sent, because of what it contains
                if not delivered:
                    return error.with_traceback(None)
                # It is the first request of the next attempt, whose error shows what to do.
                return DeliveryError(str(error), delivered=delivered)
            delivered += len(small)
        if partial is None:
            return None
        partial.refused = refused
        return partial.with_traceback(None)

    def _requests_of(self, batch: Batch) -> Iterator[Batch]:
        failed, self._failed = self._failed, None
        for start in range(0, len(batch), self._size):
            lines = batch.lines[start : start + self._size]
            # The client counts the attempts at a batch by its identity.
            if failed is not None and failed.lines == lines:
                yield failed
            else:
                yield Batch.of_lines(lines)
