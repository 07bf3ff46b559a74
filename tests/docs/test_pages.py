"""Tests for the length, the links and the names in the pages."""

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
RAW = "https://raw.githubusercontent.com/segment-logging/segment-logging/main/"

INTERNAL = {"proxies", "steps", "visitor"}
"""Shared modules of `contrib` that are not public."""


ELSEWHERE = {"changelog", "contributing", "getting-started"}
"""Pages whose contents the README has, or whose sources it links to."""


class TestReadme(unittest.TestCase):
    def test_length(self) -> None:
        """The README has at most 1,200 words."""
        self.assertLessEqual(len(PAGES[README].split()), 1_200)

    def test_links_are_absolute(self) -> None:
        """All links are absolute, because package indexes show the README as well."""
        for link in links(README):
            self.assertRegex(link, "^https://")

    def test_picture(self) -> None:
        """The README shows the collector's page, with an address that works on other sites."""
        pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGES[README])
        self.assertEqual(len(pictures), 1)
        for picture in pictures:
            self.assertTrue(Path(PROJECT, picture.removeprefix(RAW)).is_file(), picture)

    def test_pages_are_listed(self) -> None:
        """The README links to every page of the documentation that is not a part of another."""
        linked = {link.partition("/latest/")[2] for link in links(README)}
        for page in PAGES:
            name = page.removeprefix("docs/").removesuffix(".md")
            if page != README and not name.endswith("index") and name not in ELSEWHERE:
                with self.subTest(page=page):
                    self.assertIn(f"{name}.html", linked)

    def test_frameworks(self) -> None:
        """The README names the same integration for each framework as the framework's page."""
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
        """Every relative link leads to an existing page and heading."""
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
        """Every link to the published documentation leads to an existing page."""
        for page in PAGES:
            for link in links(page):
                if link.startswith(DOCUMENTATION) and link != DOCUMENTATION:
                    with self.subTest(page=page, link=link):
                        name = link.removeprefix(f"{DOCUMENTATION}en/latest/")
                        self.assertTrue((DOCS / name).with_suffix(".md").exists())

    def test_repository(self) -> None:
        """Every link to the repository leads to an existing file."""
        for page in PAGES:
            for link in links(page):
                found = re.fullmatch(rf"{REPOSITORY}/(?:blob|tree)/main/(.+)", link)
                if found is not None:
                    with self.subTest(page=page, link=link):
                        self.assertTrue(Path(PROJECT, found[1]).exists())


class TestNames(unittest.TestCase):
    def test_reference(self) -> None:
        """The reference lists every public name in the section of its module."""
        for module in (segment_logging, segment_logging.testing, segment_logging.collector):
            section = section_of("docs/reference.md", f"`{module.__name__}`")
            told = set(re.findall(r"^\.\. (?:auto|data)\w*:: ([\w.]+)$", section, re.MULTILINE))
            self.assertEqual({name.rpartition(".")[2] for name in told}, set(module.__all__))

    def test_contrib(self) -> None:
        """The reference lists every public module of `contrib`."""
        section = section_of("docs/reference.md", "`segment_logging.contrib`")
        path = segment_logging.contrib.__path__
        modules = {one.name for one in pkgutil.iter_modules(path) if not one.name.startswith("_")}
        told = set(re.findall(r"segment_logging\.contrib\.(\w+)\.", section))
        self.assertEqual(modules - INTERNAL, told - INTERNAL)

    def test_rooms(self) -> None:
        """The design page lists the rooms in import order, from the top down."""
        rows = rows_under("docs/design.md", "Components")
        named = [name for row in rows for name in re.findall(r"`(\w+)`", row.first)]
        self.assertEqual(named, sorted(named, key=ORDER.index, reverse=True))

    def test_folders(self) -> None:
        """Every folder that a page mentions exists."""
        for page in PAGES:
            for code in inline_code(page):
                if re.fullmatch(r"\w+/", code):
                    self.assertTrue(Path(PROJECT, code).is_dir(), (page, code))

    def test_no_logger_is_silenced(self) -> None:
        """Every logging configuration sets `disable_existing_loggers` to False."""
        for block in blocks():
            if re.search(r'^\s*"?version"?: 1,?$', block.text, re.MULTILINE):
                with self.subTest(page=block.page, line=block.line):
                    self.assertRegex(block.text, r"disable_existing_loggers\"?: [Ff]alse")


def anchors_of(text: str) -> set[str]:
    """Return the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def section_of(page: str, title: str) -> str:
    """Return the section under a second-level heading."""
    return PAGES[page].split(f"\n## {title}\n")[1].split("\n## ")[0]
