"""The official SDK's `Client`, which sends through a SegmentHandler of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from ..._messages.message import Message
from ..._process.delivering import is_delivering
from ..._process.shutdown import exit_clock
from ..._reports import Reporter, counted, where
from ...errors import MessageTooLarge, SegmentError
from ._calls import IDS, as_sent, message_of, record_of, require
from ._handler import ClientHandler, Queue
from ._settings import OnError, Settings, options_of
from ._telling import is_telling, telling
from .request import as_official

Json = dict[str, Any]
Id = str | float


@dataclass(eq=False, repr=False)
class Client(Settings):
    """A client with the methods of segment-analytics-python's. For its arguments, see `Settings`.

    `journal`, `dead_letters` and `region` are accepted by name only.

    Raises:
        AssertionError: the write key is not a string.
        ValueError: a setting is invalid.
    """

    DefaultConfig = Settings
    log = logging.getLogger("segment")

    def __post_init__(self) -> None:
        require("write_key", self.write_key, str)
        for name in ("max_total_backoff_duration", "max_rate_limit_duration"):
            if getattr(self, name) is None or getattr(self, name) < 0:
                raise ValueError(f"{name} must be a non-negative number")
        self._handler = ClientHandler(
            self.write_key or "",
            **self._options(),
            # Without a reference to this client, so that one that is no longer used can be deleted.
            on_error=partial(_give_up, self.on_error),
        )
        self._reporter = Reporter()
        self.queue = Queue(self._handler, self.max_queue_size)
        if self.log_handler is not None and self.log_handler not in self.log.handlers:
            self.log.addHandler(self.log_handler)
        if self.debug:
            self.log.setLevel(logging.DEBUG)
            if not self.log.handlers:
                self.log.addHandler(logging.StreamHandler())

    def _options(self) -> dict[str, Any]:
        return options_of(self)

    def identify(
        self,
        user_id: Id | None = None,
        traits: Json | None = None,
        context: Json | None = None,
        timestamp: datetime | None = None,
        anonymous_id: Id | None = None,
        integrations: Json | None = None,
        message_id: Any = None,
    ) -> tuple[bool, Json]:
        """Set traits of a user. See `track` for the result."""
        fields = _common(user_id, anonymous_id, context, timestamp, integrations, message_id)
        require("traits", traits or {}, dict)
        return self._enqueue("identify", {**fields, "traits": traits or {}})

    def track(
        self,
        user_id: Id | None = None,
        event: str | None = None,
        properties: Json | None = None,
        context: Json | None = None,
        timestamp: datetime | None = None,
        anonymous_id: Id | None = None,
        integrations: Json | None = None,
        message_id: Any = None,
    ) -> tuple[bool, Json]:
        """Record what a user did.

        Returns:
            Whether the message was accepted, and the message as a dict. It is not accepted if the
            queue is full, or if Segment would drop it.

        Raises:
            AssertionError: an argument has the wrong type.
            RuntimeError: the message is larger than 32,000 bytes.
            DeliveryError: in sync mode, it was not delivered. An `APIError` if it was answered.
        """
        fields = _common(user_id, anonymous_id, context, timestamp, integrations, message_id)
        require("properties", properties or {}, dict)
        require("event", event, str)
        return self._enqueue("track", {**fields, "event": event, "properties": properties or {}})

    def alias(
        self,
        previous_id: Id | None = None,
        user_id: Id | None = None,
        context: Json | None = None,
        timestamp: datetime | None = None,
        integrations: Json | None = None,
        message_id: Any = None,
    ) -> tuple[bool, Json]:
        """Merge two ids of one user. See `track` for the result."""
        require("previous_id", previous_id, IDS)
        require("user_id", user_id, IDS)
        fields = _fields(user_id, None, context, timestamp, integrations, message_id)
        return self._enqueue("alias", {**fields, "previousId": previous_id})

    def group(
        self,
        user_id: Id | None = None,
        group_id: Id | None = None,
        traits: Json | None = None,
        context: Json | None = None,
        timestamp: datetime | None = None,
        anonymous_id: Id | None = None,
        integrations: Json | None = None,
        message_id: Any = None,
    ) -> tuple[bool, Json]:
        """Put a user into a group, and set the group's traits. See `track` for the result."""
        fields = _common(user_id, anonymous_id, context, timestamp, integrations, message_id)
        require("group_id", group_id, IDS)
        require("traits", traits or {}, dict)
        return self._enqueue("group", {**fields, "groupId": group_id, "traits": traits or {}})

    def page(
        self,
        user_id: Id | None = None,
        category: str | None = None,
        name: str | None = None,
        properties: Json | None = None,
        context: Json | None = None,
        timestamp: datetime | None = None,
        anonymous_id: Id | None = None,
        integrations: Json | None = None,
        message_id: Any = None,
    ) -> tuple[bool, Json]:
        """Record that a user saw a page. See `track` for the result."""
        fields = _common(user_id, anonymous_id, context, timestamp, integrations, message_id)
        return self._enqueue("page", {**fields, **_seen(category, name, properties)})

    def screen(
        self,
        user_id: Id | None = None,
        category: str | None = None,
        name: str | None = None,
        properties: Json | None = None,
        context: Json | None = None,
        timestamp: datetime | None = None,
        anonymous_id: Id | None = None,
        integrations: Json | None = None,
        message_id: Any = None,
    ) -> tuple[bool, Json]:
        """Record that a user saw a screen. See `track` for the result."""
        fields = _common(user_id, anonymous_id, context, timestamp, integrations, message_id)
        return self._enqueue("screen", {**fields, **_seen(category, name, properties)})

    def flush(self) -> None:
        """Send the waiting messages and wait until they are delivered or given up.

        Unlike the official SDK, this stops waiting after 5 s without an answer.
        """
        self._handler.flush()
        if self._handler.drain(0):
            self._reporter.over("flush")
        elif not exit_clock.has_begun:  # at exit, losses are already reported
            left = counted(self._handler.counts().pending, "message")
            self._reporter.once(
                "flush",
                f"analytics: flush stopped waiting for {left}: delivery continues in the "
                "background until the process ends",
            )

    def join(self) -> None:
        """Deliver the waiting messages as `flush` does, and end the thread.

        Unlike the official SDK, the client can still be used afterwards.
        """
        self._handler.close()

    def shutdown(self) -> None:
        """Do what `join` does, which includes a flush."""
        self.join()

    def _enqueue(self, call_type: str, fields: Json) -> tuple[bool, Json]:
        message = message_of(call_type, fields)
        about = (call_type, message["messageId"])
        # In `on_error`: another failure would call it again, and so on.
        if is_delivering() or is_telling():
            self._reporter.each("in on_error", 1, _made_in_on_error)
            return False, message
        record = record_of(message)
        record.is_sent, record.is_sync = bool(self.send), bool(self.sync_mode)
        self._handler.take(record)
        error = record.error
        if isinstance(error, MessageTooLarge):
            raise RuntimeError(str(error)) from None
        if record.is_accepted:
            self.log.debug("accepted %s %s", *about)
        elif error is None:
            self.log.debug("the queue is full: %s %s is dropped", *about)
        elif record.is_sync and not isinstance(error, ValueError):
            raise as_official(error)
        else:
            self.log.debug("refused %s %s", *about)
            self._tell(error, [message])
        return record.is_accepted, message

    def _tell(self, error: BaseException, batch: list[Json]) -> None:
        """Tell the program about a refused message. Never raises into the caller of a call."""
        try:
            if self.on_error is not None:
                with telling():
                    self.on_error(error, batch)
        except Exception as fault:
            what = f"{type(fault).__name__} ({where(fault)})"
            self._reporter.once("on_error", f"analytics: on_error raised {what}: fix it")


def _give_up(on_error: OnError | None, error: SegmentError, messages: Sequence[Message]) -> None:
    """Tell the program, in the delivery thread, about messages that are given up."""
    if on_error is not None:
        on_error(as_official(error), [as_sent(message.to_dict()) for message in messages])


def _made_in_on_error(number: int) -> str:
    calls = counted(number, "call")
    return f"analytics: {calls} made by on_error will not be sent: do not call analytics there"


def _common(user_id: Any, anonymous_id: Any, *others: Any) -> Json:
    require("user_id or anonymous_id", user_id or anonymous_id, IDS)
    return _fields(user_id, anonymous_id, *others)


def _fields(
    user_id: Any,
    anonymous_id: Any,
    context: Any,
    timestamp: Any,
    integrations: Any,
    message_id: Any,
) -> Json:
    return {
        "userId": user_id,
        "anonymousId": anonymous_id,
        "context": context or {},
        "timestamp": timestamp,
        "integrations": integrations or {},
        "messageId": message_id,
    }


def _seen(category: Any, name: Any, properties: Any) -> Json:
    require("properties", properties or {}, dict)
    for field, value in (("name", name), ("category", category)):
        if value:
            require(field, value, str)
    return {"category": category or None, "name": name or None, "properties": properties or {}}
