"""The seam to the network: `Client` is the shape, `HttpClient` the one that speaks HTTP.

One `send` is one attempt: whether and when there is another is decided elsewhere.
"""

from __future__ import annotations

import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from typing_extensions import Self

from ._version import __version__
from .batch import Batch
from .encoding import encode
from .errors import ConfigurationError, DeliveryError, InvalidMessage, MessageTooLarge
from .http import Answer, Connections, Timeout
from .limits import MAX_BATCH_BYTES, MAX_MESSAGE_BYTES
from .messages import Call, Message
from .outcomes import Fault, fault_of, parse_retry_after
from .rules import write_timestamp
from .wire import batch_body

US_HOST = "https://api.segment.io"
EU_HOST = "https://events.eu1.segmentapis.com"


class Tokens(Protocol):
    """Gets tokens to authenticate with: `segment_logging.oauth.OAuth`."""

    def token(self, post: Callable[[str, Mapping[str, str]], Answer]) -> str: ...
    def forget(self) -> None: ...


@runtime_checkable
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
        session: a `requests.Session` to send with; made on the first `send` when None. Sockets
            are not shared with a forked child: it opens its own.
        timeout: seconds to connect and to wait for an answer, or one number for each of both.
        gzip: compress bodies, at level 1.
        proxies: scheme to proxy URL, as requests takes them; the environment's when None.
        oauth: a `segment_logging.oauth.OAuth`, which gets tokens to authenticate with.

    In a `with` block, it closes its connections at the end.

    Raises:
        ConfigurationError: a host without scheme or name, or a timeout that is no positive number.
    """

    def __init__(
        self,
        host: str = US_HOST,
        *,
        session: Any = None,
        timeout: Timeout = (3.05, 15.0),
        gzip: bool = False,
        proxies: Mapping[str, str] | None = None,
        oauth: Tokens | None = None,
    ) -> None:
        self._base = _base_of(host)
        self._connections = Connections(session, timeout, proxies)
        self._gzip = gzip
        self._oauth = oauth
        self._is_token_refused = False  # the last one was, and none was taken since
        self._failed: dict[int, tuple[Message, int]] = {}  # by `id`, with the attempts so far

    def end_by(self, deadline: Callable[[], float | None]) -> None:
        """Have `deadline` say the moment of `time.monotonic()` after which no answer is waited
        for, None for never."""
        self._connections.deadline = deadline

    def send(self, write_key: str, message: Message) -> None:
        """Send one message or batch, once, and return when Segment has taken it.

        Raises:
            DeliveryError: no answer, or one that is no 2xx.
            MessageTooLarge: above 32,000 bytes, or 500,000 for a batch; nothing was sent.
            InvalidMessage: no message at all.
        """
        if not isinstance(message, Message):
            raise InvalidMessage(
                f"a client sends messages, not {type(message).__name__}: "
                "pass a Track or the like, or Message.from_dict() of it"
            )
        if _instead is not None:
            _instead(message)
            return
        _, attempts = self._failed.pop(id(message), (message, 0))
        # Beside a token the body has to say which source it is for.
        also = {} if self._oauth is None else {"writeKey": write_key}
        try:
            self._post(write_key, message.type, _body_of(message, also), attempts)
        except DeliveryError:
            while len(self._failed) >= _MAX_FAILED:
                self._failed.pop(next(iter(self._failed)))
            self._failed[id(message)] = (message, attempts + 1)
            raise

    def close(self) -> None:
        """Close the connections; the next `send` opens new ones."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _post(self, write_key: str, kind: str, body: bytes, attempts: int) -> None:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"segment-logging/{__version__}",
        }
        if attempts:
            headers["X-Retry-Count"] = str(attempts)
        if self._gzip:
            headers["Content-Encoding"] = "gzip"
            packer = zlib.compressobj(1, wbits=31)  # 31: as gzip does
            body = packer.compress(body) + packer.flush()
        token = None if self._oauth is None else self._oauth.token(self._post_form)
        authorization = _basic(write_key) if token is None else f"Bearer {token}"
        answer = self._connections.post(f"{self._base}/v1/{kind}", body, headers, authorization)
        try:
            _check_answer(self._base, answer)
        except DeliveryError as error:
            if self._oauth is not None and error.status in _TOKEN_REFUSED:
                self._oauth.forget()
                raise self._refusal_of_token(error) from error
            raise
        self._is_token_refused = False

    def _refusal_of_token(self, error: DeliveryError) -> DeliveryError:
        """Return what a refused token means: it may have been revoked, and another be taken; when
        that is refused, too, it is not the token's fault."""
        if not self._is_token_refused:
            self._is_token_refused = True
            return DeliveryError(f"{self._base} takes the token no more: renewing it")
        return DeliveryError(
            f"{self._base} takes no token of this OAuth application ({error.status}): check that "
            "it is the source's, that the source has OAuth enabled, the write key and the region",
            status=error.status,
            retryable=error.retryable,
        )

    def _post_form(self, url: str, form: Mapping[str, str]) -> Answer:
        return self._connections.post(url, form, {}, None)


