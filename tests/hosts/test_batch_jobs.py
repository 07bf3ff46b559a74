"""Tests for the end of a batch job, which delivers for as long as the server accepts batches."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
import unittest
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from typing_extensions import override

from segment_logging.collector import Answer, Collector, Request

from ..faults.subprocesses import Done, arrived, repeated_ids, run
from ..servers import mute_server

BIG = '''
def log_big(event, count=1):
    """Log this many events, of which fifteen fill a batch."""
    for number in range(count):
        properties = {"number": number, "text": "x" * 30_000}
        logger.info(event, extra={"user_id": "u-17", "properties": properties})
'''


def slowly(seconds: float) -> Callable[[Request], None]:
    """Return a script for a collector that takes this many seconds for each request."""
    return lambda request: time.sleep(seconds)


def waited_for(done: Done) -> list[int]:
    """Return the numbers of messages in the lines that say what the exit was waiting for."""
    return [int(number) for number in re.findall(r"(\d+) messages? .*Ctrl-C", done.stderr)]


def lost(done: Done) -> list[int]:
    """Return the numbers of lost messages that were reported."""
    return [int(number) for number in re.findall(r"(\d+) messages? \w+ not delivered", done.stderr)]


class JobTest(unittest.TestCase):
    def ends(self, program: str, collector: Collector | str) -> Done:
        """Run a program to its normal end."""
        host = collector if isinstance(collector, str) else collector.url
        done = run(program, host)
        self.assertEqual(done.status, 0, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done


def setUpModule() -> None:
    """Start the program that takes longest, so that it runs during the other tests."""
    slow = iter(range(20))  # the requests that take 0.3 s: 6 s in all, above shutdown_timeout
    collector = Collector(
        answer=lambda request: time.sleep(0.0 if next(slow, None) is None else 0.3)
    )
    unittest.addModuleCleanup(collector.close)
    pool = ThreadPoolExecutor(1)
    unittest.addModuleCleanup(pool.shutdown)
    TestWholeJob.collector = collector
    TestWholeJob.running = pool.submit(
        run, "attach(); log('Signup', 100_000); leave()", collector.url
    )


class TestWholeJob(unittest.TestCase):
    """100,000 events in a tight loop, with default options and a server that is slow at first."""

    collector: ClassVar[Collector]
    running: ClassVar[Future[Done]]
    done: Done

    @override
    def setUp(self) -> None:
        self.done = self.running.result()

    def test_all_arrive(self) -> None:
        """All events arrive, each once."""
        self.assertEqual(self.done.status, 0, self.done.stderr)
        self.assertEqual(dict(arrived(self.collector)), {"Signup": 100_000})
        self.assertEqual(repeated_ids(self.collector), [])

    def test_longer_than_shutdown_timeout(self) -> None:
        """The exit takes longer than `shutdown_timeout`, because the server accepts batches."""
        self.assertGreater(self.done.exit_seconds, 5)

    def test_line(self) -> None:
        """One line says how many messages the process is waiting for, and how to stop waiting."""
        (number,) = waited_for(self.done)
        self.assertTrue(0 < number < 100_000, number)
        self.assertEqual(self.done.stderr.count("\n"), 1, self.done.stderr)


class TestLimits(JobTest):
    def test_server_that_stops_answering(self) -> None:
        """The exit ends `shutdown_timeout` after the last acknowledged batch, without the rest."""
        requests: list[Request] = []
        ended = threading.Event()
        self.addCleanup(ended.set)

        def answer(request: Request) -> None:
            requests.append(request)
            ended.wait(30 if len(requests) > 3 else 0.1)

        with Collector(answer=answer) as collector:
            done = self.ends(
                BIG + "attach(shutdown_timeout=0.5)\nlog_big('Row', 75); leave()", collector
            )
            answered = arrived(collector)["Row"]
            ended.set()
        self.assertEqual(lost(done), [75 - answered])
        self.assertLess(done.exit_seconds, 10)  # the server would hang for much longer

    def test_max_shutdown(self) -> None:
        """`max_shutdown` ends the exit for all handlers together, although batches are accepted."""
        with Collector(answer=slowly(0.4)) as collector:
            done = self.ends(
                BIG + "for _ in range(5): attach(max_shutdown=1)\nlog_big('Row', 200); leave()",
                collector,
            )
        self.assertEqual(len(lost(done)), 5, done.stderr)
        self.assertLess(done.exit_seconds, 4)  # one after the other would take 5 s

    def test_retry_after(self) -> None:
        """A Retry-After that is longer than the remaining time ends the exit without a wait."""
        with Collector(answer=lambda request: Answer(429, {"Retry-After": "200"})) as collector:
            done = self.ends("attach(shutdown_timeout=50); log('Row', 7); leave()", collector)
            self.assertEqual(len(collector.requests), 1)
        self.assertEqual((lost(done), waited_for(done)), ([7], []))
        self.assertLess(done.exit_seconds, 25)

    def test_retry_after_for_flush_and_close(self) -> None:
        """A Retry-After that exceeds the remaining time ends `flush` and `close` at once."""
        with Collector(answer=lambda request: Answer(429, {"Retry-After": "200"})) as collector:
            done = self.ends(
                "handler = attach(shutdown_timeout=25); log('Row', 7)\n"
                "leave(); handler.flush(); handler.close()",
                collector,
            )
        self.assertLess(done.exit_seconds, 20)


class TestWhatIsAwaited(JobTest):
    def test_daemon_threads(self) -> None:
        """Daemon threads that keep logging do not extend the exit, although batches arrive."""
        with Collector(answer=slowly(0.3)) as collector:
            done = self.ends(
                BIG + "import atexit\n"
                "atexit.register(time.sleep, 0.1); attach()  # the thread logs meanwhile\n"
                "def work():\n"
                "    while True: log_big('Tick'); time.sleep(0.0005)\n"
                "log('Row', 100)\n"
                "threading.Thread(target=work, daemon=True).start(); leave()",
                collector,
            )
            self.assertEqual(arrived(collector)["Row"], 100)
        self.assertLess(done.exit_seconds, 4)

    def test_exit_functions(self) -> None:
        """All events of exit functions arrive, even if that takes longer than one timeout."""
        with Collector(answer=slowly(0.2)) as collector:
            self.ends(
                "import atexit\natexit.register(log, 'Bye', 6); attach(shutdown_timeout=1)",
                collector,
            )
            self.assertEqual(dict(arrived(collector)), {"Bye": 6})


class TestLine(JobTest):
    """The line that says what the process is waiting for. Here, it appears before 2 s."""

    def test_several_handlers(self) -> None:
        """The line counts the messages from all handlers, however many there are."""
        with mute_server() as host:
            done = self.ends(
                "from segment_logging._process import shutdown\n"
                "shutdown.ANNOUNCED_AFTER = 0.3\n"
                "for _ in range(5): attach(shutdown_timeout=1)\n"
                "log('Row', 7)",
                host,
            )
        self.assertEqual(waited_for(done), [35])

    def test_short_exit(self) -> None:
        """There is no line if the exit is over before, even if only an exit function logs."""
        with Collector(answer=slowly(0.1)) as collector:
            done = self.ends("import atexit\nattach(); atexit.register(log, 'Bye')", collector)
        self.assertEqual(done.stderr, "")


class TestJournal(JobTest):
    def test_total_time(self) -> None:
        """With a journal, `shutdown_timeout` is the total time. The next process has the rest."""
        with TemporaryDirectory() as journal:
            options = f"journal={journal!r}, shutdown_timeout=0.8"
            with Collector(answer=slowly(0.3)) as collector:
                done = self.ends(
                    BIG + f"attach({options})\nlog_big('Row', 300); leave()", collector
                )
            with Collector() as later:
                self.ends(f"attach({options}).drain(30)", later)
            both = [*collector.messages, *later.messages]
            self.assertTrue(later.messages)
        self.assertEqual({message["properties"]["number"] for message in both}, set(range(300)))
        self.assertLess(done.exit_seconds, 4)  # all 20 batches would take 6 s

    def test_line(self) -> None:
        """One line says how many messages stay in the journal, and in which directory."""
        with TemporaryDirectory() as directory, mute_server() as host:
            journal = str(Path(directory) / "events")
            done = self.ends(
                f"attach(journal={journal!r}, shutdown_timeout=0.1); log('Row', 7)", host
            )
        (line,) = done.stderr.splitlines()
        self.assertIn("7 messages", line)
        self.assertIn(journal, line)


STUCK = """
class Stuck:
    '''A stderr that takes half a minute for a report of lost messages.'''
    def write(self, text):
        os.write(2, text.encode())
        if "not delivered" in text:
            print("reporting", flush=True)
            time.sleep(30)
    def flush(self): pass
