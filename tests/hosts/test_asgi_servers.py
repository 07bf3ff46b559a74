"""ASGI servers that are stopped: most run no exit function, but all end the lifespan."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
import unittest
from collections.abc import Callable
from contextlib import ExitStack, suppress
from tempfile import TemporaryDirectory

from ..docs.pages import blocks
from ..faults.subprocesses import Done
from ..servers import dead_host
from .serving import REQUESTS, HostTest, Server, has, needs, visit_often

APPLICATION = """
attach(flush_interval=30)


async def answer(scope, receive, send):
    if scope["type"] == "lifespan":
        {lifespan}
    log("Request")
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"ok"}})

{app}

if __name__ == "__main__":
    import uvicorn
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""

SPOKEN = """
        while True:
            event = (await receive())["type"]
            await send({"type": event + ".complete"})
            if event == "lifespan.shutdown":
                return
"""
"""An application that speaks of its lifespan."""

MIDDLEWARE = """
from segment_logging.contrib.asgi import SegmentMiddleware
app = SegmentMiddleware(answer)
"""

LIFESPAN = """
from starlette.applications import Starlette
from segment_logging.contrib.asgi import lifespan
app = Starlette(lifespan=lifespan)
app.mount("/", answer)
"""

CANCELLED = """
import asyncio
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from segment_logging.contrib.asgi import SegmentMiddleware

if __name__ != "__config__":  # gunicorn's configuration file
    attach(flush_interval=30{options})


async def index(request):
    return PlainTextResponse("ok")


async def hang(request):
    log("Opened")
    try:
        await asyncio.sleep(60)
    finally:
        {cleanup}
        log("Cancelled")


async def pass_on(request, call_next):
    return await call_next(request)


app = Starlette(routes=[Route("/", index), Route("/hang", hang)])
{middleware}
app.add_middleware(SegmentMiddleware)
"""
"""An application whose requests end with an event, if they are cancelled."""

UVICORN = ("-m", "uvicorn", "--port=PORT", "--log-level=error", "program:app")
GUNICORN = ("-m", "gunicorn", "--bind=127.0.0.1:PORT")
HYPERCORN = ("-m", "hypercorn", "--bind=127.0.0.1:PORT", "program:app")
COMMANDS = {
    "uvicorn": UVICORN,
    "workers": (*UVICORN, "--workers=2"),
    "reload": (*UVICORN, "--reload"),
    "run": ("program.py", "PORT"),
}


def hanging(*, cleanup: str = "pass", middleware: str = "", options: str = "") -> str:
    """Return the program `CANCELLED`."""
    return CANCELLED.format(cleanup=cleanup, middleware=middleware, options=options)


def documented(name: str) -> str:
    """Return the code for gunicorn in docs/operating.md that sets `name`, with a limit of 1 s."""
    (code,) = (block.text for block in blocks("python") if f'"{name}"' in block.text)
    return re.sub(rf'("{name}"[,:]) \d+', r"\1 1", code)


def visit_while_workers_end(server: Server) -> None:
    """Make `REQUESTS` requests to a server that replaces its workers meanwhile."""
    for _ in range(REQUESTS):
        server.get(repeat=True)


