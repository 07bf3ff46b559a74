"""One POST: connections, timeouts, proxies. The only file that knows of requests.

What an answer means is decided elsewhere; no answer at all is a DeliveryError.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import requests
import urllib3

from .._process.clock import monotonic
from .._process.delivering import time_left
from ..errors import ConfigurationError, DeliveryError
from .answers import Answer

Timeout = float | tuple[float, float] | list[float]
"""Seconds to connect and seconds to wait for an answer, or one number for both."""

_READ_BYTES = 4096  # of an answer: Segment's has 17, and an endless one must not hold us

_NEVER_RETRYABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
    requests.exceptions.InvalidHeader,
)


class Connections:
    """Posts bodies over connections that are kept open. One thread at a time.

    Redirects are never followed and `.netrc` is never read. No POST outlasts the deadline of the
    thread that makes it.

    Args:
        session: to send with; None makes one with the first POST.
        timeout: see `Timeout`.
        proxies: scheme to proxy URL, as requests takes them; None takes the environment's.

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
        """Post once.

        Args:
            url: where to.
            body: bytes, or a form.
            headers: in addition to those of requests.
            authorization: the header of that name.

        Raises:
            DeliveryError: no answer came.
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
                auth=authorize,  # not among the headers, where an entry in .netrc overrides it
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
            way_out = "check the network, or wait until it is back"
            if isinstance(error, requests.exceptions.SSLError):
                way_out = "check its certificate, REQUESTS_CA_BUNDLE, and http against https"
            raise DeliveryError(
                f"no answer from {base} ({type(error).__name__}): {way_out}"
            ) from error
        return Answer(response.status_code, response.headers, start)

    def close(self) -> None:
        """Close the connections; the next POST opens new ones."""
        if self._session is not None:
            self._session.close()

    def _own_session(self) -> requests.Session:
        """This process's session: a forked child must not write to its parent's sockets."""
        if self._session is None:
            self._session = requests.Session()
        elif self._pid != os.getpid():
            self._session.close()
        self._pid = os.getpid()
        return self._session

    def _timeout_of_now(self) -> Any:
        """Return the timeouts as requests takes them, cut short by this thread's deadline."""
        left = time_left()
        if left is None:
            return self._timeout
        if left <= 0:
            raise DeliveryError("no time is left for another attempt: allow a longer timeout")
        connect, read = self._timeout
        return urllib3.Timeout(total=left, connect=min(connect, left), read=min(read, left))

    def _start_of(self, response: requests.Response) -> bytes:
        """Return the first 4 KiB of an answer's body, or as much of it as comes in time.

        The status is what counts, whatever becomes of the body.
        """
        end = monotonic() + self._timeout[1]
        start = b""
        try:
            if response.raw is None:  # of a transport that made it by hand
                return (response.content or b"")[:_READ_BYTES]
            # `read1` returns what has come. Before urllib3 2 there is only `read`, which waits for
            # all of it, and whose timeout is for each piece.
            read = getattr(response.raw, "read1", response.raw.read)
            while len(start) < _READ_BYTES and (piece := read(_READ_BYTES, decode_content=True)):
                start += piece
                left = time_left()
                if monotonic() >= end or (left is not None and left <= 0):
                    break
        except Exception:
            return start
        return start


def _pair_of(timeout: Timeout) -> tuple[float, float]:
    pair: Sequence[Any] = timeout if isinstance(timeout, (tuple, list)) else (timeout, timeout)
    if len(pair) != 2 or not all(
        type(part) in (int, float) and 0 < part < math.inf for part in pair
    ):
        raise ConfigurationError(
            "timeout must be seconds above zero, or a pair of them to connect and to read: "
            "write 10 or [3.05, 15]"
        )
    return float(pair[0]), float(pair[1])
