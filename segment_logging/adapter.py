"""A logger with a method for each of Segment's calls, and with what it is bound to.

It makes records and nothing else: level, filters and handlers decide about them as always, and
`records` reads them. What is bound lies apart on the record, so that it makes none an event.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Mapping, MutableMapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from typing_extensions import Self, Unpack, override

from .bound import BOUND, NAMES, bind, fill_in
from .errors import ConfigurationError
from .extras import Bound, CallOptions, Id
from .wire import FIELDS

if TYPE_CHECKING:
    _LoggerAdapter = logging.LoggerAdapter[logging.Logger]
else:
    _LoggerAdapter = logging.LoggerAdapter  # takes no type arguments before 3.11

_OF_A_CALL = frozenset({"type", "segment"}.union(*FIELDS.values())) - NAMES
_OF_A_RECORD = frozenset(
    {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "taskName"}
)
_OPTIONS = frozenset(CallOptions.__annotations__)


class SegmentLogger(_LoggerAdapter):
    """Logs Segment's calls, and anything else a logger does.

        log = SegmentLogger("shop", context={"app": {"name": "shop"}})
        log = log.bind(user_id=17)
        log.track("Order Completed", properties={"revenue": 29.0})
        log.info("cache miss")  # an ordinary record, bound or not

    What is bound is filled in where a call does not say it; ids come from the call, else from
    here, else from `identity()`. Unlike `extra` it is for no formatter: its name on a record,
    `_segment_bound`, is of the kind that those that write every extra leave out.

    A call that Segment would drop is reported by the handler and never raises; only a wrong
    argument name does, as everywhere.

    Args:
        logger: a logger, or its name; None for the root logger.
        extra: goes onto every record under the call's own, as with `logging.LoggerAdapter`, and
            so into formatters and, with `include_extras`, into properties or traits. What can be
            bound by name may be in it as well.
        bound: `user_id`, `anonymous_id`, `context`, `properties` and `integrations` of every
            event. `properties` are those of track, page and screen; `context` is merged deeply.
            Any other name counts as one of `extra`, where type checkers want it.

    Raises:
        ConfigurationError: a name that belongs to a single call or that logging reserves, or no
            object where one must be.
    """

    def __init__(
        self,
        logger: logging.Logger | str | None = None,
        extra: Mapping[str, object] | None = None,
        **bound: Unpack[Bound],
    ) -> None:
        if not isinstance(logger, logging.Logger):
            logger = logging.getLogger(logger)
        super().__init__(logger, {})
        self._bound: dict[str, Any] = {}
        self._loose: dict[str, Any] = {}
        self._add({**(extra or {}), **bound})

    def bind(self, extra: Mapping[str, object] | None = None, **more: Unpack[Bound]) -> Self:
        """Return a logger bound to more; this one stays as it is.

        Objects are merged with what is bound already. A user other than the bound one does not
        take over that one's anonymous id.

        Args:
            extra: as in the constructor.
            more: likewise.
        """
        bound = copy.copy(self)
        bound._add({**(extra or {}), **more})
        return bound

    def _add(self, more: Mapping[str, Any]) -> None:
        for name in more.keys() & _OF_A_RECORD:
            raise ConfigurationError(
                f"{name!r} is part of every record, so no extra may have the name: "
                "bind it in properties={...}"
            )
        for name in more.keys() & _OF_A_CALL:
            raise ConfigurationError(
                f"{name!r} belongs to a single call, and bound it would make every record an "
                "event: pass it where you log"
            )
        self._bound = bind(self._bound, {name: more[name] for name in more.keys() & NAMES})
        self._loose = {**self._loose, **{name: more[name] for name in more.keys() - NAMES}}
        self.extra = {**self._loose, BOUND: self._bound} if self._bound else self._loose

    @override
    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the logger's extra under the call's own."""
        own = kwargs.get("extra")
        kwargs["extra"] = {**(self.extra or {}), **own} if own else self.extra
        if sys.version_info < (3, 11) and "stacklevel" in kwargs:
            kwargs["stacklevel"] = _count_frames_of_logging(kwargs["stacklevel"])
        return msg, kwargs

    # Segment's calls. ---------------------------------------------------------------------------

    def track(
        self,
        event: str | Enum,
        *,
        properties: Mapping[str, object] | None = None,
        **call: Unpack[CallOptions],
    ) -> None:
        """Log what a user did. https://segment.com/docs/connections/spec/track/

        Args:
            event: its name, which is also the text for other handlers; never formatted.
            properties: of the event; any names.
            call: `user_id`, `anonymous_id`, `context`, `integrations`, `timestamp`, `message_id`,
                `level` and `stacklevel`.
        """
        name = event.value if isinstance(event, Enum) else event
        fields: dict[str, object] = {"properties": {} if properties is None else properties}
        if not isinstance(name, str):
            fields["event"], name = name, ""  # for the handler to refuse
        self._log_call(name, fields, call)

    def identify(
        self, *, traits: Mapping[str, object] | None = None, **call: Unpack[CallOptions]
    ) -> None:
        """Log who a user is. https://segment.com/docs/connections/spec/identify/

        Args:
            traits: to remember of the user; any names.
            call: as in `track`.
        """
        self._log_call("Identify", {"type": "identify", "traits": traits}, call)

    def page(
        self,
        name: str | None = None,
        *,
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
        """
        fields = {"type": "page", "name": name, "category": category, "properties": properties}
        self._log_call(name or "Page", fields, call)

    def screen(
        self,
        name: str | None = None,
        *,
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
        """
        fields = {"type": "screen", "name": name, "category": category, "properties": properties}
        self._log_call(name or "Screen", fields, call)

    def group(
        self,
        group_id: Id,
        *,
        traits: Mapping[str, object] | None = None,
        **call: Unpack[CallOptions],
    ) -> None:
        """Log which account a user belongs to. https://segment.com/docs/connections/spec/group/

        Args:
            group_id: of the account; at most 500 characters.
            traits: to remember of the account; any names.
            call: as in `track`.
        """
        fields = {"type": "group", "group_id": group_id, "traits": traits}
        self._log_call("Group", fields, call)

    def alias(self, *, previous_id: Id, **call: Unpack[CallOptions]) -> None:
        """Log that a user had another id. https://segment.com/docs/connections/spec/alias/

        Args:
            previous_id: what the user was called until now.
            call: as in `track`.
        """
        self._log_call("Alias", {"type": "alias", "previous_id": previous_id}, call)

    def _log_call(self, text: str, own: Mapping[str, Any], call: CallOptions) -> None:
        if not call.keys() <= _OPTIONS:  # before the level is looked at: not only in production
            unknown = min(call.keys() - _OPTIONS)
            raise TypeError(f"unexpected argument {unknown!r}: pass it in properties or traits")
        level = call.pop("level", logging.INFO)
        if not self.logger.isEnabledFor(level):
            return
        stacklevel = call.pop("stacklevel", 1) + 2  # this method and the one that called it
        fields: dict[str, Any] = {**own, **call}
        if self._bound:  # already here, as this is an event: `records` has the less to do
            fill_in(self._bound, fields, FIELDS[fields.get("type", "track")])
        extra = {**self._loose, "segment": fields}
        self.logger.log(level, text, extra=extra, stacklevel=stacklevel)


def _count_frames_of_logging(stacklevel: int) -> int:
    """Return the stacklevel that means the caller's before 3.11, when `logging` counted its own.

    With 1 it skips them itself; beyond that the methods of the adapter's own have to be added.
    """
    if stacklevel <= 1:
        return stacklevel
    own_file = logging.info.__code__.co_filename
    frame = sys._getframe(2)  # whoever called `process`
    while frame.f_back is not None and frame.f_code.co_filename == own_file:
        stacklevel += 1
        frame = frame.f_back
    return stacklevel
