"""What is not sent: keys with personal data, unwanted events, and users outside the sample.

Redaction works on the encoded message, so that no type of value, such as a dataclass, can hide a
key from it. Pure: no clock, threads or I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from hashlib import sha256
from types import MappingProxyType
from typing import Any
from unicodedata import category, normalize

from .._messages.encoding import decode, encode
from ..errors import ConfigurationError

_WITHIN = ("properties", "traits", "context")  # Segment needs everything else unchanged


class Redaction:
    """Removes keys from messages, or replaces their values with hashes.

    A pattern is compared with the end of a key's path, ignoring case and the several ways in which
    Unicode writes the same letter. "password" matches any key with that name, "card.number" matches
    a number inside a card, `*` matches any single key, and "pass*" matches any key that begins with
    "pass". Lists add nothing to the path, and a key that contains dots counts as a path.

    Args:
        removed: patterns of the keys to remove.
        hashed: patterns of the keys whose value is replaced with the SHA-256 of its text, in
            hexadecimal. The hash is still useful for joins, but it is not secret from anyone who
            can guess the value.

    Raises:
        ConfigurationError: if no key can match a pattern.
    """

    def __init__(self, removed: Sequence[str], hashed: Sequence[str]) -> None:
        self._removed = [_parts_of(pattern) for pattern in removed]
        self._hashed = [_parts_of(pattern) for pattern in hashed]
        last = {_folded(pattern).rpartition(".")[2] for pattern in (*removed, *hashed)}
        names = "|".join(map(re.escape, sorted(last)))
        is_simple = all(re.fullmatch(r"[a-z0-9_ -]+", name) for name in last)
        self._finds_key: Callable[[bytes], object] | None = None  # if a quick look is possible
        if is_simple:
            self._finds_key = re.compile(f'[".](?:{names})":'.encode(), re.IGNORECASE).search

    def line_of(self, line: bytes) -> bytes:
        """Return an encoded message after redaction."""
        # Other letters can be written in several ways in JSON and in Unicode.
        is_plain = line.isascii() and b"\\u" not in line
        if is_plain and self._finds_key is not None and not self._finds_key(line):
            return line
        form = decode(line)
        for key in _WITHIN:
            self._look_into(form.get(key), ((key,),))
        return encode(form)

    def removed_from(self, context: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a copy of a context without the keys to remove, but hash nothing.

        Returns:
            None if it cannot be encoded.
        """
        try:
            form: dict[str, Any] = decode(encode(context))
        except ValueError:
            return None
        self._look_into(form, (("context",),), hashes=False)
        return form

    def values_of(
        self, values: Mapping[str, Any], other_names: Mapping[str, str] = MappingProxyType({})
    ) -> Any:
        """Return a redacted copy of values that are not a complete message.

        The place in a message where each value would end up is not known yet, so patterns are
        compared with all possible places. If the values cannot be encoded, None is returned.

        Args:
            values: the values by key.
            other_names: maps keys to other names, which are compared with the patterns as well.
        """
        try:
            form = decode(encode(values))
        except ValueError:
            return None
        for key in tuple(form):
            if key in _WITHIN and isinstance(form[key], str):
                form[key] = None  # may be an object written as text, which cannot be searched
            elif key in _WITHIN:
                self._look_into(form[key], ((key,), ("context", key)))
            else:
                names = {_path_of(key), _path_of(other_names.get(key, key))}
                places = ((within, *name) for within in ("properties", "traits") for name in names)
                self._look_through(form, key, tuple(places))
        return form

    def _look_through(
        self, within: dict[str, Any], key: str, paths: _Paths, *, hashes: bool = True
    ) -> None:
        if any(_ends_with_any(path, self._removed) for path in paths):
            del within[key]
        elif hashes and any(_ends_with_any(path, self._hashed) for path in paths):
            within[key] = _hash_of(within[key])
        else:
            self._look_into(within[key], paths, hashes=hashes)

    def _look_into(self, value: Any, paths: _Paths, *, hashes: bool = True) -> None:
        if isinstance(value, dict):
            for key in tuple(value):
                own = _path_of(key)
                places = tuple((*path, *own) for path in paths)
                self._look_through(value, key, places, hashes=hashes)
        elif isinstance(value, list):
            for item in value:
                self._look_into(item, paths, hashes=hashes)


class Selection:
    """Decides which messages are sent at all.

    Args:
        allow: patterns of the names of events, pages and screens to send, such as "Order *"; None
            for all. Identify, group and alias have no name, so no pattern applies to them.
        deny: patterns of the names not to send.
        sample_rate: the share of users to keep, from 0 to 1. Either all messages of a user are
            kept or none, and the choice is the same in every process and after every restart.
    """

    def __init__(
        self, allow: Sequence[str] | None, deny: Sequence[str], sample_rate: float
    ) -> None:
        self._allows = _matcher(allow) if allow is not None else None
        self._denies = _matcher(deny) if deny else None
        self._below = sample_rate * 2**32

    def wants(self, form: Mapping[str, Any]) -> bool:
        """Return whether a call in wire form is to be sent."""
        name = form.get("event") or form.get("name")
        if form["type"] in ("track", "page", "screen"):
            if self._allows is not None and not (name and self._allows(name)):
                return False
            if self._denies is not None and name and self._denies(name):
                return False
        user = form.get("userId") or form.get("anonymousId") or ""
        number = sha256(user.encode("utf-8", "replace")).digest()[:4]
        return int.from_bytes(number, "big") < self._below


_Matches = Callable[[str], object]
_Paths = tuple[tuple[str, ...], ...]  # all paths that a value may have


def _folded(text: str) -> str:
    """Return a text in the one form in which names are compared."""
    if text.isascii():
        return text.lower()
    visible = "".join(one for one in text if category(one) != "Cf")  # without zero-width spaces
    return normalize("NFKC", normalize("NFKC", visible).casefold())


def _path_of(key: str) -> tuple[str, ...]:
    return tuple(_folded(key).split("."))


def _parts_of(pattern: str) -> tuple[_Matches, ...]:
    """Return a function for each part of a pattern, which compares it with a folded key."""
    parts = _folded(pattern).split(".")
    if not all(parts):
        raise ConfigurationError(
            f"redact and hashed: {pattern!r} matches no key: write it like 'card.number'"
        )
    return tuple(
        re.compile(translate(part)).match if set(part) & set("*?[") else part.__eq__
        for part in parts
    )


def _ends_with_any(path: tuple[str, ...], patterns: Sequence[tuple[_Matches, ...]]) -> bool:
    return any(
        len(parts) <= len(path)
        and all(matches(key) for matches, key in zip(parts, path[-len(parts) :]))
        for parts in patterns
    )


def _hash_of(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else encode(value).decode()
    return sha256(text.encode()).hexdigest()


def _matcher(patterns: Sequence[str]) -> Callable[[str], object]:
    return re.compile("|".join(map(translate, patterns)) or "(?!)").match
