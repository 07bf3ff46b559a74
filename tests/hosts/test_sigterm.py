"""Tests for `exit_on_sigterm` and SIGTERM: a signal that a program did not expect loses nothing."""

from __future__ import annotations

import queue
import re
import signal
import subprocess
import sys
import time
import unittest
from collections.abc import Callable

from segment_logging.collector import Collector, Request

from ..faults.subprocesses import Done, run
from .serving import REQUESTS, HostTest, needs

STATUS = 128 + signal.SIGTERM

EXIT = "from segment_logging import exit_on_sigterm\nexit_on_sigterm()\n"

READY = "print('ready', flush=True)\n"
WAIT = READY + "time.sleep(60)\n"
"""What a program does when it waits for the signal."""


TELLS_OF_EXIT = """
class Stderr:
    def write(self, text):
        if "waiting for" in text: print("exit", flush=True)
        return sys.__stderr__.write(text)
    def flush(self): sys.__stderr__.flush()
sys.stderr = Stderr()
"""
"""Prints a line once the package has told on stderr that the exit waits for delivery."""


def at_each_line(number: int) -> Callable[[subprocess.Popen[str]], None]:
    """Return a function that sends SIGTERM after each of so many lines of a program's stdout."""

    def send(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for _ in range(number):
            process.stdout.readline()
            process.send_signal(signal.SIGTERM)

    return send


class SigtermTest(HostTest):
    def ends(self, program: str, *, status: int, signals: int = 1) -> Done:
        """Run a program, and send it SIGTERM after each of so many lines that it prints."""
        done = run(program, self.collector.url, while_it_runs=at_each_line(signals), timeout=25)
        self.assertEqual(done.status, status, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertNotIn("ignored", done.stderr)
        return done


STREAMS = """
import io
sys.setswitchinterval(0.0005)
handler = attach()
for _ in range(3):
    logger.addHandler(logging.StreamHandler(io.StringIO()))

def held():
    '''Return how many locks of `logging` another thread cannot take.'''
    number = 0
    def look():
        nonlocal number
        for lock in (logging._lock, *(one.lock for one in logger.handlers)):
            if lock.acquire(timeout=0.5): lock.release()
            else: number += 1
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return number

"""
"""A handler of the package beside three of the standard library, which take a lock each."""


class TestDefault(SigtermTest):
    """Programs in which nobody else handles the signal."""

    def test_all_arrive(self) -> None:
        """Everything arrives, and the status is 143."""
        done = self.ends(
            EXIT + "attach(flush_interval=60); log('Row', 500)\n" + WAIT, status=STATUS
        )
        self.assert_arrived(done, Row=500)

    def test_loop(self) -> None:
        """A program whose event loop handles SIGTERM exits normally, without a limit of 25 s."""
        done = self.ends(
            EXIT + "import asyncio\nfrom segment_logging._process import shutdown\n"
            "async def main():\n"
            "    stop = asyncio.Event()\n"
            "    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)\n"
            f"    {READY}    await stop.wait()\n"
            "attach(flush_interval=60); log('Row', 7); asyncio.run(main())\n"
            "assert not shutdown.exit_clock.is_terminated\n",
            status=0,
        )
        self.assert_arrived(done, Row=7)

    def test_again_before_the_exit(self) -> None:
        """A program that catches SystemExit gets another one from the next SIGTERM."""
        done = self.ends(
            EXIT + "attach()\n"
            "for number in range(2):\n"
            "    try:\n"
            f"        {READY}        time.sleep(60)\n"
            "    except SystemExit:\n"
            "        log('Caught')\n" + WAIT,
            status=STATUS,
            signals=3,
        )
        self.assert_arrived(done, Caught=2)

    def ends_during_requests(
        self,
        program: str,
        on_request: Callable[[subprocess.Popen[str]], object],
        *,
        signals: int,
        more_lines: int = 0,
    ) -> Done:
        """Run a program with a server that calls `on_request` with the process each time.

        No request is answered before the first signals have been sent, and `more_lines` printed.
        """
        started: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()

        def send(process: subprocess.Popen[str]) -> None:
            at_each_line(signals)(process)
            assert process.stdout is not None
            for _ in range(more_lines):
                process.stdout.readline()
            started.put(process)

        def answer(request: Request) -> None:
            process = started.get()
            started.put(process)
            on_request(process)

        with Collector(answer=answer) as self.collector:
            done = run(program, self.collector.url, while_it_runs=send, timeout=25)
        self.assertNotIn("Traceback", done.stderr)
        return done

    def test_again_during_the_exit(self) -> None:
        """Once the exit delivers, more SIGTERMs do not stop it."""

        def send_again(process: subprocess.Popen[str]) -> None:
            for _ in range(10):
                process.send_signal(signal.SIGTERM)
                time.sleep(0.01)

        done = self.ends_during_requests(
            EXIT + TELLS_OF_EXIT + "attach(flush_interval=60); log('Row', 5_000)\n" + WAIT,
            send_again,
            signals=1,
            more_lines=1,
        )
        self.assertEqual(done.status, STATUS, done.stderr)
        self.assert_arrived(done, Row=5_000)
        self.assertRegex(done.stderr, "5000 messages .*Ctrl-C")

    def test_short_exit(self) -> None:
        """If everything is delivered soon after the signal, no line is printed."""
        done = self.ends(
            EXIT
            + "from segment_logging._process import shutdown\n"
            + "shutdown.ANNOUNCED_AFTER_SIGTERM = 20\n"
            + "attach(flush_interval=60); log('Row', 7)\n"
            + WAIT,
            status=STATUS,
        )
        self.assert_arrived(done, Row=7)
        self.assertEqual(done.stderr, "")

    def test_during_a_normal_exit(self) -> None:
        """A SIGTERM during a normal exit has the line printed earlier, and the exit continues."""

        def send_and_hang(process: subprocess.Popen[str]) -> None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)

        done = self.ends_during_requests(
            EXIT + "attach(flush_interval=60, shutdown_timeout=1.5); log('Row', 7)",
            send_and_hang,
            signals=0,
        )
        self.assertEqual(done.status, 0, done.stderr)
        self.assertRegex(done.stderr, "7 messages .*Ctrl-C")
        self.assertIn("lost", done.stderr)

    def test_in_a_long_wait(self) -> None:
        """A signal that arrives in a long wait of `threading` is deferred for a second only."""
        done = self.ends(
            EXIT + "attach(); log('Row')\n" + READY + "threading.Event().wait(60)", status=STATUS
        )
        self.assert_arrived(done, Row=1)

    def test_in_del(self) -> None:
        """A signal that arrives in a `__del__` ends the program after it."""
        done = self.ends(
            EXIT + "attach(); log('Row')\n"
            "class Last:\n"
            "    def __del__(self):\n"
            "        os.kill(os.getpid(), signal.SIGTERM)\n"
            "        for _ in range(3): time.sleep(0.001)\n"
            "        log('Del')\n"
            "Last(); time.sleep(60)",
            status=STATUS,
            signals=0,
        )
        self.assert_arrived(done, Row=1, Del=1)

    def test_at_each_call(self) -> None:
        """Wherever it interrupts a logging call, no lock stays held, and SystemExit follows."""
        done = self.ends(
            EXIT + STREAMS + "caught = 0\n"
            "for at in range(1, 1_000):\n"
            "    calls = 0\n"
            "    def interrupt(frame, event, argument):\n"
            "        global calls\n"
            "        calls += 1\n"
            "        if calls == at: sys.setprofile(None); os.kill(os.getpid(), signal.SIGTERM)\n"
            "    try:\n"
            "        sys.setprofile(interrupt); log('Row'); sys.setprofile(None)\n"
            "        if calls < at: break\n"
            "        time.sleep(10)\n"
            "    except SystemExit:\n"
            "        caught += 1\n"
            "print(json.dumps([held(), at - 1 - caught]))",
            status=0,
            signals=0,
        )
        self.assertEqual(done.json, [0, 0])

    def test_storm(self) -> None:
        """Signals in a tight loop of logging calls leave no lock held and lose no event."""
        done = self.ends(
            EXIT + STREAMS + "caught = logged = 0\n"
            "def interrupt():\n"
            "    for number in range(30):\n"
            "        before = caught; time.sleep(0.01 + number % 7 / 1e4)\n"
            "        os.kill(os.getpid(), signal.SIGTERM)\n"
            "        while caught == before: time.sleep(0.0005)\n"
            "threading.Thread(target=interrupt, daemon=True).start()\n"
            "while caught < 30:\n"
            "    try:\n"
            "        while True:\n"
            "            log('Row'); logged += 1\n"
            "            for _ in range(3_000): pass\n"
            "    except SystemExit:\n"
            "        caught += 1\n"
            "delivered = handler.drain(10) and handler.counts().delivered\n"
            "print(json.dumps([held(), delivered - logged]))",
            status=0,
            signals=0,
        )
        number_held, more = done.json
        self.assertEqual(number_held, 0)
        self.assertTrue(0 <= more <= 30, more)  # it may interrupt between a call and its count


class TestChained(SigtermTest):
    """Programs that have a Python handler for the signal."""

    def test_called_first(self) -> None:
        """The program's handler is called first, and then messages are sent without delay."""
        done = self.ends(
            "seen = []\n"
            "signal.signal(signal.SIGTERM, lambda *_: seen.append(handler.counts().delivered))\n"
            + EXIT
            + "handler = attach(flush_interval=60)\n"
            "def delivered(count):\n"
            "    end = time.monotonic() + 10\n"
            "    while handler.counts().delivered < count and time.monotonic() < end:\n"
            "        time.sleep(0.005)\n"
            "    return handler.counts().delivered\n"
            "log('Before', 3)\n" + READY + "first = delivered(3); log('After')\n"
            "print(json.dumps([seen, first, delivered(4)]))",
            status=0,
        )
        self.assertEqual(done.json, [[0], 3, 4])

    def test_that_exits(self) -> None:
        """A handler that raises SystemExit decides about the status, and everything arrives."""
        done = self.ends(
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
            + EXIT
            + "attach(flush_interval=60); log('Row', 500)\n"
            + WAIT,
            status=3,
        )
        self.assert_arrived(done, Row=500)

    def test_replaced_by_asyncio(self) -> None:
        """A handler that asyncio installs later replaces this one, and a normal exit delivers."""
        done = self.ends(
            EXIT + "import asyncio\n"
            "attach(flush_interval=60)\n"
            "async def main():\n"
            "    stopped = asyncio.Event()\n"
            "    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)\n"
            f"    {READY}"
            "    await stopped.wait(); log('Stopped')\n"
            "asyncio.run(main())",
            status=0,
        )
        self.assert_arrived(done, Stopped=1)


PLAIN_ASGI = """
attach(flush_interval=60)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError
    log("Request")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""

MIDDLEWARE = """
from segment_logging.contrib.asgi import SegmentMiddleware
app = SegmentMiddleware(app)
"""

UVICORN = ("-m", "uvicorn", "--port=PORT", "--log-level=error", "program:app")

WSGI = """
attach(flush_interval=60)

def app(environ, start_response):
    log("Request")
    start_response("200 OK", [])
    return [b"ok"]
"""


class TestServers(HostTest):
    """Servers that import an application which calls `exit_on_sigterm`."""

    @needs("uvicorn")
    def test_uvicorn(self) -> None:
        """uvicorn restores this handler and raises the signal again, so the exit delivers."""
        done = self.serve(EXIT + PLAIN_ASGI, UVICORN)
        self.assert_arrived(done, Request=REQUESTS)
        self.assertEqual(done.status, STATUS, done.stderr)

    @needs("uvicorn")
    def test_uvicorn_workers(self) -> None:
        """uvicorn's worker processes have their own handler, and the middleware delivers."""
        done = self.serve(EXIT + PLAIN_ASGI + MIDDLEWARE, (*UVICORN, "--workers=2"))
        self.assert_arrived(done, Request=REQUESTS)
        self.assertNotIn("Traceback", done.stderr)

    @needs("gunicorn")
    def test_gunicorn(self) -> None:
        """gunicorn replaces this handler in its workers, whose normal exit delivers."""
        command = ("-m", "gunicorn", "--bind=127.0.0.1:PORT", "--preload", "program:app")
        done = self.serve(EXIT + WSGI, command)
        self.assert_arrived(done, Request=REQUESTS)
        self.assertEqual(done.status, 0, done.stderr)


@unittest.skipUnless(hasattr(signal, "pthread_sigmask"), "needs fork")
class TestMultiprocessing(SigtermTest):
    PROGRAM = """
import multiprocessing

def work():
    log("Child", 50)
    ready.set(); time.sleep(60)

if __name__ == "__main__":
    context = multiprocessing.get_context("fork"); ready = context.Event()
    attach(flush_interval=60); log("Parent")
"""

    def test_terminate(self) -> None:
        """A forked child inherits the handler, and delivers after `terminate`."""
        done = self.ends(
            EXIT + self.PROGRAM + "    child = context.Process(target=work); child.start()\n"
            "    ready.wait(); child.terminate(); child.join(); print(child.exitcode)",
            status=0,
            signals=0,
        )
        self.assertEqual(done.json, STATUS)
        self.assert_arrived(done, Child=50, Parent=1)

    def test_pool(self) -> None:
        """The workers of a pool deliver at the end of its `with` block, which terminates them."""
        done = self.ends(
            EXIT + self.PROGRAM + "    with context.Pool(2) as pool: pool.map(log, ['Task'] * 20)",
            status=0,
            signals=0,
        )
        self.assert_arrived(done, Parent=1, Task=20)

    def test_right_after_a_fork(self) -> None:
        """A signal that a forked child gets before it runs is not lost."""
        done = self.ends(
            EXIT + "attach(); children = []\n"
            "for _ in range(6):\n"
            "    child = os.fork()\n"
            "    if not child: time.sleep(10); os._exit(0)\n"
            "    os.kill(child, signal.SIGTERM); children.append(child)\n"
            "ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]\n"
            "print(json.dumps(ends))",
            status=0,
            signals=0,
        )
        self.assertEqual(done.json, [STATUS] * 6)

    def test_during_a_fork(self) -> None:
        """A signal that interrupts a function that runs at a fork is not lost."""
        hook = "os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
        for order in (hook + EXIT, EXIT + hook):
            with self.subTest(order):
                done = run(
                    order + "import multiprocessing\n"
                    "attach()\n"
                    "context = multiprocessing.get_context('fork')\n"
                    "child = context.Process(target=time.sleep, args=(60,)); child.start()\n"
                    "child.join(); print(child.exitcode)",
                    self.collector.url,
                    timeout=20,
                )
                self.assertEqual(done.json, STATUS, done.stderr)


class TestCollector(unittest.TestCase):
    def test_stops(self) -> None:
        """`segment-logging collector` ends with status 0 on SIGTERM and on Ctrl-C."""
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number.name):
                done = run(
                    "from segment_logging.cli import main\nsys.exit(main())",
                    "",
                    command=(sys.executable, "program.py", "collector", "--port=0"),
                    while_it_runs=_signal_when_it_listens(number),
                )
                self.assertEqual((done.status, done.stderr), (0, ""))


