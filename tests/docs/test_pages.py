"""What holds for the pages as a whole: length, links, names."""

from __future__ import annotations

import importlib
import pkgutil
import re
import unittest
from importlib.util import find_spec
from pathlib import Path

import segment_logging
import segment_logging.collector
import segment_logging.contrib
import segment_logging.testing

from ..builders import PROJECT
from ..test_architecture import ORDER
from .pages import DOCS, PAGES, README, blocks, inline_code, links, rows_under

DOCUMENTATION = "https://segment-logging.readthedocs.io/"
REPOSITORY = "https://github.com/segment-logging/segment-logging"

INTERNAL = {"headers", "proxies", "steps", "visitor"}
"""Modules of `contrib` that others share, and that only the package itself imports."""


class TestReadme(unittest.TestCase):
    def test_length(self) -> None:
        """The README has at most 1,200 words."""
        self.assertLessEqual(len(PAGES[README].split()), 1_200)

    def test_links_are_absolute(self) -> None:
        """It has no links that only work in the repository, as package indexes show it, too."""
        for link in links(README):
            self.assertRegex(link, "^https://")

    def test_frameworks(self) -> None:
        """What it says of a framework is what that framework's page says."""
        rows = {row.first: row.others[0] for row in rows_under(README, "In your framework")}
        for first, what in rows.items():
            page = first.partition("/latest/")[2].partition(".html")[0]
            for code in re.findall(r"segment_logging\.contrib\.[\w.]+", what):
                with self.subTest(page=page, code=code):
                    module, _, name = code.rpartition(".")
                    self.assertIn(name, PAGES[f"docs/{page}.md"])
                    if find_spec("django") and find_spec("flask") and find_spec("celery"):
                        self.assertTrue(callable(getattr(importlib.import_module(module), name)))


class TestLinks(unittest.TestCase):
    def test_pages(self) -> None:
        """Every link to a page of the documentation leads to one, and to a heading in it."""
        for page in PAGES:
            for link in links(page):
                if link.startswith(("https://", "http://")):
                    continue
                with self.subTest(page=page, link=link):
                    path, _, anchor = link.partition("#")
                    target = (PROJECT / page).parent / path if path else PROJECT / page
                    self.assertTrue(target.exists())
                    if anchor:
                        name = target.resolve().relative_to(PROJECT).as_posix()
                        self.assertIn(anchor, anchors_of(PAGES[name]))

    def test_documentation(self) -> None:
        """Every link to the published documentation leads to a page that is here."""
        for page in PAGES:
            for link in links(page):
                if link.startswith(DOCUMENTATION) and link != DOCUMENTATION:
                    with self.subTest(page=page, link=link):
                        name = link.removeprefix(f"{DOCUMENTATION}en/latest/")
                        self.assertTrue((DOCS / name).with_suffix(".md").exists())

    def test_repository(self) -> None:
        """Every link to a file of the repository leads to one that is here."""
        for page in PAGES:
            for link in links(page):
                found = re.fullmatch(rf"{REPOSITORY}/(?:blob|tree)/main/(.+)", link)
                if found is not None:
                    with self.subTest(page=page, link=link):
                        self.assertTrue(Path(PROJECT, found[1]).exists())


class TestNames(unittest.TestCase):
    def test_reference(self) -> None:
        """The reference has every public name, in the section of its module."""
        for module in (segment_logging, segment_logging.testing, segment_logging.collector):
            section = section_of("docs/reference.md", f"`{module.__name__}`")
            told = set(re.findall(r"^\.\. (?:auto|data)\w*:: ([\w.]+)$", section, re.MULTILINE))
            self.assertEqual({name.rpartition(".")[2] for name in told}, set(module.__all__))

    def test_contrib(self) -> None:
        """The reference has every module of `contrib`."""
        section = section_of("docs/reference.md", "`segment_logging.contrib`")
        path = segment_logging.contrib.__path__
        modules = {one.name for one in pkgutil.iter_modules(path) if not one.name.startswith("_")}
        told = set(re.findall(r"segment_logging\.contrib\.(\w+)\.", section))
        self.assertEqual(modules - INTERNAL, told - INTERNAL)

    def test_rooms(self) -> None:
        """The design names the rooms from the top down, in the order in which they may import."""
        rows = rows_under("docs/design.md", "The rooms")
        named = [name for row in rows for name in re.findall(r"`(\w+)`", row.first)]
        self.assertEqual(named, sorted(named, key=ORDER.index, reverse=True))

    def test_folders(self) -> None:
        """Every folder that is named in a text is there."""
        for page in PAGES:
            for code in inline_code(page):
                if re.fullmatch(r"\w+/", code):
                    self.assertTrue(Path(PROJECT, code).is_dir(), (page, code))

    def test_no_logger_is_silenced(self) -> None:
        """Whatever configures logging says that loggers made earlier go on."""
        for block in blocks():
            if re.search(r'^\s*"?version"?: 1,?$', block.text, re.MULTILINE):
                with self.subTest(page=block.page, line=block.line):
                    self.assertRegex(block.text, r"disable_existing_loggers\"?: [Ff]alse")


def anchors_of(text: str) -> set[str]:
    """Return the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def section_of(page: str, title: str) -> str:
    """Return what stands under a heading of the second level."""
    return PAGES[page].split(f"\n## {title}\n")[1].split("\n## ")[0]
