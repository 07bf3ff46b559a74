"""What a record may carry for Segment, as types: editors complete it, and type checkers check it.

At run time each of these is a plain dict, and nothing here checks anything.
"""

# No `from __future__ import annotations`, for the reason that `_messages.calls` gives.

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Literal, TypeAlias
from uuid import UUID

from typing_extensions import TypedDict

from .._public import public_in

Id: TypeAlias = str | int | UUID
"""Of a user, a visitor or a group. What is not text becomes text."""

Moment: TypeAlias = datetime | str | float
"""A datetime (a naive one is local time), ISO 8601 text, or seconds since the epoch."""


class _Common(TypedDict, total=False):
    """What every call takes. None counts as absent."""

    user_id: Id | None
    anonymous_id: Id | None
    context: Mapping[str, object] | None
    integrations: Mapping[str, object] | None
    timestamp: Moment | None
    message_id: str | None


class _Fields(_Common, total=False):
    type: Literal["track", "identify", "page", "screen", "group", "alias"]
    event: str | Enum | None
    properties: Mapping[str, object] | None
    traits: Mapping[str, object] | None
    category: str | None
    group_id: Id | None
    previous_id: Id | None


class SegmentFields(_Fields, total=False):
    """What `extra={"segment": {...}}` may hold: the same, free of names that logging reserves."""

    name: str | None


@public_in("segment_logging")
class SegmentExtra(_Fields, total=False):
    """The `extra` of a logging call.

        logger.info("Signup", extra=SegmentExtra(user_id=17, properties={"plan": "pro"}))

    It is not closed: a program with extras of its own declares them in a subclass.
    """

    segment: SegmentFields | Literal[True]


class CallOptions(_Common, total=False):
    """What every typed call of a `SegmentLogger` takes.

    `level` is INFO unless given; `stacklevel` is that of `logging`: 2 in a function that logs on
    behalf of its caller.
    """

    level: int
    stacklevel: int


class BindOptions(TypedDict, total=False):
    """What a `SegmentLogger` can be bound to. None leaves it as it was."""

    user_id: Id | None
    anonymous_id: Id | None
    context: Mapping[str, object] | None
    properties: Mapping[str, object] | None
    integrations: Mapping[str, object] | None
