"""The visitor behind a request: an identity that is worked out only when an event is logged.

Most requests log no event, and they pay nothing for this.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._identity.binding import only_identity
from .._identity.who import NOBODY, KnownIdentity
from .._reports import Reporter
from ..errors import ConfigurationError
from .headers import anonymous_id_of, context_of, page_of
from .proxies import TrustedProxies

_reporter = Reporter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as its server hands it over.

    Attributes:
        headers: maps lower-case names to values, which are bytes or text in ISO 8859-1.
        peer: the address at the other end of the connection; None or empty if it has none.
        scheme: such as "https".
        host: includes the port, unless it is the default one.
        path: decoded, or its bytes in UTF-8.
        query: still encoded, without the question mark.
    """

    headers: Mapping[str, str | bytes]
    peer: str | None
    scheme: str | None
    host: str | bytes | None
    path: str | bytes
    query: str | bytes | None

    def identify(self, proxies: TrustedProxies) -> KnownIdentity:
        """Return what the request says about its visitor. Pure."""
        headers = self.headers
        context = context_of(headers)
        context["page"] = page_of(
            scheme=self.scheme,
            host=self.host,
            path=self.path,
            query=self.query,
            referrer=headers.get("referer"),
        )
        forwarded_for = headers.get("x-forwarded-for")
        if isinstance(forwarded_for, bytes):
            forwarded_for = forwarded_for.decode("latin-1")
        address = proxies.client_of(self.peer, forwarded_for)
        if address is not None:
            context["ip"] = address
        return KnownIdentity(anonymous_id=anonymous_id_of(headers.get("cookie")), context=context)


class Visitor:
    """The identity to bind while a request is handled: whom the request's events are about.

    The request is read once, at its first event. The user's id is asked for at each event, because
    a login changes it in the middle of a request. An exception in either is reported, and the event
    goes without what would have been added.

    Args:
        user_id: returns the id of the logged-in user, or None; must be cheap.
        identify: returns what the request says about its visitor.
    """

    __slots__ = ("_identify", "_known", "_user_id")

    def __init__(self, user_id: Callable[[], Any], identify: Callable[[], KnownIdentity]) -> None:
        self._user_id = user_id
        self._identify = identify
        self._known: KnownIdentity | None = None

    def known(self) -> KnownIdentity:
        return replace(self._read(), user_id=_ask("user_id", self._user_id))

    def _read(self) -> KnownIdentity:
        if self._known is None:
            self._known = _ask("reading a request", self._identify) or NOBODY
        return self._known


def _ask(what: str, function: Callable[[], Any]) -> Any:
    """Return what the function returns, or None if that is an empty text or the function raises.

    What the function itself logs is about nobody; otherwise, those events would call it again.
    """
    try:
        with only_identity(NOBODY):
            answer = function()
    except Exception as error:
        _reporter.once(
            what,
            f"{what} raised {type(error).__name__}: "
            "fix it; until then, events of such requests go without what it would add",
        )
        return None
    return None if isinstance(answer, str) and not answer else answer


def check_user_id(user_id: object) -> None:
    """Raise a ConfigurationError if `user_id` cannot be called in the middle of a logging call."""
    if user_id is None:
        return
    if not callable(user_id):
        raise ConfigurationError(
            f"user_id must be callable, not {type(user_id).__name__}: "
            "pass a function that returns the id"
        )
    if inspect.iscoroutinefunction(user_id):
        raise ConfigurationError(
            "user_id must not be async, because it is called in the middle of a logging call: "
            "return what is known by then"
        )