sys.stderr = Stuck()
"""


class TestCtrlC(JobTest):
    def interrupted(
        self,
        program: str,
        then: Callable[[subprocess.Popen[str]], object] = lambda process: None,
    ) -> Done:
        """Run a program, and send it SIGINT when its first request arrives, which then hangs.

        Args:
            program: it must make its first request during its exit.
            then: called with the process after that.
        """
        arrival, ended = threading.Event(), threading.Event()
        end = time.monotonic() + 20

        def hang(request: Request) -> None:
            arrival.set()
            ended.wait(30)

        def interrupt(process: subprocess.Popen[str]) -> None:
            while not arrival.wait(0.05) and process.poll() is None:
                self.assertLess(time.monotonic(), end, "the program sends nothing")
            process.send_signal(signal.SIGINT)
            then(process)

        with Collector(answer=hang) as collector:
            try:
                done = run(program, collector.url, while_it_runs=interrupt, timeout=20)
            finally:
                ended.set()
        self.assertEqual(done.status, 0, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done

    def test_once(self) -> None:
        """Ctrl-C ends the wait without a traceback, and lost messages are still reported."""
        done = self.interrupted("attach(flush_interval=60, shutdown_timeout=25); log('Row', 7)")
        self.assertEqual(lost(done), [7])

    def test_in_an_exit_function(self) -> None:
        """Ctrl-C also ends the wait for an event of an exit function without a traceback."""
        done = self.interrupted(
            "import atexit\natexit.register(log, 'Bye', 7); attach(shutdown_timeout=25)"
        )
        self.assertEqual(lost(done)[-1], 7)

    def test_twice(self) -> None:
        """A second Ctrl-C ends the report of lost messages as well."""

        def interrupt_report(process: subprocess.Popen[str]) -> None:
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), "reporting\n")
            process.send_signal(signal.SIGINT)

        done = self.interrupted(
            STUCK + "attach(flush_interval=60, shutdown_timeout=25); log('Row', 7)",
            interrupt_report,
        )
        self.assertEqual(lost(done), [7])


TWO = """
import segment_logging
other = logging.getLogger("other")
other.setLevel(logging.INFO)
"""


class TestAllHandlers(JobTest):
    """`drain`, `flush` and `counts` of the module, for programs that have no handler at hand."""

    def test_drain(self) -> None:
        """`drain` sends all handlers' waiting messages, and `counts` adds up their counts."""
        with Collector() as collector:
            done = self.ends(
                TWO + "attach(flush_interval=60); attach(other, flush_interval=60)\n"
                "log('Row', 3); other.info('Row', extra={'user_id': 'u-17'})\n"
                "is_drained = segment_logging.drain(20); counts = segment_logging.counts()\n"
                "print(json.dumps([is_drained, counts.accepted, counts.delivered]))",
                collector,
            )
        self.assertEqual(done.json, [True, 4, 4])

    def test_drain_in_vain(self) -> None:
        """`drain` returns False if its time is over before."""
        with mute_server() as host:
            done = self.ends(
                TWO + "attach(shutdown_timeout=0.1); log('Row')\n"
                "print(json.dumps(segment_logging.drain(0.1)))",
                host,
            )
        self.assertIs(done.json, False)

    def test_flush(self) -> None:
        """`flush` waits for all handlers at the same time, not for one after the other."""
        with mute_server() as host:
            done = self.ends(
                TWO + "for _ in range(8): attach(shutdown_timeout=0.5)\n"
                "log('Row'); leave(); segment_logging.flush()",
                host,
            )
        self.assertLess(done.exit_seconds, 3)

    def test_while_handlers_are_created(self) -> None:
        """`drain` and `counts` may be called while other threads create handlers."""
        with Collector() as collector:
            done = self.ends(
                TWO + "attach(); log('Row'); kept = []\n"
                "def create(frame, event, argument):  # as another thread might at this point\n"
                "    if event == 'call' and 'weakref' in frame.f_code.co_filename:\n"
                "        kept.append(attach(other)); other.info('Row', extra={'user_id': 'u-17'})\n"
                "        other.removeHandler(kept[-1])\n"
                "for call in (segment_logging.counts, lambda: segment_logging.drain(20)):\n"
                "    sys.setprofile(create); call(); sys.setprofile(None)\n"
                "print(len(kept))",
                collector,
            )
        self.assertGreater(done.json, 1)


if __name__ == "__main__":
    unittest.main()
