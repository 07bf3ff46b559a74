"""The README and the pages of the documentation, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from ..builders import PROJECT

DOCS = PROJECT / "docs"
README = "README.md"
PAGES = {
    path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8")
    for path in (PROJECT / README, *sorted(DOCS.rglob("*.md")))
}
"""The texts, by their paths."""

NO_RUN = "no-run"
"""Behind the language of a block: it cannot be run."""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code in a page.

    Attributes:
        page: the path of the page.
        line: the number of its first line.
        language: what stands first after the fence.
        mark: what follows the language.
        text: the code.
    """

    page: str
    line: int
    language: str
    mark: str
    text: str


def blocks(language: str | None = None) -> list[Block]:
    """Return the blocks of code in one language, or in any, of all pages, in order."""
    return [
        block
        for page in PAGES
        for block in blocks_of(page)
        if language in (None, block.language) and not block.language.startswith("{")
    ]


def blocks_of(page: str) -> list[Block]:
    """Return all fenced blocks of a page, in order; those of directives begin with a brace."""
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


def program_of(page: str) -> str:
    """Return the Python of a page as one program, each line of it at its number in the page."""
    lines = [""] * (PAGES[page].count("\n") + 1)
    for block in blocks_of(page):
        if block.language == "python" and block.mark != NO_RUN:
            for number, line in enumerate(block.text.splitlines(), block.line):
                lines[number - 1] = line
    return "\n".join(lines) + "\n"


class Row(NamedTuple):
    """A row of a table: what it is about, and the other cells."""

    first: str
    others: list[str]


def rows_under(page: str, title: str) -> list[Row]:
    """Return the first table under a heading, without its header."""
    section = re.split(rf"^#+ {re.escape(title)}$", PAGES[page], flags=re.MULTILINE)[1]
    section = re.split(r"^#", section, maxsplit=1, flags=re.MULTILINE)[0]
    table = re.search(r"^\|.*(?:\n\|.*)*", section, re.MULTILINE)
    assert table is not None, (page, title)
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()
    ]
    return [Row(first, others) for first, *others in cells[2:]]


def inline_code(page: str) -> list[str]:
    """Return what stands between single backticks outside of blocks."""
    text = PAGES[page]
    for block in blocks_of(page):
        text = text.replace(block.text, "")
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


def links(page: str) -> list[str]:
    """Return the targets of a page's links and images."""
    return re.findall(r"\]\(([^)\s]+)\)", PAGES[page])
