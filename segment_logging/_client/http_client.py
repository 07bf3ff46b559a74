"""`HttpClient`: sends messages and batches to Segment's HTTP Tracking API.

Each `send` is one attempt. The delivery decides whether and when to try again.
"""

from __future__ import annotations

import time
import zlib
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self
from urllib.parse import quote

from .._clock import seconds_since_epoch
from .._messages.batch import Batch
from .._messages.calls import Call
from .._messages.encoding import decode, encode
from .._messages.limits import MAX_BATCH_BYTES, MAX_MESSAGE_BYTES
from .._messages.message import Message
from .._messages.values import write_timestamp
from .._public import public_in
from .._version import __version__
from ..errors import DeliveryError, InvalidMessage, MessageTooLarge, SegmentError
from . import diverted
from .answers import Answer, check_answer
from .client import Timeout, Tokens
from .connections import Connections
from .hosts import US_HOST, base_of
from .request_headers import added


@public_in("segment_logging")
class HttpClient:
    """Posts each kind of message to its own endpoint of Segment's HTTP Tracking API.

    The endpoints are `/v1/identify`, `/v1/track`, `/v1/page`, `/v1/screen`, `/v1/group`,
    `/v1/alias` and `/v1/batch`, with Basic auth and the write key as the user name. Redirects are
    never followed: a followed POST becomes a GET, whose 200 would count as a delivery. `.netrc` is
    never read. If a message failed and is sent again, the request has an `X-Retry-Count` header
    with the number of previous attempts.

    As a context manager, it closes its connections on exit.

    Args:
        host: scheme and name, and optionally a port and a path, with or without `/v1` at the end.
        session: a `requests.Session` to send with; None means that the first `send` creates one.
            A forked child opens its own sockets instead of sharing the parent's.
        timeout: seconds to connect and seconds to wait for an answer, or one number for both.
        gzip: whether to compress bodies, at level 1.
        proxies: proxy URLs by scheme, as in requests; None means those from the environment.
        oauth: a `segment_logging.oauth.OAuth`, which provides the tokens to authenticate with.
        headers: more headers for the requests with messages, but not for those to an OAuth server.
            They cannot replace those that this client sets.

    Raises:
        ConfigurationError: the host has no scheme or no name, a timeout is not a positive number,
            or a header's name or value cannot be sent.
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
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._base = base_of(host)
        self._connections = Connections(session, timeout, proxies)
        self._gzip = gzip
        self._oauth = oauth
        self._headers = added(headers)
        # Whether the last token was refused, and no token has been accepted since.
        self._is_token_refused = False
        self._failed: dict[int, tuple[Message, int]] = {}  # by `id`, with the attempts made

    def send(self, write_key: str, message: Message) -> None:
        """Send one message or batch, once. Return when Segment has accepted it.

        Raises:
            DeliveryError: there was no answer, or it was not a 2xx.
            MessageTooLarge: the message is above 32,000 bytes, or the batch is above 500,000 bytes.
                Nothing was sent.
            InvalidMessage: `message` is not a message.
        """
        if diverted.instead is not None and isinstance(message, Message):
            del write_key
            diverted.instead(message)
            return
        error = self._error_of_attempt(write_key, message)
        # Debuggers, test runners and error trackers show the variables of the frames that an error
        # has passed. There is no frame but this one, and it holds no key and no message.
        del write_key, message
        if error is not None:
            raise error

    def _error_of_attempt(self, write_key: str, message: Message) -> SegmentError | None:
        """Send once, and return the error, without the frames it came through; None if sent."""
        if not isinstance(message, Message):
            return InvalidMessage(
                f"a client sends messages, not {type(message).__name__}: "
                "pass a Track or another message, or use Message.from_dict()"
            )
        _, attempts = self._failed.pop(id(message), (message, 0))
        try:
            # With a token, the write key in the body identifies the source.
            also = {} if self._oauth is None else {"writeKey": write_key}
            body = _body_of(message, also)
            self._post(write_key, message, body, attempts)
            return None
        except SegmentError as error:
            failure = error
        except Exception as error:
            failure = DeliveryError(
                f"request to {self._base} cannot be made ({type(error).__name__}): "
                "check the write key, the host and the proxies",
                retryable=False,
            )
        if isinstance(failure, DeliveryError):
            while len(self._failed) >= _MAX_FAILED:
                self._failed.pop(next(iter(self._failed)))
            self._failed[id(message)] = (message, attempts + 1)
        failure.__cause__ = failure.__context__ = None
        return failure.with_traceback(None)

    def close(self) -> None:
        """Close the connections. The next `send` opens new ones."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def host(self) -> str:
        """The scheme and name of the host that messages are sent to."""
        return self._base

    def _post(self, write_key: str, message: Message, body: bytes, attempts: int) -> None:
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "User-Agent": f"segment-logging/{__version__}",
        }
        if attempts:
            headers["X-Retry-Count"] = str(attempts)
        if self._gzip:
            headers["Content-Encoding"] = "gzip"
            packer = zlib.compressobj(1, wbits=31)  # 31 selects the gzip format
            body = packer.compress(body) + packer.flush()
        token = None if self._oauth is None else self._oauth.token(self._post_form)
        authorization = _basic(write_key) if token is None else f"Bearer {token}"
        url = f"{self._base}/v1/{message.type}"
        answer = self._connections.post(url, body, headers, authorization)
        try:
            check_answer(
                self._base,
                answer,
                ids=lambda: _ids_of(message),
                secrets=lambda: _secrets_of(write_key, authorization, self._headers),
                now=seconds_since_epoch(),
            )
        except DeliveryError as error:
            if self._oauth is not None and error.status in _TOKEN_REFUSED:
                self._oauth.forget()
                raise self._refusal_of_token(error) from error
            raise
        self._is_token_refused = False

    def _refusal_of_token(self, error: DeliveryError) -> DeliveryError:
        """Return the error for a refused token.

        The token may have been revoked, so a new one is worth a try. If the new token is refused as
        well, the cause is something else.
        """
        if not self._is_token_refused:
            self._is_token_refused = True
            return DeliveryError(f"{self._base} no longer accepts the token: renewing it")
        return DeliveryError(
            f"{self._base} accepts no token from this OAuth application ({error.status}): check "
            "that it belongs to the source, that the source has OAuth enabled, and that the write "
            "key and the region are correct",
            status=error.status,
            retryable=error.retryable,
        )

    def _post_form(self, url: str, form: Mapping[str, str]) -> Answer:
        return self._connections.post(url, form, {}, None)


