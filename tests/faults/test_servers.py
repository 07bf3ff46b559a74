"""Tests with forking servers (gunicorn, uWSGI and Celery), which are stopped with SIGTERM."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import sys
import unittest
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from typing_extensions import override

from segment_logging.collector import Collector

from .subprocesses import IMPATIENT_CELERY, Done, arrived, repeated_ids, run


def has(module: str) -> bool:
    """Return whether a module can be imported."""
    return importlib.util.find_spec(module) is not None


class ServerTest(unittest.TestCase):
    """Base class that runs a server with a collector for its events."""

    @override
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def assert_arrived(self, done: Done, **events: int) -> None:
        self.assertEqual(dict(arrived(self.collector)), events, done.stderr)
        self.assertEqual(repeated_ids(self.collector), [])


APPLICATION = """
attach(flush_interval=30)
log("Master")


def application(environ, start_response):
    log("Request")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


class WebServerTest(ServerTest):
    """Base class that runs a web server with two workers, sends 40 requests and stops it."""

    def serve(
        self,
        command: Iterable[str],
        address: str,
        ready: str,
    ) -> tuple[Done, Counter[str]]:
        """Return how the server ended, and how many requests each worker served.

        Args:
            command: the command that starts the server.
            address: a pattern for a line on stderr, with the port as its group.
            ready: a pattern for the stderr output of a server that is ready.
        """
        served: Counter[str] = Counter()
        said = ""

        def use(process: subprocess.Popen[str]) -> None:
            nonlocal said
            assert process.stderr is not None
            port = ""
            for line in process.stderr:
                said += line
                if found := re.search(address, line):
                    port = found[1]
                if port and re.search(ready, said, flags=re.DOTALL):
                    break
            else:
                self.fail("the server did not start")
            for _ in range(40):
                served[requests.get(f"http://127.0.0.1:{port}/", timeout=20).text] += 1
            process.send_signal(signal.SIGTERM)

        done = run(APPLICATION, self.collector.url, while_it_runs=use, command=command)
        return replace(done, stderr=said + done.stderr), served


@unittest.skipUnless(has("gunicorn"), "needs gunicorn")
class TestGunicorn(WebServerTest):
    def gunicorn(self, *options: str) -> tuple[Done, Counter[str]]:
        where = r"http://127\.0\.0\.1:(\d+)"
        command = (sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:0", "--workers=2")
        return self.serve((*command, *options, "program:application"), where, where)

    def test_preload(self) -> None:
        """The event before the fork and the events of all requests arrive exactly once."""
        done, _ = self.gunicorn("--preload")
        self.assert_arrived(done, Master=1, Request=40)

    def test_without_preload(self) -> None:
        """Without --preload, each worker loads the application, and all events arrive once."""
        done, _ = self.gunicorn()
        self.assert_arrived(done, Master=2, Request=40)

    def test_threads(self) -> None:
        """The events of workers with threads arrive once."""
        done, _ = self.gunicorn("--preload", "--threads=4")
        self.assert_arrived(done, Master=1, Request=40)

    def test_worker_that_is_replaced(self) -> None:
        """A worker that is replaced after `max_requests` delivers its events before it ends."""
        done, served = self.gunicorn("--preload", "--max-requests=5")
        self.assertGreater(len(served), 2)
        self.assert_arrived(done, Master=1, Request=40)


UWSGI = Path(sys.executable).with_name("uwsgi")


@unittest.skipUnless(UWSGI.exists(), "needs uWSGI, which pip builds with a C compiler")
class TestUwsgi(WebServerTest):
    def uwsgi(self, *options: str, ready: str = "spawned uWSGI worker 2") -> Done:
        done, _ = self.serve(
            (
                str(UWSGI), "--http-socket=127.0.0.1:0", "--wsgi-file=program.py", "--master",
                "--processes=2", "--die-on-term", *options,
            ),
            r"bound to TCP address 127\.0\.0\.1:(\d+)",
            ready,
        )  # fmt: skip
        return done

    def test_with_threads(self) -> None:
        """With --enable-threads, all events arrive once, and nothing is reported."""
        done = self.uwsgi("--enable-threads", "--lazy-apps", ready="WSGI app 0.*WSGI app 0")
        self.assert_arrived(done, Master=2, Request=40)
        self.assertNotIn("segment_logging:", done.stderr)

    def test_without_threads(self) -> None:
        """Without --enable-threads, the workers' events arrive once.

        uWSGI then forks without the interpreter's fork hooks. The workers still have unique message
        ids, and the problem is reported once. The master runs no exit functions, so its messages
        are lost.
        """
        done = self.uwsgi()
        self.assert_arrived(done, Request=40)
        self.assertEqual(done.stderr.count("segment_logging: uWSGI runs no threads"), 1)


TASKS = """
from celery import Celery

attach(flush_interval=30)
app = Celery("program", broker=os.environ["BROKER"], backend=None)
app.conf.broker_transport_options = {
    "data_folder_in": os.environ["FOLDER"],
    "data_folder_out": os.environ["FOLDER"],
    "control_folder": os.environ["FOLDER"] + "/control",
    "polling_interval": 0.05,
}
app.conf.worker_hijack_root_logger = False
log("Loaded")


@app.task
def work():
    log("Task")
    with open(os.environ["FOLDER"] + "/../done", "a") as file:
        print(os.getpid(), file=file, flush=True)


if __name__ == "__main__":
    for _ in range(30):
        work.delay()
    worker = app.Worker(pool="prefork", concurrency=2, loglevel="ERROR", quiet=True)
    def stop_when_done():
        path = os.environ["FOLDER"] + "/../done"
        while not os.path.exists(path) or len(open(path).readlines()) < 30:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=stop_when_done, daemon=True).start()
    worker.start()
"""


@unittest.skipUnless(has("celery"), "needs celery")
class TestCelery(ServerTest):
    def test_prefork(self) -> None:
        """The event of each task arrives once when the worker is stopped."""
        with TemporaryDirectory() as directory:
            folder = f"{directory}/queue"
            done = run(
                f"os.makedirs({folder!r})\n" + IMPATIENT_CELERY + TASKS,
                self.collector.url,
                BROKER="filesystem://",
                FOLDER=folder,
            )
        self.assert_arrived(done, Loaded=1, Task=30)


if __name__ == "__main__":
    unittest.main()
