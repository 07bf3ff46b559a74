"""What every LogRecord has: names that logging lets no extra have."""

from __future__ import annotations

import logging
import sys

_LATER = frozenset({"message", "asctime"})  # set by a formatter, which may be after the extras

RECORD_ATTRIBUTES = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", (), None).__dict__, *_LATER, "taskName"}
)
"""The names. python-json-logger has the same list, but importing it would take as long as a tenth
of this package."""

ADDED_LATER = _LATER if sys.version_info >= (3, 12) else _LATER | {"taskName"}
"""Those that may stand behind the extras. Before 3.12, only a program itself sets `taskName`."""
