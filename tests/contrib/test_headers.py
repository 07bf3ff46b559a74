"""What header values say of a visitor, whoever made them up."""

from __future__ import annotations

import unittest
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from segment_logging.contrib.headers import anonymous_id_of, clean, context_of, locale_of, page_of

UUID = "6b1fd3a4-2e55-4b6c-a4d1-3c0f2f4e9a77"


def cookie(value: str) -> str:
    """A Cookie header."""
    return f"theme=dark; ajs_user_id=null; ajs_anonymous_id={value}"


class TestAnonymousId(unittest.TestCase):
    def test_plain(self) -> None:
        """As analytics.js writes it today."""
        self.assertEqual(anonymous_id_of(cookie(UUID)), UUID)

    def test_json_string(self) -> None:
        """As older versions write it: a JSON string, percent-encoded or not."""
        for value, found in (
            (f"%22{UUID}%22", UUID),
            (f'"{UUID}"', UUID),
            (quote('"caf\\u00e9"'), "café"),
        ):
            with self.subTest(value=value):
                self.assertEqual(anonymous_id_of(cookie(value)), found)

    def test_percent_encoded(self) -> None:
        """A program's own ids may hold anything; they come percent-encoded, as UTF-8."""
        self.assertEqual(anonymous_id_of(cookie("caf%C3%A9%3B1")), "café;1")

    def test_bytes(self) -> None:
        """ASGI has bytes."""
        self.assertEqual(anonymous_id_of(cookie(UUID).encode()), UUID)

    def test_none(self) -> None:
        """No cookie, another one, or one that holds nothing."""
        for value in (None, "", b"", "theme=dark", "ajs_anonymous_id", "x_ajs_anonymous_id=1"):
            with self.subTest(value=value):
                self.assertIsNone(anonymous_id_of(value))

    def test_garbage(self) -> None:
        """Anything but an id is ignored: each would make one person of many."""
        for value in (
            "", "null", "undefined", "%22%22", '"', '"half', "%22a%22b", "%00", "a%0Ab", "%FF",
            "x" * 257, "%78" * 257, "%22" + "x" * 257 + "%22", '"\\ud800"',
        ):  # fmt: skip
            with self.subTest(value=value):
                self.assertIsNone(anonymous_id_of(cookie(value)))

    def test_first_that_is_one(self) -> None:
        """Of several, the first that is an id: browsers send the closest path's first."""
        self.assertEqual(
            anonymous_id_of("ajs_anonymous_id=null; ajs_anonymous_id=a; ajs_anonymous_id=b"), "a"
        )

    @given(st.one_of(st.text(), st.binary()))
    def test_anything(self, value: str | bytes) -> None:
        """Whatever stands in the header, the answer is None or short, printable text."""
        prefix: str | bytes = (
            "ajs_anonymous_id=" if isinstance(value, str) else b"ajs_anonymous_id="
        )
        found = anonymous_id_of(prefix + value)  # type: ignore[operator]
        self.assertTrue(found is None or (found.isprintable() and 0 < len(found) <= 256))


class TestClean(unittest.TestCase):
    def test_control_characters(self) -> None:
        """They are removed, with all else that does not show."""
        self.assertEqual(clean("Mozilla\x00/5.0\r\n\x1b[31m \u202eevil"), "Mozilla/5.0[31m evil")

    def test_latin_1_in_disguise(self) -> None:
        """UTF-8 that a server decoded as ISO 8859-1 is read as UTF-8, other text as it stands."""
        self.assertEqual(clean("Zoë".encode().decode("latin-1")), "Zoë")
        self.assertEqual(clean("Zoë".encode("latin-1").decode("latin-1")), "Zoë")

    def test_bytes(self) -> None:
        """Bytes are UTF-8 if they can be, else ISO 8859-1."""
        self.assertEqual(clean("Zoë".encode()), "Zoë")
        self.assertEqual(clean("Zoë".encode("latin-1")), "Zoë")

    def test_bounded(self) -> None:
        """What is too long is cut."""
        self.assertEqual(clean("x" * 100_000), "x" * 512)

    def test_nothing(self) -> None:
        """Nothing is None."""
        for value in (None, "", b"", "  ", "\x00"):
            self.assertIsNone(clean(value))

    @given(st.one_of(st.text(), st.binary()))
    def test_anything(self, value: str | bytes) -> None:
        """Whatever it is, it becomes None or short, printable text."""
        found = clean(value)
        self.assertTrue(found is None or (found.isprintable() and 0 < len(found) <= 512))


