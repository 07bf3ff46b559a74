"""Query values in `context.page`: those of campaigns are kept, and others may be secrets.

Links that reset a password, confirm an address or share a file have a token in their query, and
browsers send it on as the referrer. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

from .._messages.conversions import plain

CAMPAIGN = (
    "utm_*", "gclid", "gclsrc", "gbraid", "wbraid", "dclid", "gad_*", "fbclid", "msclkid", "ttclid",
    "twclid", "li_fat_id", "igshid", "igsh", "yclid", "rdt_cid", "epik", "sccid", "srsltid",
    "mc_cid", "mc_eid", "_hsenc", "_hsmi", "mkt_tok", "vero_id", "ajs_aid", "ajs_uid", "ajs_event",
)  # fmt: skip
"""Names of query parameters that say which campaign or advertisement a visit came from."""

_FIELDS = frozenset(("url", "search", "referrer", "path", "hash", "referer", "initial_referrer"))
# The first three are Segment's. The path may come with its query, as Django's `get_full_path` does.
_MAX_CACHED_CHARACTERS = 2_048


def page_query_of(option: str | Sequence[str]) -> Callable[[Any], Any]:
    """Return the function that cleans a context according to the option `page_query`."""
    if option == "all":
        return lambda context: context
    return PageQuery(() if isinstance(option, str) else option).cleaned


class PageQuery:
    """Removes query parameters from the page of a message's context.

    Args:
        keep: patterns of the names to keep, in addition to those of campaigns.
    """

    def __init__(self, keep: Sequence[str]) -> None:
        patterns = "|".join(translate(name) for name in (*CAMPAIGN, *keep))
        keeps = re.compile(patterns, re.IGNORECASE).match
        self._without = _cleaner(keeps)
        self._without_cached = lru_cache(maxsize=256)(self._without)

    def cleaned(self, context: Any) -> Any:
        """Return a context, or a copy of it if its page has other parameters."""
        if not isinstance(context, Mapping) or not isinstance(page := context.get("page"), Mapping):
            return context
        cleaned: dict[str, Any] = {}
        for name, value in page.items():
            if name not in _FIELDS or value is None:
                continue
            # Anything else may be an object for URLs, such as Starlette's.
            text = value if isinstance(value, str) else _text_of(value)
            if isinstance(text, str) and (
                name == "search" or "?" in text or "#" in text or "@" in text  # else it stays
            ):
                without = self._text(text, is_search=name == "search")
                if without != text:
                    cleaned[name] = without
        if not cleaned:
            return context
        new = {key: value for key, value in {**page, **cleaned}.items() if value != ""}
        return {**context, "page": new}

    def _text(self, value: str, *, is_search: bool) -> str:
        if len(value) > _MAX_CACHED_CHARACTERS:
            return self._without(value, is_search)
        return self._without_cached(value, is_search)


def _text_of(value: Any) -> Any:
    """Return a value as it will be encoded, or None if it cannot be encoded."""
    try:
        return plain(value)
    except Exception:
        return None


def _cleaner(keeps: Callable[[str], object]) -> Callable[[str, bool], str]:
    def without(text: str, is_search: bool) -> str:
        """Return a URL, or a search with or without its question mark, with what may be kept."""
        text, hash_sign, fragment = text.partition("#")
        if "=" in fragment:  # sign-in pages put tokens there
            hash_sign = fragment = ""
        base, question_mark, query = text.partition("?")
        if is_search and not question_mark:
            base, query = "", base
        scheme, slashes, rest = base.partition("//")
        authority, slash, path = rest.partition("/")
        if "@" in authority:  # a user name and a password
            base = f"{scheme}{slashes}{authority.rpartition('@')[2]}{slash}{path}"
        kept = "&".join(one for one in re.split("[&;?]", query) if keeps(_name_of(one)))
        return f"{base}{question_mark if kept else ''}{kept}{hash_sign}{fragment}"

    return without


def _name_of(parameter: str) -> str:
    """Return the name of a parameter. Without an equals sign, it is a value, and has no name."""
    name, equals, _ = parameter.partition("=")
    return unquote_plus(name) if equals else ""
