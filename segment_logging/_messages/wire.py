"""The wire form of calls.

One table defines the fields of each call, their camelCase names on the wire, and what Segment
requires of them. `wire_form` writes calls according to this table, and `read_form` reads them.
Message objects and log records both use this module, so neither can become a message that Segment
silently drops.

Pure: no clock, threads or I/O. The rules come from Segment's discard codes (delivery overview,
"Failed on ingest"), which the error texts include, and from each call's page in the spec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from ..errors import InvalidMessage
from .limits import MAX_GROUP_ID_CHARACTERS, MAX_MESSAGE_ID_CHARACTERS
from .values import an_id, an_object, empty, refuse_absent, shown, text, write_timestamp

CONSENT_EVENT = "Segment Consent Preference Updated"
"""The only event whose `context.consent` Segment validates on arrival."""


_T = TypeVar("_T")


class _Field(NamedTuple):
    key: str  # Segment's name
    plain_type: type | None  # a non-empty value of exactly this type needs no check
    write: Callable[[Any], Any]  # checks and converts any other value
    absent: Callable[[str], Any] | None = None  # called if the field is missing


_WRITE_MESSAGE_ID = an_id(
    "message_id", "messageId", at_most=MAX_MESSAGE_ID_CHARACTERS, may_be_number=False
)  # a number could repeat another sender's, and Segment would drop the second as a duplicate

_USER = {
    "user_id": _Field("userId", str, an_id("user_id", "id_not_string")),
    "anonymous_id": _Field("anonymousId", str, an_id("anonymous_id", "id_not_string")),
}
_PROPERTIES = {
    "properties": _Field(
        "properties", dict, an_object("properties", "properties_not_object"), empty
    )
}
_TRAITS = {"traits": _Field("traits", dict, an_object("traits", "traits_not_object"), empty)}
_TITLE = {
    "name": _Field("name", str, text("name", "name_not_string")),
    "category": _Field("category", str, text("category", "category_not_string")),
}
_EVENT = {
    "event": _Field(
        "event",
        str,
        text("event", "event_not_string", is_needed=True),
        refuse_absent("event", "event_not_defined", 'pass extra={"event": ...} or a log message'),
    )
}
write_group_id = an_id("group_id", "groupId", at_most=MAX_GROUP_ID_CHARACTERS, is_needed=True)
"""Checks a group id and returns it as text. Also used for a group id in another call's context."""

_GROUP_ID = {
    "group_id": _Field(
        "groupId",
        None,
        write_group_id,
        refuse_absent("group_id", "groupId", 'pass extra={"group_id": ...}'),
    )
}
_PREVIOUS_ID = {
    "previous_id": _Field(
        "previousId",
        str,
        an_id("previous_id", "previousId", is_needed=True),
        refuse_absent("previous_id", "previousId", 'pass extra={"previous_id": ...}'),
    )
}
_COMMON = {
    "timestamp": _Field("timestamp", None, write_timestamp),
    "context": _Field("context", dict, an_object("context", "context_not_object")),
    "integrations": _Field(
        "integrations", dict, an_object("integrations", "integrations_not_object")
    ),
    "message_id": _Field("messageId", None, _WRITE_MESSAGE_ID),
}

_CALLS: dict[str, dict[str, _Field]] = {
    "identify": {**_USER, **_TRAITS, **_COMMON},
    "track": {**_USER, **_EVENT, **_PROPERTIES, **_COMMON},
    "page": {**_USER, **_TITLE, **_PROPERTIES, **_COMMON},
    "screen": {**_USER, **_TITLE, **_PROPERTIES, **_COMMON},
    "group": {**_USER, **_GROUP_ID, **_TRAITS, **_COMMON},
    "alias": {**_USER, **_PREVIOUS_ID, **_COMMON},
}

CALL_TYPES = tuple(_CALLS)
"""The types of the six calls."""

CallType: TypeAlias = Literal["identify", "track", "page", "screen", "group", "alias"]
"""The same, for type checkers."""

FIELDS = {call_type: tuple(layout) for call_type, layout in _CALLS.items()}
"""Maps each call type to the snake_case names of its fields, in the order they are written."""

KEYS = {name: field.key for layout in _CALLS.values() for name, field in layout.items()}
"""Maps the name of a field to Segment's name."""

WRITE = {name: field.write for layout in _CALLS.values() for name, field in layout.items()}
"""Maps the name of a field to the function that checks and converts its value."""

# The parts of a field that writing needs. Plain tuples unpack twice as fast as named tuples.
_WRITERS = {
    call_type: {name: (f.key, f.plain_type, f.write) for name, f in layout.items()}
    for call_type, layout in _CALLS.items()
}
_REQUIRED = {
    call_type: tuple((field.key, field.absent) for field in layout.values() if field.absent)
    for call_type, layout in _CALLS.items()
}
_TELLING_KEYS = {
    "event": "track",
    "previousId": "alias",
    "groupId": "group",
    "traits": "identify",
}


