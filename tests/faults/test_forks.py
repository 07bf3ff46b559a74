"""Tests that the events of parents and forked children arrive exactly once."""

from __future__ import annotations

import os
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from segment_logging.collector import Collector

from .subprocesses import Done, arrived, repeated_ids, run


@unittest.skipUnless(hasattr(os, "fork"), "needs os.fork")
class TestForks(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def ends(self, program: str) -> Done:
        done = run(program, self.collector.url)
        self.assertEqual(done.status, 0, done.stderr)
        return done

    def assert_arrived(self, **events: int) -> None:
        self.assertEqual(dict(arrived(self.collector)), events)
        self.assertEqual(repeated_ids(self.collector), [])

    def test_child_exits(self) -> None:
        """The parent's waiting events and the events of an exiting child arrive once."""
        self.ends(
            "attach(flush_interval=30); log('Parent', 50)\n"
            "pid = os.fork()\n"
            "if pid == 0: log('Child', 50); sys.exit(0)\n"
            "os.waitpid(pid, 0); log('Parent', 50)"
        )
        self.assert_arrived(Parent=100, Child=50)

    def test_child_without_events(self) -> None:
        """A child that logs nothing sends nothing."""
        self.ends(
            "attach(flush_interval=30); log('Parent', 50)\n"
            "pid = os.fork()\n"
            "if pid == 0: sys.exit(0)\n"
            "os.waitpid(pid, 0)"
        )
        self.assert_arrived(Parent=50)

    def test_child_drains(self) -> None:
        """A child that ends with `os._exit` can deliver with `drain`, and has its own counts."""
        done = self.ends(
            "handler = attach(flush_interval=30); log('Parent', 50)\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    log('Child', 7); drained = handler.drain(10)\n"
            "    print(json.dumps([drained, handler.counts().accepted]), flush=True)\n"
            "    os._exit(0)\n"
            "os.waitpid(pid, 0)"
        )
        self.assert_arrived(Parent=50, Child=7)
        self.assertEqual(done.json, [True, 7])

    def test_closed_in_the_child(self) -> None:
        """Closing a handler in a child does not affect the parent's events."""
        self.ends(
            "handler = attach(flush_interval=30); log('Parent', 50)\n"
            "pid = os.fork()\n"
            "if pid == 0: handler.flush(); handler.close(); logging.shutdown(); os._exit(0)\n"
            "os.waitpid(pid, 0)"
        )
        self.assert_arrived(Parent=50)

    def test_grandchild(self) -> None:
        """Grandchildren deliver their events as well."""
        self.ends(
            "attach(flush_interval=30); log('First')\n"
            "if os.fork() == 0:\n"
            "    log('Second')\n"
            "    if os.fork() == 0: log('Third'); sys.exit(0)\n"
            "    os.wait(); sys.exit(0)\n"
            "os.wait()"
        )
        self.assert_arrived(First=1, Second=1, Third=1)

    def test_during_a_request(self) -> None:
        """A fork in the middle of a request neither repeats it nor loses the child's events."""
        answered: list[int] = []

        def slow(request: object) -> None:
            answered.append(1)
            if len(answered) == 1:
                self.collector.wait_for(3)  # the child's events

        self.collector.close()
        self.collector = Collector(answer=slow)
        self.ends(
            "attach(flush_interval=0); log('Parent'); time.sleep(0.5)\n"
            "pid = os.fork()\n"
            "if pid == 0: log('Child', 3); sys.exit(0)\n"
            "os.waitpid(pid, 0)"
        )
        self.assert_arrived(Parent=1, Child=3)

    def test_while_threads_log(self) -> None:
        """No child hangs if the parent's threads are logging at the moment of the fork."""
        done = self.ends(
            "attach(flush_interval=0.01)\n"
            "end = threading.Event()\n"
            "def work():\n"
            "    while not end.wait(0.0002): log('Parent')\n"
            "threads = [threading.Thread(target=work) for _ in range(4)]\n"
            "for thread in threads: thread.start()\n"
            "failed = 0\n"
            "for _ in range(25):\n"
            "    pid = os.fork()\n"
            "    if pid == 0: signal.alarm(15); log('Child', 4); sys.exit(0)\n"
            "    failed += os.waitpid(pid, 0)[1] != 0\n"
            "end.set()\n"
            "for thread in threads: thread.join()\n"
            "print(failed)"
        )
        self.assertEqual(done.json, 0)
        self.assertEqual(arrived(self.collector)["Child"], 100)
        self.assertEqual(repeated_ids(self.collector), [])

    def test_own_sockets(self) -> None:
        """A child opens its own connections, even with a client that it inherited."""
        done = self.ends(
            "import socket\n"
            "from segment_logging import HttpClient\n"
            "def connections():\n"
            "    found = {}\n"
            "    for name in os.listdir('/proc/self/fd'):\n"
            "        try: target = os.readlink(f'/proc/self/fd/{name}')\n"
            "        except OSError: continue\n"
            "        if target.startswith('socket:'): found[name] = target\n"
            "    return set(found.values())\n"
            "handler = attach(client=HttpClient(os.environ['SEGMENT_HOST']))\n"
            "log('Parent'); handler.drain(10)\n"
            "before = connections()\n"
            "if os.fork() == 0:\n"
            "    log('Child'); handler.drain(10)\n"
            "    print(json.dumps([len(before), len(connections() - before)]), flush=True)\n"
            "    sys.exit(0)\n"
            "os.wait(); log('Parent')"
        )
        self.assertEqual(done.json, [1, 1])
        self.assert_arrived(Parent=2, Child=1)

    def test_no_thread_before_the_first_event(self) -> None:
        """The handler starts no thread before the first event."""
        done = self.ends(
            "handler = attach(); logger.info('no event')\n"
            "handler.flush(); handler.drain(1); handler.counts()\n"
            "print(threading.active_count())"
        )
        self.assertEqual(done.json, 1)

    def test_descendants_with_a_journal(self) -> None:
        """The descendants of a process with an open journal have their own journals."""
        with TemporaryDirectory() as directory:
            self.ends(
                f"attach(journal={directory!r}, flush_interval=30); log('First')\n"
                "if os.fork() == 0:\n"
                "    log('Second')\n"
                "    if os.fork() == 0: log('Third', 10); sys.exit(0)\n"
                "    os.wait(); sys.exit(0)\n"
                "os.wait()"
            )
            self.assert_arrived(First=1, Second=1, Third=10)
            self.assertEqual(list(Path(directory).rglob("*.jsonl")), [])

    def test_files_of_the_program(self) -> None:
        """A grandchild does not close files that its parent opened after the first fork."""
        with TemporaryDirectory() as directory:
            done = self.ends(
                "import subprocess\n"
                f"attach(journal={directory!r}, flush_interval=30); log('First')\n"
                "if os.fork() == 0:\n"
                "    opened = [open(os.devnull) for _ in range(20)]\n"
                "    subprocess.run(['true'], preexec_fn=os.setsid, check=True)\n"
                "    if os.fork() == 0:\n"
                "        for file in opened: os.fstat(file.fileno())\n"
                "        log('Third'); sys.exit(0)\n"
                "    sys.exit(os.wait()[1] != 0)\n"
                "print(os.wait()[1])"
            )
            self.assertEqual(done.json, 0, done.stderr)
            self.assert_arrived(First=1, Third=1)


class TestMultiprocessing(unittest.TestCase):
    """Children started by multiprocessing, which skip atexit and `logging.shutdown`."""

    @override
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def assert_arrived(self, program: str, **events: int) -> None:
        done = run(program, self.collector.url)
        self.assertEqual(done.status, 0, done.stderr)
        self.assertEqual(dict(arrived(self.collector)), events, done.stderr)
        self.assertEqual(repeated_ids(self.collector), [])

    def test_process(self) -> None:
        """With every start method, a child delivers its events at its end without a flush."""
        for method in ("fork", "spawn", "forkserver"):
            with self.subTest(method):
                self.assert_arrived(
                    "import multiprocessing\n"
                    "attach()\n"
                    f"def work(): log('Child {method}', 10)\n"
                    "if __name__ == '__main__':\n"
                    f"    multiprocessing.set_start_method('{method}')\n"
                    f"    log('Parent {method}', 5)\n"
                    "    child = multiprocessing.Process(target=work)\n"
                    "    child.start(); child.join()\n"
                    "    assert child.exitcode == 0\n",
                    **{f"Parent {method}": 5, f"Child {method}": 10},
                )
                self.collector.close()
                self.collector = Collector()

    def test_threads_of_a_child(self) -> None:
        """Events that a child's thread logs after the child's target returned are delivered."""
        self.assert_arrived(
            "import multiprocessing\n"
            "attach(shutdown_timeout=0.3)\n"
            "def go_on():\n"
            "    for _ in range(10): time.sleep(0.1); log('Late')\n"
            "def work(): log('Child'); threading.Thread(target=go_on).start()\n"
            "if __name__ == '__main__':\n"
            "    child = multiprocessing.Process(target=work)\n"
            "    child.start(); child.join()\n",
            Child=1,
            Late=10,
        )

    def test_child_that_fails(self) -> None:
        """A child that ends with an exception or `sys.exit` delivers its events."""
        self.assert_arrived(
            "import multiprocessing\n"
            "attach()\n"
            "def fail(): log('Failed', 10); raise ValueError\n"
            "def leave(): log('Left', 10); sys.exit(3)\n"
            "context = multiprocessing.get_context('fork')\n"
            "children = [context.Process(target=target) for target in (fail, leave)]\n"
            "for child in children: child.start()\n"
            "for child in children: child.join()",
            Failed=10,
            Left=10,
        )

    def test_pool(self) -> None:
        """The workers of a pool that is closed and joined deliver their events."""
        self.assert_arrived(
            "import multiprocessing\n"
            "attach()\n"
            "def work(number): log('Child'); return number\n"
            "pool = multiprocessing.get_context('fork').Pool(3)\n"
            "pool.map(work, range(40)); pool.close(); pool.join()",
            Child=40,
        )

    def test_process_pool_executor(self) -> None:
        """The workers of a ProcessPoolExecutor, forked or spawned, deliver their events."""
        for method in ("fork", "spawn"):
            with self.subTest(method):
                self.assert_arrived(
                    "import multiprocessing\n"
                    "from concurrent.futures import ProcessPoolExecutor\n"
                    "attach()\n"
                    f"def work(number): log('Child {method}'); return number\n"
                    "if __name__ == '__main__':\n"
                    f"    context = multiprocessing.get_context('{method}')\n"
                    f"    log('Parent {method}', 5)\n"
                    "    with ProcessPoolExecutor(2, mp_context=context) as pool:\n"
                    "        list(pool.map(work, range(40)))\n",
                    **{f"Parent {method}": 5, f"Child {method}": 40},
                )
                self.collector.close()
                self.collector = Collector()

    def test_handler_made_in_the_child(self) -> None:
        """A handler that is created in the child delivers its events."""
        self.assert_arrived(
            "import multiprocessing\n"
            "def work(): attach(); log('Child', 10)\n"
            "child = multiprocessing.get_context('fork').Process(target=work)\n"
            "child.start(); child.join()",
            Child=10,
        )

    def test_child_of_a_child(self) -> None:
        """A child's child delivers its events."""
        self.assert_arrived(
            "import multiprocessing\n"
            "attach()\n"
            "context = multiprocessing.get_context('fork')\n"
            "def start(target):\n"
            "    child = context.Process(target=target); child.start(); child.join()\n"
            "def inner(): log('Inner', 10)\n"
            "def outer(): log('Outer', 10); start(inner); log('Outer', 10)\n"
            "start(outer)",
            Outer=20,
            Inner=10,
        )


if __name__ == "__main__":
    unittest.main()
