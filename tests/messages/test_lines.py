"""Tests for the encoding of calls from their values."""

from __future__ import annotations

import json
import unittest
from collections import OrderedDict
from datetime import date
from typing import Any

from segment_logging._messages.encoding import quoting
from segment_logging._messages.lines import FAST, STANDARD, LineEncoder, form_of, plain_copy
from segment_logging._messages.wire import wire_form
from tests.builders import each, run_python

FIELDS = {
    "user_id": "u",
    "event": 'Größe "\\\n',
    "properties": {"a": [1.5, None, True, "é"]},
    "timestamp": "2026-11-23T08:00:00.123Z",
    "message_id": "m",
    "context": {"ip": "192.0.2.1"},
}


def line_of(encoder: LineEncoder, **changed: Any) -> Any:
    """Return the encoded and decoded call with these fields."""
    fields: dict[str, Any] = {**FIELDS, **changed}
    line = encoder.put_together(
        "track", "event", "properties", fields["user_id"], fields.get("anonymous_id"),
        fields["event"], fields.get("category"), fields["properties"], fields["timestamp"],
        fields["message_id"], fields["context"], fields.get("integrations"),
    )  # fmt: skip
    return json.loads(line if encoder.finish is None else encoder.finish(line))


class TestLineEncoders(unittest.TestCase):
    encoders = tuple(encoder for encoder in (FAST, STANDARD) if encoder is not None)

    def test_same_form(self) -> None:
        """Both encoders write the wire form, with `type` first."""
        more = {"anonymous_id": "a", "integrations": {"All": True}}
        for encoder in self.encoders:
            for changed in ({}, more):
                form = line_of(encoder, **changed)
                self.assertEqual(form, wire_form("track", {**FIELDS, **changed}))
                self.assertEqual(next(iter(form)), "type")

    def test_written(self) -> None:
        """An object that was encoded in advance takes the place of the object."""
        for encoder in self.encoders:
            written = encoder.written({"ip": "é"})
            self.assertIsNot(type(written), dict)
            self.assertEqual(line_of(encoder, context=written)["context"], {"ip": "é"})

    def test_not_written(self) -> None:
        """An object with values that JSON does not have is not encoded in advance."""
        context = {"at": date(2026, 11, 23)}
        for encoder in self.encoders:
            self.assertIs(encoder.written(context), context)
            self.assertEqual(line_of(encoder, context=context)["context"], {"at": "2026-11-23"})

    def test_refused(self) -> None:
        """Values that need more care raise an exception."""
        for encoder in self.encoders:
            for changed in (
                {"event": "\ud800"},
                {"user_id": "\ud800"},
                {"properties": {"a": "\ud800"}},
                {"context": {"\ud800": 1}},
            ):
                with self.assertRaises((ValueError, TypeError)):
                    line_of(encoder, **changed)

    def test_without_the_extra(self) -> None:
        """Without the extra, the standard encoder is the best one."""
        program = """
import json, sys
sys.modules["orjson"] = None
from segment_logging._messages import lines
print(json.dumps([lines.FAST is None, lines.BEST is lines.STANDARD]))
"""
        self.assertEqual(run_python(program), [True, True])

    def test_quoting(self) -> None:
        """Texts are quoted even if the standard library's function is missing or has changed."""
        for module in each(object(), type("Module", (), {"encode_basestring": repr})):
            self.assertEqual(quoting(module)('a"é'), '"a\\"é"')


class TestPlainCopy(unittest.TestCase):
    def test_copies(self) -> None:
        """The copy contains lists in place of tuples, and shares nothing that can change."""
        value = {"a": [{"b": (1, 2.5)}], "c": None}
        copy = plain_copy(value)
        self.assertEqual(copy, {"a": [{"b": [1, 2.5]}], "c": None})
        self.assertIsNot(copy["a"][0], value["a"][0])  # type: ignore[index]

    def test_refuses(self) -> None:
        """A value that JSON does not have is refused, wherever it is."""
        for value in each(
            date(2026, 11, 23), OrderedDict(a=1), float("nan"), {1: 2}, {"a": [{"b": {1}}]}
        ):
            with self.assertRaises(ValueError):
                plain_copy(value)

    def test_form(self) -> None:
        """A form has no keys for values that are None."""
        form = form_of("alias", "previousId", "", "u", None, "p", None, None, "t", "m", {}, None)
        self.assertEqual(
            form,
            {"type": "alias", "timestamp": "t", "messageId": "m", "context": {}, "userId": "u",
             "previousId": "p"},
        )  # fmt: skip
