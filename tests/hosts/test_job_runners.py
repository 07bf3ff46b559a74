"""Tests with job runners: RQ and Dramatiq, with a real Redis.

The handlers of these programs have a long `flush_interval`, so nothing is sent unless something
delivers it on purpose.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

from typing_extensions import override

from segment_logging import identity
from segment_logging.collector import Collector

from ..faults.subprocesses import Done, arrived, repeated_ids
from .serving import HostTest, free_port, has

HAS_RQ = has("rq", "redis")
if HAS_RQ:
    import redis
    import rq

HAS_DRAMATIQ = has("dramatiq", "redis")
if HAS_DRAMATIQ:
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

REDIS = shutil.which("redis-server")
LATE = "not everything that a job logged was delivered within"


class RedisTest(HostTest):
    """Base class with a Redis server that stores nothing on disk."""

    port: int

    @override
    @classmethod
    def setUpClass(cls) -> None:
        if REDIS is None:
            raise unittest.SkipTest("needs redis-server")
        directory = cls.enterClassContext(TemporaryDirectory())
        for _ in range(5):
            cls.port = free_port()
            server = subprocess.Popen(
                (REDIS, "--bind", "127.0.0.1", "--port", str(cls.port), "--save", ""),
                cwd=directory,
                stdout=subprocess.DEVNULL,
            )
            cls.addClassCleanup(_stop, server)
            if _answers(cls.port, server):
                return
        raise AssertionError("redis-server does not start")

    @override
    def setUp(self) -> None:
        super().setUp()
        self.redis = redis.Redis(port=self.port)
        self.addCleanup(self.redis.close)
        self.redis.flushall()

    def start_slow(self) -> Event:
        """Use a collector that does not answer until the returned event is set."""
        answering = Event()

        def wait(request: object) -> None:
            answering.wait(60)

        self.collector = Collector(answer=wait)
        self.addCleanup(self.collector.close)
        self.addCleanup(answering.set)  # called first
        return answering


def _answers(port: int, server: subprocess.Popen[bytes]) -> bool:
    """Wait until a server accepts connections. Return False if it has ended instead."""
    for _ in range(1_000):
        if server.poll() is not None:
            return False
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return server.poll() is None
        time.sleep(0.01)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait()


RQ_JOBS = """
attach(flush_interval=30)


def succeed():
    log("Succeeded")


def fail():
    log("Failed")
    raise ValueError


def fail_once():
    log("Tried")
    if not os.path.exists("tried"):
        open("tried", "w").close()
        raise ValueError


def ask_for_a_retry():
    from rq import Retry
    log("Asked")
    return Retry(max=1)


def take_too_long():
    log("Began")
    signal.setitimer(signal.ITIMER_REAL, 0.1)  # the signal that RQ sends when the limit is reached
    time.sleep(60)


def be_killed():
    log("Killed")
    os.kill(os.getpid(), signal.SIGKILL)


def linger():
    log("Began")
    logger.handlers[0].drain(20)
    time.sleep(0.3)
    log("Ended")


def end_before_the_answer():
    log("Sent")
    time.sleep(0.5)


def drain():
    logger.handlers[0].drain(20)


def log_anonymously():
    logger.info("Seen", extra={"anonymous_id": "a-1"})
"""

RQ_COMPAT_JOBS = """
from segment_logging.compat import analytics

analytics.write_key = "the-write-key"
analytics.upload_interval = 30


def call():
    analytics.track("u-17", "Called")


def call_and_flush():
    analytics.track("u-17", "Flushed")
    analytics.default_client._handler._options.shutdown_timeout = TIMEOUT
    analytics.flush()
"""

RQ_CONNECT = "from segment_logging.contrib.rq import connect; connect({})\n"

RQ_FLUSH_AFTER = """
from segment_logging.contrib.aws_lambda import flush_after
for job in (succeed, fail, fail_once, ask_for_a_retry):
    globals()[job.__name__] = flush_after(job)
