"""Tables in the documentation that are generated from the package, as Markdown.

They are generated each time the pages are built, so they always match the package. This module does
not depend on Sphinx.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Collection, Iterable, Sequence
from enum import Enum

from segment_logging import SegmentHandler
from segment_logging._messages.calls import Call
from segment_logging._options.delivery import DeliveryOptions
from segment_logging._options.records import RecordOptions
from segment_logging._options.table import rows_of
from segment_logging._process.lifecycle import RULES, Action, Doing, Event, Stage
from segment_logging._records.attributes import LEFT_OUT


def options() -> str:
    """Return the handler's options: names, defaults, and descriptions from the table of options."""
    about_write_key = _sentences_in(SegmentHandler, "Args")["write_key"]
    rows = [("`write_key`", "`None`", _plain(about_write_key))]
    for name, row in rows_of(DeliveryOptions, RecordOptions).items():
        default = repr(row.default).replace("'", '"')
        rows.append((f"`{name}`", f"`{default}`", _plain(row.metadata["sentence"])))
    return _table(("option", "default", "meaning"), rows)


def fields() -> str:
    """Return the fields that every call has."""
    rows = [
        (f"`{name}`", _plain(sentence))
        for name, sentence in _sentences_in(Call, "Attributes").items()
    ]
    return _table(("field", "meaning"), rows)


def _sentences_in(kind: type, section: str) -> dict[str, str]:
    """Return the entries of a section in a class's docstring, by name."""
    docstring = inspect.getdoc(kind) or ""
    lines = docstring.partition(f"\n{section}:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^ {4}(\w+): ((?:.|\n {8})+)", lines, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", sentence).rstrip(".") for name, sentence in found}


def rules() -> str:
    """Return the lifecycle of a pipeline: what happens in each situation."""
    rows = [
        (
            _any_of(rule.events, Event),
            _any_of(rule.stages, Stage),
            _any_of(rule.doings, Doing),
            "" if rule.stage is None else _name_of(rule.stage),
            "" if rule.doing is None else _name_of(rule.doing),
            _name_of(rule.action),
        )
        for rule in RULES
    ]
    header = ("event", "stage", "thread state", "new stage", "new thread state", "action")
    return _table(header, rows)


def stages() -> str:
    """Return the stages of a pipeline and their meanings."""
    return _words(Stage)


def doings() -> str:
    """Return the states of the delivery thread and their meanings."""
    return _words(Doing)


def events() -> str:
    """Return the events in the lifecycle of a pipeline and their meanings."""
    return _words(Event)


def actions() -> str:
    """Return the actions and their meanings."""
    return _words(Action)


def _words(kind: type[Enum]) -> str:
    """Return the members of an enum with their docstrings, which are read from the source."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    sentences = {member.name: "" for member in kind}
    name = ""
    for node in definition.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            sentences[name] = str(node.value.value)
    rows = [(_name_of(member), _plain(sentences[member.name])) for member in kind]
    return _table((kind.__name__.lower(), "meaning"), rows)


def _any_of(members: Collection[Enum], kind: type[Enum]) -> str:
    """Return a short description of a set of members of an enum."""
    others = [member for member in kind if member not in members]
    if not others:
        return "any"
    if len(others) < len(members):
        return f"any except {_names_of(others)}"
    return _names_of([member for member in kind if member in members])


def _names_of(members: Iterable[Enum]) -> str:
    return ", ".join(map(_name_of, members))


def _name_of(member: Enum) -> str:
    return f"`{member.name.lower().replace('_', ' ')}`"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _plain(text: str) -> str:
    """Return a text on one line, with Markdown's special characters escaped."""
    parts = re.split("(`[^`]+`)", re.sub(r"\s+", " ", text).strip())
    return "".join(
        part if part.startswith("`") else re.sub(r"([*_<>\[\]|\\])", r"\\\1", part)
        for part in parts
    )


def left_out() -> str:
    """Return the patterns of the extras that are left out of properties, as a paragraph."""
    return ", ".join(f"`{pattern}`" for pattern in LEFT_OUT if pattern != "_*")


TABLES = {
    make.__name__: make
    for make in (options, fields, rules, stages, doings, events, actions, left_out)
}
"""The functions that generate the tables, by the names that pages use."""
