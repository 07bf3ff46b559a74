"""What is read of a response: its status, its headers, and the beginning of its body."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from .answers import MAX_BODY_BYTES, Answer


def answer_of(response: Any) -> Answer:
    """Return the answer, with its body if that is short and comes in time.

    The status and the headers count even if the body does not come. The body of a redirect is not
    read, nor is one that is encoded: a few bytes may inflate to gigabytes.
    """
    try:
        status, headers = response.status_code, response.headers
        is_encoded = headers.get("Content-Encoding", "identity").strip().lower() != "identity"
        if 300 <= status < 400 or is_encoded:
            return Answer(status, headers, b"", is_complete=False)
        body, is_complete = _body_of(response)
        return Answer(status, headers, body, is_complete=is_complete)
    finally:
        with suppress(Exception):  # the answer counts, even if an adapter of the user's fails now
            response.close()


def _body_of(response: Any) -> tuple[bytes, bool]:
    """Return the body's beginning, and whether it is all of it."""
    raw = response.raw
    if raw is None:  # of a response that was made by hand
        content = response.content or b""
        return content[:MAX_BODY_BYTES], len(content) <= MAX_BODY_BYTES
    body = b""
    try:
        # Before urllib3 2 there is no `read1`. `read` waits for all of it, or for its timeout.
        read = getattr(raw, "read1", raw.read)
        while piece := read(MAX_BODY_BYTES + 1 - len(body), decode_content=False):
            body += piece
            if len(body) > MAX_BODY_BYTES:
                return body[:MAX_BODY_BYTES], False
    except Exception:
        return body, False
    return body, True
