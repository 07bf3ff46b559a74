"""Tests for the table of options, and for what is derived from it."""

from __future__ import annotations

import inspect
import logging.config
import re
import typing
import unittest
from typing import Any

from segment_logging import ConfigurationError, SegmentHandler, SegmentJsonFormatter
from segment_logging._options.delivery import DeliveryKeywords, DeliveryOptions
from segment_logging._options.records import RecordKeywords, RecordOptions
from segment_logging._options.table import Options, rows_of
from segment_logging.testing import capture_segment

ROWS = rows_of(DeliveryOptions, RecordOptions)


class TestTable(unittest.TestCase):
    def test_signature(self) -> None:
        """The handler's signature has the write key, then each option by name with its default."""
        parameters = dict(inspect.signature(SegmentHandler).parameters)
        write_key = parameters.pop("write_key")
        self.assertEqual(write_key.kind, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.assertEqual(list(parameters), list(ROWS))
        for name, parameter in parameters.items():
            self.assertEqual(parameter.kind, inspect.Parameter.KEYWORD_ONLY)
            self.assertEqual(parameter.default, ROWS[name].default)

    def test_docstring(self) -> None:
        """The handler's docstring describes each option with the sentence from the table."""
        args = (inspect.getdoc(SegmentHandler) or "").partition("Args:")[2].partition("Raises:")[0]
        told = dict(re.findall(r"^ {4}(\w+): ((?:.|\n {8})+)", args, re.MULTILINE))
        told.pop("write_key")
        self.assertEqual(
            {name: re.sub(r"\s+", " ", text).strip(".") for name, text in told.items()},
            {name: row.metadata["sentence"] for name, row in ROWS.items()},
        )

    def test_help(self) -> None:
        """The docstring of `__init__` leads to the options, and is not that of logging.Handler."""
        told = inspect.getdoc(SegmentHandler.__init__) or ""
        self.assertEqual(told, "See the class's docstring, which lists all options.")

    def test_types(self) -> None:
        """The declarations for type checkers have the names and types from the table."""

        def types_of(table: type[Options], names: Any) -> dict[str, str]:
            # Paths may also be passed as objects, and a group as a number: stored as text.
            return {name: str(row.type) for name, row in rows_of(table).items() if name in names}

        for table, keywords in (
            (DeliveryOptions, DeliveryKeywords),
            (RecordOptions, RecordKeywords),
        ):
            told = {name: _text_of(kind) for name, kind in keywords.__annotations__.items()}
            self.assertEqual(list(told), list(rows_of(table)))
            for name, also in (
                ("journal", "os.PathLike[str]"),
                ("dead_letters", "os.PathLike[str]"),
                ("journal_group", "int"),
            ):
                if name in told:
                    self.assertEqual(told[name], f"str | {also} | None")
                    told[name] = "str | None"
            self.assertEqual(told, types_of(table, told))

    def test_defaults_are_valid(self) -> None:
        """Each option's default passes its own check."""
        DeliveryOptions()
        RecordOptions()


class TestUnknown(unittest.TestCase):
    def refusal(self, **options: Any) -> str:
        with self.assertRaises(ConfigurationError) as caught:
            SegmentHandler("key", **options)
        self.assertIsInstance(caught.exception, TypeError)
        return str(caught.exception)

    def test_near_miss(self) -> None:
        """The error for a misspelled option suggests the right one."""
        self.assertIn("did you mean sample_rate?", self.refusal(sampel_rate=0.1))
        self.assertIn("did you mean flush_interval?", self.refusal(flush_intervall=1))
        self.assertIn("did you mean write_key?", self.refusal(writekey="k"))

    def test_names_of_the_official_sdk(self) -> None:
        """For an option of Segment's official SDK, the error suggests our name for it."""
        self.assertIn("did you mean max_queue_messages?", self.refusal(max_queue_size=10))
        self.assertIn("did you mean max_attempts?", self.refusal(max_retries=10))

    def test_nothing_like_it(self) -> None:
        """If no option has a similar name, the error still names the unknown option."""
        self.assertIn("'colour'", self.refusal(colour="blue"))

    def test_positional(self) -> None:
        """Only the write key may be passed by position."""
        with self.assertRaisesRegex(ConfigurationError, "by name"):
            SegmentHandler("key", "https://api.segment.io")  # type: ignore[arg-type]

    def test_dict_config(self) -> None:
        """In a dictConfig, the cause of logging's own error suggests the right option."""
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"s": {"class": "segment_logging.SegmentHandler", "sampel_rate": 0.1}},
        }
        with self.assertRaises(ValueError) as caught:
            logging.config.dictConfig(config)
        self.assertIn("sample_rate", str(caught.exception.__cause__))

    def test_formatter(self) -> None:
        """The formatter refuses options that neither it nor python-json-logger has."""
        with self.assertRaises(TypeError):
            SegmentJsonFormatter(captur="all")


class TestDictConfig(unittest.TestCase):
    def test_resolved_values(self) -> None:
        """`cfg://` values nested in options are resolved, although dictConfig uses its own
        types."""
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


def _text_of(annotation: Any) -> str:
    return annotation.__forward_arg__ if isinstance(annotation, typing.ForwardRef) else annotation