_TOKEN_REFUSED = (401, 403, 511)
_MAX_FAILED = 16  # messages whose attempts are counted, one for each handler that shares a client


def _basic(write_key: str) -> str:
    return "Basic " + b64encode(f"{write_key}:".encode()).decode()


def _ids_of(message: Message) -> list[str]:
    lines = message.lines if isinstance(message, Batch) else [encode(message.to_dict())]
    found = []
    for line in lines:
        with suppress(ValueError, TypeError, KeyError, RecursionError):  # damaged on a disk
            message_id = decode(line)["messageId"]
            if isinstance(message_id, str):
                found.append(message_id)
    return found


def _secrets_of(write_key: str, authorization: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the forms of the secrets that a server may quote from the request."""
    sent, key = authorization.partition(" ")[2], str(write_key)
    alone = b64encode(key.encode(errors="replace")).decode()
    added_ones = [part for value in headers.values() for part in (value, *value.split())]
    return (
        *(sent, sent.rstrip("="), key, alone.rstrip("="), quote(key), quote(key, safe="")),
        *added_ones,
    )


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
    del form["type"]  # the endpoint implies it
    body = encode({**form, **also, "sentAt": write_timestamp(now)})
    if len(body) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(len(body), MAX_MESSAGE_BYTES)
    return body