"""


@unittest.skipUnless(HAS_RQ, "needs rq and redis")
class TestRq(RedisTest):
    """Jobs of real `rq worker` processes."""

    def enqueue(self, function: str, **options: Any) -> Any:
        """Enqueue a job for a function of the program."""
        return rq.Queue(connection=self.redis).enqueue(f"program.{function}", **options)

    def work(
        self,
        program: str,
        *options: str,
        worker: str = "Worker",
        while_it_runs: Callable[[subprocess.Popen[str]], object] = lambda process: None,
    ) -> Done:
        """Run a worker to its end.

        Args:
            program: the module that has the jobs.
            options: options of `rq worker`; by default, it ends when the queue is empty.
            worker: the name of the worker's class.
            while_it_runs: see `run`.
        """
        done = self.run_it(
            program,
            command=(
                *(sys.executable, "-m", "rq.cli", "worker"),
                *(options or ("--burst",)),
                f"--url=redis://127.0.0.1:{self.port}",
                f"--worker-class=rq.worker.{worker}",
            ),
            while_it_runs=while_it_runs,
        )
        self.assertEqual(done.status, 0, done.stderr)
        return done

    def assert_all_arrive(self, program: str, worker: str) -> None:
        """Assert that the events of jobs that succeed, fail and are retried arrive."""
        jobs = [self.enqueue(name) for name in ("succeed", "fail", "ask_for_a_retry")]
        jobs.append(self.enqueue("fail_once", retry=rq.Retry(max=2)))
        done = self.work(program, worker=worker)
        ends = [job.get_status().value for job in jobs]
        self.assertEqual(ends, ["finished", "failed", "failed", "finished"], done.stderr)
        self.assert_arrived(done, Succeeded=1, Failed=1, Asked=2, Tried=2)

    def test_connect(self) -> None:
        """With `connect()`, the events of every kind of worker arrive, however its jobs end."""
        for worker in ("Worker", "SimpleWorker", "SpawnWorker"):
            with self.subTest(worker):
                if not hasattr(rq.worker, worker):
                    self.skipTest(f"needs rq's {worker}")
                self.start_over()
                self.assert_all_arrive(RQ_JOBS + RQ_CONNECT.format(""), worker)

    def test_flush_after(self) -> None:
        """Without `connect()`, the events of jobs that are decorated with `flush_after` arrive."""
        self.assert_all_arrive(RQ_JOBS + RQ_FLUSH_AFTER, "Worker")

    def test_time_limit(self) -> None:
        """The events of a job that reaches its time limit arrive."""
        job = self.enqueue("take_too_long", job_timeout=60)
        done = self.work(RQ_JOBS + RQ_CONNECT.format(""))
        self.assertEqual(job.get_status().value, "failed", done.stderr)
        self.assert_arrived(done, Began=1)

    def test_sigterm(self) -> None:
        """If a worker is stopped while a job is running, the job's events arrive."""
        self.enqueue("linger")

        def stop(process: subprocess.Popen[str]) -> None:
            self.assertTrue(self.collector.wait_for(1, 30))
            process.send_signal(signal.SIGTERM)

        done = self.work(RQ_JOBS + RQ_CONNECT.format(""), "--quiet", while_it_runs=stop)
        self.assert_arrived(done, Began=1, Ended=1)

    def test_slow_server(self) -> None:
        """If Segment does not answer, a job ends after the timeout, and this is reported."""
        self.start_slow()
        job = self.enqueue("succeed")
        done = self.work(RQ_JOBS + RQ_CONNECT.format("timeout=0.2"))
        self.assertEqual(job.get_status().value, "finished", done.stderr)
        self.assertEqual(done.stderr.count(LATE), 1, done.stderr)

    def test_slow_server_without_a_fork(self) -> None:
        """A SimpleWorker delivers late events while it runs other jobs, or at its end."""
        answering = self.start_slow()
        jobs = [self.enqueue("succeed"), self.enqueue("succeed")]

        def answer(process: subprocess.Popen[str]) -> None:
            while not all(job.is_finished for job in jobs) and process.poll() is None:
                time.sleep(0.02)
            self.assertEqual(arrived(self.collector), {})
            answering.set()

        program = RQ_JOBS + RQ_CONNECT.format("timeout=0.1")
        done = self.work(program, worker="SimpleWorker", while_it_runs=answer)
        self.assertEqual(done.stderr.count(LATE), 1, done.stderr)
        self.assert_arrived(done, Succeeded=2)

    def test_journal(self) -> None:
        """With a journal, the next job delivers the events of a job that was killed."""
        with TemporaryDirectory() as journal:
            program = RQ_JOBS.replace("30", f"30, journal={journal!r}") + RQ_CONNECT.format("")
            self.enqueue("be_killed")
            self.enqueue("succeed")
            self.assert_arrived(self.work(program), Killed=1, Succeeded=1)

    def test_repeated(self) -> None:
        """Without `connect()`, a job can end before the answer to its batch, and with a journal,
        the next job then sends the same messages again."""
        answering = self.start_slow()
        with TemporaryDirectory() as journal:
            program = RQ_JOBS.replace("30", f"0.01, journal={journal!r}")
            self.enqueue("end_before_the_answer")
            self.work(program)
            answering.set()
            self.enqueue("drain")
            done = self.work(program)
        self.assertEqual(arrived(self.collector), {"Sent": 2}, done.stderr)
        self.assertEqual(len(repeated_ids(self.collector)), 1)

    def test_identity(self) -> None:
        """The identity that is bound when a job is enqueued is not bound while the job runs."""
        with identity(user_id="u-1"):
            self.enqueue("log_anonymously")
        done = self.work(RQ_JOBS + RQ_CONNECT.format(""))
        self.assert_arrived(done, Seen=1)
        self.assertNotIn("userId", self.collector.messages[0])

    def test_compat(self) -> None:
        """The calls of `compat.analytics` in a job need a flush or `connect()`."""
        program = RQ_COMPAT_JOBS.replace("TIMEOUT", "5.0")
        for connect, also in (("", {}), (RQ_CONNECT.format(""), {"Called": 1})):
            with self.subTest(connect):
                self.start_over()
                self.enqueue("call")
                self.enqueue("call_and_flush")
                self.assert_arrived(self.work(program + connect), Flushed=1, **also)

    def test_compat_in_an_outage(self) -> None:
        """If `flush` gives up, the messages are lost, and the loss itself is not reported."""
        self.start_slow()
        self.enqueue("call_and_flush")
        done = self.work(RQ_COMPAT_JOBS.replace("TIMEOUT", "0.1"), "--burst", "--quiet")
        self.assertEqual(done.stderr.count("segment_logging"), 1, done.stderr)
        self.assertIn("flush stopped waiting for 1 message", done.stderr)


