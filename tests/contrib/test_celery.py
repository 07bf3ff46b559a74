"""Tests for Celery: a task's events have the identity that was bound when it was sent."""

from __future__ import annotations

import io
import json
import unittest
from contextlib import redirect_stderr
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from typing_extensions import override

from segment_logging import SegmentHandler, bind, identity
from segment_logging._identity.binding import current_identity, only_identity
from segment_logging._identity.who import NOBODY, KnownIdentity

from ..faults.subprocesses import IMPATIENT_CELERY, run
from .frameworks import CollectorTest, FrameworkTest, captured, context_of, has, log, who

if not has("celery"):
    raise unittest.SkipTest("needs Celery")

from celery import Celery, signals
from celery.app.trace import build_tracer

from segment_logging._reports import Reporter
from segment_logging.contrib import celery as celery_module
from segment_logging.contrib.celery import HEADER, connect
from segment_logging.testing import FakeClient


def sent(headers: dict[str, Any] | None = None) -> Any:
    """Return the identity header of a task that is sent now."""
    headers = {} if headers is None else headers
    signals.before_task_publish.send("a task", headers=headers)
    return headers.get(HEADER)


class CeleryTest(FrameworkTest):
    @override
    def setUp(self) -> None:
        super().setUp()
        connect()
        self.app = Celery("tests", set_as_current=False)
        self.app.conf.task_always_eager = True
        self.task = self.app.task(log)

    def run_task(self, header: object = None) -> None:
        """Run the task like a worker that received this header."""
        request = {"id": "a-task", "is_eager": False, "args": (), "kwargs": {}}
        if header is not None:
            request[HEADER] = header
        build_tracer(self.task.name, self.task, app=self.app)("a-task", (), {}, request)


class TestSend(CeleryTest):
    def test_what_is_bound(self) -> None:
        """The bound identity is sent as JSON, whatever the types of its ids."""
        uuid = UUID("6b1fd3a4-2e55-4b6c-a4d1-3c0f2f4e9a77")
        with identity(user_id=17, anonymous_id=uuid, context={"ip": "192.0.2.7"}):
            self.assertEqual(
                sent(), f'{{"user_id":17,"anonymous_id":"{uuid}","context":{{"ip":"192.0.2.7"}}}}'
            )

    def test_nobody(self) -> None:
        """If no identity is bound, none is sent, and a retried task keeps its header."""
        self.assertIsNone(sent())
        self.assertEqual(sent({HEADER: "{}"}), "{}")

    def test_connected_twice(self) -> None:
        """Connecting again changes nothing."""
        before = len(signals.task_prerun.receivers)
        connect()
        self.assertEqual(len(signals.task_prerun.receivers), before)

    def test_redacted(self) -> None:
        """What any handler's options remove is not sent. `hashed` and `before_send` come later."""
        page = {"url": "https://h/?token=SECRET", "path": "/", "title": "Changed later"}
        context = {"ip": "192.0.2.7", "traits": {"email": "a@example.org"}, "page": page}
        handlers = [
            SegmentHandler("a-key", client=FakeClient(), redact=["context.ip"], hashed=["email"]),
            SegmentHandler("a-key", client=FakeClient(), redact=["path"]),
            SegmentHandler("a-key", client=FakeClient(), before_send=lambda _: None),
        ]
        for handler in handlers:
            self.addCleanup(handler.close)
        with identity(user_id="u", context=context):
            header = sent()
        page = {"url": "https://h/", "title": "Changed later"}
        expected = {"page": page, "traits": {"email": "a@example.org"}}
        self.assertEqual(json.loads(header)["context"], expected)
        self.assertEqual(context["ip"], "192.0.2.7")

    def test_addresses(self) -> None:
        """The patterns in the documentation remove the addresses of pages from the header."""
        redact = ["page.path", "page.url", "page.referrer"]
        handler = SegmentHandler("a-key", client=FakeClient(), redact=redact)
        self.addCleanup(handler.close)
        address = "https://shop.example/reset/MQ/SECRET/"
        page = {"path": "/reset/MQ/SECRET/", "url": address, "referrer": address}
        with identity(user_id="u", context={"page": page}):
            self.assertNotIn("SECRET", sent())

    def test_what_cannot_be_written(self) -> None:
        """If an identity cannot be encoded, the task is sent without it; this is reported once."""
        self.addCleanup(setattr, celery_module, "_reporter", celery_module._reporter)
        celery_module._reporter = Reporter()
        stderr = io.StringIO()

        class Unwritable:
            @override
            def __str__(self) -> str:
                raise LookupError

        with redirect_stderr(stderr), identity(user_id=Unwritable()):
            self.assertIsNone(sent())
            self.assertIsNone(sent())
        self.assertEqual(stderr.getvalue().count("sent without its identity"), 1)


