"""Types for the extras that this package reads, for completion in editors and for type checkers.

At run time, these are plain dicts, and nothing is checked.
"""

# No `from __future__ import annotations`, for the reason given in `_messages.calls`.

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Literal, TypeAlias
from uuid import UUID

from typing_extensions import TypedDict

from .._messages.wire import CallType
from .._public import public_in

Id: TypeAlias = str | int | UUID
"""The id of a user, a visitor or a group. Other types are converted to text."""

Moment: TypeAlias = datetime | str | float
"""A datetime (a naive one is local time), ISO 8601 text, or seconds since the epoch."""


class _Common(TypedDict, total=False):
    """The fields that all calls have. None counts as absent."""

    user_id: Id | None
    anonymous_id: Id | None
    context: Mapping[str, object] | None
    integrations: Mapping[str, object] | None
    timestamp: Moment | None
    message_id: str | None


class _Fields(_Common, total=False):
    type: CallType
    event: str | Enum | None
    properties: Mapping[str, object] | None
    traits: Mapping[str, object] | None
    category: str | None
    group_id: Id | None
    previous_id: Id | None


class SegmentFields(_Fields, total=False):
    """The fields for `extra={"segment": {...}}`, where names reserved by logging are allowed."""

    name: str | None


@public_in("segment_logging")
class SegmentExtra(_Fields, total=False):
    """The `extra` of a logging call.

        logger.info("Signup", extra=SegmentExtra(user_id=17, properties={"plan": "pro"}))

    A program that has additional extras can declare them in a subclass.
    """

    segment: SegmentFields | Literal[True]


class CallOptions(_Common, total=False):
    """The arguments that all typed calls of a `SegmentLogger` accept.

    `level` defaults to INFO. `stacklevel` is the same as in `logging`: pass 2 in a function that
    logs on behalf of its caller.
    """

    level: int
    stacklevel: int


class BindOptions(TypedDict, total=False):
    """The values that can be bound to a `SegmentLogger`. None leaves a value unchanged."""

    user_id: Id | None
    anonymous_id: Id | None
    context: Mapping[str, object] | None
    properties: Mapping[str, object] | None
    integrations: Mapping[str, object] | None
