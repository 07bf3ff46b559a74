"""What a response body says: the server's own words, and which messages it refused. Pure.

Services that speak Segment's API have no common form for this, so several forms are recognized. A
body is somebody else's: it is bounded before it gets here, and what it says is cut and escaped.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from .._messages.encoding import decode
from .._reports import printable


class Words:
    """Finds a server's words in a body, without the secrets that it may quote from the request.

    Args:
        secrets: texts that must not be shown. Short ones are ignored, because they are those of
            tests and may be part of any word.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._secrets = [one for one in secrets if len(one) >= _SHORTEST_SECRET]

    def shown(self, text: str) -> str:
        """Return a text on one line, cut and escaped."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return printable(text, at_most=_MAX_WORDS)

    def found_in(self, told: Any) -> str:
        """Return the code and the message of an error in JSON; "" if there are none."""
        for _ in range(_LEVELS):
            if isinstance(told, list):
                told = told[0] if told else None
            if isinstance(told, str):
                return self.shown(told)
            if not isinstance(told, Mapping):
                return ""
            texts = [str(told[key]) for key in _KEYS_OF_WORDS if _is_word(told.get(key))]
            if texts:
                return self.shown(": ".join(texts))
            told = told.get("error") or told.get("errors")
        return ""


def json_of(body: bytes) -> Any:
    """Return the value of a JSON object or array, or None."""
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    if body[:1] not in (b"{", b"["):
        return None
    try:
        return decode(body)
    except (ValueError, RecursionError):
        return None


def says_failed(told: Any) -> bool:
    """Return whether a body says that the request failed, without looking into its parts."""
    if isinstance(told, list):
        return any(isinstance(one, Mapping) and says_failed(one) for one in told)
    if not isinstance(told, Mapping):
        return False
    verdict = _is_failed(told)
    return bool(told.get("error") or told.get("errors")) if verdict is None else verdict


def says_any_failed(told: Any) -> bool:
    """Return whether a body says that the request or a part of it failed."""
    return any(says_failed(one) for one, _ in _parts_of(told))


def refused_in(told: Any, ids: Collection[str], words: Words) -> dict[str, str]:
    """Return the messages that a body names as refused: the server's words by message id.

    Recognized are objects that have the id as a value and say that they failed, and ids (as texts,
    in texts, or as keys) below a key such as `errors`, `failed` or `rejected`.
    """
    refused: dict[str, str] = {}
    if not ids:
        return refused
    for one, is_below_failed in _parts_of(told):
        if isinstance(one, str):
            for message_id in _ids_in(one, ids) if is_below_failed else ():
                _note(refused, message_id, "" if one == message_id else words.shown(one))
            continue
        own = words.found_in(one)
        if _counts_as_failed(one, is_below_failed, own):
            for value in one.values():
                if isinstance(value, str) and value in ids:
                    _note(refused, value, own)
        for key, value in one.items():
            if key in ids:
                about = words.found_in(value)
                if _counts_as_failed(value, is_below_failed, about):
                    _note(refused, key, about)
    return refused


def _note(refused: dict[str, str], message_id: str, words: str) -> None:
    refused[message_id] = refused.get(message_id) or words


def _counts_as_failed(one: Any, is_below_failed: bool | None, words: str) -> bool:
    verdict = _is_failed(one) if isinstance(one, Mapping) else None
    if verdict is None:
        verdict = is_below_failed
    return bool(words) and words.lower() not in _GOOD if verdict is None else verdict


def _is_failed(one: Mapping[str, Any]) -> bool | None:
    """Return whether an object says that it failed, or None if it does not say."""
    for key in ("success", "ok"):
        if isinstance(one.get(key), bool):
            return not one[key]
    for key in ("status", "statusCode", "status_code", "code"):
        value = one.get(key)
        if isinstance(value, str):
            if value.lower() in _GOOD:
                return False
            if value.lower() in _BAD:
                return True
            value = int(value) if re.fullmatch("[1-5][0-9][0-9]", value, re.ASCII) else None
        if type(value) is int and 100 <= value < 600:
            return value >= 400
    return None


def _parts_of(told: Any) -> Iterator[tuple[Any, bool | None]]:
    """Yield every object and text in a body, and whether a key above it says that it failed."""
    is_fine = isinstance(told, Mapping) and _is_failed(told) is False
    waiting: list[tuple[Any, bool | None]] = [(told, False if is_fine else None)]
    while waiting:
        one, is_failed = waiting.pop()
        if isinstance(one, Mapping):
            yield one, is_failed
            waiting.extend((value, _is_failed_below(key, is_failed)) for key, value in one.items())
        elif isinstance(one, list):
            waiting.extend((value, is_failed) for value in one)
        elif isinstance(one, str):
            yield one, is_failed


def _is_failed_below(key: str, is_failed: bool | None) -> bool | None:
    if _BAD_KEY.search(key):
        return True
    return False if _GOOD_KEY.search(key) else is_failed


def _ids_in(text: str, ids: Collection[str]) -> Iterator[str]:
    parts = {text, *text.split(), *re.split(r"[\s:,;=]+", text)}
    parts |= {part.strip(_AROUND) for part in parts}
    return (part for part in parts if part in ids)


def _is_word(one: Any) -> bool:
    return (isinstance(one, str) and bool(one.strip())) or type(one) is int


_LEVELS = 5  # of nested errors
_KEYS_OF_WORDS = (
    "code", "error", "message", "reason", "title", "detail", "error_description",
)  # fmt: skip
_GOOD = frozenset(("ok", "success", "succeeded", "accepted", "delivered", "processed", "created"))
_BAD = frozenset(("error", "fail", "failed", "failure", "rejected", "refused", "invalid"))
_BAD_KEY = re.compile(r"error|fail|reject|refus|invalid|drop", re.IGNORECASE)
_GOOD_KEY = re.compile(r"success|succeed|accept|deliver|process|warning", re.IGNORECASE)
_AROUND = "\"'`.,:;()[]{}<>"  # what may stand around an id in a text
_MAX_WORDS = 200  # characters
_SHORTEST_SECRET = 8  # characters
