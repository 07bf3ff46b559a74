"""Celery: call `connect()` once, in a module that both clients and workers import.

What is bound when a task is sent is bound again while the task runs. So the user of a request is
also the user of the tasks that the request starts, and of the tasks that those start. The identity
travels as JSON in a header of the task, together with the request's address, browser and page.

Clients and workers that do not call `connect()` do no harm: the header is missing, or nobody reads
it. Workers deliver what waits when they end, with or without this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import signals

from .._identity.binding import Binding, current_binding, current_identity
from .._identity.who import NOBODY, Identity, KnownIdentity
from .._messages.encoding import decode, encode
from .._reports import Reporter

HEADER = "segment_logging"
_BEFORE = "_segment_logging_before"

_reporter = Reporter()


def connect() -> None:
    """Have tasks take their sender's identity along, both those sent and those run here.

    Calling it again changes nothing.
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
        headers[HEADER] = encode(sender.known()).decode()
    except Exception as error:
        _reporter.once(
            "send",
            "a task was sent without its identity, because encoding it raised "
            f"{type(error).__name__}: bind values that JSON can hold",
        )


def _bind(task: Any = None, **_: Any) -> None:
    """Bind the identity that came with the task.

    If none came, bind nobody: the task before may have left an identity bound.
    """
    request = task.request
    setattr(request, _BEFORE, current_binding.get())
    if not request.is_eager:  # an eager task is an ordinary call, in the context of its caller
        sender = _identity_in(getattr(request, HEADER, None))
        current_binding.set(Binding(sender, sender))


def _unbind(task: Any = None, **_: Any) -> None:
    before = getattr(task.request, _BEFORE, None)
    if before is not None:
        current_binding.set(before)


def _identity_in(header: object) -> Identity:
    """Return the identity that a header holds, or nobody if it does not hold one."""
    try:
        fields = decode(header) if isinstance(header, str) else None
    except ValueError:
        fields = None
    if not isinstance(fields, Mapping):
        return NOBODY
    context = fields.get("context")
    return KnownIdentity(
        user_id=fields.get("user_id"),
        anonymous_id=fields.get("anonymous_id"),
        context=context if isinstance(context, Mapping) else None,
    )
