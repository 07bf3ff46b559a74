"""Tests for the options for reading records. Invalid ones fail when the handler is created."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from segment_logging._options.records import RecordOptions
from tests.options.cases import OptionCase


class TestRecordOptions(OptionCase):
    def test_choices(self) -> None:
        """A value that is not one of the choices is refused."""
        self.refused("capture", "some", "", None, True, 1, ["all"])

    def test_switches(self) -> None:
        """A switch must be a bool. Other truthy or falsy values are refused."""
        self.refused("include_extras", 0, "no", None)

    def test_objects(self) -> None:
        """Context and integrations must be objects that can be written as JSON."""
        cycle: dict[str, Any] = {}
        cycle["self"] = cycle
        for option in ("context", "integrations"):
            self.refused(option, "x", [1], 7, cycle)

    def test_hooks(self) -> None:
        """A hook must be callable. Its name as text, which YAML may contain, is refused."""
        self.refused("before_send", "package.function", 7)

    def test_snapshot(self) -> None:
        """Later changes by the caller do not affect the option."""
        context = {"app": {"name": "a"}}
        options = RecordOptions(context=context)
        context["app"]["name"] = "b"
        self.assertEqual(options.context, {"app": {"name": "a"}})

    def test_plain(self) -> None:
        """Mappings of any type become plain dicts."""
        options = RecordOptions(context=MappingProxyType({"a": MappingProxyType({"b": (1,)})}))
        self.assertEqual(options.context, {"a": {"b": [1]}})
        assert options.context is not None
        self.assertIs(type(options.context["a"]), dict)
