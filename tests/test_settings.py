"""Wrong options fail at construction, by name."""

from __future__ import annotations

import inspect
import logging.config
import os
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from segment_logging import ConfigurationError, HttpClient, SegmentHandler
from segment_logging.reading import Reading
from segment_logging.settings import write_key_of
from segment_logging.testing import FakeClient, capture_segment

from .builders import each, some_settings


class TestSettings(unittest.TestCase):
    def refused(self, option: str, *values: Any, **others: Any) -> None:
        for value in values:
            with self.subTest(option=option, value=value):
                with self.assertRaises(ConfigurationError) as caught:
                    SegmentHandler("key", **{option: value}, **others)
                self.assertIn(option, str(caught.exception))

    def test_defaults(self) -> None:
        """The handler's defaults are valid."""
        some_settings()

    def test_write_key(self) -> None:
        """A write key is one word; what was copied around it does not matter."""
        for value in each("a b", " ", 7, b"key"):
            with self.subTest(value=value), self.assertRaises(ConfigurationError) as caught:
                SegmentHandler(value)
            self.assertIn("write_key", str(caught.exception))
        self.assertEqual(write_key_of(" key\n"), "key")

    def test_choices(self) -> None:
        """A word that is no choice is refused."""
        self.refused("capture", "some", "", None, True, 1, ["all"])
        self.refused("overflow", "raise", None, {})
        self.refused("journal_sync", "always", True, 0.5)

    def test_off_in_yaml(self) -> None:
        """What YAML 1.1 makes of `off` is understood."""
        off: Any = False
        self.assertEqual(some_settings(journal_sync=off).journal_sync, "off")

    def test_durations(self) -> None:
        """Durations are numbers from zero on."""
        for option in ("flush_interval", "block_timeout", "shutdown_timeout"):
            self.refused(option, -1, "1", None, True, float("nan"), [1])
            some_settings(**{option: 0})

    def test_whole_numbers(self) -> None:
        """Bounds and attempts are whole numbers from one on."""
        for option in (
            "max_queue_messages", "max_queue_bytes", "max_journal_bytes", "max_attempts",
        ):  # fmt: skip
            self.refused(option, 0, -1, 1.5, "10", None, True)
            some_settings(**{option: 1})

    def test_switches(self) -> None:
        """Switches are true or false, not something like it."""
        self.refused("gzip", 1, "yes", None)
        self.refused("include_extras", 0, "no", None)

    def test_texts(self) -> None:
        """Paths and hosts are text, and not empty."""
        for option in ("host", "journal", "dead_letters"):
            self.refused(option, "", 7, ["x"])

    def test_paths(self) -> None:
        """Paths may be path objects; a file in a directory's place is refused, and vice versa."""
        with TemporaryDirectory() as directory:
            settings = some_settings(journal=Path(directory), dead_letters=Path("letters.jsonl"))
            self.assertEqual(settings.journal, directory)
            self.assertEqual(settings.dead_letters, os.path.abspath("letters.jsonl"))
            self.refused("dead_letters", directory)
            file = Path(directory, "file")
            file.touch()
            self.refused("journal", str(file), file)

    def test_objects(self) -> None:
        """Context, integrations and proxies are objects that can be written as JSON."""
        cycle: dict[str, Any] = {}
        cycle["self"] = cycle
        for option in ("context", "integrations", "proxies"):
            self.refused(option, "x", [1], 7, cycle)

    def test_hooks(self) -> None:
        """Hooks are callable; a name as text, as YAML may have it, is refused with the way out."""
        for option in ("before_send", "on_error"):
            self.refused(option, "package.function", 7)

    def test_client(self) -> None:
        """A client without `send` is refused, and a class of clients."""
        self.refused("client", object(), "http", 7, FakeClient)

    def test_region_and_timeout(self) -> None:
        """What only the HTTP client can judge fails at construction, too."""
        self.refused("region", "mars", None, 7, client=None)
        self.refused("timeout", 0, -1, "10", (1,), (1, 2, 3), (1, None), True, None, client=None)
        self.refused("host", "api.segment.io", "ftp://x", "https://", "http://a b", client=None)
        self.refused(
            "host", "https://h?", "https://h#", "https://h\n", "https://u:p@h", client=None
        )
        SegmentHandler("key", host="https://proxy.example/segment@eu")
        self.refused("region", "mars", client=None, host="http://127.0.0.1:1")

    def test_beside_a_client(self) -> None:
        """A wrong option is a mistake, also where a client of one's own would not use it."""
        self.refused("region", "mars")
        self.refused("timeout", 0)
        self.refused("host", "api.segment.io")
        self.refused("proxies", {"https": 5})

    def test_own_client_is_kept(self) -> None:
        """A client given is used as it is; without one there is a new one for each process."""
        client = FakeClient()
        self.assertIs(some_settings(client=client).new_client(), client)
        settings = some_settings(client=None)
        self.assertIsInstance(settings.new_client(), HttpClient)
        self.assertIsNot(settings.new_client(), settings.new_client())

    def test_snapshot(self) -> None:
        """What the caller changes later changes no setting."""
        context = {"app": {"name": "a"}}
        reading = Reading(context=context)
        context["app"]["name"] = "b"
        self.assertEqual(reading.context, {"app": {"name": "a"}})

    def test_plain(self) -> None:
        """Mappings of any kind become plain dicts."""
        reading = Reading(context=MappingProxyType({"a": MappingProxyType({"b": (1,)})}))
        self.assertEqual(reading.context, {"a": {"b": [1]}})
        assert reading.context is not None
        self.assertIs(type(reading.context["a"]), dict)

    def test_dict_config(self) -> None:
        """`cfg://` values inside options arrive resolved, from dictConfig's own dict types."""
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "app": {"name": "shop", "tags": ["a", "b"]},
            "handlers": {
                "segment": {
                    "class": "segment_logging.SegmentHandler",
                    "write_key": "key",
                    "context": {"app": "cfg://app", "list": ["cfg://app.name"]},
                    "timeout": [1, 2],
                }
            },
            "loggers": {"tests.dict_config": {"handlers": ["segment"]}},
        }
        logging.config.dictConfig(config)
        logger = logging.getLogger("tests.dict_config")
        handler = logger.handlers[0]
        self.addCleanup(handler.close)
        self.addCleanup(logger.removeHandler, handler)
        with capture_segment("tests.dict_config") as captured:
            logger.info("Signup", extra={"user_id": "u"})
        context = captured[0].to_dict()["context"]
        self.assertEqual(context["app"], {"name": "shop", "tags": ["a", "b"]})
        self.assertEqual(context["list"], ["shop"])

    def test_handler_is_keyword_only(self) -> None:
        """Only the write key may stand without its name, and a typo is an error."""
        kinds = [p.kind for p in inspect.signature(SegmentHandler).parameters.values()]
        self.assertEqual(kinds[0], inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.assertEqual(set(kinds[1:]), {inspect.Parameter.KEYWORD_ONLY})
        with self.assertRaises(TypeError):
            SegmentHandler("key", flush_intervall=1)  # type: ignore[call-arg]
