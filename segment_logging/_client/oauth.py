"""Bearer tokens instead of the write key, for sources that have "Enable OAuth" switched on.

The client signs a short-lived assertion with its private key and exchanges it for a token that
lasts for days. Source: Segment's "OAuth 2.0" page, and what its own SDKs do. Needs the extra
`oauth`; nothing imports this module unless the option is used.

This file only decides and signs. The request itself is made by the HTTP client, with its
connections, proxies and timeouts.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from uuid import uuid4

from typing_extensions import override

from .._messages.encoding import decode
from .._public import public_in
from ..errors import ConfigurationError, DeliveryError
from .answers import Answer, Fault, fault_of, parse_retry_after
from .hosts import is_base

try:
    import jwt
except ImportError:  # the extra is not installed; making an OAuth says so
    jwt = None  # type: ignore[assignment]

US_SERVER = "https://oauth2.segment.io"
EU_SERVER = "https://oauth2.eu1.segmentapis.com"

_ASSERTED_FOR = 60.0  # seconds; Segment takes no assertion that is valid for longer
_SKEW_ALLOWED = 5.0  # seconds by which the assertion is backdated
_LIFETIME = 60.0  # seconds, for a token whose answer does not say how long it lasts
_RENEWAL_PAUSE = 60.0  # seconds between attempts while the old token holds: each may time out

Post = Callable[[str, Mapping[str, str]], Answer]
"""Posts a form to a URL. Raises DeliveryError when no answer comes."""


@public_in("segment_logging.oauth")
class OAuth:
    """Gets a token, keeps it, and replaces it halfway through its life.

    If the token endpoint is down while the token still holds, that costs one request a minute.

    Args:
        client_id: of the OAuth application in the workspace.
        key_id: of its public key.
        private_key: the private half of that key: PEM text, or the path of a file that holds it.
        server: the authorization server; it must be in the same region as the host.
        scope: what the token is for.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: the key cannot sign, or the extra is not installed.
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
                raise ConfigurationError(f"oauth {name} must be text: copy it from the workspace")
        if not is_base(server):
            raise ConfigurationError(
                f"oauth server must be a scheme and a name: write it like {US_SERVER!r}"
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
        self._assertion()  # a wrong key fails here, at start-up

    @override
    def __repr__(self) -> str:
        return f"<OAuth of client {self._client_id}>"

    def token(self, post: Post) -> str:
        """Return a token that is valid now.

        Args:
            post: makes the request, if one is needed.

        Raises:
            DeliveryError: no token can be had now.
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
        """Forget the token: Segment refused it."""
        self._token, self._renew_at, self._ends_at = "", 0.0, 0.0

    def _renew(self, post: Post) -> None:
        answer = self._ask(post)
        if self._set_clock_by(answer.headers) and answer.status != 200:
            answer = self._ask(post)  # the assertion had the wrong time; now it has the server's
        if answer.status != 200:
            raise self._refusal(answer)
        try:
            told = decode(answer.start)
            token, lifetime = told["access_token"], float(told.get("expires_in", _LIFETIME))
        except (ValueError, TypeError, KeyError, AttributeError):
            token, lifetime = None, 0.0
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            raise DeliveryError(
                f"{self._server} answered without a token: check the authorization server"
            )
        now = self._clock()
        self._token = token
        self._renew_at, self._ends_at = now + lifetime / 2, now + lifetime

    def _ask(self, post: Post) -> Answer:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self._assertion(),
            "scope": self._scope,
        }
        return post(f"{self._server}/token", form)

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
        except Exception as error:  # of several packages, and they may quote the key
            raise ConfigurationError(
                f"oauth private_key cannot sign ({type(error).__name__}): "
                "pass an RSA key in PEM, or the path of a file that holds one"
            ) from None

    def _set_clock_by(self, headers: Mapping[str, str]) -> bool:
        """Adopt the server's time, and return whether ours was wrong."""
        before = self._skew
        try:
            self._skew = parsedate_to_datetime(headers["Date"]).timestamp() - self._clock()
        except (KeyError, TypeError, ValueError):
            self._skew = 0.0
        return abs(self._skew - before) > _SKEW_ALLOWED

    def _refusal(self, answer: Answer) -> DeliveryError:
        # No message is to blame for a 400 or 413 from here, so no batch may be halved for it.
        passing = fault_of(answer.status) is Fault.NETWORK
        wait = answer.headers.get("X-RateLimit-Reset") or answer.headers.get("Retry-After")
        way_out = (
            "it may succeed later"
            if passing
            else "check client_id, key_id, private_key and scope, and the computer's clock"
        )
        return DeliveryError(
            f"{self._server} gave no token ({answer.status}): {way_out}",
            status=answer.status if passing else 401,
            retry_after=parse_retry_after(wait, now=self._clock()) if passing else None,
            retryable=passing,
        )


def _pem_of(private_key: str | os.PathLike[str]) -> str:
    if isinstance(private_key, str) and "-----BEGIN" in private_key:
        return private_key
    try:
        with open(private_key, encoding="ascii") as file:
            return file.read()
    except (OSError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"oauth private_key cannot be read ({type(error).__name__}): "
            "pass PEM text, or the path of a file that holds it"
        ) from None
