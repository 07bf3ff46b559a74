"""Tests that nothing a program does during a logging call or in a hook causes a deadlock."""

from __future__ import annotations

import unittest

from typing_extensions import override

from segment_logging.collector import Answer, Collector, Request

from ..servers import mute_server
from .subprocesses import Done, arrived, repeated_ids, run

CONFIG = """
import logging.config

def configure(**options):
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"segment": {
            "class": "segment_logging.SegmentHandler", "write_key": "the-write-key", **options,
        }},
        "loggers": {"app": {"handlers": ["segment"], "level": "DEBUG"}},
        "root": {"level": "DEBUG"},
    })
"""


class DeadlockTest(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def ends(self, program: str, host: str | None = None) -> Done:
        done = run(program, host or self.collector.url, timeout=25)
        self.assertEqual(done.status, 0, done.stderr)
        return done

    def assert_arrived(self, **events: int) -> None:
        self.assertEqual(dict(arrived(self.collector)), events)
        self.assertEqual(repeated_ids(self.collector), [])


class TestDictConfig(DeadlockTest):
    def test_during_a_hanging_request(self) -> None:
        """Repeated dictConfig calls do not wait for a hanging request."""
        with mute_server() as host:
            done = self.ends(
                CONFIG + "for _ in range(20):\n"
                "    configure(shutdown_timeout=0.8, flush_interval=0); log('Signup')\n"
                "    time.sleep(0.02)\n"
                "began = time.monotonic(); configure(); took = time.monotonic() - began\n"
                "leave(); print(took)",
                host,
            )
        self.assertLess(done.json, 0.5)
        self.assertLess(done.exit_seconds, 1.8)
        self.assertEqual(done.stderr.count("1 message was not delivered"), 20)

    def test_repeatedly(self) -> None:
        """Events that are logged between many dictConfig calls arrive once."""
        self.ends(CONFIG + "for _ in range(50): configure(); log('Signup', 10)")
        self.assert_arrived(Signup=500)

    def test_in_another_thread(self) -> None:
        """Threads may log and flush while another thread calls dictConfig."""
        self.ends(
            CONFIG + "configure()\n"
            "end = threading.Event()\n"
            "def work():\n"
            "    for _ in range(100):\n"
            "        log('Signup', 5)\n"
            "        for handler in tuple(logger.handlers): handler.flush()\n"
            "threads = [threading.Thread(target=work) for _ in range(4)]\n"
            "def reconfigure():\n"
            "    while not end.wait(0.005): configure()\n"
            "for thread in threads: thread.start()\n"
            "other = threading.Thread(target=reconfigure); other.start()\n"
            "for thread in threads: thread.join()\n"
            "end.set(); other.join()"
        )
        # While dictConfig replaces the handlers, logging may pass a record to neither handler, or
        # to both, because it iterates over a list that is being changed.
        self.assertGreater(arrived(self.collector)["Signup"], 1_500)

    def test_first_event_during_it(self) -> None:
        """A thread's first event does not deadlock with a dictConfig factory that logs."""
        self.ends(
            CONFIG + "handler = attach(); inside = threading.Event()\n"
            "logger.isEnabledFor(logging.INFO)  # otherwise, it would wait for dictConfig\n"
            "def factory():\n"
            "    inside.set(); time.sleep(0.5); log('Factory'); return logging.NullHandler()\n"
            "def other(): inside.wait(); log('First')\n"
            "thread = threading.Thread(target=other, daemon=True); thread.start()\n"
            "log_config = {'version': 1, 'disable_existing_loggers': False,\n"
            "    'handlers': {'x': {'()': factory}}, 'root': {'handlers': ['x']}}\n"
            "logging.config.dictConfig(log_config); thread.join()"
        )
        self.assert_arrived(Factory=1, First=1)


class TestLoops(DeadlockTest):
    ROOT = (
        "root = logging.getLogger(); root.setLevel(logging.DEBUG)\n"
        "logging.getLogger('urllib3').setLevel(logging.DEBUG)\n"
    )

    def test_urllib3_at_debug(self) -> None:
        """Records that urllib3 logs about a request cause no further request."""
        self.ends(
            self.ROOT + "attach(root, capture='all', flush_interval=0.01)\n"
            "root.info('Signup', extra={'user_id': 'u'}); time.sleep(0.5)"
        )
        self.assert_arrived(Signup=1)
        self.assertEqual(len(self.collector.requests), 1)

    def test_two_handlers(self) -> None:
        """Two handlers that capture everything do not send records about each other's requests."""
        self.ends(
            self.ROOT + "attach(root, capture='all', flush_interval=0.01)\n"
            "attach(root, capture='all', flush_interval=0.01)\n"
            "root.info('Signup', extra={'user_id': 'u'}); time.sleep(0.5)"
        )
        self.assertEqual([m["event"] for m in self.collector.messages], ["Signup"] * 2)
        self.assertEqual(len({m["messageId"] for m in self.collector.messages}), 1)
        self.assertEqual(len(self.collector.requests), 2)

    def test_behind_a_queue_handler(self) -> None:
        """urllib3's records cause no request, even from a QueueListener's thread."""
        self.ends(
            self.ROOT + "import queue\n"
            "from logging.handlers import QueueHandler, QueueListener\n"
            "between = queue.Queue(); handler = SegmentHandler(\n"
            "    'the-write-key', capture='all', flush_interval=0.01)\n"
            "root.addHandler(QueueHandler(between))\n"
            "listener = QueueListener(between, handler); listener.start()\n"
            "root.info('Signup', extra={'user_id': 'u'}); time.sleep(0.5); listener.stop()"
        )
        self.assert_arrived(Signup=1)
        self.assertEqual(len(self.collector.requests), 1)


COUNTING = """
class Counting:
    delivered = 0
    def send(self, write_key, message): Counting.delivered += len(message)
    def close(self): pass

busy = []
def once(function):
    def on_signal(*_):
        if not busy:  # a signal may arrive before the function is done
            busy.append(1); function(); busy.clear()
    return on_signal

"""
"""A client that is as fast as the program that logs."""


class TestInTheMiddle(DeadlockTest):
    def test_signal_handler(self) -> None:
        """A signal handler may log every millisecond during a loop that logs."""
        done = self.ends(
            COUNTING + "handler = attach(client=Counting(), flush_interval=0.01)\n"
            "logged = [0, 0]\n"
            "def on_alarm(*_): log('Signal'); logged[1] += 1\n"
            "signal.signal(signal.SIGALRM, on_alarm)\n"
            "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\n"
            "end = time.monotonic() + 1\n"
            "while time.monotonic() < end: log('Loop', 5); logged[0] += 5\n"
            "signal.setitimer(signal.ITIMER_REAL, 0); handler.drain(10)\n"
            "print(json.dumps([sum(logged), Counting.delivered, logged[1]]))"
        )
        logged, delivered, signals = done.json
        self.assertEqual(delivered, logged)
        self.assertGreater(signals, 100)

    def test_signal_handler_with_a_full_queue(self) -> None:
        """A signal handler may log while the queue is nearly always full."""
        for overflow in ("drop", "block"):
            with self.subTest(overflow):
                done = self.ends(
                    f"handler = attach(flush_interval=0.01, max_queue_messages=50, "
                    f"overflow={overflow!r}, block_timeout=0.3)\n"
                    "signal.signal(signal.SIGALRM, lambda *_: log('Signal'))\n"
                    "signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)\n"
                    "end = time.monotonic() + 1\n"
                    "while time.monotonic() < end: log('Loop', 20)\n"
                    "signal.setitimer(signal.ITIMER_REAL, 0); handler.drain(10)\n"
                    "counts = handler.counts()\n"
                    "print(json.dumps([counts.accepted, counts.delivered + counts.dropped]))"
                )
                self.assertEqual(*done.json)

    def test_signal_handler_waits_for_room(self) -> None:
        """With `overflow="block"`, no event is dropped when a signal handler finds no room."""
        done = self.ends(
            COUNTING + "handler = attach(flush_interval=0.01, max_queue_messages=20, "
            "overflow='block', block_timeout=20)\n"
            "logged = [0, 0]\n"
            "def on_alarm(): log('Signal'); logged[1] += 1\n"
            "signal.signal(signal.SIGALRM, once(on_alarm))\n"
            "signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)\n"
            "end = time.monotonic() + 1\n"
            "while time.monotonic() < end: log('Loop', 20); logged[0] += 20\n"
            "signal.setitimer(signal.ITIMER_REAL, 0); handler.drain(10)\n"
            "counts = handler.counts()\n"
            "print(json.dumps([sum(logged), counts.delivered, counts.dropped]))"
        )
        logged, delivered, dropped = done.json
        self.assertEqual((delivered, dropped), (logged, 0))

    def test_signal_handler_waits_for_room_at_each_call(self) -> None:
        """It finds room wherever it interrupts the call that wakes or starts the thread."""
        done = self.ends(
            COUNTING + "told = []\n"
            "def interrupt(frame, event, argument):\n"
            "    global calls\n"
            "    if event == 'call' and 'segment_logging' in frame.f_code.co_filename:\n"
            "        calls += 1\n"
            "        if calls == at: sys.setprofile(None); log('Signal', 3)\n"
            "for first in (True, False):\n"
            "    for at in range(1, 400):\n"
            "        handler = attach(client=Counting(), flush_interval=0, max_queue_messages=1,\n"
            "                         overflow='block', block_timeout=0.5)\n"
            "        if not first: log('Before'); handler.drain(5)\n"
            "        calls = 0\n"
            "        sys.setprofile(interrupt); log('Loop', 2); sys.setprofile(None)\n"
            "        handler.drain(5)\n"
            "        if handler.counts().dropped: told.append((first, at))\n"
            "        logger.removeHandler(handler); handler.close()\n"
            "        if calls < at: break\n"
            "print(json.dumps(told))"
        )
        self.assertEqual(done.json, [])

    def test_first_event_in_a_signal_handler(self) -> None:
        """An event that a signal handler logs during the first logging call is delivered."""
        done = self.ends(
            # At each call, because a signal may arrive there.
            "told = []\n"
            "for at in range(1, 60):\n"
            "    handler = attach(); calls = 0\n"
            "    def interrupt(frame, event, argument):\n"
            "        global calls\n"
            "        if event == 'call' and 'segment_logging' in frame.f_code.co_filename:\n"
            "            calls += 1\n"
            "            if calls == at: sys.setprofile(None); log('Signal')\n"
            "    sys.setprofile(interrupt); log('First'); sys.setprofile(None)\n"
            "    done = handler.drain(10), handler.counts().delivered\n"
            "    if done != (True, 1 + (calls >= at)): told.append((at, done))\n"
            "    logger.removeHandler(handler); handler.close()\n"
            "    if calls < at: break\n"
            "print(json.dumps(told))"
        )
        self.assertEqual(done.json, [])

    def test_exception_from_a_signal_handler(self) -> None:
        """A KeyboardInterrupt during a logging call does not stop delivery."""
        done = self.ends(
            "told = []\n"
            "for at in range(1, 60):\n"
            "    handler = attach(flush_interval=0)\n"
            "    log('Before'); handler.drain(5)\n"
            "    time.sleep(0.02); calls = 0\n"  # so that the next event has to wake the listener
            "    def interrupt(frame, event, argument):\n"
            "        global calls\n"
            "        if event == 'call' and 'segment_logging' in frame.f_code.co_filename:\n"
            "            calls += 1\n"
            "            if calls == at: sys.setprofile(None); raise KeyboardInterrupt\n"
            "    sys.setprofile(interrupt)\n"
            "    try: log('During')\n"
            "    except KeyboardInterrupt: pass\n"
            "    sys.setprofile(None); log('After'); end = time.monotonic() + 3\n"
            "    while handler.counts().pending and time.monotonic() < end: time.sleep(0.005)\n"
            "    if handler.counts().pending: told.append(at)\n"
            "    logger.removeHandler(handler); handler.close()\n"
            "    if calls < at: break\n"
            "print(json.dumps(told))"
        )
        self.assertEqual(done.json, [])

    def test_close_in_a_signal_handler(self) -> None:
        """A signal handler may close the handler every 20 ms during logging calls."""
        done = self.ends(
            COUNTING + "handler = attach(client=Counting(), flush_interval=0.01); logged = 0\n"
            "signal.signal(signal.SIGALRM, once(lambda: handler.close()))\n"
            "signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)\n"
            "end = time.monotonic() + 1.5\n"
            "while time.monotonic() < end: log('Loop', 5); logged += 5\n"
            "signal.setitimer(signal.ITIMER_REAL, 0); handler.drain(10)\n"
            "print(json.dumps([logged, Counting.delivered]))"
        )
        self.assertEqual(*done.json)
        self.assertEqual(done.stderr, "")

    def test_close_while_the_thread_starts(self) -> None:
        """A signal handler that calls `close` while the thread is starting does not wait long."""
        done = self.ends(
            COUNTING + "handler = attach(client=Counting()); took = []\n"
            "def interrupt(frame, event, argument):\n"
            "    code = frame.f_code\n"
            "    if event == 'call' and code.co_name == 'wait' and 'thread' in code.co_filename:\n"
            "        sys.setprofile(None); began = time.monotonic()\n"
            "        handler.close(); took.append(time.monotonic() - began)\n"
            "sys.setprofile(interrupt); log('Signup'); sys.setprofile(None)\n"
            "print(json.dumps(took))"
        )
        self.assertLess(max(done.json, default=0), 2)
        self.assertEqual(done.stderr, "")

    def test_signals_at_the_end_of_a_wait(self) -> None:
        """A wait with a timeout ends even if a signal handler runs at the end of the wait."""
        done = self.ends(
            "from segment_logging._process.bell import Bell\n"
            "def on_alarm(*_):\n"
            "    end = time.monotonic() + 0.0005\n"
            "    while time.monotonic() < end: pass\n"
            "signal.signal(signal.SIGALRM, on_alarm)\n"
            "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\n"
            "end = time.monotonic() + 1\n"
            "while time.monotonic() < end: Bell().wait(0.0051)\n"
            "signal.setitimer(signal.ITIMER_REAL, 0); print(1)"
        )
        self.assertEqual(done.json, 1)

    def test_flush_and_counts_in_a_signal_handler(self) -> None:
        """A signal handler may call `flush` and `counts`."""
        done = self.ends(
            COUNTING + "handler = attach(client=Counting(), flush_interval=0.01); logged = 0\n"
            "signal.signal(signal.SIGALRM, once(lambda: (handler.flush(), handler.counts())))\n"
            "signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)\n"
            "end = time.monotonic() + 1\n"
            "while time.monotonic() < end: log('Loop', 5); handler.counts(); logged += 5\n"
            "signal.setitimer(signal.ITIMER_REAL, 0); handler.drain(10)\n"
            "print(json.dumps([logged, Counting.delivered]))"
        )
        self.assertEqual(*done.json)

    def test_del(self) -> None:
        """A `__del__` that the garbage collector calls at any time may log."""
        done = self.ends(
            COUNTING + "import gc\n"
            "handler = attach(client=Counting(), flush_interval=0.01); gc.set_threshold(7)\n"
            "logged = 0\n"
            "class Noisy:\n"
            "    def __init__(self): self.me = self\n"
            "    def __del__(self): global logged; log('Del'); logged += 1\n"
            "end = time.monotonic() + 1\n"
            "while time.monotonic() < end: Noisy(); log('Loop', 5); logged += 5\n"
            "gc.collect(); handler.drain(10)\n"
            "print(json.dumps([logged, Counting.delivered + handler.counts().ignored]))"
        )
        # Records that are logged in the listener's thread are ignored.
        self.assertEqual(*done.json)


class TestHooks(DeadlockTest):
    def test_values_that_raise(self) -> None:
        """A `__str__`, filter or `before_send` that raises loses only its own event."""
        done = self.ends(
            "class Bad:\n"
            "    def __str__(self): raise RuntimeError\n"
            "    __repr__ = __str__\n"
            "def choose(message):\n"
            "    if message.event == 'Hook': raise RuntimeError\n"
            "    return message\n"
            "class Raising(logging.Filter):\n"
            "    def filter(self, record):\n"
            "        if record.msg == 'Filter': raise RuntimeError\n"
            "        return True\n"
            "handler = attach(before_send=choose); handler.addFilter(Raising())\n"
            "log('Signup'); log('Hook'); log('Filter')\n"
            "logger.info(Bad(), extra={'user_id': 'u'})\n"
            "logger.info('Text %s', Bad(), extra={'user_id': 'u'})\n"
            "log('Signup'); handler.drain(10); counts = handler.counts()\n"
            "print(json.dumps([counts.delivered, counts.invalid]))"
        )
        self.assertEqual(done.json, [2, 4])
        self.assert_arrived(Signup=2)

    def refusing(self) -> Collector:
        """Return a collector that refuses events with the name "Bad"."""

        def answer(request: Request) -> Answer | int | None:
            judged = request.verdict.judged
            return 400 if any(one.message["event"] == "Bad" for one in judged) else None

        collector = Collector(answer=answer)
        self.addCleanup(collector.close)
        return collector

    def test_on_error(self) -> None:
        """Delivery continues if `on_error` logs, flushes, drains, closes, raises or exits."""
        for body in (
            "log('Logged')",
            "handler.flush()",
            "handler.drain(5)",
            "handler.close()",
            "handler.counts()",
            "logging.shutdown()",
            "raise RuntimeError",
            "sys.exit(1)",
            "raise KeyboardInterrupt",
        ):
            with self.subTest(body):
                collector = self.refusing()
                done = self.ends(
                    f"def on_error(error, messages): {body}\n"
                    "handler = attach(on_error=on_error, flush_interval=0.01, shutdown_timeout=3)\n"
                    "log('Good', 3); log('Bad'); log('Good', 3)\n"
                    "drained = handler.drain(4); log('Later', 3); leave()",
                    collector.url,
                )
                self.assertEqual(dict(arrived(collector)), {"Good": 6, "Later": 3}, done.stderr)
                self.assertLess(done.exit_seconds, 2)

    def test_before_send(self) -> None:
        """`before_send` may call `flush`, `drain`, `close` or `counts`."""
        for body in ("flush()", "drain(5)", "close()", "counts()"):
            with self.subTest(body):
                collector = self.refusing()
                self.ends(
                    f"def choose(message): handler.{body}; return message\n"
                    "handler = attach(before_send=choose, flush_interval=0.01)\n"
                    "log('Good', 20); leave()",
                    collector.url,
                )
                self.assertEqual(dict(arrived(collector)), {"Good": 20})

    def test_on_error_while_the_program_shuts_down(self) -> None:
        """`on_error` may log to a handler whose lock `logging.shutdown` holds."""
        collector = self.refusing()
        done = self.ends(
            "def on_error(error, messages): logging.getLogger('other').warning('given up')\n"
            "logging.getLogger('other').addHandler(logging.StreamHandler())\n"
            "attach(on_error=on_error); log('Bad'); log('Good'); leave()",
            collector.url,
        )
        self.assertEqual(dict(arrived(collector)), {"Good": 1})
        self.assertIn("given up", done.stderr)
        self.assertLess(done.exit_seconds, 3)


if __name__ == "__main__":
    unittest.main()
