"""Tests that the clients for HTTP and for tests keep the contract."""

from __future__ import annotations

import unittest
from typing import Any

from typing_extensions import override

from segment_logging import Client, HttpClient
from segment_logging.testing import FakeClient
from tests.client.contract import ClientContract, ServerContract
from tests.servers import ScriptedServer, dead_host


class TestHttpClient(ServerContract, unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.server = self.enterContext(ScriptedServer())
        self._seen = 0

    @override
    def a_client(self) -> Client:
        return HttpClient(self.server.host)

    @override
    def a_client_without_server(self) -> Client:
        return HttpClient(dead_host())

    @override
    def arrived(self) -> list[Any]:
        requests = self.server.requests[self._seen :]
        self._seen += len(requests)
        bodies = [request.json for request in requests]
        return [call for body in bodies for call in body.get("batch", [body])]


class TestFakeClient(ClientContract, unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.client = FakeClient()

    @override
    def a_client(self) -> Client:
        return self.client

    @override
    def arrived(self) -> list[Any]:
        return [message.to_dict() for message in self.client.messages]
