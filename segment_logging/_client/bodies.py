"""What a response body says: the server's own words, and which messages it refused. Pure.

Services that speak Segment's API have no common form for this, so several forms are recognized. A
body is somebody else's: it is bounded before it gets here, and what it says is cut and escaped.
"""

from __future__ import annotations

import re
from collections import deque
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
        found = sorted((one for one in secrets if len(one) >= _SHORTEST_SECRET), key=len)
        # The longest first, as one may be a part of another. Servers also change the case.
        pattern = "|".join(re.escape(one) for one in reversed(found))
        self._secrets = re.compile(pattern, re.IGNORECASE) if found else None

    def shown(self, text: str) -> str:
        """Return a text on one line, cut and escaped."""
        if self._secrets is not None:
            text = self._secrets.sub("…", text)
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
            about = {key.lower(): value for key, value in told.items()}
            texts = [str(about[key]) for key in _KEYS_OF_WORDS if _is_word(about.get(key))]
            if texts:
                return self.shown(": ".join(texts))
            told = about.get("error") or about.get("errors")
        return ""

    def reason_in(self, told: Any) -> str:
        """Return the words for a whole body: those of `found_in`, or the nearest within it.

        Only places that are about the answer are searched, because others may repeat the request.
        """
        waiting = deque([("", told, False)])
        first = ""  # text below a key such as `errors`, which may be by field
        while waiting:
            key, one, is_below_failed = waiting.popleft()
            if isinstance(one, list):
                waiting.extend((key, value, is_below_failed) for value in one)
            elif isinstance(one, Mapping):
                if found := self.found_in(one):
                    return found
                for name, value in one.items():
                    is_failed = is_below_failed or bool(_BAD_KEY.search(name))
                    if is_failed or name.lower() in _KEYS_ABOUT_ANSWER:
                        waiting.append((name, value, is_failed))
            elif isinstance(one, str) and is_below_failed and one.strip() and not first:
                first = self.shown(f"{key}: {one}")
        return first or self.found_in(told)


def json_of(body: bytes) -> Any:
    """Return the value of a JSON object, array or text, or None."""
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    if body[:1] not in (b"{", b"[", b'"'):
        return None
    try:
        try:
            return decode(body)
        except UnicodeDecodeError:  # in an encoding that JSON does not allow
            return decode(body.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None


def says_failed(told: Any) -> bool:
    """Return whether a body says that the request failed, without looking into its parts."""
    if isinstance(told, list):
        return any(isinstance(one, Mapping) and says_failed(one) for one in told)
    if not isinstance(told, Mapping):
        return False
    verdict = _is_failed(told)
    if verdict is None:
        return any(value and key.lower() in _KEYS_OF_FAILURE for key, value in told.items())
    return verdict


def says_any_failed(told: Any) -> bool:
    """Return whether a body says that the request or a part of it failed."""
    return any(says_failed(one) for one, _ in _parts_of(told))


def may_name_failed(told: Any) -> bool:
    """Return whether a body may name failed messages, although it does not say that it failed."""
    return any(
        isinstance(one, Mapping)
        and any(
            (value and _BAD_KEY.search(key)) or _verdict_of(value) is True
            for key, value in one.items()
        )
        for one, _ in _parts_of(told)
    )


def refused_in(
    told: Any, ids: Collection[str], words: Words, *, is_failed: bool = True
) -> dict[str, str]:
    """Return the messages that a body names as refused: the server's words by message id.

    Recognized are objects that have the id as a value and say that they failed, and ids (as texts,
    in texts, or as keys) below a key such as `errors`, `failed` or `rejected`.

    Args:
        told: the body.
        ids: the message ids of the request.
        words: finds the server's words.
        is_failed: whether the body says that the request failed. If so, an object with words but
            without a verdict counts as failed.
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
        if _counts_as_failed(one, is_below_failed, own if is_failed else ""):
            for value in one.values():
                if isinstance(value, str) and value in ids:
                    _note(refused, value, own)
        for key, value in one.items():
            if key in ids:
                about = words.found_in(value)
                if _counts_as_failed(value, is_below_failed, about if is_failed else ""):
                    _note(refused, key, about)
    return refused


def _note(refused: dict[str, str], message_id: str, words: str) -> None:
    refused[message_id] = refused.get(message_id) or words


def _counts_as_failed(one: Any, is_below_failed: bool | None, words: str) -> bool:
    verdict = _is_failed(one) if isinstance(one, Mapping) else _verdict_of(one)
    if verdict is None:
        verdict = is_below_failed
    return bool(words) and words.lower() not in _GOOD if verdict is None else verdict


def _is_failed(one: Mapping[str, Any]) -> bool | None:
    """Return whether an object says that it failed, or None if it does not say."""
    told = {key.lower(): value for key, value in one.items()}
    for key in ("success", "ok"):
        value = told.get(key)
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.lower())
        if isinstance(value, bool):
            return not value
        if value == 0 and type(value) is int:  # another number may be how many there are
            return True
    for key in ("status", "statuscode", "status_code", "code"):
        value = told.get(key)
        if isinstance(value, str):
            if (verdict := _verdict_of(value)) is not None:
                return verdict
            value = int(value) if re.fullmatch("[1-5][0-9][0-9]", value, re.ASCII) else None
        if type(value) is int and 100 <= value < 600:
            return value >= 400
    return None


def _verdict_of(value: Any) -> bool | None:
    """Return whether a value says that something failed, or None if it does not say."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return False if value.lower() in _GOOD else value.lower() in _BAD or None
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
    "errormessage", "error_message", "msg", "description", "details", "cause", "faultstring",
)  # fmt: skip
_KEYS_ABOUT_ANSWER = frozenset(
    ("status", "result", "response", "meta", "detail", "details", "fault", "cause", "exception")
)
_KEYS_OF_FAILURE = frozenset(
    ("error", "errors", "errormessage", "error_message", "failed", "failures", "rejected")
)
_GOOD = frozenset(("ok", "success", "succeeded", "accepted", "delivered", "processed", "created"))
_BAD = frozenset(("error", "fail", "failed", "failure", "rejected", "refused", "invalid"))
_BAD_KEY = re.compile(r"error|fail|reject|refus|invalid|drop", re.IGNORECASE)
_GOOD_KEY = re.compile(r"success|succeed|accept|deliver|process|warning", re.IGNORECASE)
_AROUND = "\"'`.,:;()[]{}<>"  # what may stand around an id in a text
_MAX_WORDS = 200  # characters
_SHORTEST_SECRET = 8  # characters
