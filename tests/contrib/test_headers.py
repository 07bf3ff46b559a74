"""Tests for reading a visitor's data from header values, which may be hostile."""

from __future__ import annotations

import unittest
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from segment_logging.contrib.headers import (
    anonymous_id_of,
    clean,
    context_of,
    locale_of,
    page_of,
    user_id_of,
)

UUID = "6b1fd3a4-2e55-4b6c-a4d1-3c0f2f4e9a77"


def cookie(value: str) -> str:
    """Return a Cookie header with this anonymous id."""
    return f"theme=dark; ajs_user_id=null; ajs_anonymous_id={value}"


class TestAnonymousId(unittest.TestCase):
    def test_plain(self) -> None:
        """An id in the format of the current analytics.js is read."""
        self.assertEqual(anonymous_id_of(cookie(UUID)), UUID)

    def test_json_string(self) -> None:
        """An id in the older format, a JSON string that may be percent-encoded, is read."""
        for value, found in (
            (f"%22{UUID}%22", UUID),
            (f'"{UUID}"', UUID),
            (quote('"caf\\u00e9"'), "café"),
        ):
            with self.subTest(value=value):
                self.assertEqual(anonymous_id_of(cookie(value)), found)

    def test_percent_encoded(self) -> None:
        """An id with special characters, percent-encoded as UTF-8, is decoded."""
        self.assertEqual(anonymous_id_of(cookie("caf%C3%A9%3B1")), "café;1")

    def test_bytes(self) -> None:
        """The header may be bytes, which ASGI servers pass."""
        self.assertEqual(anonymous_id_of(cookie(UUID).encode()), UUID)

    def test_none(self) -> None:
        """Without the cookie, or with an empty one, there is no id."""
        for value in (None, "", b"", "theme=dark", "ajs_anonymous_id", "x_ajs_anonymous_id=1"):
            with self.subTest(value=value):
                self.assertIsNone(anonymous_id_of(value))

    def test_garbage(self) -> None:
        """A value that is not an id is ignored, because many visitors may share it."""
        for value in (
            "", "null", "undefined", "%22%22", '"', '"half', "%22a%22b", "%00", "a%0Ab", "%FF",
            "x" * 257, "%78" * 257, "%22" + "x" * 257 + "%22", '"\\ud800"', "%20", "%C2%A0%20",
            "%22null%22", "%22%20%22", "%20null",
        ):  # fmt: skip
            with self.subTest(value=value):
                self.assertIsNone(anonymous_id_of(cookie(value)))

    def test_first_that_is_one(self) -> None:
        """Of several cookies, the first valid id is used; browsers send the closest path first."""
        self.assertEqual(
            anonymous_id_of("ajs_anonymous_id=null; ajs_anonymous_id=a; ajs_anonymous_id=b"), "a"
        )

    @given(st.one_of(st.text(), st.binary()))
    def test_anything(self, value: str | bytes) -> None:
        """For any header, the result is None or a short, printable string."""
        prefix: str | bytes = (
            "ajs_anonymous_id=" if isinstance(value, str) else b"ajs_anonymous_id="
        )
        found = anonymous_id_of(prefix + value)  # type: ignore[operator]
        self.assertTrue(found is None or (found.isprintable() and 0 < len(found) <= 256))


class TestUserId(unittest.TestCase):
    def test_id(self) -> None:
        """The user id is read by the same rules, from its own cookie."""
        for value, found in (
            ("17", "17"), ("%2217%22", "17"), ('"17"', "17"), ("caf%C3%A9%3B1", "café;1"),
            ("null", None), ("%22null%22", None), ("undefined", None), ("%20", None),
            ("x" * 257, None),
        ):  # fmt: skip
            with self.subTest(value=value):
                self.assertEqual(user_id_of(f"ajs_anonymous_id=a; ajs_user_id={value}"), found)

    def test_none(self) -> None:
        """Without the cookie, there is no id."""
        for value in (None, "", "ajs_anonymous_id=a"):
            with self.subTest(value=value):
                self.assertIsNone(user_id_of(value))


