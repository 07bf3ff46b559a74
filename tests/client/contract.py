"""The contract that every client keeps with the delivery."""

from __future__ import annotations

import os
import unittest
from typing import TYPE_CHECKING, Any

from segment_logging import Batch, Client, DeliveryError
from segment_logging._messages.encoding import encode
from tests.builders import a_track

KEY = "s3cr3t-write-key"

if TYPE_CHECKING:
    _Mixin = unittest.TestCase
else:
    _Mixin = object


class ClientContract(_Mixin):
    """The contract that every client keeps with the delivery."""

    def a_client(self) -> Client:
        """Return a client that can deliver."""
        raise NotImplementedError

    def arrived(self) -> list[Any]:
        """Return the calls that have arrived since the last time, in wire form."""
        raise NotImplementedError

    def events_that_arrived(self) -> list[str]:
        return [call["event"] for call in self.arrived()]

    def test_is_a_client(self) -> None:
        """It has the methods of a client."""
        self.assertIsInstance(self.a_client(), Client)

    def test_batch(self) -> None:
        """When `send` returns, all messages of a batch have arrived, in order and unchanged."""
        calls = [a_track(f"Event {number}", message_id=f"m-{number}") for number in range(2_000)]
        batch = Batch.of_lines([encode(call.to_dict()) for call in calls])
        client = self.a_client()
        client.send(KEY, batch)
        client.close()
        found = self.arrived()
        self.assertEqual([call["event"] for call in found], [call.event for call in calls])
        self.assertEqual([call["messageId"] for call in found], [call.message_id for call in calls])

    def test_call(self) -> None:
        """A single call arrives."""
        client = self.a_client()
        client.send(KEY, a_track("Signup", message_id="m-1"))
        client.close()
        (call,) = self.arrived()
        self.assertEqual(
            (call["event"], call["userId"], call["messageId"]), ("Signup", "u-17", "m-1")
        )

    def test_after_close(self) -> None:
        """A client that was closed, even twice, opens again with the next message."""
        client = self.a_client()
        client.close()
        for event in ("First", "Second"):
            client.send(KEY, a_track(event))
            client.close()
            client.close()
        self.assertEqual(self.events_that_arrived(), ["First", "Second"])


class ServerContract(ClientContract):
    """The contract of clients that send to another process."""

    def a_client_without_server(self) -> Client:
        """Return a client whose server is down."""
        raise NotImplementedError

    def test_no_server(self) -> None:
        """If the server is down, the error says that another attempt may help, and no secrets."""
        client = self.a_client_without_server()
        for _ in range(2):
            with self.assertRaises(DeliveryError) as caught:
                client.send(KEY, Batch([a_track("Secret Event")]))
            self.assertTrue(caught.exception.retryable)
            self.assertIsNone(caught.exception.status)
            for secret in (KEY, "Secret Event", "u-17"):
                self.assertNotIn(secret, f"{caught.exception!r}")
        client.close()

    def test_forked_child(self) -> None:
        """A forked child can use a client that its parent has used, and so can the parent."""
        client = self.a_client()
        self.addCleanup(client.close)
        client.send(KEY, a_track("Before"))
        child = os.fork()
        if not child:
            status = 1
            try:
                client.send(KEY, a_track("Child"))
                client.close()
                del client
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        client.send(KEY, a_track("After"))
        client.close()
        self.assertEqual(self.events_that_arrived(), ["Before", "Child", "After"])
