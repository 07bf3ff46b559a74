"""Tests with gunicorn's own worker classes: all events arrive when a worker ends.

The handlers have a long `flush_interval`, so events are sent only because the worker ends. Workers
with green threads are tested in `test_green_threads`, and uvicorn's in `test_asgi_servers`.
"""

from __future__ import annotations

import signal
import time
import unittest
from collections.abc import Callable
from contextlib import suppress

import requests

from .serving import HostTest, Server, needs, visit_often

APPLICATION = """
{attach}


def application(environ, start_response):
    log("Request")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""
"""An application that answers with the process id of the worker."""

IN_APPLICATION = "attach(flush_interval=30); log('Loaded')"

SLOW_ONCE = """
attach(flush_interval=30); log('Loaded')
import time
def application(environ, start_response):
    log("Request")
    try:
        open("slow", "x").close()
    except FileExistsError:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]
    while True:
        time.sleep(1)
"""
"""An application whose first request never ends."""

IN_CONFIG = """
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "segment": {
            "class": "segment_logging.SegmentHandler",
            "write_key": "the-write-key",
            "flush_interval": 30,
        },
    },
    "root": {},  # in place of one whose handler is in gunicorn's own configuration
    "loggers": {"app": {"level": "INFO", "handlers": ["segment"]}},
}
"""
"""The settings that attach the handler, if the program is also gunicorn's configuration file."""


def visit_until_replaced(server: Server) -> None:
    """Make requests until a new worker answers.

    Only then may the server be stopped: gunicorn's signal is lost on a worker that is starting.
    """
    first = server.get()
    for _ in range(400):
        if server.get() != first:
            break
        time.sleep(0.02)
    else:
        raise AssertionError("the worker is not replaced")


def visit_and_reload(server: Server) -> None:
    """Make a request, reload the server, and make requests until a new worker answers."""
    server.get()
    server.process.send_signal(signal.SIGHUP)
    visit_until_replaced(server)


class GunicornTest(HostTest):
    """Runs gunicorn with one worker."""

    def assert_all_arrive(
        self,
        *options: str,
        attach: str = IN_APPLICATION,
        loaded: int = 1,
        visit: Callable[[Server], object] = visit_often,
    ) -> None:
        """Assert that each event of the answered requests arrives once after SIGTERM.

        Args:
            options: options of gunicorn.
            attach: the code that attaches the handler.
            loaded: how many processes load the application, and log an event when they do.
            visit: makes the requests.
        """
        servers: list[Server] = []

        def visit_it(server: Server) -> None:
            servers.append(server)
            visit(server)

        self.start_over()
        command = ("-m", "gunicorn", "--bind=127.0.0.1:PORT", *options, "program:application")
        done = self.serve(APPLICATION.format(attach=attach), command, visit=visit_it)
        expected = {"Request": len(servers[0].answers), "Loaded": loaded}
        self.assert_arrived(done, **{event: count for event, count in expected.items() if count})
        self.assertEqual(done.status, 0, done.stderr)
        self.assertNotIn("Traceback", done.stderr)


@needs("gunicorn")
class TestGunicorn(GunicornTest):
    def test_stopped(self) -> None:
        """All events arrive when gunicorn is stopped, with `--preload` and without."""
        for options in (("-k=sync",), ("-k=sync", "--preload"), ("-k=gthread", "--preload")):
            with self.subTest(options):
                self.assert_all_arrive(*options)

    def test_handler_in_configuration(self) -> None:
        """A handler that `logconfig_dict` attaches in the master works in the workers."""
        for kind in ("sync", "gthread"):
            with self.subTest(kind):
                self.assert_all_arrive(f"-k={kind}", "-c=program.py", attach=IN_CONFIG, loaded=0)

    def test_worker_that_is_replaced(self) -> None:
        """A worker that has answered `--max-requests` requests delivers before it ends."""
        for options, loaded in (("-k=sync",), 2), (("-k=gthread", "--preload"), 1):
            with self.subTest(options):
                self.assert_all_arrive(
                    *options, "--max-requests=5", loaded=loaded, visit=visit_until_replaced
                )

    def test_timeout(self) -> None:
        """A sync worker whose request exceeds the timeout delivers before it ends."""

        def visit(server: Server) -> None:
            with suppress(AssertionError, requests.ConnectionError):
                server.get()
            server.get()

        command = ("-m", "gunicorn", "--bind=127.0.0.1:PORT", "--timeout=2", "program:application")
        done = self.serve(SLOW_ONCE, command, visit=visit)
        self.assertIn("WORKER TIMEOUT", done.stderr)
        self.assert_arrived(done, Request=2, Loaded=2)

    def test_reload(self) -> None:
        """A worker that is replaced after SIGHUP delivers before it ends."""
        for kind in ("sync", "gthread"):
            with self.subTest(kind):
                self.assert_all_arrive(f"-k={kind}", loaded=2, visit=visit_and_reload)


if __name__ == "__main__":
    unittest.main()
