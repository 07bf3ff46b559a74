"""The content of an event's message, as a call in wire form.

    call type      extra["type"]; otherwise alias if there is a previous_id, track if there is an
                   event or properties, group if there are traits and a group_id, identify if there
                   are only traits, and track if there are none of these
    identity       the record's, otherwise its logger's, otherwise the current context's
    event name     extra["event"], otherwise the template `record.msg`, never the formatted text
    page, screen   the name is the message text
    properties     extra["properties"], merged over the other extras; traits for identify and group
    timestamp      extra["timestamp"], otherwise record.created
    context        the record's, merged over the logger's, the current context's and the handler's

This code runs in the caller's thread. It keeps no part of the record, and changes nothing on it
except for the message id.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from types import NoneType
from typing import Any

from .._identity.binding import current_binding
from .._identity.logger_bindings import LOGGER_BINDING, fill_in
from .._identity.merge import merge
from .._identity.who import NOBODY, Identity, KnownIdentity
from .._messages.proxies import HONEST, behind
from .._messages.values import an_object
from .._messages.wire import FIELDS, unchecked_form, wire_form, write_group_id
from ..errors import InvalidMessage
from .attributes import KEPT_IDENTITY, KEYS
from .defaults import Defaults
from .dialects import arguments_of, forget_repeats, template_of, text_of
from .once import MESSAGE_ID, new_id_on
from .refused import unreadable

_NAMES = KEYS | {"segment"}
_OWN_KEYS = {call_type: frozenset(names) for call_type, names in FIELDS.items()}

_CHECKS = {name: an_object(name, f"{name}_not_object") for name in ("properties", "traits")}

_MISSPELT = {"userId": "user_id", "userid": "user_id", "anonymousId": "anonymous_id"}


class Mapper:
    """Makes the wire forms of events, according to the handler's options.

    Args:
        defaults: the handler's defaults.
        include_extras: the handler's option.
    """

    def __init__(self, defaults: Defaults, *, include_extras: bool) -> None:
        self._defaults = defaults
        self._integrations = defaults.integrations
        self._include_extras = include_extras

    def form_of(self, record: logging.LogRecord, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the call in wire form, with its name, identity, defaults and extras filled in."""
        bound = fields.pop(LOGGER_BINDING) if LOGGER_BINDING in fields else None
        kept = fields.pop(KEPT_IDENTITY) if KEPT_IDENTITY in fields else None
        for name, value in fields.items():
            if type(value) not in HONEST and name in _NAMES:
                fields[name] = behind(value)
        call_type = fields.pop("type", None) or _call_type_of(fields)
        if isinstance(call_type, Enum):
            call_type = call_type.value
        try:
            self._fill_in(record, call_type, fields, bound, kept)
            return wire_form(call_type, fields)
        except InvalidMessage as error:
            error.refused = _refused_form(record, call_type, fields)
            if error.field == "user_id":
                error.args = (f"{error}{_hint_at_id(error.refused)}",)
            raise
        except Exception as error:
            failure = unreadable(error)
            failure.refused = _refused_form(record, call_type, fields)
            raise failure from error

    def _fill_in(
        self,
        record: logging.LogRecord,
        call_type: Any,
        fields: dict[str, Any],
        bound: Any,
        kept: Mapping[str, Any] | None,
    ) -> None:
        if call_type == "track":
            _name_event(record, fields)
        elif call_type in ("page", "screen") and "name" not in fields:  # None means no name
            fields["name"] = text_of(record) or None
        own_keys = _OWN_KEYS.get(call_type) if isinstance(call_type, str) else None
        if own_keys is not None and not own_keys.issuperset(fields):
            forget_repeats(record, fields)
            self._settle(call_type, fields, own_keys)
        if bound:
            fill_in(bound, fields, own_keys or ())
        bound_here = current_binding.get().identity
        self._identify(fields, bound_here if kept is None else KnownIdentity(**kept))
        if self._integrations is not None:
            fields["integrations"] = _merge_under(self._integrations, fields.get("integrations"))
        if fields.get("timestamp") is None:
            fields["timestamp"] = record.created
        if fields.get("message_id") is None:
            fields["message_id"] = (record.__dict__.get(MESSAGE_ID) or new_id_on(record))[0]

    def _identify(self, fields: dict[str, Any], identity: Identity) -> None:
        """Fill in the ids, and merge the contexts of the handler, the identity and the record."""
        bound = None
        if identity is not NOBODY:
            user_id, anonymous_id, bound = identity.known().fill_in(
                fields.get("user_id"), fields.get("anonymous_id")
            )
            fields["user_id"], fields["anonymous_id"] = user_id, anonymous_id
        context = self._defaults.now(bound)
        own = self._defaults.clean(fields.get("context"))
        fields["context"] = context if own is None else _merge_under(context, own)

    def _settle(self, call_type: str, fields: dict[str, Any], own_keys: frozenset[str]) -> None:
        """Move extras that are not fields of the call to a place where Segment accepts them.

        In a call without these fields, a group id and traits belong in the context. Other extras
        become properties, or traits for identify and group. In an alias, they are left out.
        """
        name = "traits" if "traits" in own_keys else "properties"
        context: dict[str, Any] = {}
        # Before anything is moved, so that a refused call is dead-lettered as it was passed.
        if name in own_keys and not isinstance(fields.get(name), (dict, NoneType)):
            _CHECKS[name](fields[name])
        if "group_id" not in own_keys and fields.get("group_id") is not None:
            context["groupId"] = write_group_id(fields["group_id"])
            del fields["group_id"]
        loose = {key: fields.pop(key) for key in tuple(fields) if key not in own_keys}
        if not _NAMES.isdisjoint(loose):
            loose = {
                key: loose[key] for key in loose if loose[key] is not None or key not in _NAMES
            }
        if "traits" in loose:
            context["traits"] = loose.pop("traits")
        if context:
            fields["context"] = _merge_under(context, fields.get("context"))
        if not self._include_extras:
            loose = {key: value for key, value in loose.items() if key in KEYS}
        if loose and name in own_keys:
            fields[name] = _put_under(loose, fields.get(name))


