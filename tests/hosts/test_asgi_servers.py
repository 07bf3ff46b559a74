"""ASGI servers that are stopped: most run no exit function, but all end the lifespan."""

from __future__ import annotations

import signal
import socket
import time
import unittest
from collections.abc import Callable
from contextlib import suppress

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

attach(flush_interval=30)


async def index(request):
    return PlainTextResponse("ok")


async def hang(request):
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
HYPERCORN = ("-m", "hypercorn", "--bind=127.0.0.1:PORT", "program:app")
COMMANDS = {
    "uvicorn": UVICORN,
    "workers": (*UVICORN, "--workers=2"),
    "reload": (*UVICORN, "--reload"),
    "run": ("program.py", "PORT"),
}


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
                self.cancel_some(CANCELLED.format(cleanup=cleanup, middleware=middleware))

    def cancel_some(self, program: str) -> None:
        clients: list[socket.socket] = []

        def open_some(server: Server) -> None:
            for _ in range(6):
                client = socket.create_connection(("127.0.0.1", server.port))
                client.sendall(b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
                clients.append(client)
            for _ in range(2):
                server.get()

        command = (*UVICORN, "--timeout-graceful-shutdown=1")
        try:
            done = self.serve(program, command, visit=open_some)
        finally:
            for client in clients:
                client.close()
        self.assert_arrived(done, Cancelled=6)

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

            program = CANCELLED.format(cleanup="pass", middleware="")
            done = self.serve(program, UVICORN, stop=signal.SIGINT, visit=press_once)
        self.assert_arrived(done, Cancelled=1)

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
            "-m", "gunicorn", "--bind=127.0.0.1:PORT", "--workers=2",
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
        command = ("-m", "gunicorn", "--bind=127.0.0.1:PORT", "-k=asgi", "program:app")
        for options, visit in (
            ((), visit_often),
            (("--workers=2", "--preload"), visit_often),
            (("--workers=2", "--max-requests=4"), visit_while_workers_end),
        ):
            with self.subTest(options):
                self.start_over()
                self.assert_all_arrive(*command, *options, visit=visit)


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
