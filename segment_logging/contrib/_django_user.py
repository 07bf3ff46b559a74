"""Who is logged in to Django, found out without changing anything of the request."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from django.contrib import auth
from django.contrib.auth import SESSION_KEY
from django.db import connections
from django.http import HttpRequest
from django.utils.functional import LazyObject, empty


def loaded_user_id(request: HttpRequest) -> Any:
    """Return the logged-in user's id, or None if there is none or only the database knows it."""
    user = _loaded_user(request)
    if user is None:
        session = getattr(vars(request).get("session"), "_session_cache", None)
        return session.get(SESSION_KEY) if session else None
    return _id_of(user)


def current_user_id(request: HttpRequest) -> Any:
    """Return the logged-in user's id, asking the database if nobody has asked it yet.

    In async code, where that is not allowed, and in a transaction that is broken, only the user who
    is loaded already counts. A session that is no longer valid, as after a change of the password,
    is nobody's.
    """
    user = _loaded_user(request)
    if user is None and _may_ask_the_database():
        load_user(request)
        user = _loaded_user(request)
    return None if user is None else _id_of(user)


def load_user(request: HttpRequest) -> None:
    """Load the logged-in user, if there is one, so that the view need not ask again.

    The session is only looked at: a view that does not look at it still gets a response that does
    not vary with it, and an invalid session stays what it is until the view itself asks.
    """
    session: Any = vars(request).get("session")
    if session is None:
        return
    accessed = session.accessed
    try:
        stand_in: Any = SimpleNamespace(session=_Copy(session.items()))
        user = auth.get_user(stand_in) if SESSION_KEY in stand_in.session else None
        if user is not None and user.is_authenticated:
            vars(request).update(_cached_user=user, _acached_user=user)  # Django's own caches
        elif user is None:
            _evaluate(vars(request).get("user"))
    finally:
        session.accessed = accessed


class _Copy(dict[str, Any]):
    """A session that is asked who it belongs to, and that must not be changed by that."""

    def flush(self) -> None:
        self.clear()

    def cycle_key(self) -> None:
        """Nothing: the session itself gets a new key when the view asks."""


def _evaluate(user: object) -> None:
    """Have a lazy user loaded that does not come from the session, but from a token, say."""
    if isinstance(user, LazyObject):
        make = vars(user).get("_setupfunc")
        if getattr(make, "__module__", None) != "django.contrib.auth.middleware":
            bool(user)


def _loaded_user(request: HttpRequest) -> Any:
    attributes = vars(request)
    user = attributes.get("user")
    if isinstance(user, LazyObject):  # from AuthenticationMiddleware; `login` sets a real user
        user = user._wrapped
    if user is None or user is empty:
        user = attributes.get("_acached_user") or attributes.get("_cached_user")
    return user


def _id_of(user: Any) -> Any:
    return user.pk if getattr(user, "is_authenticated", False) else None


def _may_ask_the_database() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return not any(one.needs_rollback for one in connections.all(initialized_only=True))
    return False
