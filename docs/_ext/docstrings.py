"""Converts docstrings to reStructuredText.

The package's docstrings are plain text with `code`, examples and sections. Without a conversion,
reStructuredText would treat `*` and `_` as markup, and indented examples as quotations.
Sphinx's napoleon extension only handles the sections.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_FIELDS = {"Args": "param", "Attributes": "ivar", "Raises": "raises"}
"""Sections whose entries are names with descriptions, and the Sphinx fields that they become."""
_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Options\b.*):")
_ENTRY = re.compile(r" {4}(\w+(?:, \w+)*): (.*)")
_MARKUP = re.compile(r"[*|]|_(?=\W|$)")


def to_rst(lines: list[str]) -> list[str]:
    """Convert the lines of a docstring to reStructuredText."""
    return list(_as_rst(lines))


def _as_rst(lines: list[str]) -> Iterator[str]:
    section = None
    before, is_example = "", False
    for line in lines:
        if line and not line.startswith(" "):
            found = _SECTION.fullmatch(line)
            section, is_example = found and found[1], False
            if found is None:
                yield _escaped(line)
            elif section == "Returns":
                yield ":returns:"
            elif section not in _FIELDS:
                yield from (f"{_escaped(line)}", "")
        elif section is not None:
            yield _in_section(section, line)
        else:
            if line and not before and not is_example:
                yield from ("::", "")
                is_example = True
            yield line if is_example else _escaped(line)
        before = line


def _in_section(section: str, line: str) -> str:
    entry = _ENTRY.fullmatch(line)
    if section == "Returns":
        return _escaped(line)
    if section in _FIELDS:
        return f":{_FIELDS[section]} {entry[1]}: {_escaped(entry[2])}" if entry else _escaped(line)
    return f"- `{entry[1]}`: {_escaped(entry[2])}" if entry else f"  {_escaped(line.strip())}"


def _escaped(line: str) -> str:
    parts = re.split("(`[^`]+`)", line)
    return "".join(
        part if part.startswith("`") else _MARKUP.sub(lambda found: "\\" + found[0], part)
        for part in parts
    )


def _on_docstring(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    lines[:] = [*to_rst(lines), ""]


def _on_signature(
    app: Sphinx, what: str, name: str, thing: object, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """Write `...` for defaults that are not Python, such as `<factory>`."""
    if not signature:
        return None
    return re.sub(r"= ?<(?:[^<>]|<[^<>]*>)*>", "= ...", signature), returns


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the event handlers with Sphinx."""
    app.connect("autodoc-process-docstring", _on_docstring)
    app.connect("autodoc-process-signature", _on_signature)
    return {"version": "1", "parallel_read_safe": True}
