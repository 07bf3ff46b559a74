"""POST requests: connections, timeouts and proxies. The only module that uses `requests`.

The meaning of an answer is decided in `answers`. If there is no answer, a DeliveryError is raised.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import requests
import urllib3
from typing_extensions import override

from .._process.clock import monotonic
from .._process.delivering import time_left
from ..errors import ConfigurationError, DeliveryError
from .answers import Answer

Timeout = float | tuple[float, float] | list[float]
"""Seconds to connect and seconds to wait for an answer, or one number for both."""

_READ_BYTES = 4096  # limit on an answer's body: Segment's has 17 bytes, others may be endless

_NEVER_RETRYABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
    requests.exceptions.InvalidHeader,
)


class Connections:
    """Posts bodies over connections that are kept open. It is not thread-safe.

    Redirects are never followed, and `.netrc` is never read. No POST takes longer than the calling
    thread's deadline allows.

    Args:
        session: the session to send with; None means that the first POST creates one.
        timeout: see `Timeout`.
        proxies: proxy URLs by scheme, as in requests; None means those from the environment.

    Raises:
        ConfigurationError: a timeout is not a positive number.
    """

    def __init__(
        self,
        session: requests.Session | None,
        timeout: Timeout,
        proxies: Mapping[str, str] | None,
    ) -> None:
        self._session = session
        self._timeout = _pair_of(timeout)
        self._proxies = dict(proxies) if proxies else None
        self._pid = os.getpid()

    def post(
        self,
        url: str,
        body: bytes | Mapping[str, str],
        headers: Mapping[str, str],
        authorization: str | None,
    ) -> Answer:
        """Send one POST request.

        Args:
            url: the URL to post to.
            body: bytes, or the fields of a form.
            headers: headers to send in addition to the defaults of requests.
            authorization: the value of the Authorization header, or None.

        Raises:
            DeliveryError: there was no answer.
        """
        base = url.split("/v1/", maxsplit=1)[0]
        timeout = self._timeout_of_now()

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            if authorization is not None:
                request.headers["Authorization"] = authorization
            return request

        try:
            response = self._own_session().post(
                url,
                data=body,
                headers=headers,
                auth=authorize,  # in `headers`, an entry in .netrc would override it
                timeout=timeout,
                proxies=self._proxies,
                allow_redirects=False,
                stream=True,
            )
            try:
                start = self._start_of(response)
            finally:
                response.close()
        except _NEVER_RETRYABLE as error:
            raise DeliveryError(
                f"request to {base} cannot be made ({type(error).__name__}): "
                "check host and proxies",
                retryable=False,
            ) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            way_out = "check the network, or wait until it recovers"
            if isinstance(error, requests.exceptions.SSLError):
                way_out = "check its certificate, REQUESTS_CA_BUNDLE, and that it uses https"
            raise DeliveryError(
                f"no answer from {base} ({type(error).__name__}): {way_out}"
            ) from error
        return Answer(response.status_code, response.headers, start)

    def close(self) -> None:
        """Close the connections. The next POST opens new ones."""
        if self._session is not None:
            self._session.close()

    def _own_session(self) -> requests.Session:
        """Return this process's session. A forked child must not use its parent's sockets."""
        if self._session is None:
            self._session = requests.Session()
        elif self._pid != os.getpid():
            self._session.close()
        self._pid = os.getpid()
        return self._session

    def _timeout_of_now(self) -> Any:
        """Return the timeouts for requests, limited by this thread's deadline."""
        left = time_left()
        if left is None:
            return self._timeout
        if left <= 0:
            raise DeliveryError("no time is left for another attempt: allow a longer timeout")
        connect, read = self._timeout
        return _LimitedTimeout(min(connect, left), read)

    def _start_of(self, response: requests.Response) -> bytes:
        """Return the first 4 KiB of an answer's body, or as much of it as arrives in time.

        Errors while reading the body are ignored, because only the status matters.
        """
        end = monotonic() + self._timeout[1]
        start = b""
        try:
            if response.raw is None:  # from a custom transport
                return (response.content or b"")[:_READ_BYTES]
            # `read1` returns the bytes that have arrived. urllib3 1 only has `read`, which waits
            # for all of them and applies its timeout to each piece.
            read = getattr(response.raw, "read1", response.raw.read)
            while len(start) < _READ_BYTES and (piece := read(_READ_BYTES, decode_content=True)):
                start += piece
                left = time_left()
                if monotonic() >= end or (left is not None and left <= 0):
                    break
        except Exception:
            return start
        return start


class _LimitedTimeout(urllib3.Timeout):
    """Timeouts for a thread with a deadline: reading gets the time that remains after connecting.

    The `total` of urllib3 does that, too, but with a clock that a test may have frozen or moved.
    """

    def __init__(self, connect: float, read: float) -> None:
        super().__init__(connect=connect, read=read)
        self._at_most = connect, read

    @override
    def clone(self) -> _LimitedTimeout:
        return _LimitedTimeout(*self._at_most)

    @property
    @override
    def read_timeout(self) -> float:
        left = time_left()
        read = self._at_most[1]
        return read if left is None else max(0.0, min(read, left))


def _pair_of(timeout: Timeout) -> tuple[float, float]:
    pair: Sequence[Any] = timeout if isinstance(timeout, (tuple, list)) else (timeout, timeout)
    if len(pair) != 2 or not all(
        type(part) in (int, float) and 0 < part < math.inf for part in pair
    ):
        raise ConfigurationError(
            "timeout must be a positive number of seconds, or a pair for connect and read: "
            "write 10 or [3.05, 15]"
        )
    return float(pair[0]), float(pair[1])
