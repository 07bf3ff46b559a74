"""What is left out: keys of personal data, unwanted events, users outside the sample.

Redaction looks at the message as it is written, so that no kind of value, such as a dataclass, can
hide a key from it. Pure: no clock, no thread, no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from .._messages.encoding import decode, encode
from ..errors import ConfigurationError

_WITHIN = ("properties", "traits", "context")  # Segment needs everything else as it is


class Redaction:
    """Takes keys out of messages, or replaces their values by a hash.

    A pattern is compared with the end of a key's path, ignoring case: "password" is any key of that
    name, "card.number" one inside a card; `*` stands for any one key, and "pass*" for any that
    begins with "pass". Lists have no keys of their own, and a key with dots in it is a path.

    Args:
        removed: patterns of the keys to leave out.
        hashed: patterns of the keys whose value becomes the SHA-256 of its text, in hexadecimal.
            It is still good for joins, but not secret from anybody who can guess the value.

    Raises:
        ConfigurationError: a pattern that no key can match.
    """

    def __init__(self, removed: Sequence[str], hashed: Sequence[str]) -> None:
        self._removed = [_parts_of(pattern) for pattern in removed]
        self._hashed = [_parts_of(pattern) for pattern in hashed]
        last = {pattern.lower().rpartition(".")[2] for pattern in (*removed, *hashed)}
        names = "|".join(map(re.escape, sorted(last)))
        # In JSON, or in another case, other names can be written in more than one way.
        is_simple = all(re.fullmatch(r"[a-z0-9_ -]+", name) for name in last)
        self._concerns = re.compile(f'[".](?:{names})":' if is_simple else "", re.IGNORECASE).search

    def line_of(self, line: bytes) -> bytes:
        """Return an encoded message without what is to be left out."""
        if not self._concerns(line.decode()):
            return line
        form = decode(line)
        for key in _WITHIN:
            self._look_into(form.get(key), ((key,),))
        return encode(form)

    def values_of(
        self, values: Mapping[str, Any], other_names: Mapping[str, str] = MappingProxyType({})
    ) -> Any:
        """Return values that are not a message without what is to be left out.

        Where in a message each of them would stand is not decided yet, so all places count. None
        if they cannot even be written.

        Args:
            values: by their keys.
            other_names: what some of the keys are called elsewhere, which counts as well.
        """
        try:
            form = decode(encode(values))
        except ValueError:
            return None
        for key in tuple(form):
            if key in _WITHIN and isinstance(form[key], str):
                form[key] = None  # perhaps an object as text, which nobody looks into
            elif key in _WITHIN:
                self._look_into(form[key], ((key,), ("context", key)))
            else:
                names = {_path_of(key), _path_of(other_names.get(key, key))}
                places = ((within, *name) for within in ("properties", "traits") for name in names)
                self._look_through(form, key, tuple(places))
        return form

    def _look_through(self, within: dict[str, Any], key: str, paths: _Paths) -> None:
        if any(_ends_with_any(path, self._removed) for path in paths):
            del within[key]
        elif any(_ends_with_any(path, self._hashed) for path in paths):
            within[key] = _hash_of(within[key])
        else:
            self._look_into(within[key], paths)

    def _look_into(self, value: Any, paths: _Paths) -> None:
        if isinstance(value, dict):
            for key in tuple(value):
                own = _path_of(key)
                self._look_through(value, key, tuple((*path, *own) for path in paths))
        elif isinstance(value, list):
            for item in value:
                self._look_into(item, paths)


class Selection:
    """Decides which messages are wanted at all.

    Args:
        allow: patterns of the names of wanted events, pages and screens, as "Order *"; None for
            all. Identify, group and alias have no name, and are always wanted.
        deny: patterns of those that are not wanted.
        sample_rate: the share of users to keep, from 0 to 1. A user is either in the sample or
            not, with all messages, in every process and after every restart.
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
_Paths = tuple[tuple[str, ...], ...]  # the places where a value may be said to stand


def _path_of(key: str) -> tuple[str, ...]:
    return tuple(key.lower().split("."))


def _parts_of(pattern: str) -> tuple[_Matches, ...]:
    """Return, for each part of a pattern, what compares it with a key in lower case."""
    parts = pattern.lower().split(".")
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