def _refused_form(
    record: logging.LogRecord, call_type: Any, fields: dict[str, Any]
) -> dict[str, Any]:
    """Return a refused call with its time and its id, so that it can be fixed and sent later."""
    if fields.get("timestamp") is None:
        fields["timestamp"] = record.created
    if fields.get("message_id") is None:
        fields["message_id"] = (record.__dict__.get(MESSAGE_ID) or new_id_on(record))[0]
    return unchecked_form(call_type, fields)


def _hint_at_id(refused: Mapping[str, Any]) -> str:
    """Return a hint if an extra is probably a misspelled id, such as `userId`."""
    for name in ("properties", "traits"):
        loose = refused.get(name)
        for key, meant in _MISSPELT.items():
            if isinstance(loose, Mapping) and key in loose:
                return f"; found {key!r} in its {name}: write {meant} instead"
    return ""


def _call_type_of(fields: Mapping[str, Any]) -> str:
    if fields.get("previous_id") is not None:
        return "alias"
    if fields.get("event") is not None or fields.get("properties") is not None:
        return "track"  # only a track has these; any traits go into its context
    if fields.get("traits") is not None:
        return "identify" if fields.get("group_id") is None else "group"
    return "track"


def _name_event(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """Name a track call after its template. The formatted text becomes a property."""
    event = fields.get("event")
    if event is None:
        event = template_of(record)
    fields["event"] = event.value if isinstance(event, Enum) else event
    if arguments_of(record):
        fields["properties"] = _put_under({"message": text_of(record)}, fields.get("properties"))


def _merge_under(lower: Mapping[str, Any] | None, upper: Any) -> Any:
    """Return `upper` merged over `lower`. If `upper` is not an object, return it unchanged."""
    return merge(lower, upper) if upper is None or isinstance(upper, Mapping) else upper


def _put_under(lower: dict[str, Any], upper: Any) -> Any:
    """Return `upper` merged over `lower`, but without merging nested objects."""
    if upper is None:
        return lower
    return {**lower, **dict(upper.items())} if isinstance(upper, Mapping) else upper
