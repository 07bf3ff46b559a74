"""Checks whether structlog, if the program has configured it, passes its events on unchanged.

structlog is not imported here. See docs/structlog-and-loguru.md for these mistakes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from .findings import Finding


def checks_of_structlog() -> Iterator[Finding]:
    """Yield notes about structlog's configuration.

    They are notes and not problems, because the program may log its events without structlog.
    """
    structlog: Any = sys.modules.get("structlog")
    if structlog is None or not structlog.is_configured():
        return
    config = structlog.get_config()
    factory = config["logger_factory"]
    if type(factory).__module__ == "structlog._output":
        yield _note(
            f"logger_factory is {type(factory).__name__}, so no handler gets structlog's records: "
            "if your code logs events with it, set structlog.stdlib.LoggerFactory()"
        )
        return
    processors = config["processors"]
    last = type(processors[-1]).__name__ if processors else ""
    if last.endswith("Renderer"):
        yield _note(
            f"{last} is the last processor, so no event is found in structlog's records: put "
            "ProcessorFormatter.wrap_for_formatter last, and the renderer into the formatter of "
            "the console"
        )
        return
    if any(type(one).__name__ == "PositionalArgumentsFormatter" for one in processors):
        yield _note(
            "PositionalArgumentsFormatter formats the text before an event is named after it, so "
            "each amount makes another name: move it into the formatter of the console"
        )
    info = getattr(config["wrapper_class"], "info", None)
    if getattr(info, "__module__", None) == "structlog._native":
        yield _note(
            "wrapper_class is made by make_filtering_bound_logger, which formats the text before "
            "an event is named after it, so each amount makes another name: set "
            "structlog.stdlib.BoundLogger"
        )


def _note(text: str) -> Finding:
    return Finding("note", "structlog", text)
