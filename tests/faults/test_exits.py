"""Tests that a program's events are delivered, or reported as lost, however the program ends."""

from __future__ import annotations

import re
import signal
import subprocess
import unittest
from collections import Counter
from operator import attrgetter

from typing_extensions import override

from segment_logging.collector import Answer, Collector, Request

from ..servers import ScriptedServer, dead_host, mute_server
from .subprocesses import SETUP, Done, arrived, repeated_ids, run


class TestExits(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def ends(self, program: str, *, status: int = 0, signal_number: int | None = None) -> Done:
        """Run a program, and send it a signal after its first line if one is given."""

        def send_signal(process: subprocess.Popen[str]) -> None:
            if signal_number is not None:
                assert process.stdout is not None
                process.stdout.readline()
                process.send_signal(signal_number)

        done = run(program, self.collector.url, while_it_runs=send_signal)
        self.assertEqual(done.status, status, done.stderr)
        return done

    def assert_arrived(self, **events: int) -> None:
        self.assertEqual(dict(arrived(self.collector)), events)
        self.assertEqual(repeated_ids(self.collector), [])

    def test_normal_end(self) -> None:
        """A program that ends normally delivers all events without a flush."""
        done = self.ends("attach(); log('Signup', 3_000)")
        self.assert_arrived(Signup=3_000)
        self.assertEqual(done.stderr, "")

    def test_sys_exit(self) -> None:
        """A program that calls `sys.exit` delivers all events."""
        self.ends("attach(); log('Signup', 500); sys.exit(3)", status=3)
        self.assert_arrived(Signup=500)

    def test_uncaught_exception(self) -> None:
        """A program that ends with an uncaught exception delivers all events."""
        self.ends("attach(); log('Signup', 500); raise ValueError", status=1)
        self.assert_arrived(Signup=500)

    def test_ctrl_c(self) -> None:
        """A program that is ended by Ctrl-C delivers all events."""
        program = "attach(); log('Signup', 500); print('ready', flush=True); time.sleep(60)"
        self.ends(program, status=-signal.SIGINT, signal_number=signal.SIGINT)
        self.assert_arrived(Signup=500)

    def test_sigterm(self) -> None:
        """A program whose SIGTERM handler calls `sys.exit` delivers all events."""
        self.ends(
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
            "attach(); log('Signup', 500); print('ready', flush=True); time.sleep(60)",
            signal_number=signal.SIGTERM,
        )
        self.assert_arrived(Signup=500)

    def test_tight_loop(self) -> None:
        """100,000 events in a tight loop are delivered with the default options."""
        with ScriptedServer() as server:  # because the collector's checks are slow
            done = run("attach(); log('Signup', 100_000)", server.host)
        ids = Counter(
            re.findall(
                rb'"messageId":"([^"]+)"', b"".join(map(attrgetter("body"), server.requests))
            )
        )
        self.assertEqual((len(ids), set(ids.values())), (100_000, {1}))
        self.assertEqual((done.status, done.stderr), (0, ""))

    def test_threads_until_the_end(self) -> None:
        """Events of non-daemon threads, which the interpreter waits for, are delivered."""
        self.ends(
            "attach()\n"
            "def work():\n"
            "    for _ in range(20): log('Signup', 50); time.sleep(0.005)\n"
            "for _ in range(8): threading.Thread(target=work).start()\n"
        )
        self.assert_arrived(Signup=8_000)

    def test_daemon_threads(self) -> None:
        """A daemon thread that logs endlessly does not delay the exit."""
        done = self.ends(
            "attach(shutdown_timeout=2)\n"
            "def work():\n"
            "    while True: log('Tick'); time.sleep(0.001)\n"
            "threading.Thread(target=work, daemon=True).start()\n"
            "time.sleep(0.2); log('Signup', 100); leave()"
        )
        self.assertLess(done.exit_seconds, 3)
        self.assertEqual(arrived(self.collector)["Signup"], 100)

    def test_nobody_keeps_the_handler(self) -> None:
        """A handler that has been garbage-collected still delivers its events."""
        self.ends(
            "import gc\n"
            "handler = attach(); log('Signup', 500); logger.removeHandler(handler)\n"
            "del handler; gc.collect()"
        )
        self.assert_arrived(Signup=500)

    def test_shutdown_twice(self) -> None:
        """`logging.shutdown` may be called twice before the exit."""
        self.ends("attach(); log('Signup', 500); logging.shutdown(); logging.shutdown()")
        self.assert_arrived(Signup=500)

    def test_log_after_close(self) -> None:
        """Events that are logged after `close` are delivered."""
        self.ends("handler = attach(); log('Before', 5); handler.close(); log('After', 5)")
        self.assert_arrived(Before=5, After=5)

    def test_log_after_shutdown(self) -> None:
        """Events that are logged after `logging.shutdown` are delivered."""
        self.ends("attach(); log('Before', 5); logging.shutdown(); log('After', 5)")
        self.assert_arrived(Before=5, After=5)

    def test_atexit_functions_before_us(self) -> None:
        """Events that are logged by exit functions before ours are delivered."""
        self.ends("import atexit\nattach(); log('Signup'); atexit.register(log, 'Bye', 3)")
        self.assert_arrived(Signup=1, Bye=3)

    def test_atexit_functions_after_us(self) -> None:
        """Events that are logged by exit functions after ours are delivered."""
        self.ends("import atexit\natexit.register(log, 'Bye', 3)\nattach(); log('Signup')")
        self.assert_arrived(Signup=1, Bye=3)

    def test_first_event_in_an_atexit_function(self) -> None:
        """The first event of a program may be logged by an exit function."""
        done = self.ends("import atexit\natexit.register(log, 'Bye', 3)\nattach()")
        self.assert_arrived(Bye=3)
        self.assertEqual(done.stderr, "")  # although Python 3.12+ cannot start threads then

    def test_slow_atexit_function(self) -> None:
        """The time that other exit functions take does not count towards `shutdown_timeout`."""
        self.ends(
            "import atexit\n"
            "atexit.register(log, 'Bye', 3); atexit.register(time.sleep, 1)\n"
            "attach(shutdown_timeout=0.5); log('Signup')"
        )
        self.assert_arrived(Signup=1, Bye=3)

    def test_first_event_after_logging_itself(self) -> None:
        """The first event of a program may be logged after `logging.shutdown`."""
        run(
            "import atexit, sys\n"
            "atexit.register(lambda: log('Bye', 3))\n"
            "assert 'logging' not in sys.modules\n" + SETUP + "attach()",
            self.collector.url,
            setup="",
        )
        self.assert_arrived(Bye=3)

    def test_atexit_functions_after_logging_itself(self) -> None:
        """Events that are logged by exit functions after `logging.shutdown` are delivered."""
        run(
            "import atexit, sys\n"
            "atexit.register(lambda: log('Bye', 3))\n"
            "assert 'logging' not in sys.modules\n" + SETUP + "attach(); log('Signup')",
            self.collector.url,
            setup="",
        )
        self.assert_arrived(Signup=1, Bye=3)

    def test_del_at_the_end(self) -> None:
        """A `__del__` that logs during the interpreter's shutdown neither hangs nor raises."""
        done = self.ends(
            "attach(); log('Signup')\n"
            "class Last:\n"
            "    log = staticmethod(log)\n"
            "    def __del__(self): self.log('Bye')\n"
            "import builtins\n"
            "builtins.last = Last()\n"  # outlives this module
        )
        self.assertEqual(arrived(self.collector)["Signup"], 1)
        if not arrived(self.collector)["Bye"]:
            self.assertIn("1 message is lost", done.stderr)


BACK_OFF = """
handler = attach(flush_interval=0)
log('Signup', 7)
while handler.counts().retried < 3:
    time.sleep(0.01)
time.sleep(0.1)
"""
"""Four attempts. The fifth is due two seconds after the fourth."""


class TestExitsWithoutAnswers(unittest.TestCase):
    """Without answers, the exit takes at most `shutdown_timeout` and reports the lost events."""

    def ends(self, program: str, host: str) -> Done:
        done = run(program, host)
        self.assertEqual(done.status, 0, done.stderr)
        return done

    def assert_lost(self, done: Done, count: int, *, within: float) -> None:
        self.assertIn(f"{count} messages were not delivered", done.stderr)
        self.assertEqual(done.stderr.count(" lost"), 1, done.stderr)
        self.assertLess(done.exit_seconds, within)

    def test_mute_server(self) -> None:
        """A server that never answers does not delay the exit."""
        with mute_server() as host:
            done = self.ends("attach(shutdown_timeout=1); log('Signup', 700); leave()", host)
        self.assert_lost(done, 700, within=2)

    def test_refused_port(self) -> None:
        """Refused connections do not delay the exit."""
        program = "attach(shutdown_timeout=1); log('Signup', 700); leave()"
        self.assert_lost(self.ends(program, dead_host()), 700, within=2)

    def test_only_503(self) -> None:
        """A server that always answers with 503 does not delay the exit."""
        with Collector(answer=lambda request: 503) as collector:
            done = self.ends(
                "attach(shutdown_timeout=1); log('Signup', 700); leave()", collector.url
            )
        self.assert_lost(done, 700, within=2)

    def test_long_retry_after(self) -> None:
        """If a Retry-After is longer than the timeout, the process ends at once."""
        with Collector(answer=lambda request: Answer(429, {"Retry-After": "100"})) as collector:
            done = self.ends(
                "attach(flush_interval=0); log('Signup', 7); time.sleep(0.5); leave()",
                collector.url,
            )
            self.assertEqual(len(collector.requests), 1)
        self.assert_lost(done, 7, within=2)

    def test_short_retry_after(self) -> None:
        """A Retry-After that ends before the timeout is respected."""
        with Collector(answer=[Answer(429, {"Retry-After": "1"})]) as collector:
            self.ends("attach(); log('Signup', 7); leave()", collector.url)
            self.assertEqual(arrived(collector)["Signup"], 7)

    def test_back_off_is_cut_short(self) -> None:
        """At exit, a batch that waits for its next attempt is sent at once."""
        with Collector(answer=[503] * 4) as collector:
            done = self.ends(BACK_OFF + "leave()", collector.url)
            self.assertEqual(arrived(collector)["Signup"], 7)
        self.assertLess(done.exit_seconds, 1.5)

    def test_close_while_a_post_hangs(self) -> None:
        """`close` returns within the timeout, and the exit does not wait again."""
        with mute_server() as host:
            done = self.ends(
                "handler = attach(shutdown_timeout=1, flush_interval=0); log('Signup', 7)\n"
                "time.sleep(0.3); leave(); handler.close()",
                host,
            )
        self.assert_lost(done, 7, within=2)

    def test_close_during_a_long_wait(self) -> None:
        """`close` sends a batch that waits for its next attempt at once."""
        with Collector(answer=[503] * 4) as collector:
            done = self.ends(BACK_OFF + "leave(); handler.close()", collector.url)
            self.assertEqual(arrived(collector)["Signup"], 7)
        self.assertLess(done.exit_seconds, 1.5)

    def test_cause_is_told(self) -> None:
        """The reason for failures is reported both while the program runs and at its exit."""
        done = self.ends(
            "handler = attach(flush_interval=0, shutdown_timeout=0.5); log('Signup')\n"
            "while handler.counts().retried < 3: time.sleep(0.01)\n"
            "handler.drain(0.3); print('waited', file=sys.stderr, flush=True)",
            dead_host(),
        )
        before, after = done.stderr.split("waited")
        for text in (before, after):
            self.assertEqual(text.count("ConnectionError"), 1, done.stderr)
        self.assertIn("trying again", before)

    def test_all_that_was_given_up(self) -> None:
        """The reason is reported once, and the total of abandoned messages is reported at exit."""
        with Collector() as collector:
            done = self.ends(
                "from segment_logging.testing import FakeClient\n"
                "handler = attach(client=FakeClient(lambda message: 401), flush_interval=0)\n"
                "for _ in range(3): log('Signup', 2); handler.drain(5)",
                collector.url,
            )
        told = done.stderr.splitlines()
        self.assertEqual(len(told), 2, told)
        self.assertIn("401", told[0])
        numbers = [int(re.findall(r"(\d+) messages? w", one)[0]) for one in told]
        self.assertEqual(sum(numbers), 6, told)

    def test_last_total(self) -> None:
        """The last reported number includes the events of exit functions that run after ours."""
        with mute_server() as host:
            done = self.ends(
                "import atexit\n"
                "atexit.register(log, 'Bye', 5)\n"
                "attach(shutdown_timeout=0.5); log('Signup', 10)",
                host,
            )
        told = re.findall(r"(\d+) messages were not delivered", done.stderr)
        self.assertEqual(told, ["10", "15"])

    def test_last_total_of_drops(self) -> None:
        """The last reported numbers include all messages that a full queue dropped."""
        with mute_server() as host:
            done = self.ends(
                "import atexit\n"
                "atexit.register(log, 'Bye', 5)\n"
                "attach(shutdown_timeout=0.5, max_queue_messages=10); log('Signup', 20)",
                host,
            )
        told = re.findall(r"(\d+) messages were dropped", done.stderr)
        self.assertEqual(sum(map(int, told)), 15)

    def test_late_events(self) -> None:
        """Events of exit functions after ours share the timeout and cause few reports."""
        for options in ("", ", overflow='block', max_queue_messages=20"):
            with self.subTest(options), mute_server() as host:
                done = self.ends(
                    "import atexit\n"
                    "from segment_logging import HttpClient\n"
                    "atexit.register(log, 'Bye', 500)\n"
                    "client = HttpClient(os.environ['SEGMENT_HOST'])\n"
                    f"attach(client=client, shutdown_timeout=0.5{options}); log('Signup'); leave()",
                    host,
                )
                self.assertIn("messages were not delivered", done.stderr)
                self.assertLess(len(done.stderr.splitlines()), 25, done.stderr)
                self.assertLess(done.exit_seconds, 1.5)

    def test_first_event_at_the_end(self) -> None:
        """If the first events are logged by an exit function and lost, this is reported."""
        done = self.ends(
            "import atexit\natexit.register(log, 'Bye', 7)\nattach(shutdown_timeout=1)",
            dead_host(),
        )
        self.assertIn("messages were not delivered", done.stderr)

    def test_ctrl_c_at_the_end(self) -> None:
        """Ctrl-C during the wait at exit ends the wait, and lost messages are reported."""
        with mute_server() as host:
            done = self.ends(
                "attach(shutdown_timeout=30); log('Signup', 7); leave()\n"
                "impatient = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))\n"
                "impatient.daemon = True; impatient.start()",
                host,
            )
        self.assert_lost(done, 7, within=5)
        self.assertNotIn("Traceback", done.stderr)

    def test_in_the_middle_of_a_batch(self) -> None:
        """Only the unanswered messages of a halved batch are reported as lost."""

        def answer(request: Request) -> int | None:
            events = [one.message["event"] for one in request.verdict.judged]
            if "Bad" in events:
                return 400
            return 503 if "Slow" in events else None

        with Collector(answer=answer) as collector:
            done = self.ends(
                "attach(shutdown_timeout=1); log('Signup', 4); log('Bad'); log('Slow', 3); leave()",
                collector.url,
            )
        self.assert_lost(done, 3, within=2)

    def test_several_handlers(self) -> None:
        """Several handlers share one timeout."""
        with mute_server() as host:
            done = self.ends(
                "for _ in range(5): attach(shutdown_timeout=1)\nlog('Signup', 7); leave()", host
            )
        self.assertEqual(done.stderr.count("7 messages were not delivered"), 5)
        self.assertLess(done.exit_seconds, 2)

    def test_shutdown_twice(self) -> None:
        """Two calls of `logging.shutdown` and the exit share one timeout."""
        with mute_server() as host:
            done = self.ends(
                "attach(shutdown_timeout=1); log('Signup', 7); leave()\n"
                "logging.shutdown(); logging.shutdown()",
                host,
            )
        self.assert_lost(done, 7, within=2)

    def test_drops_are_told_at_the_end(self) -> None:
        """Messages that a full queue dropped within the last minute are reported at exit."""
        with Collector() as collector:
            done = self.ends(
                "from segment_logging.testing import FakeClient\n"
                "slow = FakeClient(lambda message: time.sleep(0.3))\n"
                "handler = attach(client=slow, max_queue_messages=10)\n"
                "for _ in range(4): log('Signup', 500); time.sleep(0.35)\n"
                "handler.drain(10); print(handler.counts().dropped)",
                collector.url,
            )
        told = [
            int(word)
            for line in done.stderr.splitlines()
            for word, next_word in zip(line.split(), line.split()[1:])
            if next_word == "messages"
        ]
        self.assertEqual(sum(told), done.json, done.stderr)


if __name__ == "__main__":
    unittest.main()