def _signal_when_it_listens(number: int) -> Callable[[subprocess.Popen[str]], None]:
    def send(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)

    return send


class TestSilence(SigtermTest):
    """The line at exit about handlers that received no records."""

    def said(self, program: str) -> list[str]:
        done = self.ends(program, status=0, signals=0)
        return re.findall(r"logger '(\w+)' received no records.*level is (\w+)", done.stderr)

    def test_level_above_info(self) -> None:
        """One line names a logger whose level keeps all records from reaching a handler."""
        said = self.said(
            "for name in ('shop', 'cart'):\n"
            "    attach(logging.getLogger(name)); logging.getLogger(name).info('Signup')"
        )
        self.assertEqual(said, [("shop", "WARNING")])

    def test_level_of_the_handler(self) -> None:
        """The line names the level of the handler if that is what keeps the records away."""
        said = self.said(
            "shop = logging.getLogger('shop'); attach(shop); shop.setLevel('INFO')\n"
            "shop.handlers[0].setLevel('ERROR'); shop.info('Signup')"
        )
        self.assertEqual(said, [("shop", "ERROR")])

    def test_any_record(self) -> None:
        """There is no line if the handler received a record, even one that is no event."""
        self.assertEqual(
            self.said("other = logging.getLogger('shop'); attach(other); other.error('failed')"), []
        )

    def test_level_info(self) -> None:
        """There is no line if the logger lets INFO pass, and nothing was logged."""
        self.assertEqual(self.said("attach()"), [])


if __name__ == "__main__":
    unittest.main()
