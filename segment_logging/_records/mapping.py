"""What stands in the message of an event, as its call in wire form.

    call type      extra["type"]; else previous_id: alias; event or properties: track; traits
                   with group_id: group; traits: identify; else track
    identity       the record's, then its logger's, then the current context's
    event name     extra["event"]; else the template `record.msg`, never the formatted text
    page, screen   the name is the message text
    properties     extra["properties"] over the other extras; traits for identify and group
    timestamp      extra["timestamp"]; else record.created
    context        the handler's under the current context's under the logger's under the record's

It runs in the caller's thread. Nothing here changes the record or keeps any part of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from .._identity.binding import current_binding, current_identity
from .._identity.logger_bindings import LOGGER_BINDING, fill_in
from .._identity.merge import merge
from .._identity.who import NOBODY, Identity
from .._messages.proxies import HONEST, behind
from .._messages.wire import (
    CONSENT_EVENT,
    FIELDS,
    track_form,
    unchecked_form,
    wire_form,
    write_group_id,
)
from .._options.records import RecordOptions, check_categories
from .._reports import where
from .._version import __version__
from ..errors import InvalidMessage, SegmentError
from .attributes import KEPT_IDENTITY, KEYS
from .dialects import arguments_of, forget_repeats, template_of, text_of
from .once import message_id_of
from .refused import unreadable

LIBRARY = {"library": {"name": "segment-logging", "version": __version__}}
"""What the context of every message says about who sent it."""

_NAMES = KEYS | {"segment"}
_OWN_KEYS = {call_type: frozenset(names) for call_type, names in FIELDS.items()}

_MISSPELT = {"userId": "user_id", "userid": "user_id", "anonymousId": "anonymous_id"}


class Mapper:
    """Makes the wire forms of events in the way that the handler's options say.

    Args:
        options: those of the handler that are about records.
    """

    def __init__(self, options: RecordOptions) -> None:
        consent = options.consent
        own = {**LIBRARY, **_consent_context(consent)} if isinstance(consent, Mapping) else LIBRARY
        self._context = merge(own, options.context)
        self._ask_for_consent = None if isinstance(consent, Mapping) else consent
        self._integrations = options.integrations
        self._include_extras = options.include_extras

    def usual_form_of(
        self, record: logging.LogRecord, fields: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Return what `form_of` would for the commonest call, a track of plain values; else None.

        This saves half of what a call costs beyond logging itself.
        """
        user_id, properties, event = fields.get("user_id"), fields.get("properties"), record.msg
        if (
            type(user_id) is not str or not user_id
            or type(properties) is not dict or len(fields) != 2
            or type(event) is not str or not event or event == CONSENT_EVENT
            or record.args
            or self._integrations is not None
            or self._ask_for_consent is not None
            or current_binding.get().identity is not NOBODY
            or "extra" in record.__dict__  # loguru, whose text is not the template
        ):  # fmt: skip
            return None
        return track_form(
            user_id,
            event,
            properties,
            created=record.created,
            context=self._context,
            message_id=message_id_of(record),
        )

    def form_of(self, record: logging.LogRecord, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the call in wire form, with name, identity, defaults and extras filled in."""
        bound, kept = fields.pop(LOGGER_BINDING, None), fields.pop(KEPT_IDENTITY, None)
        for name in fields.keys() & _NAMES:
            if type(fields[name]) not in HONEST:
                fields[name] = behind(fields[name])
        call_type = fields.pop("type", None) or _call_type_of(fields)
        if isinstance(call_type, Enum):
            call_type = call_type.value
        try:
            self._fill_in(record, call_type, fields, bound, kept)
            return wire_form(call_type, fields)
        except InvalidMessage as error:
            error.refused = unchecked_form(call_type, fields)
            if error.field == "user_id":
                error.args = (f"{error}{_hint_at_id(error.refused)}",)
            raise
        except Exception as error:
            failure = unreadable(error)
            failure.refused = unchecked_form(call_type, fields)
            raise failure from error

    def _fill_in(
        self,
        record: logging.LogRecord,
        call_type: Any,
        fields: dict[str, Any],
        bound: Any,
        kept: Identity | None,
    ) -> None:
        if call_type == "track":
            _name_event(record, fields)
        elif call_type in ("page", "screen") and "name" not in fields:  # None: it has no name
            fields["name"] = text_of(record) or None
        own_keys = _OWN_KEYS.get(call_type) if isinstance(call_type, str) else None
        if own_keys is not None and not fields.keys() <= own_keys:
            forget_repeats(record, fields)
            self._settle(call_type, fields, own_keys)
        if bound:
            fill_in(bound, fields, own_keys or ())
        self._identify(fields, current_identity() if kept is None else kept)
        if self._integrations is not None:
            fields["integrations"] = _merge_under(self._integrations, fields.get("integrations"))
        if fields.get("timestamp") is None:
            fields["timestamp"] = record.created
        if fields.get("message_id") is None:
            fields["message_id"] = message_id_of(record)

    def _identify(self, fields: dict[str, Any], identity: Identity) -> None:
        """Fill in who it was, and the context: the handler's, what is bound, the record's."""
        context = self._context
        if self._ask_for_consent is not None:
            context = merge(context, self._consent_asked_for(self._ask_for_consent))
        if identity is not NOBODY:
            whom = identity.known().of(fields.get("user_id"), fields.get("anonymous_id"))
            fields["user_id"], fields["anonymous_id"] = whom.user_id, whom.anonymous_id
            context = merge(context, whom.context)
        own = fields.get("context")
        fields["context"] = context if own is None else _merge_under(context, own)

    def _consent_asked_for(
        self, ask: Callable[[], Mapping[str, bool] | None]
    ) -> Mapping[str, Any] | None:
        try:
            consent = ask()
            check_categories({} if consent is None else consent)
        except Exception as error:
            text = error if isinstance(error, SegmentError) else type(error).__name__
            raise InvalidMessage(
                f"consent failed ({text} in {where(error)}): mend it, or return None "
                "where nothing is known",
                field="context",
            ) from error
        return None if consent is None else _consent_context(consent)

    def _settle(self, call_type: str, fields: dict[str, Any], own_keys: frozenset[str]) -> None:
        """Move the extras that are not fields of the call to where it can carry them.

        A group id and traits belong in the context of a call that has no such field. The rest
        become properties, or traits for identify and group. An alias has neither.
        """
        context: dict[str, Any] = {}
        if "group_id" not in own_keys and fields.get("group_id") is not None:
            # Before anything is moved: a refused call goes to the dead letters as it was given.
            context["groupId"] = write_group_id(fields["group_id"])
            del fields["group_id"]
        loose = {key: fields.pop(key) for key in reversed(tuple(fields)) if key not in own_keys}
        for key in loose.keys() & _NAMES:
            if loose[key] is None:
                del loose[key]
        if "traits" in loose:
            context["traits"] = loose.pop("traits")
        if context:
            fields["context"] = _merge_under(context, fields.get("context"))
        if not self._include_extras:
            loose = {key: value for key, value in loose.items() if key in KEYS}
        name = "traits" if "traits" in own_keys else "properties"
        if loose and name in own_keys:
            fields[name] = _put_under(loose, fields.get(name))


def _hint_at_id(refused: Mapping[str, Any]) -> str:
    """Return what an extra that has Segment's name for the id was probably meant to be."""
    for name in ("properties", "traits"):
        loose = refused.get(name)
        for key, meant in _MISSPELT.items():
            if isinstance(loose, Mapping) and key in loose:
                return f"; {key!r} is among its {name}: write {meant}"
    return ""


def _consent_context(categories: Mapping[str, bool]) -> dict[str, Any]:
    return {"consent": {"categoryPreferences": dict(categories)}}


def _call_type_of(fields: Mapping[str, Any]) -> str:
    if fields.get("previous_id") is not None:
        return "alias"
    if fields.get("event") is not None or fields.get("properties") is not None:
        return "track"  # only a track has these; it carries traits in its context
    if fields.get("traits") is not None:
        return "identify" if fields.get("group_id") is None else "group"
    return "track"


def _name_event(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """Name a track call by its template. What the arguments made of it becomes a property."""
    event = fields.get("event")
    if event is None:
        event = template_of(record)
    fields["event"] = event.value if isinstance(event, Enum) else event
    if arguments_of(record):
        fields["properties"] = _put_under({"message": text_of(record)}, fields.get("properties"))


def _merge_under(lower: Mapping[str, Any] | None, upper: Any) -> Any:
    """Return `upper` merged over `lower`. If it is not an object, the rules are to refuse it."""
    return merge(lower, upper) if upper is None or isinstance(upper, Mapping) else upper


def _put_under(lower: dict[str, Any], upper: Any) -> Any:
    """Return `upper` over `lower`, not merging their values: an explicit property wins."""
    if upper is None:
        return lower
    return {**lower, **dict(upper.items())} if isinstance(upper, Mapping) else upper
