"""The seam to the network: `Client` is the shape, `HttpClient` the one that speaks HTTP.

The only file that knows of requests. One `send` is one attempt: whether and when there is
another is decided elsewhere.
"""

from __future__ import annotations

import gzip
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import urllib3

from ._version import __version__
from .batch import Batch
from .encoding import encode
from .errors import ConfigurationError, DeliveryError, MessageTooLarge
from .limits import MAX_BATCH_BYTES, MAX_MESSAGE_BYTES
from .messages import Call, Message
from .outcomes import Fault, fault_of, parse_retry_after
from .rules import write_timestamp
from .wire import batch_body

US_HOST = "https://api.segment.io"
EU_HOST = "https://events.eu1.segmentapis.com"

Timeout = float | tuple[float, float]


class Client(Protocol):
    """Sends one message or batch, once. What the handler needs of a client is only this."""

    def send(self, write_key: str, message: Message) -> None:
        """Send `message` and return when it was answered with a 2xx.

        Raises:
            DeliveryError: it was not; `status`, `retry_after` and `retryable` say more. Any other
                exception is taken as a network fault and tried again.
        """

    def close(self) -> None:
        """Release what the client holds; the next `send` may take it up again."""


class HttpClient:
    """Posts each message type to its own endpoint of Segment's HTTP Tracking API.

    `/v1/identify`, `/v1/track`, `/v1/page`, `/v1/screen`, `/v1/group`, `/v1/alias`, `/v1/batch`,
    with Basic auth, the write key as the user name. Redirects are never followed (a followed POST
    becomes a GET, whose 200 would count as delivered) and `.netrc` is never read. A message object
    that failed and is sent again carries `X-Retry-Count`, the number of attempts before.

    Args:
        host: scheme and name, with or without `/v1`.
        session: to send with; made on the first `send` when None. Sockets are not shared with a
            forked child: it opens its own.
        timeout: seconds to connect and to wait for an answer, or one number for each of both.
        gzip: compress bodies, at level 1.
        proxies: scheme to proxy URL, as requests takes them; the environment's when None.

    Raises:
        ConfigurationError: a host without scheme or name, or a timeout that is no positive number.
    """

    def __init__(
        self,
        host: str = US_HOST,
        *,
        session: requests.Session | None = None,
        timeout: Timeout = (3.05, 15.0),
        gzip: bool = False,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        self._base = _base_of(host)
        self._session = session
        self._timeout = _pair_of(timeout)
        self._gzip = gzip
        self._proxies = dict(proxies) if proxies else None
        self._pid = os.getpid()
        self._failed: tuple[Message, int] | None = None
        self.deadline: Callable[[], float | None] = lambda: None
        """Says the moment of `time.monotonic()` after which no answer is waited for, or None."""

    def send(self, write_key: str, message: Message) -> None:
        """Send one message or batch, once, and return when Segment has taken it.

        Raises:
            DeliveryError: no answer, or one that is no 2xx.
            MessageTooLarge: above 32,000 bytes, or 500,000 for a batch; nothing was sent.
        """
        attempts = self._failed[1] if self._failed and self._failed[0] is message else 0
        self._failed = (message, attempts + 1)
        self._post(write_key, message.type, _body_of(message), attempts)
        self._failed = None

    def close(self) -> None:
        """Close the connections; the next `send` opens new ones."""
        if self._session is not None:
            self._session.close()

    def _post(self, write_key: str, kind: str, body: bytes, attempts: int) -> None:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"segment-logging/{__version__}",
        }
        if attempts:
            headers["X-Retry-Count"] = str(attempts)
        if self._gzip:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=1, mtime=0)
        timeout = self._time_left()
        try:
            with self._own_session().post(
                f"{self._base}/v1/{kind}",
                data=body,
                headers=headers,
                # As bytes: requests would take text as Latin-1. And never as a header, which an
                # entry in .netrc overrides.
                auth=(write_key.encode(), b""),  # type: ignore[arg-type]
                timeout=timeout,  # type: ignore[arg-type]  # urllib3's, for its total
                proxies=self._proxies,
                allow_redirects=False,
                stream=True,
            ) as response:
                start = response.raw.read(_READ_BYTES, decode_content=True)
        except _NEVER_RETRYABLE as error:
            raise DeliveryError(
                f"request to {self._base} cannot be made ({type(error).__name__}): "
                "check host and proxies",
                retryable=False,
            ) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise DeliveryError(
                f"no answer from {self._base} ({type(error).__name__}): "
                "check the network, or wait until it is back",
            ) from error
        _check_answer(self._base, response, start)

    def _own_session(self) -> requests.Session:
        """This process's session: a forked child must not write to its parent's sockets."""
        if self._session is None:
            self._session = requests.Session()
        elif self._pid != os.getpid():
            self._session.close()
        self._pid = os.getpid()
        return self._session

    def _time_left(self) -> urllib3.Timeout:
        connect, read = self._timeout
        deadline = self.deadline()
        if deadline is None:
            return urllib3.Timeout(connect=connect, read=read)
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeliveryError("no time is left for another attempt: allow a longer timeout")
        return urllib3.Timeout(total=left, connect=min(connect, left), read=min(read, left))