DRAMATIQ_TASKS = """
import functools
import types

import dramatiq
import dramatiq.cli
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import SkipMessage

# A worker process checks whether to stop every 50 ms, and not every second.
dramatiq.cli.time = types.SimpleNamespace(sleep=lambda seconds: time.sleep(0.05))
dramatiq.cli.Worker = functools.partial(dramatiq.cli.Worker, worker_timeout=50)
dramatiq.set_broker(RedisBroker(port=int(os.environ["REDIS_PORT"])))
CONNECT
attach(flush_interval=30)


@dramatiq.actor
def succeed():
    log("Succeeded")


@dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1)
def fail():
    log("Failed")
    raise ValueError


@dramatiq.actor(max_retries=0)
def skip():
    log("Skipped")
    raise SkipMessage


@dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1, time_limit=1000)
def end_just_in_time():
    log("Succeeded")


@dramatiq.actor
def linger():
    log("Began")
    logger.handlers[0].drain(20)
    time.sleep(0.3)
    log("Ended")
"""

DRAMATIQ_CONNECT = "from segment_logging.contrib.dramatiq import connect; connect({})"


@unittest.skipUnless(HAS_DRAMATIQ, "needs dramatiq and redis")
class TestDramatiq(RedisTest):
    """Tasks of real `dramatiq` processes, which are stopped with SIGTERM."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.broker = RedisBroker(port=self.port)  # type: ignore[no-untyped-call]
        self.addCleanup(self.broker.close)

    def work(self, *tasks: str, until: Callable[[], object], connect: str | None = "") -> Done:
        """Run a worker until a function returns, then stop it.

        Args:
            tasks: the names of the program's actors that are enqueued.
            until: the function.
            connect: the arguments of `connect`, or None to not call it.
        """
        for name in tasks:
            task: dramatiq.Message[Any] = dramatiq.Message(
                queue_name="default", actor_name=name, args=(), kwargs={}, options={}
            )
            self.broker.enqueue(task)

        def stop(process: subprocess.Popen[str]) -> None:
            until()
            process.send_signal(signal.SIGTERM)

        called = "" if connect is None else DRAMATIQ_CONNECT.format(connect)
        done = self.run_it(
            DRAMATIQ_TASKS.replace("CONNECT", called),
            command=(
                *(sys.executable, "-m", "dramatiq"),
                *("--processes=1", "--threads=2", "program"),
            ),
            while_it_runs=stop,
            REDIS_PORT=str(self.port),
        )
        self.assertEqual(done.status, 0, done.stderr)
        return done

    def wait(self) -> None:
        """Wait until all tasks are acknowledged."""
        self.broker.join("default", interval=20, timeout=30_000)

    def test_connect(self) -> None:
        """With `connect()`, events arrive before the task is acknowledged, however it ends."""

        def check() -> None:
            self.wait()
            self.assert_arrived(Succeeded=1, Failed=2)

        self.assert_arrived(self.work("succeed", "fail", until=check), Succeeded=1, Failed=2)

    def test_skipped_task(self) -> None:
        """The events of a task that raises SkipMessage arrive before it is acknowledged."""

        def check() -> None:
            self.wait()
            self.assert_arrived(Skipped=1)

        self.assert_arrived(self.work("skip", until=check), Skipped=1)

    def test_without_connect(self) -> None:
        """Without `connect()`, events arrive when the worker stops."""
        done = self.work("succeed", "fail", "skip", until=self.wait, connect=None)
        self.assert_arrived(done, Succeeded=1, Failed=2, Skipped=1)

    def test_sigterm(self) -> None:
        """If a worker is stopped while a task is running, the task's events arrive."""

        def until() -> None:
            self.assertTrue(self.collector.wait_for(1, 30))

        self.assert_arrived(self.work("linger", until=until), Began=1, Ended=1)

    def test_slow_server(self) -> None:
        """If Segment does not answer, a task ends after the timeout, and this is reported."""
        answering = self.start_slow()

        def answer() -> None:
            self.wait()
            self.assertEqual(arrived(self.collector), {})
            answering.set()

        done = self.work("succeed", "succeed", until=answer, connect="timeout=0.2")
        self.assertEqual(done.stderr.count(LATE), 1, done.stderr)
        self.assert_arrived(done, Succeeded=2)

    def test_time_limit(self) -> None:
        """A task that ends within its time limit does not fail because Segment is slow."""
        answering = self.start_slow()

        def answer() -> None:
            self.wait()
            answering.set()

        done = self.work("end_just_in_time", until=answer, connect="timeout=2.5")
        self.assertNotIn("Failed to process message", done.stderr)
        self.assert_arrived(done, Succeeded=1)


if __name__ == "__main__":
    unittest.main()
