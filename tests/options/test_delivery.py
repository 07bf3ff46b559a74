"""Tests for the delivery options. Invalid ones fail when the handler is created."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from segment_logging import ConfigurationError, HttpClient, SegmentHandler
from segment_logging._options.delivery import DeliveryOptions, write_key_of
from segment_logging.testing import FakeClient
from tests.builders import delivery_options, each
from tests.options.cases import OptionCase


class TestDeliveryOptions(OptionCase):
    def test_choices(self) -> None:
        """A value that is not one of the choices is refused."""
        self.refused("overflow", "raise", None, {})
        self.refused("journal_sync", "always", True, 0.5)

    def test_switches(self) -> None:
        """A switch must be a bool. Other truthy or falsy values are refused."""
        self.refused("gzip", 1, "yes", None)

    def test_hooks(self) -> None:
        """A hook must be callable. Its name as text, which YAML may contain, is refused."""
        self.refused("on_error", "package.function", 7)

    def test_proxies(self) -> None:
        """Proxies must be an object that can be written as JSON."""
        self.refused("proxies", "x", [1], 7)

    def test_headers(self) -> None:
        """Headers must map names to values that a request may have. No error shows a value."""
        self.refused("headers", "X: 1", [["X", "1"]], 7, {7: "1"}, {"": "1"}, {"X Y": "1"})
        self.refused("headers", {"X:": "1"}, {"X\r\nY": "1"}, {"X\n": "1"}, {"Ü": "1"})
        for value in each(7, None, True, b"1", ["1"], "secret\r\nX: 1", "secret\n", "secret\0"):
            self.refused("headers", {"X-Strict-Mode": value})
        for value in ("secret\n", " secret", "secret ", "secret€"):
            with self.assertRaises(ConfigurationError) as caught:
                delivery_options(client=None, headers={"X-Strict-Mode": value})
            self.assertIn("X-Strict-Mode", str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))
        for value in ("", "1", "a b", "a\tb", "ü"):
            delivery_options(client=None, headers={"X-Strict-Mode": value})

    def test_headers_without_a_use(self) -> None:
        """Headers are refused beside a client or a broker, which would not send them."""
        some = {"X-Strict-Mode": "1"}
        with self.assertRaisesRegex(ConfigurationError, r"client=HttpClient\(headers=\.\.\.\)"):
            delivery_options(headers=some)
        self.refused("headers", some, broker="amqp://127.0.0.1")
        delivery_options(headers={})
        with TemporaryDirectory() as directory:
            options = DeliveryOptions(journal=directory, deliver=False, headers=some)
            self.assertEqual(options.ignored_here, ["headers"])

    def test_write_keys_of_examples(self) -> None:
        """A URL or a placeholder from an example is refused as a write key, and is not shown."""
        for key in (
            "https://api.segment.io", "YOUR_WRITE_KEY", "your-write-key", "<write key>",
            "<WRITE_KEY>", "SEGMENT_WRITE_KEY", "${SEGMENT_WRITE_KEY}", "{{ write_key }}", "$KEY",
        ):  # fmt: skip
            with self.subTest(key), self.assertRaises(ConfigurationError) as caught:
                SegmentHandler(key)
            self.assertNotIn(key, str(caught.exception))
        for key in ("aLovelyKey0123456789abcdefghijkl", "test-key", "key:secret"):
            self.assertEqual(write_key_of(key), key)

    def test_paths_that_cannot_be(self) -> None:
        """A path below a file or with a NUL in it fails at startup, and the error names it."""
        with TemporaryDirectory() as directory:
            file = Path(directory, "file")
            file.touch()
            for option in ("journal", "dead_letters"):
                for path in (str(file / "below"), f"{directory}/a\0b"):
                    with self.assertRaises(ConfigurationError) as caught:
                        delivery_options(**{option: path})
                    self.assertIn(repr(path), str(caught.exception))

    def test_defaults(self) -> None:
        """The handler's defaults are valid."""
        delivery_options()

    def test_write_key(self) -> None:
        """A write key must be one word. Whitespace around it is ignored."""
        for value in each("a b", " ", 7, b"key"):
            with self.subTest(value=value), self.assertRaises(ConfigurationError) as caught:
                SegmentHandler(value)
            self.assertIn("write_key", str(caught.exception))
        self.assertEqual(write_key_of(" key\n"), "key")

    def test_off_in_yaml(self) -> None:
        """`off`, which YAML 1.1 reads as False, is accepted."""
        off: Any = False
        self.assertEqual(delivery_options(journal_sync=off).journal_sync, "off")

    def test_durations(self) -> None:
        """Durations must be numbers of at least zero."""
        for option in ("flush_interval", "block_timeout", "shutdown_timeout"):
            self.refused(option, -1, "1", None, True, float("nan"), [1])
            delivery_options(**{option: 0})

    def test_whole_numbers(self) -> None:
        """Limits and attempts must be whole numbers of at least one."""
        for option in (
            "max_queue_messages", "max_queue_bytes", "max_journal_bytes", "max_attempts",
        ):  # fmt: skip
            self.refused(option, 0, -1, 1.5, "10", None, True)
            delivery_options(**{option: 1})

    def test_texts(self) -> None:
        """Paths and hosts must be non-empty text."""
        for option in ("host", "journal", "dead_letters"):
            self.refused(option, "", 7, ["x"])

    def test_paths(self) -> None:
        """Paths may be path objects. A file is refused as a directory, and vice versa."""
        with TemporaryDirectory() as directory:
            settings = delivery_options(journal=Path(directory), dead_letters=Path("letters.jsonl"))
            self.assertEqual(settings.journal, directory)
            self.assertEqual(settings.dead_letters, os.path.abspath("letters.jsonl"))
            self.refused("dead_letters", directory)
            file = Path(directory, "file")
            file.touch()
            self.refused("journal", str(file), file)

    def test_client(self) -> None:
        """A client without `send` is refused, and so is a client class."""
        self.refused("client", object(), "http", 7, FakeClient)

    def test_region_and_timeout(self) -> None:
        """Options that only the HTTP client can check also fail at construction."""
        self.refused("region", "mars", None, 7, client=None)
        self.refused("timeout", 0, -1, "10", (1,), (1, 2, 3), (1, None), True, None, client=None)
        self.refused("host", "api.segment.io", "ftp://x", "https://", "http://a b", client=None)
        self.refused(
            "host", "https://h?", "https://h#", "https://h\n", "https://u:p@h", client=None
        )
        SegmentHandler("key", host="https://proxy.example/segment@eu")
        self.refused("region", "mars", client=None, host="http://127.0.0.1:1")

    def test_beside_a_client(self) -> None:
        """An invalid option is refused even if the given client would not use it."""
        self.refused("region", "mars")
        self.refused("timeout", 0)
        self.refused("host", "api.segment.io")
        self.refused("proxies", {"https": 5})

    def test_own_client_is_kept(self) -> None:
        """A given client is used as it is. Otherwise, each process gets a new client."""
        client = FakeClient()
        self.assertIs(delivery_options(client=client).new_client(), client)
        settings = delivery_options(client=None)
        self.assertIsInstance(settings.new_client(), HttpClient)
        self.assertIsNot(settings.new_client(), settings.new_client())
