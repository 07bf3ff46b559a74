"""`HttpClient`: one message, or one batch, to Segment's HTTP Tracking API.

One `send` is one attempt; whether and when there is another is decided elsewhere.
"""

from __future__ import annotations

import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Self

from .._messages.batch import Batch
from .._messages.calls import Call
from .._messages.encoding import encode
from .._messages.limits import MAX_BATCH_BYTES, MAX_MESSAGE_BYTES
from .._messages.message import Message
from .._messages.values import write_timestamp
from .._process.clock import seconds_since_epoch
from .._public import public_in
from .._version import __version__
from ..errors import DeliveryError, InvalidMessage, MessageTooLarge
from .answers import Answer, check_answer
from .client import Tokens
from .exchange import Connections, Timeout
from .hosts import US_HOST, base_of


@public_in("segment_logging")
class HttpClient:
    """Posts each kind of message to its own endpoint of Segment's HTTP Tracking API.

    These are `/v1/identify`, `/v1/track`, `/v1/page`, `/v1/screen`, `/v1/group`, `/v1/alias` and
    `/v1/batch`, with Basic auth and the write key as the user name. Redirects are never followed,
    as a followed POST becomes a GET whose 200 would count as delivered, and `.netrc` is never
    read. A message that failed and is sent again carries `X-Retry-Count`, the number of attempts
    before this one.

    In a `with` block, it closes its connections at the end.

    Args:
        host: scheme and name, with or without `/v1`.
        session: a `requests.Session` to send with; None makes one with the first `send`. A forked
            child does not share its sockets, but opens its own.
        timeout: seconds to connect and seconds to wait for an answer, or one number for both.
        gzip: compress bodies, at level 1.
        proxies: scheme to proxy URL, as requests takes them; None takes the environment's.
        oauth: a `segment_logging.oauth.OAuth`, which provides the tokens to authenticate with.

    Raises:
        ConfigurationError: the host has no scheme or no name, or a timeout is not a positive
            number.
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
        self._base = base_of(host)
        self._connections = Connections(session, timeout, proxies)
        self._gzip = gzip
        self._oauth = oauth
        self._is_token_refused = False  # the last one was, and no token was accepted since
        self._failed: dict[int, tuple[Message, int]] = {}  # by `id`, with the attempts so far

    def send(self, write_key: str, message: Message) -> None:
        """Send one message or batch, once, and return when Segment has taken it.

        Raises:
            DeliveryError: no answer came, or it was not a 2xx.
            MessageTooLarge: the message is above 32,000 bytes, or the batch above 500,000; nothing
                was sent.
            InvalidMessage: this is not a message.
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
        # With a token, the body has to say which source it is for.
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

    @property
    def host(self) -> str:
        """Where it sends to: scheme and name."""
        return self._base

    def _post(self, write_key: str, kind: str, body: bytes, attempts: int) -> None:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"segment-logging/{__version__}",
        }
        if attempts:
            headers["X-Retry-Count"] = str(attempts)
        if self._gzip:
            headers["Content-Encoding"] = "gzip"
            packer = zlib.compressobj(1, wbits=31)  # 31: the format of gzip
            body = packer.compress(body) + packer.flush()
        token = None if self._oauth is None else self._oauth.token(self._post_form)
        authorization = _basic(write_key) if token is None else f"Bearer {token}"
        answer = self._connections.post(f"{self._base}/v1/{kind}", body, headers, authorization)
        try:
            check_answer(self._base, answer, now=seconds_since_epoch())
        except DeliveryError as error:
            if self._oauth is not None and error.status in _TOKEN_REFUSED:
                self._oauth.forget()
                raise self._refusal_of_token(error) from error
            raise
        self._is_token_refused = False

    def _refusal_of_token(self, error: DeliveryError) -> DeliveryError:
        """Return what a refused token means.

        It may have been revoked, so another one is worth a try. If that is refused as well, the
        token is not to blame.
        """
        if not self._is_token_refused:
            self._is_token_refused = True
            return DeliveryError(f"{self._base} no longer accepts the token: renewing it")
        return DeliveryError(
            f"{self._base} accepts no token of this OAuth application ({error.status}): check that "
            "it belongs to the source, that the source has OAuth enabled, the write key and the "
            "region",
            status=error.status,
            retryable=error.retryable,
        )

    def _post_form(self, url: str, form: Mapping[str, str]) -> Answer:
        return self._connections.post(url, form, {}, None)


_instead: Callable[[Message], None] | None = None


def divert_sending(instead: Callable[[Message], None] | None) -> Callable[[Message], None] | None:
    """Have every `HttpClient` hand its messages to `instead` and send nothing, for tests.

    Args:
        instead: takes the messages; None goes back to sending.

    Returns:
        What took the messages until now.
    """
    global _instead
    before, _instead = _instead, instead
    return before


_TOKEN_REFUSED = (401, 403, 511)
_MAX_FAILED = 16  # messages whose attempts are counted: one for each handler that shares the client


def _basic(write_key: str) -> str:
    return "Basic " + b64encode(f"{write_key}:".encode()).decode()


def _body_of(message: Message, also: Mapping[str, Any]) -> bytes:
    now = time.time()
    if isinstance(message, Batch):
        longest = max(map(len, message.lines))
        if longest > MAX_MESSAGE_BYTES:  # Segment would refuse the whole batch
            raise MessageTooLarge(longest, MAX_MESSAGE_BYTES)
        body = message.body(sent_at=now, also=also)
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