_instead: Callable[[Message], None] | None = None


def divert_sending(instead: Callable[[Message], None] | None) -> Callable[[Message], None] | None:
    """Have every `HttpClient` hand over what it is to send instead of sending it, for tests; None
    ends it. Returns what took the messages until now."""
    global _instead
    before, _instead = _instead, instead
    return before


_BEFORE_TEXT = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and white space
_TOKEN_REFUSED = (401, 403, 511)
_MAX_FAILED = 16  # messages to know the attempts of: one for each handler that shares the client


def _basic(write_key: str) -> str:
    return "Basic " + b64encode(f"{write_key}:".encode()).decode()


def _check_answer(base: str, answer: Answer) -> None:
    status = answer.status
    if 200 <= status < 300:
        if answer.start.lstrip(_BEFORE_TEXT)[:1] == b"<":
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
        retry_after = parse_retry_after(answer.headers.get("Retry-After"), now=time.time())
    raise DeliveryError(
        f"{base} answered {phrase}: {_WAY_OUT[fault]}",
        status=status,
        retry_after=retry_after,
        retryable=fault is Fault.NETWORK,
    )


_WAY_OUT = {
    Fault.NETWORK: "the same request may succeed later",
    Fault.MESSAGE: "something in it cannot be read, look at what it holds",
    Fault.CONFIGURATION: "check the write key, the region and the host",
}


def _body_of(message: Message, also: Mapping[str, Any]) -> bytes:
    now = time.time()
    if isinstance(message, Batch):
        longest = max(map(len, message.lines))
        if longest > MAX_MESSAGE_BYTES:  # Segment would refuse the whole batch
            raise MessageTooLarge(longest, MAX_MESSAGE_BYTES)
        body = batch_body(
            message.lines, message.context, message.integrations, sent_at=now, also=also
        )
        if len(body) > MAX_BATCH_BYTES:
            raise MessageTooLarge(len(body), MAX_BATCH_BYTES, "batch")
        return body
    assert isinstance(message, Call)
    form = message.wire_form()
    del form["type"]  # the endpoint says it
    body = encode({**form, **also, "sentAt": write_timestamp(now)})
    if len(body) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(len(body), MAX_MESSAGE_BYTES)
    return body


def host_of(host: str | None, region: str) -> str:
    """Return the host to send to: `host` when given, else the region's.

    Raises:
        ConfigurationError: a region that Segment does not have.
    """
    try:
        host_of_region = {"us": US_HOST, "eu": EU_HOST}[region]
    except (KeyError, TypeError):
        raise ConfigurationError(
            f"region {region!r} is none of Segment's: use 'us' or 'eu', or pass a host"
        ) from None
    return host or host_of_region


def _base_of(host: str) -> str:
    base = host.rstrip("/").removesuffix("/v1").rstrip("/") if isinstance(host, str) else ""
    if not is_base(base):
        shown = "" if "@" in str(host) else f", not {host!r}"  # before an @ stands a password
        raise ConfigurationError(
            f"host must be a scheme and a name{shown}: write it like 'https://api.segment.io'"
        )
    return base


def is_base(text: str) -> bool:
    """Whether a path can be added to `text` to make the URL of a request."""
    try:
        url = urlsplit(text)
        _ = url.port  # raises when it is no number
    except ValueError:
        return False
    is_http = url.scheme in ("http", "https") and bool(url.hostname)
    is_endpoint = "/v1/" in f"{url.path}/"  # then `/v1/batch` would be added to it
    # In the text, as `urlsplit` leaves out a trailing newline and an empty query.
    has_more = any(one.isspace() or one in "?#" for one in text)
    return is_http and not (is_endpoint or has_more or url.username or url.password)
