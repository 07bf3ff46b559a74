"""The paths of the collector that are not Segment's: the page, and JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Protocol
from urllib.parse import SplitResult, parse_qs

from .arrivals import Answer
from .assets import POLICY, assets
from .bodies import Refused
from .entries import Entry
from .filters import Filter, filter_of
from .live import MAX_LISTED, Source, list_json, listed, server_sent_events

_JSON_LINES = "application/x-ndjson"


class Readable(Source, Protocol):
    """What the API shows and clears."""

    def entry(self, number: int) -> Entry | None:
        """Return the arrival with this number, or None if it is not kept."""

    def counts(self) -> dict[str, Any]:
        """Return the counts, including those of each event."""

    def clear(self) -> None:
        """Remove everything that arrived."""


def page_answer(path: str) -> Answer | None:
    """Return the answer with a file of the page, or None if there is no such file."""
    if path not in assets():
        return None
    content_type, content = assets()[path]
    return Answer(200, {"Content-Type": content_type, "Content-Security-Policy": POLICY}, content)


def api_answer(source: Readable, method: str, url: SplitResult) -> Answer | Iterator[bytes]:
    """Return the answer to a request for `/api/`, or the server-sent events to send.

    Raises:
        Refused: the path or the query is wrong.
    """
    if url.path == "/api/messages" and method == "DELETE":
        source.clear()
        return Answer(200)
    found = re.fullmatch(
        r"/api/(messages|messages\.jsonl|counts|stream|messages/(\d{1,18}))", url.path
    )
    if found is None:
        raise Refused(404, "the paths are /api/messages, /api/messages/NUMBER, "
                           "/api/messages.jsonl, /api/counts and /api/stream")  # fmt: skip
    if method not in ("GET", "HEAD"):
        raise Refused(405, "use GET")
    if found[2]:
        entry = source.entry(int(found[2]))
        if entry is None:
            raise Refused(404, f"there is no message {found[2]}, or it is not kept any more")
        return Answer(200, body=entry.line)
    if found[1] == "counts":
        return Answer(200, body=json.dumps(source.counts()).encode())
    try:
        query = parse_qs(url.query, max_num_fields=20)
        chosen = filter_of(query)
    except ValueError as error:
        raise Refused(400, str(error)) from None
    after = _number_in(query, "after", 0)
    if found[1] == "messages":
        limit = min(max(_number_in(query, "limit", MAX_LISTED), 1), MAX_LISTED)
        return Answer(200, body=list_json(source, chosen, after, limit))
    if found[1] == "messages.jsonl":
        return _export(source, chosen, after)
    run = query.get("run", [""])[0]
    return server_sent_events(source, chosen, after, run)


def _export(source: Readable, chosen: Filter, after: int) -> Answer:
    """Return the calls alone, one JSON object per line, as `segment-logging import` reads them."""
    entries = listed(source, chosen, after, 10**9)[0]
    calls = (entry.json for entry in entries)
    body = b"".join(call + b"\n" for call in calls if call.startswith(b"{"))
    return Answer(200, {"Content-Type": _JSON_LINES}, body)


def _number_in(query: dict[str, list[str]], name: str, default: int) -> int:
    text = query.get(name, [""])[0]
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else default


def settings_answer(write_key: str, host: str) -> Answer:
    """Return the settings that analytics.js loads, with this collector as Segment.

    Args:
        write_key: the write key from the path.
        host: the request's Host header.
    """
    segment = {"apiKey": write_key, "apiHost": f"{host}/v1", "protocol": "http",
               "unbundledIntegrations": [], "maybeBundledConfigIds": {}}  # fmt: skip
    settings = {
        "integrations": {"Segment.io": segment},
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "metrics": {"sampleRate": 0},
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "remotePlugins": [],
    }
    return Answer(200, body=json.dumps(settings).encode())
