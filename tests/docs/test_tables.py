"""Tests that the tables in the README and the documentation match the package."""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import re
import unittest
from dataclasses import fields
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

from segment_logging import (
    Counts,
    InvalidMessage,
    SegmentHandler,
    SegmentJsonFormatter,
    identity,
)
from segment_logging._messages.calls import Call
from segment_logging._options.records import RecordOptions
from segment_logging._options.table import rows_of
from segment_logging._process.lifecycle import RULES, Action, Doing, Event, Stage
from segment_logging._records.attributes import MARKS
from segment_logging.cli.metrics import DELIVERER, RELAY
from segment_logging.contrib._totals import METRICS, OUTCOMES
from segment_logging.testing import capture_segment

from .pages import DOCS, PAGES, README, Row, rows_under
from .promql import Mismatch, labels_of


def generated(name: str) -> list[Row]:
    """Return the rows of a table that is generated when the documentation is built."""
    spec = importlib.util.spec_from_file_location("tables", DOCS / "_ext" / "tables.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text: str = module.TABLES[name]()
    cells = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in text.splitlines()]
    return [Row(first, others) for first, *others in cells[2:]]


class TestOptions(unittest.TestCase):
    def test_signature(self) -> None:
        """The table lists the constructor's options in order, with their defaults."""
        parameters = inspect.signature(SegmentHandler).parameters.values()
        self.assertEqual(
            [(row.first, row.others[0]) for row in generated("options")],
            [(f"`{one.name}`", f"`{one.default!r}`".replace("'", '"')) for one in parameters],
        )

    def test_sentences(self) -> None:
        """Each option has a description without accidental Markdown syntax."""
        for row in generated("options"):
            with self.subTest(option=row.first):
                self.assertGreater(len(row.others[1]), 10)
                self.assertNotRegex(re.sub("`[^`]*`", "", row.others[1]), r"(?<!\\)[*_<\[]")

    def test_defaults_are_plain(self) -> None:
        """Every default can be written in a JSON or YAML dictConfig."""
        for one in inspect.signature(SegmentHandler).parameters.values():
            json.dumps(one.default)

    def test_formatter(self) -> None:
        """The documented options of the formatter are its actual options."""
        told = PAGES["docs/stdout.md"].split("about records: ")[1].split("\n\n")[0]
        names = re.findall(r"`(\w+)`", told)
        self.assertEqual(sorted(names), sorted(rows_of(RecordOptions)))
        SegmentJsonFormatter(**{name: row.default for name, row in rows_of(RecordOptions).items()})

    def test_named_elsewhere(self) -> None:
        """The notes below the table mention only existing options."""
        known = {row.first.strip("`") for row in generated("options")}
        notes = PAGES["docs/options.md"].split("## More about some options")[1].split("```")[0]
        for line in re.findall(r"^- (.*?)(?::| holds)", notes, re.MULTILINE):
            self.assertLessEqual(set(re.findall(r"`(\w+)`", line)), known)