class TestRun(CeleryTest):
    def test_what_came_along(self) -> None:
        """A task's events have the identity that was sent with the task."""
        header = '{"user_id":17,"anonymous_id":"a-1","context":{"ip":"192.0.2.7"}}'
        with captured() as events:
            self.run_task(header)
        self.assertEqual(who(events), [("17", "a-1")])
        self.assertEqual(context_of(events), {"ip": "192.0.2.7"})
        self.assertIs(current_identity(), NOBODY)

    def test_there_and_back(self) -> None:
        """The identity that was bound when a task was sent is bound when the task runs."""
        with identity(user_id="u-1", context={"page": {"path": "/"}}):
            header = sent()
        with captured() as events:
            self.run_task(header)
        self.assertEqual(who(events), [("u-1", None)])
        self.assertEqual(context_of(events), {"page": {"path": "/"}})

    def test_strange_headers(self) -> None:
        """An invalid header is ignored, and the task still runs."""

        def other() -> None:
            log(user_id="u-9")

        self.task = self.app.task(other)
        for header in ("", "no JSON", "[]", "17", '{"context": 17}', 17, {"user_id": "u-1"}, b"{}"):
            with self.subTest(header=header), captured() as events:
                self.run_task(header)
                self.assertEqual(who(events), [("u-9", None)])

    def test_invalid_parts(self) -> None:
        """A part of a header that would make every event of the task invalid is left out."""

        def other() -> None:
            log(event="E", user_id="u-9")

        self.task = self.app.task(other)
        for fields in (
            {"user_id": {"a": 1}, "context": {"ip": "192.0.2.7"}},
            {"anonymous_id": [1], "context": {"ip": "192.0.2.7"}},
            {"anonymous_id": True},
            {"user_id": ""},
            {"context": [1]},
            {"context": {"consent": 5}},
            {"context": {"x": "y" * 40_000}},
        ):
            with self.subTest(str(fields)[:60]), captured() as events:
                self.run_task(json.dumps(fields))
                self.assertEqual(who(events), [("u-9", None)])
                if "ip" in str(fields):
                    self.assertEqual(context_of(events), {"ip": "192.0.2.7"})

    def test_nested_deeply(self) -> None:
        """A header that is nested too deeply to be read is ignored."""
        with captured() as events:
            self.run_task("[" * 15_000)
        self.assertEqual(who(events), [])

    def test_left_over(self) -> None:
        """A task neither sees the worker's identity nor changes it."""

        def left_over() -> None:
            log(anonymous_id="none")
            bind(user_id="u-1")

        self.task = self.app.task(left_over)
        with captured() as events, only_identity(KnownIdentity(user_id="u-5")):
            self.run_task()
            self.assertEqual(current_identity(), KnownIdentity(user_id="u-5"))
        self.assertEqual(who(events), [(None, "none")])

    def test_eager(self) -> None:
        """A task that runs eagerly has its caller's identity."""
        with captured() as events, identity(user_id="u-5"):
            self.task.delay()
            self.assertEqual(current_identity(), KnownIdentity(user_id="u-5"))
        self.assertEqual(who(events), [("u-5", None)])

    def test_error(self) -> None:
        """After a task that fails, no identity is bound."""

        def fail() -> None:
            raise LookupError

        self.task = self.app.task(fail, throws=(LookupError,))
        self.run_task('{"user_id":17}')
        self.assertIs(current_identity(), NOBODY)


TASKS = """
from celery import Celery
from celery.signals import setup_logging

from segment_logging import SegmentHandler, bind, identity
from segment_logging.contrib.celery import connect

attach(flush_interval=30)
setup_logging.connect(lambda **_: None, weak=False)
app = Celery("program", broker="filesystem://", backend=None)
app.conf.broker_transport_options = {
    "data_folder_in": os.environ["FOLDER"],
    "data_folder_out": os.environ["FOLDER"],
    "control_folder": os.environ["FOLDER"] + "/control",
    "polling_interval": 0.05,
}
done = os.environ["FOLDER"] + "/../done"


def note(event, number, **extra):
    logger.info(event, extra={"properties": {"number": number}, **extra})
    bind(user_id="left over", context={"left": "over"})
    with open(done, "a") as file:
        print(event, file=file, flush=True)


@app.task
def work(number):
    more.delay(number)
    note("Work", number)


@app.task
def more(number):
    note("More", number)


@app.task(bind=True)
def again(self, number):
    if not self.request.retries:
        raise self.retry(countdown=0)
    note("Again", number)


@app.task
def alone(number):
    note("Alone", number, anonymous_id="none")


if __name__ == "__main__":
    for number in range(5):
        alone.delay(number)  # sent by a client that is not connected
    connect()
    for number in range(20):
        with identity(user_id=f"u-{number}", anonymous_id=f"a-{number}"):
            work.delay(number)
            if number % 4 == 0:
                again.delay(number)
    worker = app.Worker(pool="prefork", concurrency=2, max_tasks_per_child=7, quiet=True)

    def stop_when_done():
        while not os.path.exists(done) or len(open(done).readlines()) < 50:
            time.sleep(0.05)
        time.sleep(1)  # a pool that is closed while it replaces a process may kill that process
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_when_done, daemon=True).start()
    worker.start()
"""


class TestWorker(CollectorTest):
    def test_prefork(self) -> None:
        """Every event of a prefork worker arrives with the right ids.

        The worker replaces its processes while it runs. Tasks that are sent by tasks, and tasks
        that are retried, have the right ids as well.
        """
        with TemporaryDirectory() as directory:
            folder = f"{directory}/queue"
            done = run(
                f"os.makedirs({folder!r})\n" + IMPATIENT_CELERY + TASKS,
                self.collector.url,
                FOLDER=folder,
            )
        found: dict[str, set[tuple[Any, ...]]] = {}
        for message in self.collector.messages:
            number = message["properties"]["number"]
            self.assertNotIn("left", message["context"])
            ids = (number, message.get("userId"), message.get("anonymousId"))
            found.setdefault(message["event"], set()).add(ids)
        everybody = {(number, f"u-{number}", f"a-{number}") for number in range(20)}
        self.assertEqual(
            found,
            {
                "Alone": {(number, None, "none") for number in range(5)},
                "Work": everybody,
                "More": everybody,
                "Again": {one for one in everybody if one[0] % 4 == 0},
            },
            done.stderr,
        )
        self.assertEqual(len(self.collector.messages), 50)


if __name__ == "__main__":
    unittest.main()
