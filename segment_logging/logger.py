"""A logger with a method for each of Segment's calls, and with what it is bound to.

It makes records and nothing else. Level, filters and handlers decide about them as always, and
`_records` reads them. What is bound lies apart on the record, so that it makes none an event.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, MutableMapping
from enum import Enum
from typing import Any, Never, Self

from typing_extensions import Unpack, override

from ._identity.logger_bindings import LOGGER_BINDING, NAMES, bind_more, fill_in
from ._messages.wire import FIELDS
from ._options.table import refuse_unknown
from ._records.attributes import RECORD_ATTRIBUTES
from ._records.extras import BindOptions, CallOptions, Id
from .errors import ConfigurationError, UnknownArgument

_OF_A_CALL = frozenset({"type", "segment"}.union(*FIELDS.values())) - NAMES
_CALL_OPTIONS = frozenset(CallOptions.__annotations__)


class SegmentLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs Segment's calls, and anything else that a logger does.

        log = SegmentLogger("shop", context={"app": {"name": "shop"}})
        log = log.bind(user_id=17)
        log.track("Order Completed", properties={"revenue": 29.0})
        log.info("cache miss")  # an ordinary record, bound or not

    What is bound fills in what a call leaves out. Ids come from the call, else from here, else from
    `identity()`. Unlike `extra`, it is not for formatters: on a record its name is
    `_segment_bound`, and those that write every extra leave out such names.

    If Segment would drop a call, the handler reports that, and nothing is raised. Only a wrong
    argument raises.

    Args:
        logger: a logger, or its name; None for the root logger.
        extra: goes onto every record under the call's own, as with `logging.LoggerAdapter`, and
            so into formatters and, with `include_extras`, into properties or traits. What can be
            bound by name may be in it as well.
        bound: `user_id`, `anonymous_id`, `context`, `properties` and `integrations` of every
            event. `properties` are those of track, page and screen; `context` is merged deeply.
            Any other name counts as one of `extra`, which is where type checkers want it.

    Raises:
        ConfigurationError: a name belongs to a single call or is reserved by logging, or a value
            is not an object where one must be.
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
        """Return a logger that is bound to more; this one stays as it is.

        Objects are merged with what is bound already. A user other than the bound one does not
        take over that one's anonymous id.

        Args:
            extra: as in the constructor.
            more: what the constructor calls `bound`.
        """
        logger = copy.copy(self)
        logger._add({**(extra or {}), **more})
        return logger

    def _add(self, more: Mapping[str, Any]) -> None:
        for name in more.keys() & RECORD_ATTRIBUTES:
            raise ConfigurationError(
                f"{name!r} is part of every record, so no extra may have that name: "
                "bind it in properties={...}"
            )
        for name in more.keys() & _OF_A_CALL:
            raise ConfigurationError(
                f"{name!r} belongs to a single call, and bound it would make every record an "
                "event: pass it where you log"
            )
        self._bound = bind_more(self._bound, {name: more[name] for name in more.keys() & NAMES})
        self._loose = {**self._loose, **{name: more[name] for name in more.keys() - NAMES}}
        self.extra = {**self._loose, LOGGER_BINDING: self._bound} if self._bound else self._loose

    @override
    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the logger's extra under the call's own."""
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
            event: its name, which is also the text for other handlers; never formatted.
            properties: of the event; any names.
            call: `user_id`, `anonymous_id`, `context`, `integrations`, `timestamp`, `message_id`,
                `level` and `stacklevel`.

        Raises:
            UnknownArgument: an argument that this call does not have.
        """
        _refuse_positional(positional, "track(event, user_id=..., properties={...})")
        name = event.value if isinstance(event, Enum) else event
        fields: dict[str, object] = {"properties": {} if properties is None else properties}
        if not isinstance(name, str):
            fields["event"], name = name, ""  # for the handler to refuse
        self._log_call(name, fields, call)

    def identify(
        self,
        *positional: Never,
        traits: Mapping[str, object] | None = None,
        **call: Unpack[CallOptions],
    ) -> None:
        """Log who a user is. https://segment.com/docs/connections/spec/identify/

        Args:
            traits: what to remember about the user; any names.
            call: as in `track`.

        Raises:
            UnknownArgument: an argument that this call does not have.
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
        """Log which web page a user saw. https://segment.com/docs/connections/spec/page/

        Args:
            name: of the page, also the text for other handlers.
            category: of the page.
            properties: as `url`, `path`, `referrer`, `title`; any names.
            call: as in `track`.

        Raises:
            UnknownArgument: an argument that this call does not have.
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
        """Log which screen of an app a user saw. https://segment.com/docs/connections/spec/screen/

        Args:
            name: of the screen, also the text for other handlers.
            category: of the screen.
            properties: of the screen; any names.
            call: as in `track`.

        Raises:
            UnknownArgument: an argument that this call does not have.
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
            group_id: of the account; at most 500 characters.
            traits: what to remember about the account; any names.
            call: as in `track`.

        Raises:
            UnknownArgument: an argument that this call does not have.
        """
        _refuse_positional(positional, "group(group_id, user_id=..., traits={...})")
        fields = {"type": "group", "group_id": group_id, "traits": traits}
        self._log_call("Group", fields, call)

    def alias(self, *positional: Never, previous_id: Id, **call: Unpack[CallOptions]) -> None:
        """Log that a user had another id. https://segment.com/docs/connections/spec/alias/

        Args:
            previous_id: what the user was called until now.
            call: as in `track`.

        Raises:
            UnknownArgument: an argument that this call does not have.
        """
        _refuse_positional(positional, "alias(previous_id=..., user_id=...)")
        self._log_call("Alias", {"type": "alias", "previous_id": previous_id}, call)

    def _log_call(self, text: str, own: Mapping[str, Any], call: CallOptions) -> None:
        # Before the level is looked at, so that a mistake shows not only in production.
        if not call.keys() <= _CALL_OPTIONS:
            what = f"{own.get('type', 'track')}()"
            refuse_unknown(what, call, _CALL_OPTIONS, "pass it in properties or traits")
        level = call.pop("level", logging.INFO)
        if not self.logger.isEnabledFor(level):
            return
        stacklevel = call.pop("stacklevel", 1) + 2  # this method and the one that called it
        fields: dict[str, Any] = {**own, **call}
        if self._bound:  # now, as this is known to be an event: the reader has less to do then
            fill_in(self._bound, fields, FIELDS[fields.get("type", "track")])
        extra = {**self._loose, "segment": fields}
        self.logger.log(level, text, extra=extra, stacklevel=stacklevel)


def _refuse_positional(positional: tuple[object, ...], form: str) -> None:
    """Say how a call is written, to those who use the order of arguments of the official SDK."""
    if positional:
        raise UnknownArgument(f"the user goes by name here: write {form}")