class TestRecords(unittest.TestCase):
    def test_calls(self) -> None:
        """Every call in the tables becomes the message that is described next to it."""
        logger = logging.Logger("docs")
        logger.addHandler(SegmentHandler("key"))
        told = {
            "track": r'track(?: with| "([^"]+)")', "identify": "identify$", "group": "group$",
            "alias": "alias$", "page": r'page named "([^"]+)"', "screen": r'screen named "([^"]+)"',
        }  # fmt: skip
        rows = [
            *rows_under(README, "From record to message"),
            *rows_under("docs/records.md", "Which call it becomes"),
        ]
        for call, (becomes,) in rows:
            with self.subTest(call=call), capture_segment() as captured:
                exec(call.strip("`"), {"logger": logger, "amount": 12})
                self.check(captured[0], becomes, told[captured[0].type])

    def check(self, message: Any, becomes: str, pattern: str) -> None:
        match = re.match(pattern, becomes)
        assert match is not None, (message.type, becomes)
        if match.groups() and match[1] is not None:
            title = getattr(message, "event", None) or getattr(message, "name", None)
            self.assertEqual(title, match[1])
        if "properties plan and ref" in becomes:
            self.assertEqual(message.to_dict()["properties"], {"plan": "pro", "ref": "ad"})
        if "formatted" in becomes:
            self.assertEqual(message.to_dict()["properties"], {"message": "Paid 12"})
        if found := re.search(r'for user "(\w+)"', becomes):
            self.assertEqual(message.user.user_id, found[1])

    def test_marks(self) -> None:
        """The documented keys that make a record an event are the package's keys."""
        text = PAGES["docs/records.md"].split("at least one of the keys ")[1]
        self.assertEqual(set(re.findall(r"`(\w+)`", text.split(".")[0])), {*MARKS, "segment"})

    def test_none(self) -> None:
        """A None makes the record an event, and counts as absent; a `type` prevents a change."""
        text = " ".join(PAGES["docs/records.md"].split())
        self.assertIn('with `"group_id": None`, traits are those of the user', text)
        extra: dict[str, Any] = {"user_id": "u", "group_id": None, "traits": {"seats": 5}}
        self.assertEqual(sent(extra)["traits"], {"seats": 5})
        self.assertEqual(sent(extra)["type"], "identify")
        for key in MARKS:
            with self.subTest(key), identity(user_id="u"):
                self.assertEqual(sent({key: None})["type"], "track")
        for call in ("group", "alias"):
            with self.assertRaisesRegex(InvalidMessage, f"{call} needs"):
                sent({**extra, "type": call})
        for call in ("group", "identify"):
            message = sent({"user_id": "u", "group_id": "g", "traits": None, "type": call})
            self.assertEqual((message["type"], message["traits"]), (call, {}))

    def test_numbers(self) -> None:
        """Ids that are numbers are written as described."""
        text = " ".join(PAGES["docs/records.md"].split())
        said = re.search(
            r'integers: (\S+) and `(.+?)` become "(.+?)", and (\S+) becomes "(\d+)"'
            r".*? and Decimals from (\S+) on,",
            text,
        )
        assert said is not None
        whole, also, written, large, digits, limit = said.groups()
        for value, expected in (
            (float(whole), written), (eval(also, {"Decimal": Decimal}), written),
            (float(large), digits), (1.5, "1.5"), (Decimal("1.50"), "1.50"),
            (Decimal(limit), str(Decimal(limit))), (Decimal(limit) / 10, limit[0] + "0" * 39),
        ):  # fmt: skip
            with self.subTest(value=value):
                self.assertEqual(sent({"user_id": value})["userId"], expected)
        for refused in ({"message_id": 77}, {"user_id": True}, {"user_id": float("nan")}):
            self.assertRaises(InvalidMessage, sent, {"user_id": "u", **refused})

    def test_fields(self) -> None:
        """The table of common fields is complete."""
        told = [row.first for row in generated("fields")]
        self.assertEqual(told, [f"`{field.name}`" for field in fields(Call)])


def sent(extra: dict[str, Any]) -> dict[str, Any]:
    """Return the message of a logging call."""
    logger = logging.Logger("docs")
    logger.addHandler(SegmentHandler("key"))
    with capture_segment() as captured:
        logger.info("Signup", extra=extra)
    message: dict[str, Any] = captured[0].to_dict()
    return message


class TestCounts(unittest.TestCase):
    def test_all(self) -> None:
        """The table describes every count, in order."""
        told = [row.first for row in rows_under("docs/delivery.md", "Counts")]
        self.assertEqual(told, [f"`{field.name}`" for field in fields(Counts)])


class TestLifecycle(unittest.TestCase):
    def test_rules(self) -> None:
        """Every rule has a row, and its cells use only the defined words."""
        rows = generated("rules")
        self.assertEqual(len(rows), len(RULES))
        columns = [[row.first for row in rows], *zip(*(row.others for row in rows))]
        for column, kind in zip(columns, (Event, Stage, Doing, Stage, Doing, Action)):
            names = {member.name.lower().replace("_", " ") for member in kind}
            for cell in column:
                self.assertLessEqual(set(re.findall("`([^`]+)`", cell)), names)

    def test_words(self) -> None:
        """Every stage, state, event and action is described."""
        for name, kind in (
            ("stages", Stage), ("doings", Doing), ("events", Event), ("actions", Action),
        ):  # fmt: skip
            told = [row.first for row in generated(name)]
            self.assertEqual(
                told, [f"`{member.name.lower().replace('_', ' ')}`" for member in kind]
            )


class TestCosts(unittest.TestCase):
    def test_same_figures(self) -> None:
        """The README's figures, without the budgets, match those in docs/costs.md."""
        full = {row.first: row.others for row in rows_under("docs/costs.md", "Groups of calls")}
        short = {row.first: row.others for row in rows_under(README, "What it costs")}
        self.assertLessEqual(len(short), 5)
        self.assertTrue(short)
        for first, others in short.items():
            with_speed, _, without, _, *over = full[first]
            self.assertEqual(others, [with_speed, without, *over], first)

    def test_missed(self) -> None:
        """docs/costs.md states how many figures exceed their budgets, and by how much."""
        figures = [
            [float(cell) for cell in row.others[:4]]
            for row in rows_under("docs/costs.md", "Each way to log an event")
        ]
        over = [
            [row[at] / row[at + 1] for row in figures if row[at] > row[at + 1]] for at in (0, 2)
        ]
        words = ("no", "one", "two", "three", "four", "five", "six", "seven")
        text = " ".join(PAGES["docs/costs.md"].split())
        self.assertIn(
            f"{words[len(over[0])]} figures with speed and {words[len(over[1])]} without", text
        )
        self.assertIn(f"by at most {100 * (max(map(max, over)) - 1):.0f} %", text)

    def test_groups(self) -> None:
        """Each figure of a group is the range of the figures of its calls, with their budgets."""
        calls = rows_under("docs/costs.md", "Each way to log an event")
        ends = {cell for row in calls for cell in (row.others[0], row.others[2])}
        for _, others in rows_under("docs/costs.md", "Groups of calls"):
            for cell in (others[0], others[2]):
                self.assertLessEqual(set(cell.split("-")), ends)


