"""A formatter for lines of JSON that an agent (Vector, Fluent Bit) ships from stdout or a file.

It reads records in the same way as the handler, but delivers nothing.
"""

from __future__ import annotations

import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter
from typing_extensions import override

from ._options.records import RecordOptions
from ._options.table import chosen, rows_of
from ._records.reader import RecordReader
from ._reports import RefusedReports
from .errors import InvalidMessage, MessageTooLarge


class SegmentJsonFormatter(JsonFormatter):
    """Formats an event as the message that Segment accepts, and any other record as usual.

    An event is one JSON object with a `type`, as in a batch. Other records are formatted by
    python-json-logger. To leave them out, add `OnlyEvents` as a filter.

    Args:
        args: positional arguments for python-json-logger's `JsonFormatter`, which formats records
            that are not events.
        options: `SegmentHandler`'s options for records: `capture`, `context`, `integrations`,
            `include_extras`, `exclude_extras`, `keep_extras`, `page_query`, `before_send`,
            `redact`, `hashed`, `allow_events`, `deny_events`, `sample_rate` and `consent`. `redact`
            and `hashed` also apply to other records. An event that these options exclude is
            formatted like any other record. All other options are passed to python-json-logger's
            `JsonFormatter`.

    Raises:
        ConfigurationError: if an option is invalid.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        own = {name: options.pop(name) for name in rows_of(RecordOptions) if name in options}
        super().__init__(*args, **options)
        self._reader = RecordReader(chosen(RecordOptions, own))
        self._refused = RefusedReports()

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Return one line. Never raises.

        An event that Segment would drop, or a record that cannot be written, becomes an ordinary
        line without extras. The reason is printed to stderr, at most ten times a minute for each
        reason and place in the program, unless `logging.raiseExceptions` is False. If this method
        raised instead, `logging` would print the contents of the record.
        """
        try:
            fields = self._reader.fields_of(record)
            line = None if fields is None else self._reader.line_of(record, fields)
            return super().format(record) if line is None else line.decode()
        except Exception as error:
            if logging.raiseExceptions:
                self._refused.say(record, error)
            return super().format(_bare(record))

    @override
    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Redact an ordinary record as well, by the names of its keys before and after renaming."""
        renamed = super().process_log_record(log_data)
        names = {new: old for old, new in self.rename_fields.items()}
        redacted: dict[str, Any] | None = self._reader.redacted(renamed, names)
        if redacted is None:
            raise InvalidMessage(
                "record cannot be written as JSON: pass plain values without cycles, "
                "or objects whose str() works"
            )
        return redacted


class OnlyEvents(logging.Filter):
    """A filter that only passes events that Segment accepts.

    An event that Segment would drop is reported on stderr, unless `logging.raiseExceptions` is
    False.
    """

    def __init__(self) -> None:
        super().__init__()
        self._reader = RecordReader(RecordOptions())
        self._refused = RefusedReports()

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        try:
            fields = self._reader.fields_of(record)
            return fields is not None and self._reader.line_of(record, fields) is not None
        except MessageTooLarge:  # the formatter's own options may make it smaller
            return True
        except Exception as error:  # must not reach the application
            if logging.raiseExceptions:
                self._refused.say(record, error)
            return False


def _bare(record: logging.LogRecord) -> logging.LogRecord:
    """Return a copy of the record without extras, arguments, traceback or broken attributes."""
    text = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    bare = logging.LogRecord("", logging.NOTSET, "", 0, text, None, None)
    for name in ("name", "levelno", "levelname", "pathname", "lineno", "funcName", "created"):
        value = record.__dict__.get(name)
        if type(value) in (str, int, float):
            setattr(bare, name, value)
    return bare
