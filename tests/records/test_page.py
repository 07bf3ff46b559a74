"""Tests for the query parameters in `context.page`."""

from __future__ import annotations

import unittest
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from segment_logging import ConfigurationError, SegmentHandler
from segment_logging._messages.encoding import decode
from segment_logging._options.records import RecordOptions
from segment_logging._records.page import PageQuery
from segment_logging._records.reader import RecordReader
from tests.builders import a_record


def page_of(page: Mapping[str, Any], **options: Any) -> Any:
    """Return the page of a message that was logged with this page."""
    reader = RecordReader(RecordOptions(**options))
    record = a_record("E", extra={"user_id": "u", "context": {"page": page}})
    fields = reader.fields_of(record)
    assert fields is not None
    line = reader.line_of(record, fields)
    assert line is not None
    return decode(line)["context"]["page"]


class TestDefault(unittest.TestCase):
    """Without the option, only the parameters of campaigns are kept."""

    def kept(self, url: str) -> Any:
        return page_of({"url": url})["url"]

    def test_secrets(self) -> None:
        """A token is in no field of the page."""
        page = page_of(
            {
                "url": "https://h/reset?token=SECRET&utm_source=mail",
                "search": "?token=SECRET&utm_source=mail",
                "referrer": "https://h/login?next=%2Freset&code=SECRET",
                "path": "/reset",
                "title": "Reset?",
            }
        )
        self.assertEqual(
            page,
            {
                "url": "https://h/reset?utm_source=mail",
                "search": "?utm_source=mail",
                "referrer": "https://h/login",
                "path": "/reset",
                "title": "Reset?",
            },
        )

    def test_campaigns(self) -> None:
        """The parameters of campaigns and advertisements stay as they are."""
        query = "utm_source=a%20b&UTM_Term=c&gclid=1&fbclid=2&msclkid=3"
        self.assertEqual(self.kept(f"https://h/?{query}"), f"https://h/?{query}")
        self.assertEqual(page_of({"search": query})["search"], query)

    def test_other_forms(self) -> None:
        """Values without a name, semicolons, fragments and credentials cannot hide a secret."""
        for url, kept in (
            ("https://h/a?SECRET", "https://h/a"),
            ("https://h/a?gclid=1;token=SECRET", "https://h/a?gclid=1"),
            ("https://h/a#access_token=SECRET", "https://h/a"),
            ("https://h/a#part", "https://h/a#part"),
            ("https://h/a?x=SECRET#part", "https://h/a#part"),
            ("https://name:SECRET@h/a@b", "https://h/a@b"),
            ("//h/a?x=SECRET", "//h/a"),
            ("https://h/a?gclid=1?token=SECRET", "https://h/a?gclid=1"),
            ("/a?utm%5Fsource=1&to%6Ben=SECRET", "/a?utm%5Fsource=1"),
        ):
            with self.subTest(url):
                self.assertEqual(self.kept(url), kept)

    def test_nothing_left(self) -> None:
        """A search of which nothing is left is not sent."""
        self.assertEqual(page_of({"search": "?a=1", "path": "/"}), {"path": "/"})
        self.assertEqual(page_of({"search": "a=1", "path": "/"}), {"path": "/"})

    def test_other_values(self) -> None:
        """Values that are not text are left alone."""
        page = {"url": 5, "search": None, "referrer": ["?a=b"]}
        self.assertEqual(page_of(page), page)
        self.assertEqual(page_of({}), {})

    def test_other_fields(self) -> None:
        """A path that came with its query, a hash and other names of the referrer are cleaned."""
        page = page_of(
            {
                "path": "/reset?token=SECRET",
                "hash": "#token=SECRET",
                "referer": "https://h/?code=SECRET",
                "initial_referrer": "https://h/?code=SECRET",
            }
        )
        self.assertEqual(
            page, {"path": "/reset", "referer": "https://h/", "initial_referrer": "https://h/"}
        )

    def test_url_objects(self) -> None:
        """An object for a URL, such as a framework's, is cleaned in the form that is sent."""

        class Url:
            @override
            def __str__(self) -> str:
                return "https://h/a?token=SECRET"

        class Broken:
            @override
            def __str__(self) -> str:
                raise LookupError

        for value in (Url(), b"https://h/a?token=SECRET"):
            self.assertEqual(page_of({"url": value}), {"url": "https://h/a"})
        context = {"page": {"url": Broken()}}
        self.assertIs(PageQuery(()).cleaned(context), context)  # encoding it refuses the event

    def test_caller_is_not_changed(self) -> None:
        """The caller's own context stays as it is."""
        page = {"url": "https://h/?a=1"}
        page_of(page)
        self.assertEqual(page, {"url": "https://h/?a=1"})

    def test_long(self) -> None:
        """A very long URL is handled, too."""
        self.assertEqual(self.kept("https://h/?a=" + "x" * 20_000), "https://h/")

    def test_before_send(self) -> None:
        """What `before_send` puts into the page is treated in the same way."""

        def before_send(message: Any) -> Any:
            return type(message)(
                user=message.user, event="E", context={"page": {"search": "?a=SECRET"}}
            )

        reader = RecordReader(RecordOptions(before_send=before_send))
        record = a_record("E", extra={"user_id": "u"})
        line = reader.line_of(record, reader.fields_of(record) or {})
        self.assertNotIn(b"SECRET", line or b"")

    def test_refused(self) -> None:
        """A refused event is kept without the secrets."""
        reader = RecordReader(RecordOptions())
        page = {"url": "https://h/?a=SECRET"}
        record = a_record("E", extra={"user_id": "u", "traits": 5, "context": {"page": page}})
        with self.assertRaises(ValueError) as caught:
            reader.line_of(record, reader.fields_of(record) or {})
        self.assertNotIn("SECRET", str(caught.exception.refused))  # type: ignore[attr-defined]

    def test_memory(self) -> None:
        """However many different URLs there are, few are remembered."""
        query = PageQuery(())
        for number in range(1_000):
            query.cleaned({"page": {"url": f"https://h/?a={number}"}})
        self.assertLessEqual(query._without_cached.cache_info().currsize, 256)


class TestOption(unittest.TestCase):
    def test_all(self) -> None:
        """The value "all" keeps every parameter."""
        url = "https://h/?token=1#a=b"
        self.assertEqual(page_of({"url": url}, page_query="all"), {"url": url})

    def test_names(self) -> None:
        """A list of patterns is kept in addition to the campaigns' parameters."""
        url = "https://h/?q=1&plan_a=2&gclid=3&x=4"
        kept = page_of({"url": url}, page_query=["q", "plan_*"])["url"]
        self.assertEqual(kept, "https://h/?q=1&plan_a=2&gclid=3")

    def test_wrong(self) -> None:
        """Anything else is refused at start-up."""
        for value in ("some", 5, None, [1]):
            with self.subTest(value), self.assertRaisesRegex(ConfigurationError, "page_query"):
                SegmentHandler("a-key", page_query=value)  # type: ignore[arg-type]
