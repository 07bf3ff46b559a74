"""Bearer tokens instead of the write key, for sources that have "Enable OAuth" switched on.

The client signs a short-lived assertion with its private key and exchanges it for a token that
lasts for days. Sources: Segment's "OAuth 2.0" page, and the code of Segment's own SDKs. This needs
the extra `oauth`. The module is imported only if the option is used.

This module only makes decisions and signs. The HTTP client makes the requests, with its own
connections, proxies and timeouts.
"""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from uuid import uuid4

from typing_extensions import override

from .._messages.encoding import decode
from .._public import public_in
from ..errors import ConfigurationError, DeliveryError
from .answers import Answer, Fault, fault_of, moment_of, wait_asked_for, words_of
from .hosts import is_base

try:
    import jwt
except ImportError:  # the extra is not installed, so `OAuth()` raises an error
    jwt = None  # type: ignore[assignment]

US_SERVER = "https://oauth2.segment.io"
EU_SERVER = "https://oauth2.eu1.segmentapis.com"

_ASSERTED_FOR = 60.0  # seconds; Segment refuses assertions that are valid for longer
_SKEW_ALLOWED = 5.0  # seconds by which the assertion is backdated
_LIFETIME = 60.0  # seconds, for an answer without `expires_in`
_MAX_PEM_BYTES = 65_536  # an RSA key of 16,384 bits has 13,000
_RENEWAL_PAUSE = 60.0  # seconds between attempts while the old token is valid

Post = Callable[[str, Mapping[str, str]], Answer]
"""Posts a form to a URL. Raises DeliveryError if there is no answer."""


@public_in("segment_logging.oauth")
class OAuth:
    """Gets a token, keeps it, and replaces it halfway through its lifetime.

    If the token endpoint is down while the token is still valid, it is tried once a minute.

    Args:
        client_id: the id of the OAuth application in the workspace.
        key_id: the id of the application's public key.
        private_key: the matching private key, as PEM text or as the path of a PEM file.
        server: the authorization server, which must be in the same region as the host.
        scope: the scope of the token.
        clock: returns seconds since the epoch.

    Raises:
        ConfigurationError: an argument is wrong, or the extra is not installed.
    """

    def __init__(
        self,
        client_id: str,
        key_id: str,
        private_key: str | os.PathLike[str],
        *,
        server: str = US_SERVER,
        scope: str = "tracking_api:write",
        clock: Callable[[], float] = time.time,
    ) -> None:
        if jwt is None:
            raise ConfigurationError(
                "oauth needs an extra package: pip install 'segment-logging[oauth]'"
            )
        for name, value in (("client_id", client_id), ("key_id", key_id), ("server", server)):
            if not isinstance(value, str) or not value:
                raise ConfigurationError(
                    f"oauth {name} must be a string: copy it from the workspace"
                )
        if not is_base(server):
            raise ConfigurationError(
                "oauth server must be a URL with http or https, without a query: "
                f"use the form {US_SERVER!r}"
            )
        self._client_id = client_id
        self._key_id = key_id
        self._private_key = _pem_of(private_key)
        self._server = server.rstrip("/")
        self._scope = scope
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._skew = 0.0  # how far the server's clock is ahead of ours
        self._assertion()  # so that a wrong key fails at start-up

    @override
    def __repr__(self) -> str:
        return f"<OAuth of client {self._client_id}>"

    def token(self, post: Post) -> str:
        """Return a token that is valid now.

        Args:
            post: posts the form, if a new token is needed.

        Raises:
            DeliveryError: no token is available now.
        """
        now = self._clock()
        if now >= self._renew_at:
            try:
                self._renew(post)
            except DeliveryError:
                if now >= self._ends_at:
                    raise
                self._renew_at = min(now + _RENEWAL_PAUSE, self._ends_at)
        return self._token

    def forget(self) -> None:
        """Forget the token, because Segment refused it."""
        self._token, self._renew_at, self._ends_at = "", 0.0, 0.0

    def _renew(self, post: Post) -> None:
        form = self._form()
        answer = post(f"{self._server}/token", form)
        if self._set_clock_by(answer.headers) and answer.status != 200:
            form = self._form()  # the first assertion had the wrong time
            answer = post(f"{self._server}/token", form)
        if answer.status != 200:
            raise self._refusal(answer, form["client_assertion"])
        try:
            told = decode(answer.body)
            token, lifetime = told["access_token"], float(told.get("expires_in", _LIFETIME))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            token, lifetime = None, 0.0
        if not 0 < lifetime < math.inf:
            lifetime = _LIFETIME
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,8192}", token):
            raise DeliveryError(
                f"{self._server} answered without a token: check the authorization server"
            )
        now = self._clock()
        self._token = token
        self._renew_at, self._ends_at = now + lifetime / 2, now + lifetime

    def _form(self) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self._assertion(),
            "scope": self._scope,
        }

    def _assertion(self) -> str:
        now = self._clock() + self._skew - _SKEW_ALLOWED
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._server,
            "iat": int(now),
            "exp": int(now + _ASSERTED_FOR - 1),
            "jti": str(uuid4()),
        }
        try:
            return jwt.encode(
                claims, self._private_key, algorithm="RS256", headers={"kid": self._key_id}
            )
        except Exception as error:  # from any of several packages; it may quote the key
            raise ConfigurationError(
                f"oauth private_key cannot sign ({type(error).__name__}): "
                "pass an RSA key in PEM format, or the path of a PEM file"
            ) from None

    def _set_clock_by(self, headers: Mapping[str, str]) -> bool:
        """Adopt the server's time. Return whether our time was wrong."""
        before = self._skew
        moment = moment_of(headers.get("Date"))
        self._skew = 0.0 if moment is None else moment - self._clock()
        return abs(self._skew - before) > _SKEW_ALLOWED

    def _refusal(self, answer: Answer, assertion: str) -> DeliveryError:
        # A 400 or 413 from this server is not a message's fault, and must not halve a batch.
        passing = fault_of(answer.status) is Fault.NETWORK
        way_out = (
            "the same request may succeed later"
            if passing
            else "check client_id, key_id, private_key and scope, and the computer's clock"
        )
        return DeliveryError(
            f"{self._server} returned no token ({answer.status})"
            f"{words_of(answer, (assertion,))}: {way_out}",
            status=answer.status if passing else 401,
            retry_after=wait_asked_for(answer, self._clock()) if passing else None,
            retryable=passing,
        )


def _pem_of(private_key: str | os.PathLike[str]) -> str:
    if isinstance(private_key, str) and "-----BEGIN" in private_key:
        return private_key
    try:
        return _read(private_key).decode("ascii")
    except (OSError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"oauth private_key cannot be read ({type(error).__name__}): "
            "pass PEM text, or the path of a PEM file"
        ) from None


def _read(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a small regular file, to which links may lead."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would otherwise wait for its writer
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if found.st_size > _MAX_PEM_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return os.read(file, _MAX_PEM_BYTES)
    finally:
        os.close(file)