class AsgiTest(HostTest):
    def assert_all_arrive(
        self,
        *command: str,
        app: str = MIDDLEWARE,
        lifespan: str = SPOKEN,
        stop: signal.Signals = signal.SIGTERM,
        visit: Callable[[Server], object] = visit_often,
    ) -> None:
        program = APPLICATION.format(app=app, lifespan=lifespan)
        done = self.serve(program, command, stop=stop, visit=visit)
        self.assert_arrived(done, Request=REQUESTS)
        self.assertNotIn("Traceback", done.stderr)

    def open_some(self, program: str, command: tuple[str, ...], kill: float = 0) -> Done:
        """Stop a server that has six open requests, and return how it ended.

        Args:
            program: the application.
            command: starts the server.
            kill: the number of seconds from SIGTERM to SIGKILL, unless it is 0.
        """
        with ExitStack() as stack:

            def visit(server: Server) -> None:
                for _ in range(6):
                    client = socket.create_connection(("127.0.0.1", server.port))
                    stack.enter_context(client)
                    client.sendall(b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
                for _ in range(2):
                    server.get()
                if kill:
                    timer = threading.Timer(kill, server.process.kill)
                    stack.callback(timer.cancel)
                    timer.start()

            return self.serve(program, command, visit=visit)

    def assert_killed(self, command: tuple[str, ...], kill: float = 0) -> None:
        """Assert that a server that is killed during requests loses events, without a report, and
        that the events remain in a journal."""
        done = self.open_some(hanging(), command, kill)
        self.assert_arrived(done)
        self.assertNotIn("segment_logging", done.stderr)
        with TemporaryDirectory() as directory:
            program = hanging(options=f", journal={directory!r}")
            self.open_some(program, command, kill)
            self.assert_arrived()
            self.open_some(program, (*UVICORN, "--timeout-graceful-shutdown=1"))
        self.assert_arrived(Opened=12, Cancelled=6)


@needs("uvicorn")
class TestUvicorn(AsgiTest):
    def test_sigterm(self) -> None:
        """However it is started, what was logged in the last second arrives."""
        for name, command in COMMANDS.items():
            with self.subTest(name):
                self.start_over()
                self.assert_all_arrive(*command)

    @needs("starlette")
    def test_cancelled_requests(self) -> None:
        """What requests log while the server cancels them arrives."""
        for cleanup, middleware in (
            ("pass", "app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)"),
            ("await asyncio.sleep(0.1)", ""),
        ):
            with self.subTest(cleanup):
                self.start_over()
                done = self.open_some(
                    hanging(cleanup=cleanup, middleware=middleware),
                    (*UVICORN, "--timeout-graceful-shutdown=1"),
                )
                self.assert_arrived(done, Opened=6, Cancelled=6)

    @needs("starlette")
    def test_killed_during_a_request(self) -> None:
        """Without a limit, uvicorn waits for open requests until it is killed."""
        self.assert_killed(UVICORN, kill=2)

    @needs("gunicorn", "uvicorn_worker", "starlette")
    def test_killed_by_gunicorn(self) -> None:
        """gunicorn kills a uvicorn worker that waits for open requests."""
        self.assert_killed(
            (*GUNICORN, "--graceful-timeout=2", "-k=uvicorn_worker.UvicornWorker", "program:app")
        )

    @needs("gunicorn", "uvicorn_worker", "starlette")
    def test_own_worker_class(self) -> None:
        """The worker class in the documentation limits the wait for open requests."""
        program = documented("timeout_graceful_shutdown") + hanging()
        done = self.open_some(
            program, (*GUNICORN, "--graceful-timeout=10", "-k=program.Worker", "program:app")
        )
        self.assert_arrived(done, Opened=6, Cancelled=6)

    def test_losses_are_reported(self) -> None:
        """If Segment cannot be reached, it is said how many messages are lost, or remain in the
        journal. uvicorn ends the process by a signal, so nothing could say it later."""
        for more, said in (
            ("", f"{REQUESTS} messages were not delivered when the application shut down"),
            (", journal=str(pathlib.Path('journal').resolve())",
             f"{REQUESTS} messages remain in the journal"),
        ):  # fmt: skip
            with self.subTest(said):
                self.start_over()
                program = APPLICATION.format(app=MIDDLEWARE, lifespan=SPOKEN).replace(
                    "flush_interval=30", f"host={dead_host()!r}, shutdown_timeout=1{more}"
                )
                done = self.serve("import pathlib\n" + program, UVICORN)
                self.assertIn(said, done.stderr)
                self.assertEqual(done.stderr.count(said), 1)

    def test_announcement(self) -> None:
        """A long wait is announced, but without advice that has no effect in a server."""
        program = APPLICATION.format(app=MIDDLEWARE, lifespan=SPOKEN).replace(
            "flush_interval=30", f"host={dead_host()!r}, shutdown_timeout=3"
        )
        done = self.serve(program, UVICORN)
        (said,) = (line for line in done.stderr.splitlines() if "waiting for" in line)
        self.assertEqual(said, f"segment_logging: waiting for {REQUESTS} messages to reach Segment")

    def test_ctrl_c(self) -> None:
        """Ctrl-C is no different."""
        self.assert_all_arrive(*UVICORN, stop=signal.SIGINT)

    @needs("starlette")
    def test_second_ctrl_c(self) -> None:
        """If Ctrl-C is pressed twice, uvicorn skips the lifespan, and the exit delivers."""
        with socket.socket() as client:

            def press_once(server: Server) -> None:
                address = ("127.0.0.1", server.port)
                client.connect(address)
                client.sendall(b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
                server.get()
                server.process.send_signal(signal.SIGINT)
                with suppress(ConnectionRefusedError):  # uvicorn has handled the first one
                    while True:
                        socket.create_connection(address).close()
                        time.sleep(0.05)

            done = self.serve(hanging(), UVICORN, stop=signal.SIGINT, visit=press_once)
        self.assert_arrived(done, Opened=1, Cancelled=1)

    def test_application_without_lifespan(self) -> None:
        """An application that knows nothing of lifespans, as Django's, need not."""
        for name, lifespan in {"raises": "raise ValueError", "returns": "return"}.items():
            with self.subTest(name):
                self.start_over()
                self.assert_all_arrive(*UVICORN, lifespan=lifespan)

    @needs("starlette")
    def test_lifespan(self) -> None:
        """`lifespan` does it alone, without the middleware."""
        self.assert_all_arrive(*UVICORN, app=LIFESPAN)

    @needs("gunicorn", "uvicorn_worker")
    def test_under_gunicorn(self) -> None:
        """gunicorn's uvicorn workers deliver as well, also one that is replaced."""
        command = (
            *GUNICORN, "--workers=2",
            "-k=uvicorn_worker.UvicornWorker", "program:app",
        )  # fmt: skip
        for options, visit in (
            ((), visit_often),
            (("--preload",), visit_often),
            (("--max-requests=4",), visit_while_workers_end),
        ):
            with self.subTest(options):
                self.start_over()
                self.assert_all_arrive(*command, *options, visit=visit)


@needs("gunicorn")
class TestGunicorn(AsgiTest):
    """gunicorn's own worker for ASGI."""

    def test_sigterm(self) -> None:
        """What was logged in the last second arrives, also from a worker that is replaced."""
        command = (*GUNICORN, "-k=asgi", "program:app")
        for options, visit in (
            ((), visit_often),
            (("--workers=2", "--preload"), visit_often),
            (("--workers=2", "--max-requests=4"), visit_while_workers_end),
        ):
            with self.subTest(options):
                self.start_over()
                self.assert_all_arrive(*command, *options, visit=visit)

    @needs("starlette")
    def test_open_requests(self) -> None:
        """The function in the documentation limits the wait for open requests."""
        program = documented("graceful_timeout") + hanging()
        command = (*GUNICORN, "-k=asgi", "-c=program.py", "--graceful-timeout=10", "program:app")
        self.assert_arrived(self.open_some(program, command), Opened=6, Cancelled=6)


@needs("hypercorn")
class TestHypercorn(AsgiTest):
    def test_sigterm(self) -> None:
        """With asyncio's event loop and with trio's."""
        for options in ((), ("--workers=2",), *([("-k=trio",)] if has("trio") else [])):
            with self.subTest(options):
                self.start_over()
                self.assert_all_arrive(*HYPERCORN, *options)


if __name__ == "__main__":
    unittest.main()
