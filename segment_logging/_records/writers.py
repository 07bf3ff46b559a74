"""Find the writer of a record, which is made once for each sequence of attribute names.

Records from the same place in a program have the same attributes in the same order, so one look-up
finds out whether a record is an event, and how it is written. Record factories, filters and
formatters that add attributes lead to another look-up, and so to another writer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from logging import getLogRecordFactory
from typing import Any

from .._messages.wire import CALL_TYPES
from .._reports import is_report
from .attributes import ExtraNames
from .defaults import Defaults
from .kinds import kind_of
from .sources import Source, of_loguru, of_structlog
from .writer import Wants, Writer, new_writer

# A program has a few dozen kinds of records, and a writer takes about 2 KB. If the program makes up
# names, the first writers are made at once, and later ones only for names that come again.
_MADE_AT_ONCE = 100
_MOST_WRITERS = 500
_MOST_MET = 1000


def not_an_event(record: logging.LogRecord, extras: Mapping[str, Any], message_id: str) -> None:
    """The writer of records that are not events."""


def unusual(record: logging.LogRecord, extras: Mapping[str, Any], message_id: str) -> None:
    """The writer of records about which only `RecordReader.fields_of` can decide."""


class _Choice:
    """Several writers. A value of the record decides between them."""

    __slots__ = ("choose",)

    def __init__(self, choose: Callable[[Mapping[str, Any]], Writer | _Choice]) -> None:
        self.choose = choose


_Found = Writer | _Choice
_Table = dict[tuple[Any, ...], _Found]


class Writers:
    """The writers for the records of one handler.

    Args:
        names: tells which attributes are the caller's extras.
        defaults: the handler's defaults.
        wants: decides which events are sent; None if all are.
        takes_all: whether each record is an event.
        include_extras: the handler's option.
    """

    def __init__(
        self,
        names: ExtraNames,
        defaults: Defaults,
        wants: Wants | None,
        *,
        takes_all: bool,
        include_extras: bool,
    ) -> None:
        self._names = names
        self._defaults = defaults
        self._wants = wants
        self._takes_all = takes_all
        self._include_extras = include_extras
        self._factory = getLogRecordFactory()
        self._known: _Table = {}
        self._met: set[int] = set()
        self._made = 0

    def writer_of(self, record: logging.LogRecord) -> Writer:
        """Return the writer of a record, which may be `not_an_event` or `unusual`."""
        if type(record.msg) is not str:
            return self._of_message(record)
        if self._factory is not getLogRecordFactory():
            self._forget()
        attributes = record.__dict__
        found = self._known.get((*attributes,))
        if found is None:
            found = self._meet(self._known, (*attributes,), self._of_attributes)
        if type(found) is _Choice:
            found = found.choose(attributes)
        if self._takes_all and is_report(record):
            return not_an_event
        return found  # type: ignore[return-value]

    def _of_message(self, record: logging.LogRecord) -> Writer:
        """Return the writer of a record whose message is not text."""
        attributes, message = record.__dict__, record.msg
        if type(message) is not dict or "_logger" not in attributes:  # not structlog's
            return unusual
        if self._factory is not getLogRecordFactory():
            self._forget()
        names = ((*attributes,), (*message,))
        found = self._known.get(names)
        if found is None:
            found = self._meet(self._known, names, self._of_structlog)
        if type(found) is _Choice:
            found = found.choose(attributes if "type" in attributes else message)
        if self._takes_all and is_report(record):
            return not_an_event
        return found  # type: ignore[return-value]

    def _of_structlog(self, names: tuple[Any, ...]) -> _Found:
        attributes, keys = names
        around = self._extras_of(attributes)
        if not {"extra", "segment"}.isdisjoint(attributes):
            return unusual
        return self._of_source(of_structlog(self._names, around, keys))

    def _of_loguru(self, around: tuple[str, ...]) -> _Choice:
        """Return the writers of records with `extra` and these other extras."""
        table: _Table = {}

        def make(keys: tuple[Any, ...]) -> _Found:
            return self._of_source(of_loguru(self._names, around, keys))

        def choose(attributes: Mapping[str, Any]) -> _Found:
            bound = attributes["extra"]
            if type(bound) is not dict:
                return unusual
            found = table.get((*bound,)) or self._meet(table, (*bound,), make)
            return (
                found.choose(attributes if "type" in attributes else bound)
                if type(found) is _Choice
                else found
            )

        return _Choice(choose)

    def _of_source(self, source: Source | None) -> _Found:
        if source is None or "segment" in source.names:
            return unusual
        if not source.is_marked and not self._takes_all:
            return not_an_event
        return self._of_names(source.names, is_nested=True, flat=source.flat, text=source.text)

    def _forget(self) -> None:
        """Start again, because another record factory sets other attributes."""
        self._factory = getLogRecordFactory()
        self._known.clear()

    def _meet(
        self, table: _Table, names: tuple[Any, ...], make: Callable[[tuple[Any, ...]], _Found]
    ) -> _Found:
        """Make the writer for new names and keep it, unless the program makes up names."""
        if self._made >= _MADE_AT_ONCE:
            met = hash(names)
            if met not in self._met:
                if len(self._met) >= _MOST_MET:
                    self._met.clear()
                self._met.add(met)
                return unusual
        if self._made % _MOST_WRITERS == _MOST_WRITERS - 1:
            self._known.clear()
        self._made += 1
        table[names] = found = make(names)
        return found

    def _of_attributes(self, attributes: tuple[Any, ...]) -> _Found:
        names = self._extras_of(attributes)
        if "extra" in attributes:
            if "extra" not in names or "segment" in names:
                return unusual
            return self._of_loguru(tuple(name for name in names if name != "extra"))
        if "segment" in names:
            return self._of_nested(tuple(name for name in names if name != "segment"))
        if self._takes_all or not self._names.marks.isdisjoint(names):
            return self._of_names(names)
        return not_an_event

    def _extras_of(self, attributes: tuple[Any, ...]) -> tuple[str, ...]:
        if self._names.factory is not self._factory:
            self._names.learn(self._factory)
        return tuple(name for name in attributes if self._names[name])

    def _of_nested(self, around: tuple[str, ...]) -> _Choice:
        """Return the writers of records with `segment` and these other extras."""
        table: _Table = {}
        flat = self._of_names(around)

        def make(nested: tuple[Any, ...]) -> _Found:
            rest = tuple(name for name in around if name not in nested)
            return self._of_names((*rest, *nested), is_nested=True, flat=join if around else None)

        def join(record: logging.LogRecord, extras: Mapping[str, Any]) -> Mapping[str, Any]:
            return {**{name: extras[name] for name in around}, **extras["segment"]}

        def choose(attributes: Mapping[str, Any]) -> _Found:
            nested = attributes["segment"]
            if nested is True:  # only marks the record
                return flat.choose(attributes) if type(flat) is _Choice else flat
            if type(nested) is not dict:
                return unusual
            found = table.get((*nested,)) or self._meet(table, (*nested,), make)
            if type(found) is not _Choice:
                return found
            return found.choose(nested if "type" in nested else attributes)

        return _Choice(choose)

    def _of_names(self, names: tuple[Any, ...], **nesting: Any) -> _Found:
        """Return the writer of an event with these extras."""
        if "type" not in names:
            return self._new(names, None, **nesting)
        rest = tuple(name for name in names if name != "type")
        by_type: dict[str, Writer] = {}

        def choose(values: Mapping[str, Any]) -> Writer:
            call_type = values.get("type")
            if type(call_type) is not str or call_type not in CALL_TYPES:
                return unusual
            write = by_type.get(call_type)
            if write is None:
                write = by_type[call_type] = self._new(rest, call_type, **nesting)
            return write

        return _Choice(choose)

    def _new(self, names: tuple[Any, ...], call_type: str | None, **nesting: Any) -> Writer:
        kind = kind_of(names, call_type, include_extras=self._include_extras)
        if kind is None:
            return unusual
        return new_writer(kind, self._defaults, self._wants, **nesting)