class TestMetrics(unittest.TestCase):
    def test_prometheus(self) -> None:
        """The table lists every metric with its type."""
        rows = rows_under("docs/metrics.md", "Prometheus")
        self.assertEqual(
            [(row.first, row.others[0]) for row in rows],
            [
                (
                    f"`segment_logging_{one.name.replace('.', '_')}{'_total' * one.is_total}`",
                    "counter" if one.is_total else "gauge",
                )
                for one in METRICS
            ],
        )
        for outcome in OUTCOMES:
            self.assertIn(f"`{outcome}`", rows[0].others[1])

    def test_opentelemetry(self) -> None:
        """The page names every instrument."""
        for one in METRICS:
            self.assertIn(f"`segment_logging.{one.name}`", PAGES["docs/metrics.md"])

    def test_alerts(self) -> None:
        """Every condition to alert on uses existing metrics and outcomes."""
        known = {row.first.strip("`") for row in rows_under("docs/metrics.md", "Prometheus")}
        for row in rows_under("docs/metrics.md", "What to alert on"):
            self.assertLessEqual(set(re.findall(r"segment_logging_\w+", row.first)), known)
            self.assertLessEqual(set(re.findall(r'outcome="(\w+)"', row.first)), set(OUTCOMES))

    def test_labels_of_alerts(self) -> None:
        """Both sides of an operator in a condition have the same labels. Otherwise none match."""
        checked = 0
        for page in ("docs/metrics.md", "docs/one-host.md", "docs/many-hosts.md"):
            for row in rows_under(page, "What to alert on"):
                with self.subTest(page, condition=row.first):
                    labels_of(row.first.strip("`"), labels_of_metrics())
                    checked += 1
        self.assertGreater(checked, 15)

    def test_label_of_journals(self) -> None:
        """What is added up on the page about one host is added up by journal."""
        rows = rows_under("docs/one-host.md", "What to alert on")
        labels = re.findall(r" by \(([\w, ]+)\)", " ".join(row.first for row in rows))
        self.assertGreater(len(labels), 3)
        for one in labels:
            self.assertIn("journal", one.split(", "))

    def test_mismatch(self) -> None:
        """The check of labels finds a condition whose sides never match."""
        for condition, is_right in (
            ("a_total > 0 unless (b > 0 or rate(c[5m]) > 0)", False),
            ("a_total > 0 unless ignoring(outcome) (b > 0 or rate(c[5m]) > 0)", True),
            ('a_total > c{outcome="x"}', False),
            ("sum by (host) (c) > 0 unless sum by (host) (a_total) > 0", True),
            ("sum by (host) (c) > 0 unless a_total > 0", False),
            ("a_total > 0 unless on () sum(c)", True),
        ):
            with self.subTest(condition):
                try:
                    labels_of(condition, {"a_total": set(), "b": set(), "c": {"outcome"}})
                    found = True
                except Mismatch:
                    found = False
                self.assertEqual(found, is_right)


def labels_of_metrics() -> dict[str, set[str]]:
    """Return the labels of each metric in a condition, without those that all metrics have."""
    labels: dict[str, set[str]] = {
        "node_filesystem_avail_bytes": {"mountpoint"},
        "node_filesystem_size_bytes": {"mountpoint"},
        "rabbitmq_detailed_queue_messages_ready": {"queue"},
        "rabbitmq_detailed_queue_consumers": {"queue"},
        "up": set(),
        "segment_logging_journal_bytes": {"journal", "key"},
    }
    for metric in METRICS:
        name = f"segment_logging_{metric.name.replace('.', '_')}{'_total' * metric.is_total}"
        labels[name] = {"outcome"} if metric.counts is OUTCOMES else set()
    for metrics in (DELIVERER, RELAY):
        samples = metrics.text([("x", Mock(**dict.fromkeys(metrics.table, 0)))])
        for name, label in re.findall(r"^(\w+)\{(\w+)=", samples, re.MULTILINE):
            labels[name] = {label}
    return labels
