"""A logger with a method for each of Segment's calls, and with values that are bound to it.

It only makes records. Levels, filters and handlers treat them as usual, and `_records` reads them.
Bound values have their own attribute on the record, so that they do not make it an event.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, MutableMapping
from enum import Enum
from typing import Any, Never, Self

from typing_extensions import Unpack, override

from ._identity.logger_bindings import LOGGER_BINDING, NAMES, bind_more
from ._messages.wire import FIELDS
from ._options.table import refuse_unknown
from ._records.attributes import RECORD_ATTRIBUTES
from ._records.extras import BindOptions, CallOptions, Id
from .errors import ConfigurationError, UnknownArgument

_OF_A_CALL = frozenset({"type", "segment"}.union(*FIELDS.values())) - NAMES
_CALL_OPTIONS = frozenset(CallOptions.__annotations__)


class SegmentLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger adapter with a method for each of Segment's calls.

        log = SegmentLogger("shop", context={"app": {"name": "shop"}})
        log = log.bind(user_id=17)
        log.track("Order Completed", properties={"revenue": 29.0})
        log.info("cache miss")  # an ordinary record, despite the bound values

    Bound values are used for fields that a call leaves out. Ids come from the call, otherwise from
    this logger, otherwise from `identity()`. Unlike `extra`, bound values are not meant for
    formatters. They are stored in the record's attribute `_segment_bound`, and formatters that
    write all extras skip names that begin with an underscore.

    If Segment would drop a call, the handler reports it and nothing is raised. Only a wrong
    argument raises an exception.

    Args:
        logger: a logger or its name; None for the root logger.
        extra: attributes for every record. A call's own `extra` takes precedence. Formatters see
            these attributes and, with `include_extras`, they become properties or traits. `extra`
            may also contain the names that can be bound.
        bound: `user_id`, `anonymous_id`, `context`, `properties` and `integrations` for every
            event. `properties` apply to track, page and screen, and `context` is merged deeply.
            Any other name is treated as part of `extra`, which is where type checkers expect it.

    Raises:
        ConfigurationError: if a name belongs to a single call or is reserved by logging, or if a
            value is not an object where one is required.
    """

    def __init__(
        self,
        logger: logging.Logger | str | None = None,
        extra: Mapping[str, object] | None = None,
        **bound: Unpack[BindOptions],
    ) -> None:
        if not isinstance(logger, logging.Logger):
            logger = logging.getLogger(logger)
        super().__init__(logger, {})
        self._bound: dict[str, Any] = {}
        self._loose: dict[str, Any] = {}
        self._add({**(extra or {}), **bound})

    def bind(self, extra: Mapping[str, object] | None = None, **more: Unpack[BindOptions]) -> Self:
        """Return a new logger with additional bound values. This logger does not change.

        Objects are merged with the values that are already bound. Binding a different user discards
        the previous user's anonymous id.

        Args:
            extra: the same as in the constructor.
            more: the same as `bound` in the constructor.
        """
        logger = copy.copy(self)
        logger._add({**(extra or {}), **more})
        return logger

    def _add(self, more: Mapping[str, Any]) -> None:
        for name in more.keys() & RECORD_ATTRIBUTES:
            raise ConfigurationError(
                f"{name!r} is an attribute of every record, so it cannot be an extra: "
                "bind it in properties={...}"
            )
        for name in more.keys() & _OF_A_CALL:
            raise ConfigurationError(
                f"{name!r} belongs to a single call, and binding it would make every record an "
                "event: pass it in the logging call"
            )
        self._bound = bind_more(self._bound, {name: more[name] for name in more.keys() & NAMES})
        self._loose = {**self._loose, **{name: more[name] for name in more.keys() - NAMES}}
        self.extra = {**self._loose, LOGGER_BINDING: self._bound} if self._bound else self._loose

    @override
    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Merge the call's own extra over the logger's."""
        own = kwargs.get("extra")
        kwargs["extra"] = {**(self.extra or {}), **own} if own else self.extra
        return msg, kwargs

    # Segment's calls. ---------------------------------------------------------------------------

    def track(
        self,
        event: str | Enum,
        *positional: Never,
        properties: Mapping[str, object] | None = None,
        **call: Unpack[CallOptions],
    ) -> None:
        """Log what a user did. https://segment.com/docs/connections/spec/track/

        Args:
            event: the event's name, which is also the text for other handlers. It is never
                formatted.
            properties: the event's properties. Any names are allowed.
            call: `user_id`, `anonymous_id`, `context`, `integrations`, `timestamp`, `message_id`,
                `level` and `stacklevel`.

        Raises:
            UnknownArgument: if this call does not have such an argument.
        """
        _refuse_positional(positional, "track(event, user_id=..., properties={...})")
        name = event.value if isinstance(event, Enum) else event
        fields: dict[str, object] = {"properties": {} if properties is None else properties}
        if not isinstance(name, str):
            fields["event"], name = name, ""  # the handler will refuse it
        self._log_call(name, fields, call)

    def identify(
        self,
        *positional: Never,
        traits: Mapping[str, object] | None = None,
        **call: Unpack[CallOptions],
    ) -> None:
        """Log who a user is. https://segment.com/docs/connections/spec/identify/

        Args:
            traits: the user's traits. Any names are allowed.
            call: the same as in `track`.

        Raises:
            UnknownArgument: if this call does not have such an argument.
        """
        _refuse_positional(positional, "identify(user_id=..., traits={...})")
        self._log_call("Identify", {"type": "identify", "traits": traits}, call)

    def page(
        self,
        name: str | None = None,
        *positional: Never,
        category: str | None = None,
        properties: Mapping[str, object] | None = None,
        **call: Unpack[CallOptions],
    ) -> None:
        """Log which web page a user viewed. https://segment.com/docs/connections/spec/page/

        Args:
            name: the page's name, which is also the text for other handlers.
            category: the page's category.
            properties: the page's properties, such as `url`, `path`, `referrer` and `title`. Any
                names are allowed.
            call: the same as in `track`.

        Raises:
            UnknownArgument: if this call does not have such an argument.
        """
        _refuse_positional(positional, "page(name, category=..., user_id=..., properties={...})")
        fields = {"type": "page", "name": name, "category": category, "properties": properties}
        self._log_call(name or "Page", fields, call)

    def screen(
        self,
        name: str | None = None,
        *positional: Never,
        category: str | None = None,
        properties: Mapping[str, object] | None = None,
        **call: Unpack[CallOptions],
    ) -> None:
        """Log which app screen a user viewed. https://segment.com/docs/connections/spec/screen/

        Args:
            name: the screen's name, which is also the text for other handlers.
            category: the screen's category.
            properties: the screen's properties. Any names are allowed.
            call: the same as in `track`.

        Raises:
            UnknownArgument: if this call does not have such an argument.
        """
        _refuse_positional(positional, "screen(name, category=..., user_id=..., properties={...})")
        fields = {"type": "screen", "name": name, "category": category, "properties": properties}
        self._log_call(name or "Screen", fields, call)

    def group(
        self,
        group_id: Id,
        *positional: Never,
        traits: Mapping[str, object] | None = None,
        **call: Unpack[CallOptions],
    ) -> None:
        """Log which account a user belongs to. https://segment.com/docs/connections/spec/group/

        Args:
            group_id: the account's id, with at most 500 characters.
            traits: the account's traits. Any names are allowed.
            call: the same as in `track`.

        Raises:
            UnknownArgument: if this call does not have such an argument.
        """
        _refuse_positional(positional, "group(group_id, user_id=..., traits={...})")
        fields = {"type": "group", "group_id": group_id, "traits": traits}
        self._log_call("Group", fields, call)

    def alias(self, *positional: Never, previous_id: Id, **call: Unpack[CallOptions]) -> None:
        """Log that a user's id has changed. https://segment.com/docs/connections/spec/alias/

        Args:
            previous_id: the user's previous id.
            call: the same as in `track`.

        Raises:
            UnknownArgument: if this call does not have such an argument.
        """
        _refuse_positional(positional, "alias(previous_id=..., user_id=...)")
        self._log_call("Alias", {"type": "alias", "previous_id": previous_id}, call)

    def _log_call(self, text: str, own: Mapping[str, Any], call: CallOptions) -> None:
        # Before the level is checked, so that a mistake shows up even if the level is disabled.
        if not call.keys() <= _CALL_OPTIONS:
            what = f"{own.get('type', 'track')}()"
            refuse_unknown(what, call, _CALL_OPTIONS, "pass it in properties or traits")
        level = call.pop("level", logging.INFO)
        if not self.logger.isEnabledFor(level):
            return
        stacklevel = call.pop("stacklevel", 1) + 2  # for this method and its caller
        fields: dict[str, Any] = {**own, **call}
        extra = {**(self.extra or {}), "segment": fields}
        self.logger.log(level, text, extra=extra, stacklevel=stacklevel)


def _refuse_positional(positional: tuple[object, ...], form: str) -> None:
    """Refuse positional arguments, as in the official SDK, with an error that shows the syntax."""
    if positional:
        raise UnknownArgument(f"the user must be passed by keyword: write {form}")
