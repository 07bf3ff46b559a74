"""Finding the logged-in Django user without side effects on the request."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from django.contrib import auth
from django.contrib.auth import SESSION_KEY
from django.db import connections
from django.http import HttpRequest
from django.utils.functional import LazyObject, empty

_LOADED_USER = "_segment_user"
"""The attribute of a request for the user that was loaded for an event, who may be anonymous."""


def loaded_user_id(request: HttpRequest) -> Any:
    """Return the logged-in user's id, or None if there is no user or a query would be needed."""
    user = _loaded_user(request)
    return _id_in_session(request) if user is None else _id_of(user, request)


def current_user_id(request: HttpRequest) -> Any:
    """Return the logged-in user's id. Query the database if the user is not loaded yet.

    In async code, which must not query the database, and in a broken transaction, the result is
    None unless the user is already loaded. An invalid session, for example after a password change,
    has no user.
    """
    user = _loaded_user(request)
    if user is None and _may_ask_the_database():
        load_user(request)
        user = _loaded_user(request)
    return None if user is None else _id_of(user, request)


def load_user(request: HttpRequest) -> None:
    """Load the logged-in user, if there is one, so that the view does not have to load it again.

    The response does not get `Vary: Cookie` unless the view uses the session or its user. An
    invalid session is not flushed, and a session that was signed with an old key is not signed
    again, until the view asks for the user.
    """
    session: Any = vars(request).get("session")
    if session is None or _loaded_user(request) is not None:
        return
    accessed = session.accessed
    try:
        values = dict(session.items())
    finally:
        session.accessed = accessed
    if SESSION_KEY not in values:
        _evaluate(vars(request).get("user"))
        return
    stand_in: Any = SimpleNamespace(session=_Copy(values))
    user = auth.get_user(stand_in)
    vars(request)[_LOADED_USER] = user
    if stand_in.session == values:
        _hand_over(user, request, session, values[SESSION_KEY])


def _hand_over(user: Any, request: HttpRequest, session: Any, key: Any) -> None:
    """Make the view find the user loaded, as long as the session's user is the same.

    Reading the user still counts as reading the session, because the response depends on it.
    """
    attributes = vars(request)
    lazy, load_async = attributes.get("user"), attributes.get("auser")
    if isinstance(lazy, LazyObject) and _is_djangos(load := vars(lazy).get("_setupfunc")):
        vars(lazy)["_setupfunc"] = lambda: user if session.get(SESSION_KEY) == key else load()
    if load_async is not None and _is_djangos(getattr(load_async, "func", None)):

        async def auser() -> Any:
            return user if session.get(SESSION_KEY) == key else await load_async()

        attributes["auser"] = auser


class _Copy(dict[str, Any]):
    """A copy of a session, so that looking up its user does not change the session itself."""

    def flush(self) -> None:
        self.clear()

    def cycle_key(self) -> None:
        """Do nothing. The session itself gets a new key when the view asks for the user."""


def _evaluate(user: object) -> None:
    """Load a lazy user that does not come from the session but, for example, from a token."""
    if isinstance(user, LazyObject) and not _is_djangos(vars(user).get("_setupfunc")):
        bool(user)


def _is_djangos(load: Any) -> bool:
    return getattr(load, "__module__", None) == "django.contrib.auth.middleware"


def _loaded_user(request: HttpRequest) -> Any:
    attributes = vars(request)
    user = attributes.get("user")
    if isinstance(user, LazyObject):  # set by AuthenticationMiddleware; `login` sets a real user
        user = user._wrapped
    if user is None or user is empty:
        caches = ("_acached_user", "_cached_user", _LOADED_USER)
        user = next(filter(None, map(attributes.get, caches)), None)
    return user


def _id_of(user: Any, request: HttpRequest) -> Any:
    if not getattr(user, "is_authenticated", False):
        return None
    if user.pk is None and isinstance(user, auth.get_user_model()):  # deleted by the view
        return _id_in_session(request)
    return user.pk


def _id_in_session(request: HttpRequest) -> Any:
    """Return the id of the session's user, or None if the session is not loaded yet."""
    session = getattr(vars(request).get("session"), "_session_cache", None)
    return session.get(SESSION_KEY) if session else None


def _may_ask_the_database() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return not any(one.needs_rollback for one in connections.all(initialized_only=True))
    return False
