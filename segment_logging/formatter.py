"""Messages as lines of JSON, for an agent (Vector, Fluent Bit) to ship from stdout or a file.

The same reading of records as the handler's, and nothing of its delivery.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pythonjsonlogger.json import JsonFormatter
from typing_extensions import override

from .errors import InvalidMessage, MessageTooLarge
from .reading import Consent, Reading
from .records import RecordReader
from .reports import say_refused


class SegmentJsonFormatter(JsonFormatter):
    """Writes an event as the very message that Segment takes, any other record as usual.

    An event is one JSON object with a `type`, as in a batch. Another record is what
    python-json-logger makes of it; add `OnlyEvents` as a filter to leave these out.

    Args:
        args: of python-json-logger's `JsonFormatter`, and of other records.
        capture: as those of `SegmentHandler`, and so are the rest.
        context: merged under every message's context.
        integrations: merged under every message's integrations.
        include_extras: whether other extras become properties or traits.
        redact: keys to leave out; of other records, too.
        hashed: keys whose value becomes its SHA-256; likewise.
        consent: category ids to True or False; or what returns that.
        options: of python-json-logger's `JsonFormatter`.

    Raises:
        ConfigurationError: an option that cannot work.
    """

    def __init__(
        self,
        *args: Any,
        capture: str = "marked",
        context: Mapping[str, Any] | None = None,
        integrations: Mapping[str, Any] | None = None,
        include_extras: bool = True,
        redact: Sequence[str] = (),
        hashed: Sequence[str] = (),
        consent: Consent | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._reader = RecordReader(
            Reading(
                capture=capture,
                context=context,
                integrations=integrations,
                include_extras=include_extras,
                redact=redact,
                hashed=hashed,
                consent=consent,
            )
        )

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Return one line. Never raises.

        Of an event that Segment would drop, and of what cannot be written, it is an ordinary line
        without extras, and stderr says why, by the rules of `logging.Handler.handleError`: which
        itself, when this raised, would print all that the record holds.
        """
        try:
            fields = self._reader.fields_of(record)
            line = None if fields is None else self._reader.line_of(record, fields)
            return super().format(record) if line is None else line.decode()
        except Exception as error:
            if logging.raiseExceptions:
                say_refused(record, error)
            return super().format(_bare(record))

    @override
    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Redact an ordinary record likewise, by its keys' names before and after renaming."""
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
    """A filter that lets events pass that Segment takes, and nothing else.

    What Segment would drop is said on stderr, by the rules of `logging.Handler.handleError`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._reader = RecordReader(Reading())

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        try:
            fields = self._reader.fields_of(record)
            return fields is not None and self._reader.line_of(record, fields) is not None
        except MessageTooLarge:  # perhaps not by the formatter's own options
            return True
        except Exception as error:  # here it would reach the application
            if logging.raiseExceptions:
                say_refused(record, error)
            return False


def _bare(record: logging.LogRecord) -> logging.LogRecord:
    """Return the record without extras, arguments and traceback, nor what a filter broke."""
    text = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    bare = logging.LogRecord("", logging.NOTSET, "", 0, text, None, None)
    for name in ("name", "levelno", "levelname", "pathname", "lineno", "funcName", "created"):
        value = record.__dict__.get(name)
        if type(value) in (str, int, float):
            setattr(bare, name, value)
    return bare