class TestLocale(unittest.TestCase):
    def test_first_language(self) -> None:
        """The language that stands first, in the usual spelling."""
        for header, locale in (
            ("en-US,en;q=0.9,de;q=0.8", "en-US"),
            ("de", "de"),
            ("DE_at;q=0.8", "de-AT"),
            ("zh-hant-tw, zh;q=0.5", "zh-Hant-TW"),
            ("es-419", "es-419"),
            (b"fr-CH, fr;q=0.9", "fr-CH"),
        ):
            with self.subTest(header=header):
                self.assertEqual(locale_of(header), locale)

    def test_none(self) -> None:
        """Any language, or none at all."""
        for header in (None, "", "*", "*;q=0.5", "english please", "12", "e", "en-" + "x" * 50):
            with self.subTest(header=header):
                self.assertIsNone(locale_of(header))


class TestPage(unittest.TestCase):
    def page(self, **given: str | bytes | None) -> dict[str, str]:
        usual = {"scheme": "https", "host": "shop.example", "path": "/", "query": ""}
        return page_of(**{"referrer": None, **usual, **given})  # type: ignore[arg-type]

    def test_whole(self) -> None:
        """Everything a browser would know but the title."""
        self.assertEqual(
            self.page(path="/p/café", query="utm_source=x", referrer="https://a.example/?q=1"),
            {
                "path": "/p/caf%C3%A9",
                "search": "?utm_source=x",
                "referrer": "https://a.example/?q=1",
                "url": "https://shop.example/p/caf%C3%A9?utm_source=x",
            },
        )

    def test_least(self) -> None:
        """What is not known is left out."""
        self.assertEqual(self.page(scheme=None, host=None, query=None), {"path": "/"})
        self.assertEqual(self.page(path="", host=""), {"path": "/"})

    def test_percent(self) -> None:
        """A path is decoded when it comes here, so a percent sign in it is one."""
        self.assertEqual(self.page(path="/100%25")["path"], "/100%2525")

    def test_host_that_is_none(self) -> None:
        """A Host header that cannot be one makes no url."""
        for host in ("evil.example/path?", "a b", "<script>", "x" * 300):
            with self.subTest(host=host):
                self.assertNotIn("url", self.page(host=host))

    def test_path_of_bytes(self) -> None:
        """Bytes that are no UTF-8 are kept as they came."""
        self.assertEqual(self.page(path=b"/\xff\r\n")["path"], "/%FF%0D%0A")

    def test_surrogates(self) -> None:
        """Halves of characters raise nothing."""
        self.assertEqual(self.page(path="/\udc80")["path"], "/%3F")

    def test_bounded(self) -> None:
        """However long the values are, the page stays far below what a message may have."""
        page = self.page(path="/€" * 5_000, query="€" * 5_000, referrer="€" * 50_000)
        self.assertLess(sum(len(text.encode()) for text in page.values()), 16_000)


class TestContext(unittest.TestCase):
    def test_both(self) -> None:
        """Browser and language, in Segment's words."""
        self.assertEqual(
            context_of({"user-agent": "Mozilla/5.0", "accept-language": "de-DE"}),
            {"userAgent": "Mozilla/5.0", "locale": "de-DE"},
        )

    def test_neither(self) -> None:
        """What is not there is left out."""
        self.assertEqual(context_of({}), {})


if __name__ == "__main__":
    unittest.main()
