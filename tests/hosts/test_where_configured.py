"""uvicorn's workers, which have a handler if they run the code that configures logging."""

from __future__ import annotations

import json
import os
import tempfile
import time
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import requests
from typing_extensions import override

from ..faults.subprocesses import arrived, repeated_ids
from ..test_examples import EXAMPLES
from .serving import REQUESTS, HostTest, Server, needs

APPLICATION = """
import logging.config
from segment_logging.contrib.asgi import SegmentMiddleware

CONFIGURATION = {configuration}

{top}


async def answer(scope, receive, send):
    if scope["type"] == "lifespan":
        {lifespan}
        return
    log(f"Request in {{os.getpid()}}")
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": str(os.getpid()).encode()}})

app = SegmentMiddleware(answer)

if __name__ == "__main__":
    {main}
    import uvicorn
    uvicorn.run("program:app", port=int(sys.argv[1]), workers=2, log_level="error")
"""
CONFIGURATION = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "segment": {"class": "segment_logging.SegmentHandler", "write_key": "the-write-key"}
    },
    "loggers": {"app": {"level": "INFO", "handlers": ["segment"]}},
}
CONFIGURE = "logging.config.dictConfig(CONFIGURATION)"
ADD_HANDLER = "attach()"

UVICORN = ("-m", "uvicorn", "--port=PORT", "--log-level=error", "program:app")
WORKERS = (*UVICORN, "--workers=2")
RELOAD = (*UVICORN, "--reload")
PROGRAM = ("program.py", "PORT")


def visit_both(server: Server) -> None:
    """Make requests, several at a time, until two processes have answered."""
    ends_at = time.monotonic() + 30
    with ThreadPoolExecutor(8) as threads:
        while len(set(server.answers)) < 2:
            assert time.monotonic() < ends_at, "only one worker answers"
            for one in [threads.submit(server.get) for _ in range(8)]:
                one.result()


def visit(server: Server) -> None:
    for _ in range(REQUESTS):
        server.get()


@needs("uvicorn")
class TestWhereLoggingIsConfigured(HostTest):
    """The module's top level, the lifespan and `--log-config` reach all of uvicorn's processes."""

    @override
    def setUp(self) -> None:
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.file = Path(directory.name) / "logging.json"
        self.file.write_text(json.dumps(CONFIGURATION), encoding="utf-8")

    def visited(
        self, *command: str, top: str = "", lifespan: str = "pass", main: str = "pass"
    ) -> tuple[Counter[str], Counter[str], str]:
        """Return the expected and the arrived events, and what was printed on stderr.

        Args:
            command: starts the server.
            top: code for the top level of the module.
            lifespan: code for the start of the lifespan.
            main: code under `if __name__ == "__main__"`.
        """
        self.start_over()
        program = APPLICATION.format(
            configuration=CONFIGURATION, top=top, lifespan=lifespan, main=main
        )
        answers: list[str] = []

        def use(server: Server) -> None:
            (visit if command == RELOAD else visit_both)(server)
            answers.extend(server.answers)

        done = self.serve(program, command, visit=use)
        expected = Counter(f"Request in {pid}" for pid in answers)
        return expected, Counter(arrived(self.collector)), done.stderr

    def test_ways_that_work(self) -> None:
        """All events of all workers arrive once."""
        in_file = f"--log-config={self.file}"
        for name, command, code in (
            ("top level, workers", WORKERS, {"top": CONFIGURE}),
            ("top level, reload", RELOAD, {"top": CONFIGURE}),
            ("top level, run", PROGRAM, {"top": CONFIGURE}),
            ("lifespan, workers", WORKERS, {"lifespan": CONFIGURE}),
            ("file, workers", (*WORKERS, in_file), {}),
        ):
            with self.subTest(name):
                expected, found, stderr = self.visited(*command, **code)
                self.assertEqual(found, expected, stderr)
                self.assertNotIn("segment_logging", stderr)

    def test_main(self) -> None:
        """Code under `if __name__ == "__main__"` runs in no worker, and nothing is reported."""
        for command in (WORKERS, PROGRAM):
            with self.subTest(command):
                _, found, stderr = self.visited(*command, main=CONFIGURE)
                self.assertEqual(found, {})
                self.assertNotIn("segment_logging", stderr)

    def test_add_handler(self) -> None:
        """A program that is also the application runs twice in its workers, and adds the handler
        twice."""
        expected, found, stderr = self.visited(*PROGRAM, top=ADD_HANDLER)
        self.assertEqual(found, expected + expected, stderr)
        self.assertEqual(len(repeated_ids(self.collector)), expected.total())


class TestExamples(HostTest):
    """The examples for web frameworks, under a server that imports them."""

    def assert_serves(self, name: str, *command: str, form: str) -> None:
        """Assert that what a visitor does arrives.

        Args:
            name: the example's file.
            command: starts the server.
            form: how the sign-up is sent: "json" or "data".
        """

        def sign_up(server: Server) -> None:
            host = f"http://127.0.0.1:{server.port}"
            browser = requests.Session()
            browser.cookies["ajs_anonymous_id"] = "visitor-31"
            ada = {form: {"name": "Ada", "plan": "pro"}}
            for answer in (
                browser.get(f"{host}/pricing", timeout=20),
                browser.post(f"{host}/signup", timeout=20, **ada),  # type: ignore[arg-type]
                browser.post(f"{host}/orders", timeout=20),
            ):
                answer.raise_for_status()

        with patch.dict(os.environ, SEGMENT_WRITE_KEY="example-key"):
            program = (EXAMPLES / name).read_text(encoding="utf-8")
            done = self.serve(program, command, visit=sign_up)
        types = Counter(message["type"] for message in self.collector.messages)
        self.assertEqual(types, {"page": 1, "identify": 1, "track": 2}, done.stderr)

    @needs("fastapi", "httpx", "itsdangerous", "uvicorn")
    def test_fastapi(self) -> None:
        """The FastAPI example sends its events under uvicorn with two workers."""
        self.assert_serves("fastapi_app.py", *WORKERS, form="json")

    @needs("flask", "gunicorn")
    def test_flask(self) -> None:
        """The Flask example sends its events under gunicorn with two workers."""
        command = ("-m", "gunicorn", "--bind=127.0.0.1:PORT", "--workers=2", "program:app")
        self.assert_serves("flask_app.py", *command, form="data")


if __name__ == "__main__":
    unittest.main()