class TestClean(unittest.TestCase):
    def test_control_characters(self) -> None:
        """Control characters and other invisible characters are removed."""
        self.assertEqual(clean("Mozilla\x00/5.0\r\n\x1b[31m \u202eevil"), "Mozilla/5.0[31m evil")

    def test_latin_1_in_disguise(self) -> None:
        """UTF-8 that was decoded as ISO 8859-1 is repaired, and other text is unchanged."""
        self.assertEqual(clean("Zoë".encode().decode("latin-1")), "Zoë")
        self.assertEqual(clean("Zoë".encode("latin-1").decode("latin-1")), "Zoë")

    def test_bytes(self) -> None:
        """Bytes are decoded as UTF-8 if that is possible, and as ISO 8859-1 otherwise."""
        self.assertEqual(clean("Zoë".encode()), "Zoë")
        self.assertEqual(clean("Zoë".encode("latin-1")), "Zoë")

    def test_bounded(self) -> None:
        """A value that is too long is truncated."""
        self.assertEqual(clean("x" * 100_000), "x" * 512)

    def test_nothing(self) -> None:
        """An empty value becomes None."""
        for value in (None, "", b"", "  ", "\x00"):
            self.assertIsNone(clean(value))

    @given(st.one_of(st.text(), st.binary()))
    def test_anything(self, value: str | bytes) -> None:
        """Any value becomes None or a short, printable string."""
        found = clean(value)
        self.assertTrue(found is None or (found.isprintable() and 0 < len(found) <= 512))


class TestLocale(unittest.TestCase):
    def test_first_language(self) -> None:
        """The locale is the first language in the header, in canonical spelling."""
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
        """A header without a valid first language gives no locale."""
        for header in (None, "", "*", "*;q=0.5", "english please", "12", "e", "en-" + "x" * 50):
            with self.subTest(header=header):
                self.assertIsNone(locale_of(header))


class TestPage(unittest.TestCase):
    def page(self, **given: str | bytes | None) -> dict[str, str]:
        usual = {"scheme": "https", "host": "shop.example", "path": "/", "query": ""}
        return page_of(**{"referrer": None, **usual, **given})  # type: ignore[arg-type]

    def test_whole(self) -> None:
        """The page has all fields that analytics.js sends, except the title."""
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
        """Unknown fields are left out."""
        self.assertEqual(self.page(scheme=None, host=None, query=None), {"path": "/"})
        self.assertEqual(self.page(path="", host=""), {"path": "/"})

    def test_percent(self) -> None:
        """The path is passed in decoded form, so a percent sign in it is encoded."""
        self.assertEqual(self.page(path="/100%25")["path"], "/100%2525")

    def test_host_that_is_none(self) -> None:
        """An invalid Host header gives no URL."""
        for host in ("evil.example/path?", "a b", "<script>", "x" * 300):
            with self.subTest(host=host):
                self.assertNotIn("url", self.page(host=host))

    def test_path_of_bytes(self) -> None:
        """Bytes that are not UTF-8 are percent-encoded as they are."""
        self.assertEqual(self.page(path=b"/\xff\r\n")["path"], "/%FF%0D%0A")

    def test_surrogates(self) -> None:
        """Lone surrogates do not raise."""
        self.assertEqual(self.page(path="/\udc80")["path"], "/%3F")

    def test_bounded(self) -> None:
        """The page stays far below the size limit of a message, however long the values are."""
        page = self.page(path="/€" * 5_000, query="€" * 5_000, referrer="€" * 50_000)
        self.assertLess(sum(len(text.encode()) for text in page.values()), 16_000)


class TestContext(unittest.TestCase):
    def test_both(self) -> None:
        """The browser and the language have Segment's field names."""
        self.assertEqual(
            context_of({"user-agent": "Mozilla/5.0", "accept-language": "de-DE"}),
            {"userAgent": "Mozilla/5.0", "locale": "de-DE"},
        )

    def test_neither(self) -> None:
        """Missing headers are left out."""
        self.assertEqual(context_of({}), {})


if __name__ == "__main__":
    unittest.main()
