"""Reads the JSON of a request, and notes where each call of a batch is in it.

The text of a call is what the collector stores and shows. It costs nothing, and unlike parsed
values, it has the numbers exactly as they were sent.

This module uses no clock, thread or socket.
"""

from __future__ import annotations

import json
import re
from math import inf
from typing import Any, NoReturn


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    """Return a number, unless it is too large: its reader would get infinity, which is not JSON."""
    number = float(text)
    if number in (inf, -inf):
        raise ValueError(f"{text[:20]} is too large for a number")
    return number


_decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
_scan = _decoder.scan_once  # type: ignore[attr-defined]
_skip_spaces = re.compile(r"[ \t\n\r]*").match


class _Unexpected(Exception):
    """Raised if the text is not an object in JSON."""


def read_form(body: bytes) -> tuple[Any, list[str] | None]:
    """Parse the body of a request.

    Returns:
        The value, and the text of each item in the list `batch`, or None if there is no such list.

    Raises:
        ValueError: the body is not JSON.
        RecursionError: it is nested too deeply.
    """
    text = body.decode()
    try:
        return _read_object(text)
    except (_Unexpected, StopIteration, IndexError):
        return _decoder.decode(text), None  # raises an error that describes the fault


def _read_object(text: str) -> tuple[dict[str, Any], list[str] | None]:
    form: dict[str, Any] = {}
    texts = None
    index = _past(text, 0, "{")
    while text[index] != "}":
        key, index = _scan(text, index)
        if not isinstance(key, str):
            raise _Unexpected
        index = _past(text, index, ":")
        if key == "batch" and text[index] == "[":
            form[key], texts, index = _read_list(text, index)
        else:
            form[key], index = _scan(text, index)
        index = _after_item(text, index, "}")
    if _spaces(text, index + 1) != len(text):
        raise _Unexpected
    return form, texts


def _read_list(text: str, index: int) -> tuple[list[Any], list[str], int]:
    items, texts = [], []
    index = _past(text, index, "[")
    while text[index] != "]":
        item, end = _scan(text, index)
        items.append(item)
        texts.append(text[index:end])
        if text.startswith((",{", ", {"), end):  # the usual cases
            index = text.index("{", end)
        else:
            index = _after_item(text, end, "]")
    return items, texts, index + 1


def _past(text: str, index: int, character: str) -> int:
    """Return the index of what follows this character, with spaces around it."""
    index = _spaces(text, index)
    if text[index] != character:
        raise _Unexpected
    return _spaces(text, index + 1)


def _after_item(text: str, index: int, end: str) -> int:
    """Return the index of the next item, or that of the end."""
    index = _spaces(text, index)
    if text[index] == end:
        return index
    index = _past(text, index, ",")
    if text[index] == end:
        raise _Unexpected
    return index


def _spaces(text: str, index: int) -> int:
    found = _skip_spaces(text, index)
    assert found is not None
    return found.end()
