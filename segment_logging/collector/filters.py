"""The filters for lists of arrivals.

This module uses no clock, thread or socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from .._messages.encoding import decode, encode
from ..errors import InvalidMessage
from .entries import Entry

OUTCOMES = ("accepted", "warned", "dropped", "refused")
NAMES = ("type", "event", "user", "outcome", "source", "search")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Selects arrivals. Fields that are empty select all.

    Attributes:
        type: the call's type, such as "track".
        event: the name of the event, page or screen, or the group's id.
        user: the user id, or the anonymous id if there is no user id.
        outcome: one or more of "accepted", "warned", "dropped" and "refused", separated by commas.
            "warned" selects accepted calls with warnings.
        source: the library that sent the call; see `Arrival.source`.
        search: a text that is in the arrival's JSON. Case does not matter.
    """

    type: str = ""
    event: str = ""
    user: str = ""
    outcome: str = ""
    source: str = ""
    search: str = ""

    def __post_init__(self) -> None:
        for outcome in filter(None, self.outcome.split(",")):
            if outcome not in OUTCOMES:
                raise ValueError(f"outcome is {outcome!r}: use {', '.join(OUTCOMES)}")

    def selects(self, entry: Entry) -> bool:
        """Return whether the filter selects this arrival."""
        return (
            self.type in ("", entry.type)
            and self.event in ("", entry.name)
            and self.user in ("", entry.user)
            and self.source in ("", entry.source)
            and (not self.outcome or self._has_outcome(entry))
            and (not self.search or self._has_text(entry))
        )

    def _has_text(self, entry: Entry) -> bool:
        line, search = entry.line.decode(), self.search.lower()
        if not search.isascii() and "\\u" in line:  # other letters may have been sent as escapes
            with suppress(RecursionError, InvalidMessage):  # it is nested too deeply
                line = encode(decode(line)).decode()
        return search in line.lower()

    def _has_outcome(self, entry: Entry) -> bool:
        outcomes = self.outcome.split(",")
        return entry.outcome in outcomes or ("warned" in outcomes and entry.kind == "warned")


def filter_of(query: Mapping[str, list[str]]) -> Filter:
    """Return the filter of a URL's query. Raise ValueError if an outcome does not exist."""
    return Filter(**{name: query[name][-1] for name in NAMES if name in query})
