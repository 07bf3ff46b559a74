"""`Message`, the base class of all calls and of `Batch`."""

# No `from __future__ import annotations`, for the reason given in `calls`.

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from .._public import public_in
from .wire import call_type_of

kinds: "dict[str, type[Message]]" = {}
"""Maps each `type` to its class."""


@public_in("segment_logging")
class Message:
    """A message for a `Client` to send: Identify, Track, Page, Screen, Group, Alias or Batch."""

    __slots__ = ()

    type: ClassVar[str]
    """Segment's name for the call, which is also the last part of its endpoint's path."""

    @override
    def __init_subclass__(cls) -> None:
        if "type" in cls.__dict__:
            kinds[cls.type] = cls

    @staticmethod
    def from_dict(form: Mapping[str, Any]) -> "Message":
        """Return the message for a plain dict in wire form, such as the result of `to_dict`.

        If `type` is missing, the call type is inferred from the other keys. This is not possible
        for page and screen, which always need a `type`.

        Raises:
            InvalidMessage: if Segment would drop the message, or if the dict is not a message.
        """
        has_batch = isinstance(form, Mapping) and "batch" in form
        is_batch = has_batch and form.get("type", "batch") == "batch"
        return kinds["batch" if is_batch else call_type_of(form)].read(form)

    @classmethod
    def read(cls, form: Mapping[str, Any]) -> "Message":
        """Return the message for a plain dict in wire form that has this class's type."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form: camelCase keys, `type` first, no None values, ISO timestamps.

        The result is a copy that contains only JSON types.

        Raises:
            InvalidMessage: if a value cannot be written as JSON.
        """
        raise NotImplementedError
