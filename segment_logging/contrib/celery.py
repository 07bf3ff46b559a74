"""Celery: call `connect()` once, in a module that both clients and workers import.

The identity that is bound when a task is sent is bound again while the task runs. So a request's
user is also the user of the tasks that the request starts, and of the tasks that those tasks start.
The identity is sent as JSON in a task header, together with the request's address, browser and
page. Whatever a handler's options remove from messages (`redact`, `page_query`) is not sent.

It is fine if some clients or workers do not call `connect()`: the header is then missing or
ignored. Workers deliver waiting messages before they exit, with or without this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from celery import signals

from .._handlers import for_others
from .._identity.binding import Binding, current_binding, current_identity
from .._identity.who import NOBODY, Identity, KnownIdentity
from .._messages.encoding import decode, encode
from .._messages.limits import MAX_MESSAGE_BYTES
from .._messages.wire import wire_form
from .._reports import Reporter
from ..errors import InvalidMessage

HEADER = "segment_logging"
_BEFORE = "_segment_logging_before"

_reporter = Reporter()


def connect() -> None:
    """Send the identity along with tasks, and bind it while tasks run.

    Calling it again has no effect.
    """
    for signal, receiver in (
        (signals.before_task_publish, _send_along),
        (signals.task_prerun, _bind),
        (signals.task_postrun, _unbind),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"{__name__}.{receiver.__name__}")


def _send_along(headers: dict[str, Any] | None = None, **_: Any) -> None:
    sender = current_identity()
    if sender is NOBODY or headers is None:
        return
    try:
        known = sender.known()
        context = None if known.context is None else for_others(known.context)
        headers[HEADER] = encode(replace(known, context=context)).decode()
    except Exception as error:
        _reporter.once(
            "send",
            "a task was sent without its identity, because encoding it raised "
            f"{type(error).__name__}: bind only values that can be written as JSON",
        )


def _bind(task: Any = None, **_: Any) -> None:
    """Bind the identity that was sent with the task.

    If there is none, bind NOBODY, because the previous task may have left an identity bound.
    """
    request = task.request
    setattr(request, _BEFORE, current_binding.get())
    if not request.is_eager:  # an eager task is an ordinary call in its caller's context
        sender = _identity_in(getattr(request, HEADER, None))
        current_binding.set(Binding(sender, sender))


def _unbind(task: Any = None, **_: Any) -> None:
    before = getattr(task.request, _BEFORE, None)
    if before is not None:
        current_binding.set(before)


def _identity_in(header: object) -> Identity:
    """Return the identity in a header, or NOBODY if the header does not contain one.

    Anybody who can reach the broker can write a header. A part that would make events invalid is
    left out.
    """
    if not isinstance(header, str) or len(header) > _MAX_CHARACTERS:
        return NOBODY
    try:
        fields = decode(header)
    except (ValueError, RecursionError):
        return NOBODY
    if not isinstance(fields, Mapping):
        return NOBODY
    return KnownIdentity(**{name: _valid(name, fields.get(name)) for name in _NAMES})


_MAX_CHARACTERS = MAX_MESSAGE_BYTES  # a larger identity fits in no message
_NAMES = ("user_id", "anonymous_id", "context")


def _valid(name: str, value: Any) -> Any:
    """Return a value, or None if no message can have it."""
    someone = {"user_id": "someone"} if name == "context" else {}
    try:
        wire_form("identify", {**someone, name: value})
    except InvalidMessage:
        return None
    return value
