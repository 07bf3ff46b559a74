"""What `segment-logging check` finds: one line each, with what to do."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Grade: TypeAlias = Literal["ok", "note", "problem"]


class Finding(NamedTuple):
    """One finding.

    Attributes:
        grade: "problem" if events do not arrive because of it.
        subject: what was looked at, in a word or two.
        text: what was found, and what to do about it.
    """

    grade: Grade
    subject: str
    text: str


def few(names: list[str]) -> str:
    """Return some names for a sentence: the first three, and how many others there are."""
    shown = ", ".join(map(repr, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} others"