_BEFORE_TEXT = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and white space
_READ_BYTES = 4096  # of an answer; Segment's has 17, and an endless one must not hold us

_NEVER_RETRYABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
    requests.exceptions.InvalidHeader,
)


def _check_answer(base: str, response: requests.Response, start: bytes) -> None:
    status = response.status_code
    if 200 <= status < 300:
        if start.lstrip(_BEFORE_TEXT)[:1] == b"<":
            raise DeliveryError(
                f"{base} answered {status} with a web page, which Segment never does: "
                "check for a captive portal or a proxy in between",
                status=None,
            )
        return
    try:
        phrase = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = str(status)
    fault = fault_of(status)
    retry_after = None
    if fault is Fault.NETWORK:
        retry_after = parse_retry_after(response.headers.get("Retry-After"), now=time.time())
    raise DeliveryError(
        f"{base} answered {phrase}: {_WAY_OUT[fault]}",
        status=status,
        retry_after=retry_after,
        retryable=fault is Fault.NETWORK,
    )


_WAY_OUT = {
    Fault.NETWORK: "the same request may succeed later",
    Fault.MESSAGE: "something in the request cannot be read, send its messages one by one",
    Fault.CONFIGURATION: "check the write key, the region and the host",
}


def _body_of(message: Message) -> bytes:
    now = time.time()
    if isinstance(message, Batch):
        body = batch_body(message.lines, message.context, message.integrations, sent_at=now)
        if len(body) > MAX_BATCH_BYTES:
            raise MessageTooLarge(len(body), MAX_BATCH_BYTES, "batch")
        return body
    assert isinstance(message, Call)
    form = message.to_dict()
    del form["type"]  # the endpoint says it
    body = encode({**form, "sentAt": write_timestamp(now)})
    if len(body) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(len(body), MAX_MESSAGE_BYTES)
    return body


def host_of(host: str | None, region: str) -> str:
    """Return the host to send to: `host` when given, else the region's.

    Raises:
        ConfigurationError: a region that Segment does not have.
    """
    if host:
        return host
    try:
        return {"us": US_HOST, "eu": EU_HOST}[region]
    except (KeyError, TypeError):
        raise ConfigurationError(
            f"region {region!r} is none of Segment's: use 'us' or 'eu', or pass a host"
        ) from None


def _base_of(host: str) -> str:
    base = host.rstrip("/").removesuffix("/v1").rstrip("/")
    if not _is_base(base):
        raise ConfigurationError(
            "host must be a scheme and a name: write it like 'https://api.segment.io'"
        )
    return base


def _is_base(text: str) -> bool:
    try:
        url = urlsplit(text)
        _ = url.port  # raises when it is no number
    except ValueError:
        return False
    is_http = url.scheme in ("http", "https") and bool(url.hostname)
    return is_http and not (url.query or url.fragment or url.username or url.password)


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
