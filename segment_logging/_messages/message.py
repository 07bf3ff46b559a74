"""`Message`: what every call and every batch is."""

# No `from __future__ import annotations`, for the reason that `calls` gives.

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from .._public import public_in
from .wire import call_type_of

kinds: "dict[str, type[Message]]" = {}
"""Every kind of message, by its `type`."""


@public_in("segment_logging")
class Message:
    """What a `Client` sends: one of Identify, Track, Page, Screen, Group, Alias, or a Batch."""

    __slots__ = ()

    type: ClassVar[str]
    """Segment's name of the call, and the last part of its endpoint's path."""

    @override
    def __init_subclass__(cls) -> None:
        if "type" in cls.__dict__:
            kinds[cls.type] = cls

    @staticmethod
    def from_dict(form: Mapping[str, Any]) -> "Message":
        """Return the message of a plain dict in wire form, as `to_dict` writes it.

        Without a `type`, keys that only one call has tell which call it is. Page and screen need
        a `type`.

        Raises:
            InvalidMessage: Segment would drop it, or it is not a call at all.
        """
        has_batch = isinstance(form, Mapping) and "batch" in form
        is_batch = has_batch and form.get("type", "batch") == "batch"
        return kinds["batch" if is_batch else call_type_of(form)].read(form)

    @classmethod
    def read(cls, form: Mapping[str, Any]) -> "Message":
        """Return the message of a plain dict in wire form that is known to be of this kind."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form: camelCase, `type` first, None left out, ISO timestamps.

        A copy that holds only what JSON has.

        Raises:
            InvalidMessage: a value cannot be written as JSON.
        """
        raise NotImplementedError
