"""The visitor behind a request: an identity that is determined only when an event is logged.

Most requests log no events, so they do not pay for this.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .._identity.binding import UNBOUND, current_binding
from .._identity.who import NOBODY, KnownIdentity, is_same_id
from .._messages.values import an_id
from .._reports import Reporter
from ..errors import ConfigurationError, InvalidMessage
from .headers import anonymous_id_of, context_of, page_of
from .proxies import TrustedProxies

NOT_YET = object()
"""The result of an `anonymous_id` function that has to be called again for the next event."""

_reporter = Reporter()
_id_text_of = an_id("id", "id_not_string")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as received from the server.

    Attributes:
        headers: maps lower-case names to values, which are bytes or text in ISO 8859-1.
        peer: the address at the other end of the connection. It may be None or empty.
        scheme: the URL's scheme, such as "https".
        host: the host, with the port unless it is the default port.
        path: the path, either decoded or as bytes in UTF-8.
        query: the encoded query string, without the question mark.
    """

    headers: Mapping[str, str | bytes]
    peer: str | None
    scheme: str | None
    host: str | bytes | None
    path: str | bytes
    query: str | bytes | None

    def identify(self, proxies: TrustedProxies) -> KnownIdentity:
        """Return the visitor's identity, as far as the request reveals it.

        Args:
            proxies: the proxies whose X-Forwarded-For is trusted.
        """
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
    """The identity that is bound while a request is being handled.

    The request is read once, for its first event. The user's id is read for each event, because it
    may change during a request, for example at a login. If either raises an exception, that is
    reported, and the event is sent without the missing values.

    Args:
        source: the request as the framework has it. The functions are called with it.
        user_id: returns the logged-in user's id, or None. It must be fast. A result that is not an
            id is reported and becomes None.
        identify: returns the visitor's identity, as far as the request reveals it.
        anonymous_id: returns the visitor's anonymous id, None, or NOT_YET. By default, it is the
            one that `identify` returns. A result that is not an id is reported and becomes None.
    """

    __slots__ = ("_anonymous_id", "_identify", "_known", "_last", "_request", "_source", "_user_id")

    def __init__(
        self,
        source: Any,
        user_id: Callable[[Any], Any],
        identify: Callable[[Any], KnownIdentity],
        anonymous_id: Callable[[Any], Any] | None = None,
    ) -> None:
        self._source = source
        self._user_id = user_id
        self._identify = identify
        self._anonymous_id = anonymous_id
        self._request: KnownIdentity | None = None  # as read, with the cookie's id
        self._known: KnownIdentity | None = None
        self._last: KnownIdentity | None = None  # the last event's, because most are the same

    def known(self) -> KnownIdentity:
        read = self._known
        if read is None:
            read = self._read()
        user_id = _ask("user_id", self._user_id, self._source)
        if user_id is None:
            return read
        last = self._last
        if last is not None and is_same_id(last.user_id, user_id):
            return last
        if not _is_id("user_id", user_id, "such events have no user id"):
            return read
        last = self._last = KnownIdentity(
            user_id=user_id, anonymous_id=read.anonymous_id, context=read.context
        )
        return last

    def _read(self) -> KnownIdentity:
        """Read the request, and remember the result unless the anonymous id is not known yet."""
        read = self._request
        if read is None:
            read = self._request = _ask("reading a request", self._identify, self._source) or NOBODY
        if self._anonymous_id is not None:
            found = _ask("anonymous_id", self._find_anonymous_id, self._source)
            self._last = None  # it may lack the id
            if found is NOT_YET:
                return KnownIdentity(context=read.context)
            read = KnownIdentity(anonymous_id=found, context=read.context)
        self._known = read
        return read

    def _find_anonymous_id(self, source: Any) -> Any:
        found = self._anonymous_id(source)  # type: ignore[misc]
        if found is NOT_YET:
            return found
        if isinstance(found, str) and not found.strip():
            return None
        is_usable = _is_id("anonymous_id", found, "such visitors have no anonymous id")
        return _id_text_of(found) if is_usable else None


def _is_id(name: str, found: Any, until_then: str) -> bool:
    """Return whether a function's result can be an id, and report it if not."""
    try:
        _id_text_of(found)
    except InvalidMessage:
        what = f"{name} returned {type(found).__name__}"
        _reporter.once(
            f"{name} returned", f"{what}: return a string or None; until then, {until_then}"
        )
        return False
    return True


def _ask(what: str, function: Callable[[Any], Any], source: Any) -> Any:
    """Return the function's result, or None if the result is empty text or the function raises.

    Events that the function logs get no identity, because otherwise they would call it again.
    """
    bound = current_binding.set(UNBOUND)
    try:
        answer = function(source)
    except Exception as error:
        _reporter.once(
            what,
            f"{what} raised {type(error).__name__}: "
            "fix it; until then, events of such requests lack the values that it would provide",
        )
        return None
    finally:
        current_binding.reset(bound)
    return None if isinstance(answer, str) and not answer else answer


def check_functions(**options: object) -> None:
    """Raise a ConfigurationError if an option cannot be called during a logging call.

    Args:
        options: functions that return ids, by the names of their options. None is allowed.
    """
    for name, function in options.items():
        if function is None:
            continue
        if not callable(function):
            raise ConfigurationError(
                f"{name} must be callable, not {type(function).__name__}: "
                "pass a function that returns the id"
            )
        if inspect.iscoroutinefunction(function):
            raise ConfigurationError(
                f"{name} must not be async, because it is called during a logging call: "
                "pass a function that returns an id which is already known"
            )
