"""Reads the requests of a connection and writes the answers."""

from __future__ import annotations

import base64
import json
import math
import re
import select
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import SplitResult, urlsplit

from typing_extensions import override

from .._reports import printable
from .api import api_answer, page_answer, settings_answer
from .arrivals import Answer, Request
from .bodies import MAX_BODY_BYTES, Refused, TooLarge, has_body, read_body, unzipped
from .connections import Server
from .rules import Verdict, judge

_SUCCESS = b'{"success": true}'
_METRICS = "/v1/m"  # where analytics.js sends figures about itself
_SECRET = ("authorization", "proxy-authorization", "cookie")
_LONGEST_WAIT = 100_000.0  # seconds


class Exchanges(BaseHTTPRequestHandler):
    """The exchanges of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # sends the headers and the body in one packet
    timeout = 60.0  # seconds per read, including the wait for the next request
    server: Server
    _readable_by: str | None = None  # the origin whose page may read the answer

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing, because the collector itself prints what arrives."""

    @override
    def version_string(self) -> str:
        return "collector"

    @override
    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is not HTTP, or whose method is unknown."""
        self._readable_by = None
        self._refuse(Refused(code, message or "the request cannot be read"))

    def _handle(self) -> None:
        self._readable_by = None
        try:
            answer = self._answer()
            if isinstance(answer, Answer):
                self._send(answer)
            else:
                self._stream(answer)
        except Refused as refused:
            self._refuse(refused)
        except OSError:
            raise  # the client has disconnected
        except Exception as error:
            self.server.report(error)
            self._refuse(Refused(500, f"the collector failed: {type(error).__name__}"))

    do_GET = do_HEAD = do_POST = do_DELETE = do_OPTIONS = do_PUT = do_PATCH = _handle

    def _answer(self) -> Answer | Iterator[bytes]:
        hosts = self.headers.get_all("Host", [])
        access = self.server.service.access
        if len(hosts) != 1 or not access.has_name(hosts[0].strip()):
            raise Refused(
                403,
                "the collector does not know this host name: use 127.0.0.1, or start the collector "
                "with --allow-host NAME",
            )
        host = hosts[0].strip()
        if self.command != "POST" and has_body(self.headers):
            with suppress(TooLarge):  # it is ignored, but has to be read before the answer
                read_body(self.headers, self.rfile)
        try:
            url = urlsplit(self.path)
        except ValueError:
            raise Refused(400, "the target of the request is not a URL") from None
        if not url.path.startswith("/v1/"):
            return self._own_answer(url, host)
        origin = self.headers.get("Origin")
        if not access.may_send(origin, host):
            self.server.reporter.once(
                "origin",
                f"a page of {printable(origin or '')} may not send to the collector: to allow it, "
                "start the collector with --allow-origin",
            )
            raise Refused(403, "pages of this origin may not send: see --allow-origin")
        self._readable_by = origin
        if self.command == "POST":
            return self._take(url.path)
        if self.command == "OPTIONS":
            return Answer(204, self._preflight_headers())
        found = re.fullmatch("/v1/projects/([^/]{1,100})/settings", url.path)
        if found and self.command in ("GET", "HEAD"):
            return settings_answer(found[1], host)
        return Answer(405, {"Allow": "POST, OPTIONS"})

    def _own_answer(self, url: SplitResult, host: str) -> Answer | Iterator[bytes]:
        """Return the answer to a request for the page or for what arrived."""
        if url.path.startswith("/api/"):
            origin, site = self.headers.get("Origin"), self.headers.get("Sec-Fetch-Site")
            if not self.server.service.access.may_read(origin, site, host):
                raise Refused(403, "only the collector's own page may read what arrived")
            return api_answer(self.server.service, self.command, url)
        answer = page_answer(url.path)
        if answer is None or self.command not in ("GET", "HEAD"):
            raise Refused(404, "there is nothing here: Segment's paths begin with /v1/")
        return answer

    def _preflight_headers(self) -> Mapping[str, str]:
        asked = self.headers.get("Access-Control-Request-Headers", "")
        is_plain = re.fullmatch(r"[A-Za-z0-9_, -]{1,1000}", asked)
        return {
            "Allow": "POST, OPTIONS",
            "Access-Control-Allow-Methods": "POST, GET, OPTIONS",
            "Access-Control-Allow-Headers": asked if is_plain else "Content-Type, Authorization",
            "Access-Control-Allow-Private-Network": "true",
            "Access-Control-Max-Age": "600",
        }

    # Calls. -------------------------------------------------------------------------------------

    def _take(self, path: str) -> Answer:
        verdict = None
        size_bytes = 0
        body = b""
        try:
            body = read_body(self.headers, self.rfile)
            size_bytes = len(body)
            body = unzipped(body, self.headers.get("Content-Encoding", ""))
        except TooLarge as error:
            self.close_connection = True
            size_bytes = MAX_BODY_BYTES + 1
            verdict = Verdict(status=400, reason=str(error))
        except Refused as refused:
            if not size_bytes:
                raise
            verdict = Verdict(status=refused.status, reason=str(refused))
        if path == _METRICS:
            return Answer(200)
        if verdict is None:
            verdict = judge(path, body, has_seen=self.server.service.has_seen)
        request = Request(
            path=path,
            headers={
                name.lower(): value
                for name, value in self.headers.items()
                if name.lower() not in _SECRET
            },
            write_key=_user_of(self.headers.get("Authorization")) or verdict.write_key,
            body_bytes=size_bytes,
            verdict=verdict,
            status=verdict.status,
        )
        answer = self.server.service.take(request)
        if answer.delay > 0:
            self._wait(answer.delay)
        return answer

    def _wait(self, seconds: float) -> None:
        """Wait before an answer, or until the client or the collector closes the connection."""
        self.wfile.flush()
        timeout = _LONGEST_WAIT if math.isinf(seconds) else seconds
        if select.select([self.connection], [], [], timeout)[0]:
            self.close_connection = True

    # Answers. -----------------------------------------------------------------------------------

    def _refuse(self, refused: Refused) -> None:
        self.close_connection = True
        body = json.dumps({"success": False, "message": str(refused)}).encode()
        self._send(Answer(refused.status, body=body))

    def _send(self, answer: Answer) -> None:
        if answer.status is None:
            self.close_connection = True
            return
        body = answer.body
        if body is None:
            body = _SUCCESS if 200 <= answer.status < 300 else b'{"success": false}'
        if answer.status in (204, 304):
            body = b""
        self._start(answer, {"Content-Length": str(len(body))})
        if getattr(self, "command", None) != "HEAD":
            self.wfile.write(body)

    def _stream(self, events: Iterator[bytes]) -> None:
        self.close_connection = True
        self._start(Answer(200), {"Content-Type": "text/event-stream"})
        if self.command == "HEAD":
            return
        for data in events:
            self.wfile.write(data)
            self.wfile.flush()

    def _start(self, answer: Answer, own: Mapping[str, str]) -> None:
        """Write the status and the headers of an answer."""
        assert answer.status is not None
        headers = {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "cross-origin" if self._readable_by else "same-origin",
            "Vary": "Origin",
            **own,
            **({"Connection": "close"} if self.close_connection else {}),
            **answer.headers,
        }
        if self._readable_by is not None:
            headers["Access-Control-Allow-Origin"] = self._readable_by
            headers["Access-Control-Allow-Credentials"] = "true"
            headers["Access-Control-Expose-Headers"] = "Retry-After"
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _user_of(authorization: str | None) -> str | None:
    """Return the user name from Basic auth, which is the write key, or None if it is missing."""
    scheme, _, text = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(text.strip(), validate=True).decode().partition(":")[0] or None
    except ValueError:  # not base64, not ASCII or not UTF-8
        return None