def wire_form(
    call_type: str, fields: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a call in wire form, with `type` first.

    Args:
        call_type: "identify", "track", "page", "screen", "group" or "alias".
        fields: maps names in `FIELDS` to values. None counts as absent.
        extra: additional top-level keys. They must not be field names, except for `messageId`.

    Raises:
        InvalidMessage: if Segment would silently drop the call. The error names the field, the
            rule and the way out.
    """
    try:
        writers = _WRITERS[call_type]
    except (KeyError, TypeError):
        writers = _of_type(call_type, _WRITERS)  # raises
    form: dict[str, Any] = {"type": call_type}
    for name, value in fields.items():
        if value is not None:
            key, plain_type, write = writers[name]
            if type(value) is plain_type and value:
                form[key] = value
            elif (written := write(value)) is not None:
                form[key] = written
    for key, absent in _REQUIRED[call_type]:
        if key not in form:
            form[key] = absent(call_type)
    if "userId" not in form and (call_type == "alias" or "anonymousId" not in form):
        of_either = " or an anonymous_id (no_user_anon_id)" * (call_type != "alias")
        raise InvalidMessage(
            f"{call_type} needs a user_id{of_either}: "
            'pass extra={"user_id": ...} or bind one with identity()',
            field="user_id",
        )
    if extra:
        _add_extra(form, extra, {key for key, _, _ in writers.values()})
    if form.get("event") == CONSENT_EVENT:
        _check_consent(form.get("context", {}))
    return form


def unchecked_form(call_type: object, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a refused call under Segment's field names, so that it can be fixed and sent again."""
    layout = _CALLS.get(call_type, {}) if isinstance(call_type, str) else {}
    named = {(layout[name].key if name in layout else name): fields[name] for name in fields}
    if isinstance(named.get("timestamp"), float):
        with suppress(InvalidMessage):
            named["timestamp"] = write_timestamp(named["timestamp"])
    return {"type": call_type, **named}


def read_form(form: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return a call's type, fields and extra keys. This is the reverse of `wire_form`.

    Raises:
        InvalidMessage: if the call has no valid type; see `call_type_of`.
    """
    call_type = call_type_of(form)
    names = {field.key: name for name, field in _CALLS[call_type].items()}
    fields = {names[key]: value for key, value in form.items() if key in names}
    extra = {key: value for key, value in form.items() if key not in names and key != "type"}
    return call_type, fields, extra


def call_type_of(form: Mapping[str, Any]) -> str:
    """Return the call type of a plain dict in wire form.

    If `type` is missing, the first of these keys that is present decides: `event` means track,
    `previousId` alias, `groupId` group, and `traits` identify.

    Raises:
        InvalidMessage: if it is not a mapping, or if it has neither a `type` nor any of these keys.
    """
    if not isinstance(form, Mapping):
        raise InvalidMessage(f"a message must be an object, not {shown(form)}: pass a dict")
    call_type = form.get("type")
    if call_type is None:
        call_type = next((kind for key, kind in _TELLING_KEYS.items() if key in form), None)
    _of_type(call_type, _CALLS)
    return str(call_type)


def _of_type(call_type: Any, table: Mapping[str, _T]) -> _T:
    try:
        return table[call_type]
    except (KeyError, TypeError):
        what = (
            "the message has no type"
            if call_type is None
            else f"Segment has no call of type {shown(call_type)}"
        )
        raise InvalidMessage(f"{what}: use one of {', '.join(_CALLS)}", field="type") from None


def _add_extra(form: dict[str, Any], extra: Mapping[str, Any], keys: set[str]) -> None:
    for key, value in (an_object("extra", "not an object")(extra) or {}).items():
        if key == "messageId" and key not in form:
            form[key] = _WRITE_MESSAGE_ID(value)
        elif key in keys or key == "type":
            raise InvalidMessage(
                f"extra must not contain {shown(key)}: pass it as a field instead",
                field="extra",
            )
        else:
            form[key] = value


def _check_consent(context: Mapping[str, Any]) -> None:
    consent = context.get("consent")
    choices = consent.get("categoryPreferences") if isinstance(consent, Mapping) else None
    if not isinstance(choices, Mapping) or not all(type(v) is bool for v in choices.values()):
        # consent_categorypreferences_should_exist, _should_be_object, _fields_should_be_bool
        raise InvalidMessage(
            f'"{CONSENT_EVENT}" needs context.consent.categoryPreferences: '
            'pass {"category": True or False, ...}',
            field="context",
        )
    assert isinstance(consent, Mapping)
    version = consent.get("version")
    if version is not None and (isinstance(version, bool) or not isinstance(version, (int, float))):
        raise InvalidMessage(  # consent_version_should_be_number
            "context.consent.version must be a number: pass an int", field="context"
        )
    device = context.get("device")
    advertising_id = device.get("advertisingId") if isinstance(device, Mapping) else None
    if advertising_id is not None and not isinstance(advertising_id, str):
        raise InvalidMessage(  # device_advertisingid_should_be_string
            "context.device.advertisingId must be text: pass a str", field="context"
        )
