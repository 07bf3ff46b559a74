"""Write an ordinary event, in one pass over its values.

`RecordReader.fields_of` and `line_of` are the reference. A writer has the same result for ordinary
values. It returns None or raises an exception for all other values, and for everything that is
refused. The reference then decides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from .._identity.binding import current_binding
from .._identity.logger_bindings import LOGGER_BINDING, LoggerBinding
from .._identity.merge import merge
from .._identity.who import NOBODY, KnownIdentity
from .._messages.limits import MAX_MESSAGE_BYTES
from .._messages.proxies import HONEST, behind
from .._messages.values import write_timestamp
from .._messages.wire import CONSENT_EVENT, KEYS, WRITE, write_group_id
from .attributes import KEPT_IDENTITY
from .defaults import Defaults
from .dialects import is_repeat
from .kinds import Kind
from .sources import Flat, Text

Extras = Mapping[str, Any]
Writer = Callable[[logging.LogRecord, Extras, str], Any]
"""Takes a record, its attributes, and the message id. Returns the line (a dict in wire form if the
encoder is `UNENCODED`), b"" if the event is not selected, or None if the reference has to decide.
"""

Wants = Callable[[str, Any, Any], bool]
"""Takes a call's type, its name and its user's id, and returns whether to send it."""

UNWANTED = b""


class UnusualError(ValueError):
    """The reference has to decide."""


def new_writer(  # noqa: PLR0915  # one function, as each further call costs 2 % of an event
    kind: Kind,
    defaults: Defaults,
    wants: Wants | None,
    *,
    is_nested: bool = False,
    flat: Flat | None = None,
    text: Text | None = None,
) -> Writer:
    """Return the function that writes events of this kind.

    Args:
        kind: what the names of the event's extras decide.
        defaults: the handler's defaults.
        wants: decides whether to send the event; None if all are sent.
        is_nested: whether the extras are not the record's attributes.
        flat: if so, returns those extras; None means that they are the dict `segment`.
        text: returns the record's message; None if it is `record.msg`.
    """
    # Each event pays for every call and every look-up. So whatever is constant is a local name, and
    # a function is None if this kind does not need it.
    call_type, object_name, given = kind.call_type, kind.object_name, kind.given
    is_track, is_alias = call_type == "track", call_type == "alias"
    title_of, context_of = _title_of(kind, text), _context_of(kind)
    category_of = _text_of("category") if "category" in given else None
    integrations_of = _integrations_of(kind, defaults.integrations)
    is_plain, content_of = kind.is_plain, _content_of(kind)
    title_key = KEYS.get(kind.title_name, "")
    has_user_id, has_anonymous_id = "user_id" in given, "anonymous_id" in given
    has_binding, has_kept_identity = LOGGER_BINDING in given, KEPT_IDENTITY in given
    get_binding, of_handler, under = current_binding.get, defaults.context, defaults.under
    asks, copy, with_own = defaults.asks, defaults.copy, defaults.with_own
    has_timestamp, has_message_id = "timestamp" in given, "message_id" in given
    put_together, finish = defaults.encoder.put_together, defaults.encoder.finish

    def write(record: logging.LogRecord, attributes: Extras, message_id: str) -> Any:
        extras = attributes
        if is_nested:
            extras = attributes["segment"] if flat is None else flat(record, attributes)

        # Its name, or what its type requires instead.
        title: Any = record.msg if title_of is None else title_of(record, extras)
        if is_track and (not title or title == CONSENT_EVENT):
            return None

        # Whom it is about, and the context that is bound.
        user_id = extras["user_id"] if has_user_id else None
        anonymous_id = extras["anonymous_id"] if has_anonymous_id else None
        if type(user_id) is not str and type(user_id) not in HONEST:
            user_id = behind(user_id)
        if has_anonymous_id and type(anonymous_id) not in HONEST:
            anonymous_id = behind(anonymous_id)
        lower, upper = of_handler, None if context_of is None else context_of(extras)
        logger, logger_context = NOBODY, None
        if has_binding:
            logger = _binding_in(extras).identity
            user_id, anonymous_id, logger_context = logger.fill_in(user_id, anonymous_id)
        bound: Any = (
            KnownIdentity(**extras[KEPT_IDENTITY]) if has_kept_identity else get_binding().identity
        )
        if bound is not NOBODY or asks:
            bound = bound.known()
            user_id, anonymous_id, bound_context = bound.fill_in(user_id, anonymous_id)
            lower = under(bound, bound_context)
        if logger_context and upper is None and lower is of_handler:
            lower = under(logger, logger_context)
        elif logger_context:
            upper = merge(logger_context, upper)
        if user_id is not None and (type(user_id) is not str or not user_id):
            user_id = str(user_id) if type(user_id) is int else _WRITE_USER_ID(user_id)
        if anonymous_id is not None and (type(anonymous_id) is not str or not anonymous_id):
            anonymous_id = _WRITE_ANONYMOUS_ID(anonymous_id)
        if user_id is None and (anonymous_id is None or is_alias):
            return None

        # What happened, where and when.
        content = extras[object_name] if is_plain else None
        if type(content) is not dict or record.args:
            content = content_of(record, extras)
        integrations = None if integrations_of is None else integrations_of(extras)
        context = lower.written if upper is None else with_own(lower, upper)
        if copy is not None:  # for `before_send`, or without what is redacted
            content = None if content is None else copy(content, object_name)
            context = copy(context, "context") if type(context) is dict else context
            integrations = None if integrations is None else copy(integrations, "integrations")
        moment = extras["timestamp"] if has_timestamp else None
        if has_message_id and extras["message_id"] is not None:
            message_id = _WRITE_MESSAGE_ID(extras["message_id"])
        moment = write_timestamp(record.created if moment is None else moment)
        category = None if category_of is None else category_of(extras)
        if wants is not None and not wants(call_type, title, user_id or anonymous_id):
            return UNWANTED
        written = put_together(
            call_type,
            title_key,
            object_name,
            user_id,
            anonymous_id,
            title,
            category,
            content,
            moment,
            message_id,
            context,
            integrations,
        )
        if finish is not None:
            written = finish(written)
        # A dict has few keys: its size is checked once it is encoded.
        return written if len(written) <= MAX_MESSAGE_BYTES else None

    return write


# The parts that few kinds of events have. Each function returns one for a kind, or None. ---------

_WRITE_USER_ID, _WRITE_ANONYMOUS_ID = WRITE["user_id"], WRITE["anonymous_id"]
_WRITE_MESSAGE_ID = WRITE["message_id"]


def _title_of(kind: Kind, text: Text | None) -> Callable[[logging.LogRecord, Extras], Any] | None:
    """The event's name, unless it is the record's message; a page's name; a group's id; and so on.

    The result is None if the call has none.
    """
    name, is_track = kind.title_name, kind.call_type == "track"
    if name in kind.given:
        text_of, is_needed = _text_of(name), name != "name"

        def title_of(record: logging.LogRecord, extras: Extras) -> Any:
            value = extras[name]
            if is_track and isinstance(value, Enum):
                value = value.value
            title = text_of({name: value})
            if title is None and is_needed:
                raise UnusualError
            return title

        return title_of
    if text is not None and (is_track or name == "name"):

        def title_in(record: logging.LogRecord, extras: Extras) -> Any:
            title = text(record)
            if title is None:
                raise UnusualError
            return title or None

        return title_in
    if is_track:
        return None
    if name == "name":
        return lambda record, extras: (record.getMessage() if record.args else record.msg) or None
    return lambda record, extras: None


def _text_of(name: str) -> Callable[[Extras], Any]:
    """A field that is text, or None."""
    write, is_limited = WRITE[name], name == "group_id"

    def text_of(extras: Extras) -> Any:
        value = extras[name]
        return value if type(value) is str and value and not is_limited else write(value)

    return text_of


def _content_of(kind: Kind) -> Callable[[logging.LogRecord, Extras], dict[str, Any] | None]:
    """Properties or traits, in any place where they may be; None for an alias."""
    name, is_track = kind.object_name, kind.call_type == "track"
    has_object, has_properties = name in kind.given, name == "properties"
    loose, foreign, repeated = kind.loose, kind.foreign, kind.repeated
    has_binding, is_told = LOGGER_BINDING in kind.given, kind.is_told

    def content_of(record: logging.LogRecord, extras: Extras) -> dict[str, Any] | None:
        content = extras[name] if has_object else None
        if has_object and type(content) is not dict and (content is not None or not is_told):
            raise UnusualError
        if is_track and record.args:
            content = {"message": record.getMessage(), **(content or {})}
        if loose:
            for key in foreign:
                if extras[key] is None or type(extras[key]) not in HONEST:
                    raise UnusualError
            for key in repeated:
                if is_repeat(record, key, extras[key]):
                    raise UnusualError
            above, content = content, {key: extras[key] for key in loose}
            if above:
                content.update(above)
        if has_binding and has_properties:
            content = {**_binding_in(extras).get("properties", {}), **(content or {})}
        return {} if content is None else content

    return content_of if name else lambda record, extras: None


def _context_of(kind: Kind) -> Callable[[Extras], Any] | None:
    """The event's own context, with extras that belong in it."""
    has_context = "context" in kind.given
    group_id, traits = kind.group_id_in_context, kind.traits_in_context
    if not (has_context or group_id or traits):
        return None

    def context_of(extras: Extras) -> Any:
        context = _object_in(extras, "context") if has_context else None
        if group_id and (value := behind(extras["group_id"])) is not None:
            moved = {"groupId": write_group_id(value)}
        else:
            moved = {}
        if traits and (value := behind(extras["traits"])) is not None:
            moved["traits"] = value
        return merge(moved, context) if moved else context

    return context_of


def _integrations_of(kind: Kind, lower: Any) -> Callable[[Extras], Any] | None:
    """The event's integrations over its logger's and the handler's."""
    is_given, has_binding = "integrations" in kind.given, LOGGER_BINDING in kind.given
    if not (is_given or has_binding or lower is not None):
        return None

    def integrations_of(extras: Extras) -> Any:
        integrations: Any = _object_in(extras, "integrations") if is_given else None
        if has_binding and "integrations" in (binding := _binding_in(extras)):
            integrations = merge(binding["integrations"], integrations)
        return integrations if lower is None else merge(lower, integrations)

    return integrations_of


def _object_in(extras: Extras, name: str) -> dict[str, Any] | None:
    value: Any = extras[name]
    if value is not None and type(value) is not dict:
        raise UnusualError
    return value


def _binding_in(extras: Extras) -> LoggerBinding:
    binding = extras[LOGGER_BINDING]
    if type(binding) is not LoggerBinding:
        raise UnusualError
    return binding
