"""The development servers of Django and Flask, with and without their reloader."""

from __future__ import annotations

import json
import os
import signal
import time
import unittest
from collections.abc import Callable
from tempfile import TemporaryDirectory

import segment_logging

from .serving import REQUESTS, HostTest, Server, needs, visit_often

DJANGO = """
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

attach(flush_interval=300, **json.loads(os.environ.get("OPTIONS", "{}")))
segment_logging.exit_on_sigterm()


def index(request):
    log("Request")
    return HttpResponse(__file__)


urlpatterns = [path("", index)]
settings.configure(
    DEBUG=True, SECRET_KEY="test-secret", ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__",
    LOGGING_CONFIG=None,
)
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
"""

FLASK = """
from flask import Flask

attach(flush_interval=300)
segment_logging.exit_on_sigterm()
app = Flask(__name__)


@app.get("/")
def index():
    log("Request")
    return __file__
"""

RUNSERVER = ["program.py", "runserver", "PORT"]
FLASK_RUN = ["-m", "flask", "--app", "program", "run", "--port", "PORT"]
TERM, INT = signal.SIGTERM, signal.SIGINT


class ReloaderTest(HostTest):
    def assert_delivers(
        self,
        program: str,
        command: list[str],
        number: int,
        *,
        stop: signal.Signals = TERM,
        visit: Callable[[Server], object] = visit_often,
    ) -> None:
        """Assert that this number of events arrives when the server is stopped."""
        with self.subTest(command, stop=stop.name):
            self.start_over()
            done = self.serve(f"import segment_logging\n{program}", command, stop=stop, visit=visit)
            self.assert_arrived(done, **({"Request": number} if number else {}))
            self.assertNotIn("segment_logging", done.stderr)


@needs("django")
class TestDjango(ReloaderTest):
    def test_sigterm(self) -> None:
        """With the reloader, SIGTERM kills the process that serves the site, silently."""
        self.assert_delivers(DJANGO, RUNSERVER, 0)
        self.assert_delivers(DJANGO, [*RUNSERVER, "--noreload"], REQUESTS)

    def test_ctrl_c(self) -> None:
        """With the reloader, Ctrl-C leaves no time to report a loss."""
        self.assert_delivers(DJANGO, [*RUNSERVER, "--noreload"], REQUESTS, stop=INT)
        self.collector.close()
        for options, is_reported in (([], False), (["--noreload"], True)):
            done = self.serve(f"import segment_logging\n{DJANGO}", [*RUNSERVER, *options], stop=INT)
            self.assertEqual("are lost" in done.stderr, is_reported, done.stderr)

    def test_changed_file(self) -> None:
        """A restart after a change delivers the events."""

        def visit(server: Server) -> None:
            program = server.get()
            end = time.monotonic() + 20
            while not self.collector.messages and time.monotonic() < end:
                os.utime(program)  # the first change may be before the reloader's first look
                time.sleep(0.1)

        self.assert_delivers(DJANGO, RUNSERVER, 1, visit=visit)

    def test_journal(self) -> None:
        """A journal keeps the events."""
        with TemporaryDirectory() as directory:
            os.environ["OPTIONS"] = json.dumps({"journal": directory})
            self.addCleanup(os.environ.pop, "OPTIONS")
            self.assert_delivers(DJANGO, RUNSERVER, 0)
            sender = segment_logging.SegmentHandler(
                "the-write-key", journal=directory, host=self.collector.url
            )
            self.addCleanup(sender.close)
            self.assertTrue(sender.drain(20))
            self.assert_arrived(Request=REQUESTS)


@needs("flask")
class TestFlask(ReloaderTest):
    def test_sigterm(self) -> None:
        """With the reloader, SIGTERM kills the process that serves the site, silently."""
        self.assert_delivers(FLASK, [*FLASK_RUN, "--debug"], 0)
        self.assert_delivers(FLASK, FLASK_RUN, REQUESTS)


if __name__ == "__main__":
    unittest.main()
