"""Builders with defaults, so that a test names only the values that matter to it."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import requests
import urllib3
from typing_extensions import override

from segment_logging import SegmentHandler, Track, User
from segment_logging._messages.calls import Call
from segment_logging._options.delivery import DeliveryOptions
from segment_logging.testing import FakeClient

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "segment_logging"


def a_track(event: str = "Signup", **options: Any) -> Track:
    """Return a track call of user u-17."""
    options.setdefault("user", User(user_id="u-17"))
    return Track(event=event, **options)


def each(*values: Any) -> tuple[Any, ...]:
    """Return values of any types as a tuple to iterate over."""
    return values


def a_record(
    msg: Any = "Signup",
    *args: Any,
    extra: Mapping[str, Any] | None = None,
    level: int = logging.INFO,
    name: str = "app",
) -> logging.LogRecord:
    """Return a record from `Logger.makeRecord`, which uses the record factory and checks extras."""
    return logging.getLogger(name).makeRecord(
        name, level, __file__, 7, msg, args, None, "a_function", extra
    )


def delivery_options(**options: Any) -> DeliveryOptions:
    """Return the handler's delivery options with their defaults, except for a fake client."""
    return DeliveryOptions(**{"client": FakeClient(), **options})


def messages_of(*records: logging.LogRecord, **options: Any) -> list[Call]:
    """Return the messages that a SegmentHandler with `options` delivers for the records."""
    client = FakeClient()
    handler = SegmentHandler("key", client=client, **options)
    try:
        for record in records:
            handler.handle(record)
        if not handler.drain(10):
            raise AssertionError("the messages were not delivered within 10 s")
    finally:
        handler.close()
    return client.messages


def message_of(record: logging.LogRecord, **options: Any) -> Any:
    """Return the one message that a SegmentHandler delivers for the record."""
    messages = messages_of(record, **options)
    if len(messages) != 1:
        raise AssertionError(f"expected one message, got {len(messages)}")
    return messages[0]


def refusal_of(record: logging.LogRecord, **options: Any) -> str:
    """Return what a SegmentHandler writes to stderr about a record that it refuses."""
    stderr = io.StringIO()
    with redirect_stderr(stderr):
        messages = messages_of(record, **options)
    if messages:
        raise AssertionError("expected a refusal, got a message")
    return stderr.getvalue()


class RecordingSession(requests.Session):
    """A session that sends nothing. It keeps each request and answers it with 200.

    Attributes:
        bodies: the request bodies, exactly as they would have been sent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []
        self.mount("https://", _Recorder(self.bodies))


class _Recorder(requests.adapters.BaseAdapter):
    def __init__(self, bodies: list[bytes]) -> None:
        super().__init__()
        self._bodies = bodies

    @override
    def send(
        self, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> requests.Response:
        assert isinstance(request.body, bytes)
        self._bodies.append(request.body)
        response = requests.Response()
        response.status_code = 200
        response.raw = urllib3.HTTPResponse(
            io.BytesIO(b'{"success":true}'), status=200, preload_content=False
        )
        return response

    @override
    def close(self) -> None:
        pass


def run_python(program: str, *, options: Iterable[str] = (), **environment: str) -> Any:
    """Run a program in a fresh interpreter and return the JSON value that it prints.

    Raises:
        AssertionError: The program failed; the error contains its stderr. Warnings are errors in
            the program.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", *options, "-c", program],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"exit status {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


class Syncs:
    """Counts of file syncs."""

    def __init__(self) -> None:
        self.of_data = 0
        self.of_all = 0
        self.came = threading.Event()

    @property
    def count(self) -> int:
        return self.of_data + self.of_all

    def profile(self, frame: Any, event: str, argument: Any) -> None:
        """Count a sync. The interpreter calls this profile function for every call."""
        if event == "c_return" and argument is getattr(os, "fdatasync", None):
            self.of_data += 1
            self.came.set()
        elif event == "c_return" and argument is os.fsync:
            self.of_all += 1
            self.came.set()


@contextmanager
def syncs_counted() -> Iterator[Syncs]:
    """Count the syncs of this thread and of threads that are started inside the block."""
    syncs = Syncs()
    threading.setprofile(syncs.profile)
    sys.setprofile(syncs.profile)
    try:
        yield syncs
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
