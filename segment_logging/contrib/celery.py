"""Celery: `connect()` once, where clients and workers both import it.

What is bound when a task is sent is bound again while it runs: the user of a request is the user
of the tasks that it starts, and of the tasks that these start. It travels in a header of the task,
with address, browser and page of the request, as JSON.

Clients and workers without `connect()` are no trouble: the header is missing, or nobody reads it.
Workers deliver what waits when they end, with this module or without.
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
    """Have identities travel with the tasks that this process sends, and those it runs.

    Calling it again changes nothing.
    """
    for signal, receiver in (
        (signals.before_task_publish, _send_along),
        (signals.task_prerun, _bind),
        (signals.task_postrun, _unbind),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"{__name__}.{receiver.__name__}")


def _send_along(headers: dict[str, Any] | None = None, **_: Any) -> None:
    bound = current_identity()
    if bound is NOBODY or headers is None:
        return
    try:
        user_id, anonymous_id = bound.fill_in(None, None)
        told = {"user_id": user_id, "anonymous_id": anonymous_id, "context": bound.context}
        headers[HEADER] = encode({k: v for k, v in told.items() if v is not None}).decode()
    except Exception as error:
        _reporter.once(
            "send", f"a task was sent without its identity, which raised {type(error).__name__}"
        )


def _bind(task: Any = None, **_: Any) -> None:
    """Bind what came along; nobody if nothing did, as the task before may have left something."""
    request = task.request
    setattr(request, _BEFORE, current_binding.get())
    if not request.is_eager:  # a call like any other, in the context of its caller
        sender = _identity_in(getattr(request, HEADER, None))
        current_binding.set(Binding(sender, sender))


def _unbind(task: Any = None, **_: Any) -> None:
    before = getattr(task.request, _BEFORE, None)
    if before is not None:
        current_binding.set(before)


def _identity_in(header: object) -> Identity:
    """Return the identity that a header tells, nobody if it is anything else."""
    try:
        told = decode(header) if isinstance(header, str) else None
    except ValueError:
        told = None
    if not isinstance(told, Mapping):
        return NOBODY
    context = told.get("context")
    return KnownIdentity(
        user_id=told.get("user_id"),
        anonymous_id=told.get("anonymous_id"),
        context=context if isinstance(context, Mapping) else None,
    )
