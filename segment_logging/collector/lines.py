"""Formats messages as rows of text with aligned columns and without control characters.

This module does no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMNS = ("type", "user", "name", "fields")


def columns_of(message: Any) -> tuple[str, str, str, str]:
    """Return the type, user, name, and properties or traits of a call in wire form.

    The name is that of the event, page or screen. For a group, it is the group's id, and for an
    alias, it is the previous id.
    """
    if not isinstance(message, Mapping):
        return "?", "", "", printable(_json(message))
    name = next(
        (message[key] for key in ("event", "name", "groupId", "previousId") if message.get(key)), ""
    )
    fields = message.get("properties") or message.get("traits") or {}
    return (
        printable(message.get("type", "?")),
        printable(message.get("userId") or message.get("anonymousId") or ""),
        printable(name),
        printable(_json(fields) if fields else ""),
    )


def printable(value: object) -> str:
    """Return `value` as one line of text, with control characters written as escapes."""
    text = value if isinstance(value, str) else _json(value)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def table(rows: Iterable[Sequence[str]], heads: Sequence[str] = COLUMNS) -> str:
    """Return the rows as a table with a header row and aligned columns."""
    lines = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines
    )


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply)"
