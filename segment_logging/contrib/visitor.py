"""The visitor behind a request, as an identity that is found out when an event is logged.

Most requests log no event, and they pay for none of this.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
        headers: names in lower case to values, as text in ISO 8859-1 or as bytes.
        peer: the address at the other end of the connection, None or empty without one.
        scheme: such as "https".
        host: with the port, if it is not the usual one.
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
        """Return what it says of its visitor. Pure."""
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
    """Whom a request's events are about; to be bound while the request is handled.

    The request is read at its first event, once. Who is logged in is asked for each event, as it
    changes in the middle of a request. What is raised meanwhile is reported, and costs no event.

    Args:
        user_id: returns the id of who is logged in, or None; must be cheap.
        identify: returns what the request says.
    """

    __slots__ = ("_identify", "_known", "_user_id")

    def __init__(self, user_id: Callable[[], Any], identify: Callable[[], KnownIdentity]) -> None:
        self._user_id = user_id
        self._identify = identify
        self._known: KnownIdentity | None = None

    @property
    def context(self) -> Mapping[str, Any] | None:
        return self._read().context

    def fill_in(self, user_id: Any, anonymous_id: Any) -> tuple[Any, Any]:
        visitor = KnownIdentity(
            user_id=_ask("user_id", self._user_id), anonymous_id=self._read().anonymous_id
        )
        return visitor.fill_in(user_id, anonymous_id)

    def _read(self) -> KnownIdentity:
        if self._known is None:
            self._known = _ask("reading a request", self._identify) or NOBODY
        return self._known


def _ask(what: str, function: Callable[[], Any]) -> Any:
    """Return what the function does, None for an empty text or when it raises.

    What it logs itself is about nobody, or it would be asked again for that.
    """
    try:
        with only_identity(NOBODY):
            answer = function()
    except Exception as error:
        _reporter.once(
            what,
            f"{what} raised {type(error).__name__}: "
            "mend it; until then, events of such requests go without what it says",
        )
        return None
    return None if isinstance(answer, str) and not answer else answer


def check_user_id(user_id: object) -> None:
    """Raise a ConfigurationError for what cannot be called in the middle of a logging call."""
    if user_id is None:
        return
    if not callable(user_id):
        raise ConfigurationError(f"user_id must be callable, not {type(user_id).__name__}")
    if inspect.iscoroutinefunction(user_id):
        raise ConfigurationError(
            "user_id must not be async, as it is called when an event is logged: "
            "return what is known by then"
        )
