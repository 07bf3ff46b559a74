"""Parsing of the README and the documentation pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..builders import PROJECT

DOCS = PROJECT / "docs"
README = "README.md"
PAGES = {
    path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8")
    for path in (PROJECT / README, *sorted(DOCS.rglob("*.md")))
}
"""The text of each page, by its path."""

NO_RUN = "no-run"
"""The mark after the language of a block that cannot be run."""


@dataclass(frozen=True, slots=True)
class Block:
    """A code block in a page.

    Attributes:
        page: the page's path.
        line: the number of the code's first line.
        language: the first word after the opening fence.
        mark: the text after the language.
        text: the code.
    """

    page: str
    line: int
    language: str
    mark: str
    text: str


def blocks(language: str | None = None) -> list[Block]:
    """Return the code blocks of all pages, in order, optionally in one language only."""
    return [
        block
        for page in PAGES
        for block in blocks_of(page)
        if language in (None, block.language) and not block.language.startswith("{")
    ]


def blocks_of(page: str) -> list[Block]:
    """Return all fenced blocks of a page, in order. A directive's language starts with a brace."""
    found = []
    fences = re.finditer(
        r"^(?P<fence>```+)(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=fence)$",
        PAGES[page],
        re.MULTILINE | re.DOTALL,
    )
    for fence in fences:
        language, _, mark = fence["info"].strip().partition(" ")
        line = PAGES[page].count("\n", 0, fence.start("text")) + 1
        found.append(Block(page, line, language, mark.strip(), fence["text"]))
    return found


def pod_of(manifest: Any) -> Any:
    """Return the specification of the pod in a manifest for Kubernetes."""
    spec = manifest["spec"]
    if "jobTemplate" in spec:
        spec = spec["jobTemplate"]["spec"]
    return spec["template"]["spec"] if "template" in spec else spec


def program_of(page: str) -> str:
    """Return a page's Python code as one program with the page's line numbers."""
    lines = [""] * (PAGES[page].count("\n") + 1)
    for block in blocks_of(page):
        if block.language == "python" and block.mark != NO_RUN:
            for number, line in enumerate(block.text.splitlines(), block.line):
                lines[number - 1] = line
    return "\n".join(lines) + "\n"


class Row(NamedTuple):
    """A table row: its first cell, and the other cells."""

    first: str
    others: list[str]


def rows_under(page: str, title: str) -> list[Row]:
    """Return the rows of the first table under a heading, without the table's header."""
    section = re.split(rf"^#+ {re.escape(title)}$", PAGES[page], flags=re.MULTILINE)[1]
    section = re.split(r"^#", section, maxsplit=1, flags=re.MULTILINE)[0]
    table = re.search(r"^\|.*(?:\n\|.*)*", section, re.MULTILINE)
    assert table is not None, (page, title)
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()
    ]
    return [Row(first, others) for first, *others in cells[2:]]


def inline_code(page: str) -> list[str]:
    """Return a page's inline code."""
    text = PAGES[page]
    for block in blocks_of(page):
        text = text.replace(block.text, "")
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


def links(page: str) -> list[str]:
    """Return the targets of a page's links and images."""
    return re.findall(r"\]\(([^)\s]+)\)", PAGES[page])
