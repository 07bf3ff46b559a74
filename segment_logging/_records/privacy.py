"""What is removed from messages: keys with personal data.

Redaction works on the encoded message, so that no type of value, such as a dataclass, can hide a
key from it. Pure: no clock, threads or I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from fnmatch import translate
from hashlib import sha256
from types import MappingProxyType
from typing import Any
from unicodedata import category, normalize

from .._messages.encoding import decode, encode
from .._messages.lines import PLAIN
from ..errors import ConfigurationError

_Matches = Callable[[str], object]
_Patterns = Sequence[tuple[_Matches, ...]]
_Paths = tuple[tuple[str, ...], ...]  # all paths that a value may have

_WRITTEN_ALIKE = frozenset({str, int, bool, type(None)})  # plain, and never written as null
_MOST_NAMES = 10_000  # the limit of the cache
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
        self._names = _Names(self._removed, self._hashed)
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
        verdict = self._verdict_on(paths)
        if verdict is _Verdict.REMOVED:
            del within[key]
        elif hashes and verdict is _Verdict.HASHED:
            within[key] = _hash_of(within[key])
        else:
            self._look_into(within[key], paths, hashes=hashes)

    def _look_into(self, value: Any, paths: _Paths, *, hashes: bool = True) -> None:
        if isinstance(value, dict):
            for key in tuple(value):
                own, verdict = self._names[key]
                if verdict is not _Verdict.KEPT:
                    places = tuple((*path, *own) for path in paths)
                    self._look_through(value, key, places, hashes=hashes)
                elif type(value[key]) in (dict, list):
                    places = tuple((*path, *own) for path in paths)
                    self._look_into(value[key], places, hashes=hashes)
        elif isinstance(value, list):
            for item in value:
                if type(item) in (dict, list):
                    self._look_into(item, paths, hashes=hashes)

    def copy_of(self, value: dict[str, Any], place: str) -> dict[str, Any]:
        """Return a redacted copy of an object that contains only plain values.

        This has the same result as redacting the encoded object, at a quarter of the cost.

        Args:
            value: the object, which is not changed.
            place: its key in the message.

        Raises:
            ValueError: if a value is not plain, so that it may contain keys once it is encoded.
        """
        return self._copy_of_object(value, ((place,),)) if place in _WITHIN else value

    def _copy_of_object(self, value: dict[str, Any], paths: _Paths) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for key, item in value.items():
            own, verdict = self._names[key]
            if verdict is _Verdict.DEPENDS:
                verdict = self._verdict_on(tuple((*path, *own) for path in paths))
            if type(item) in PLAIN:
                if verdict is _Verdict.KEPT:
                    copy[key] = item
                elif verdict is _Verdict.HASHED:
                    if type(item) not in _WRITTEN_ALIKE:
                        raise ValueError
                    copy[key] = _hash_of(item)
            elif verdict is _Verdict.HASHED:
                raise ValueError
            else:  # also if it is removed, because it may not be plain
                inner = self._copy_of(item, tuple((*path, *own) for path in paths))
                if verdict is _Verdict.KEPT:
                    copy[key] = inner
        return copy

    def _copy_of(self, value: Any, paths: _Paths) -> Any:
        kind = type(value)
        if kind in PLAIN:
            return value
        if kind is dict:
            return self._copy_of_object(value, paths)
        if kind is list or kind is tuple:
            return [self._copy_of(item, paths) for item in value]
        raise ValueError

    def _verdict_on(self, paths: _Paths) -> _Verdict:
        if any(_ends_with_any(path, self._removed) for path in paths):
            return _Verdict.REMOVED
        if any(_ends_with_any(path, self._hashed) for path in paths):
            return _Verdict.HASHED
        return _Verdict.KEPT


class _Verdict(Enum):
    """What happens to the value of a key."""

    KEPT = 0
    REMOVED = 1
    HASHED = 2
    DEPENDS = 3  # on the keys around it


class _Names(dict[str, tuple[tuple[str, ...], _Verdict]]):
    """Maps a key to its path, and to what follows from the key alone.

    Most keys occur in many messages, and almost none of them matches a pattern.
    """

    def __init__(self, removed: _Patterns, hashed: _Patterns) -> None:
        super().__init__()
        self._removed = removed
        self._hashed = hashed

    def __missing__(self, key: str) -> tuple[tuple[str, ...], _Verdict]:
        if len(self) >= _MOST_NAMES:
            self.clear()
        path = _path_of(key)
        self[key] = found = path, self._verdict_on(path[-1])
        return found

    def _verdict_on(self, name: str) -> _Verdict:
        for patterns, verdict in (
            (self._removed, _Verdict.REMOVED),
            (self._hashed, _Verdict.HASHED),
        ):
            matching = [pattern for pattern in patterns if pattern[-1](name)]
            if any(len(pattern) == 1 for pattern in matching):
                return verdict
            if matching:
                return _Verdict.DEPENDS
        return _Verdict.KEPT


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


def _ends_with_any(path: tuple[str, ...], patterns: _Patterns) -> bool:
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
