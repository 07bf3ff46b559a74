"""Conversion of request headers to the fields of Segment's context.

Pure. The sender of a request chooses the values, so each value is cleaned and limited in length. No
control character may reach a message, and no value may make a message too large for Segment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

NAMES = ("cookie", "user-agent", "accept-language", "referer", "x-forwarded-for")
"""The headers that are read in addition to Host, in lower case."""

_MAX_CHARACTERS = 512  # the limit of a column in Segment's warehouses
_MAX_URL_CHARACTERS = 1_024
_MAX_ID_CHARACTERS = 256
_COOKIE = "ajs_anonymous_id"
_USER_COOKIE = "ajs_user_id"
_NO_IDS = frozenset({"", "null", "undefined"})  # values that scripts write if there is no id
_PATH_SAFE = "/!$&'()*+,;=:@~"  # characters that browsers do not escape in a path
_HOST = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}")
_LANGUAGE = re.compile(r"\s*([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3})\s*(?:[;,]|$)")


def clean(value: str | bytes | None, limit: int = _MAX_CHARACTERS) -> str | None:
    """Return a header's value as text without control characters, or None if nothing is left.

    Args:
        value: bytes, or text that the server decoded from bytes as ISO 8859-1. The bytes are read
            as UTF-8 if they are valid UTF-8.
        limit: the maximum number of characters to keep.
    """
    if not value:
        return None
    data = value if isinstance(value, bytes) else _bytes_of(value)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if not text.isprintable():
        text = "".join(filter(str.isprintable, text))
    return text[:limit].strip() or None


def _bytes_of(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode(errors="replace")  # the server did not decode it as ISO 8859-1


def anonymous_id_of(cookies: str | bytes | None) -> str | None:
    """Return the anonymous id that analytics.js keeps in a cookie, or None if there is none.

    The id is percent-encoded. Older versions of analytics.js wrote it as a JSON string. Blank
    values, `null`, `undefined` and values with invalid characters are ignored. Values of more than
    256 characters are ignored, too, because a shortened id could be that of another visitor.

    Args:
        cookies: the value of the Cookie header. Repeated headers are joined with semicolons.
    """
    return _id_of(_COOKIE, cookies)


def user_id_of(cookies: str | bytes | None) -> str | None:
    """Return the user id that analytics.js keeps in a cookie, or None if there is none.

    The browser can send any id, so use it only to find out whether another user has logged in. The
    same values are accepted as in `anonymous_id_of`.

    Args:
        cookies: the value of the Cookie header. Repeated headers are joined with semicolons.
    """
    return _id_of(_USER_COOKIE, cookies)


def _id_of(name: str, cookies: str | bytes | None) -> str | None:
    if not cookies:
        return None
    text = cookies.decode("latin-1") if isinstance(cookies, bytes) else cookies
    for cookie in text.split(";"):
        found_name, _, value = cookie.partition("=")
        if found_name.strip() == name and (found := _id_in(value.strip())):
            return found
    return None


def _id_in(value: str) -> str | None:
    if len(value) > 4 * _MAX_ID_CHARACTERS:
        return None
    value = unquote(value)
    if value.startswith('"'):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, str) or len(value) > _MAX_ID_CHARACTERS:
        return None
    if value.strip() in _NO_IDS:
        return None
    return value if value.isprintable() and "\ufffd" not in value else None


def locale_of(accept_language: str | bytes | None) -> str | None:
    """Return the first language, such as `en-US` or `zh-Hant-TW`, or None if there is none."""
    found = _LANGUAGE.match(clean(accept_language) or "")
    if found is None:
        return None
    language, *others = re.split("[-_]", found[1])
    return "-".join([language.lower(), *map(_subtag, others)])


def _subtag(text: str) -> str:
    """Return a region in upper case, a script in title case, and anything else in lower case."""
    if len(text) == 2:
        return text.upper()
    return text.title() if len(text) == 4 and text.isalpha() else text.lower()


def page_of(
    *,
    scheme: str | None,
    host: str | bytes | None,
    path: str | bytes,
    query: str | bytes | None,
    referrer: str | bytes | None,
) -> dict[str, str]:
    """Return Segment's `context.page` as a browser would fill it in, without unknown fields.

    Args:
        scheme: the URL's scheme, such as "https". Without a scheme or a host, there is no `url`.
        host: the host, with the port unless it is the default port.
        path: the path, either decoded or as bytes in UTF-8.
        query: the encoded query string, without the question mark.
        referrer: the URL of the page that linked to this one.
    """
    data = path if isinstance(path, bytes) else path.encode(errors="replace")
    page = {"path": quote(data, safe=_PATH_SAFE)[:_MAX_URL_CHARACTERS] or "/"}
    if search := clean(query, _MAX_URL_CHARACTERS):
        page["search"] = f"?{search}"
    if before := clean(referrer, _MAX_URL_CHARACTERS):
        page["referrer"] = before
    name = clean(host)
    if scheme and name and _HOST.fullmatch(name):
        page["url"] = f"{scheme}://{name}{page['path']}{page.get('search', '')}"
    return page


def context_of(headers: Mapping[str, str | bytes]) -> dict[str, Any]:
    """Return the fields of a message's context that are each read from a single header."""
    found = {
        "userAgent": clean(headers.get("user-agent")),
        "locale": locale_of(headers.get("accept-language")),
    }
    return {key: value for key, value in found.items() if value is not None}
