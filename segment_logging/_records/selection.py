"""Which messages are sent at all: unwanted events, and users outside the sample. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from hashlib import sha256
from typing import Any


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
        self._has_patterns = allow is not None or bool(deny)
        below = math.ceil(sample_rate * 2**32)
        self._below = below.to_bytes(4, "big") if below < 2**32 else None

    def wants(self, call_type: str, name: str | None, user: str) -> bool:
        """Return whether a call is to be sent.

        Args:
            call_type: the call's type.
            name: the name of an event, page or screen.
            user: the user id, or the anonymous id if there is none.
        """
        if self._has_patterns and call_type in ("track", "page", "screen"):
            if self._allows is not None and not (name and self._allows(name)):
                return False
            if self._denies is not None and name and self._denies(name):
                return False
        below = self._below
        return below is None or sha256(user.encode("utf-8", "replace")).digest() < below

    def wants_form(self, form: Mapping[str, Any]) -> bool:
        """Return whether a call in wire form is to be sent."""
        user = form.get("userId") or form.get("anonymousId") or ""
        return self.wants(form["type"], form.get("event") or form.get("name"), user)

    def excluded_by(self, form: Mapping[str, Any]) -> str | None:
        """Return the option that excludes a call in wire form, or None. For tests: `wants` is fast.

        Args:
            form: see `wants_form`.
        """
        if self.wants_form(form):
            return None
        name = form.get("event") or form.get("name")
        if form["type"] in ("track", "page", "screen"):
            if self._allows is not None and not (name and self._allows(name)):
                return "allow_events"
            if self._denies is not None and name and self._denies(name):
                return "deny_events"
        return "sample_rate"


def _matcher(patterns: Sequence[str]) -> Callable[[str], object]:
    return re.compile("|".join(map(translate, patterns)) or "(?!)").match
