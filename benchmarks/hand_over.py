"""Handing over: many processes and one that delivers, compared with each delivering for itself.

python -m benchmarks.hand_over           40 processes, 5,000 dead directories: two minutes
python -m benchmarks.hand_over --short   a tenth of that

It prints what it measures, and stops if an event is lost. It has no budgets, and is not part of
`make bench`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from typing_extensions import override

from . import runs

KEY = "benchmark-key"

WORKER = """
import logging, sys, time
from segment_logging import SegmentHandler
journal, host, mode, events, pause = sys.argv[1:]
where = {"deliver": False} if mode == "hand over" else {"host": host}
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(SegmentHandler(journal=journal, **where))
for number in range(int(events)):
    logger.info("Signup", extra={"user_id": "u-17", "properties": {"plan": "pro", "n": number}})
    if number % 10 == 9:
        time.sleep(float(pause))
"""

SCRIPT = """
import logging, sys
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
journal, host, mode = sys.argv[1:]
if mode != "no handler":
    from segment_logging import SegmentHandler
    logger.addHandler(SegmentHandler(journal=journal, deliver=False) if mode == "hand over"
                      else SegmentHandler(host=host))
for number in range(10):
    logger.info("Signup", extra={"user_id": "u-17", "properties": {"plan": "pro", "n": number}})
"""


class Server:
    """Accepts batches on loopback, and remembers the message ids."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            @override
            def setup(self) -> None:
                super().setup()
                server.connections += 1

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.add([message["messageId"] for message in body["batch"]])
                self.send_response(200)
                self.send_header("Content-Length", "16")
                self.end_headers()
                self.wfile.write(b'{"success":true}')

            @override
            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def reset(self) -> None:
        self.ids: list[str] = []
        self.requests = self.connections = 0

    def add(self, ids: list[str]) -> None:
        with self._lock:
            self.ids += ids
            self.requests += 1

    def wait_for(self, number: int) -> None:
        """Wait until this many different messages have arrived. End the run if they do not."""
        end = time.monotonic() + 120
        while (arrived := len(set(self.ids))) < number:
            if time.monotonic() > end:
                sys.exit(f"{number - arrived} of {number} messages are lost")
            time.sleep(0.05)

    @property
    def twice(self) -> int:
        """How many messages arrived more than once."""
        return len(self.ids) - len(set(self.ids))


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """Start Python with arguments."""
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "SEGMENT_WRITE_KEY": KEY}
    return subprocess.Popen([sys.executable, *arguments], env=environment)


def start_deliverer(journal: Path, server: Server) -> subprocess.Popen[bytes]:
    command = ("-m", "segment_logging", "deliver", str(journal), "--host", server.host, "--quiet")
    return start(*command)


@contextmanager
def delivering(journal: Path, server: Server) -> Iterator[subprocess.Popen[bytes]]:
    process = start_deliverer(journal, server)
    time.sleep(2)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU time of a running process in seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def work(
    journal: Path, server: Server, mode: str, processes: int, *, pause: float,
    meanwhile: Callable[[], None] = lambda: None,
) -> float:  # fmt: skip
    """Run workers with 1,000 events each. Return their CPU time per event, in microseconds."""
    before = cpu_of_children()
    workers = [
        start("-c", WORKER, str(journal), server.host, mode, "1000", str(pause))
        for _ in range(processes)
    ]
    meanwhile()
    for worker in workers:
        worker.wait()
    return (cpu_of_children() - before) / processes / 1_000 * 1e6


def many_processes(server: Server, processes: int) -> None:
    """Compare requests, connections and CPU, and kill the process that delivers ten times."""
    events = processes * 1_000
    with runs.directory() as directory:
        journal = Path(directory, "own")
        cost = work(journal, server, "deliver", processes, pause=0.03)
        server.wait_for(events)
        print(
            f"{processes} processes deliver 1,000 events each: {server.requests} requests over "
            f"{server.connections} connections, {cost:.0f} µs of CPU per event"
        )
        server.reset()
        journal = Path(directory, "handed-over")
        with delivering(journal, server) as deliverer:
            before = cpu_of(deliverer)
            cost = work(journal, server, "hand over", processes, pause=0.03)
            server.wait_for(events)
            its_cost = (cpu_of(deliverer) - before) / events * 1e6
        print(
            f"they hand them over: {server.requests} requests over {server.connections} "
            f"connections, {cost:.0f} µs of CPU per event and {its_cost:.1f} µs in the command"
        )
        server.reset()
        journal = Path(directory, "killed")
        deliverers = [start_deliverer(journal, server)]

        def kill() -> None:
            for _ in range(10):
                time.sleep(1.5)
                deliverers[-1].kill()
                deliverers[-1].wait()
                deliverers.append(start_deliverer(journal, server))

        work(journal, server, "hand over", processes, pause=0.15, meanwhile=kill)
        server.wait_for(events)
        deliverers[-1].kill()
        deliverers[-1].wait()
        print(f"the command is killed ten times: 0 of {events} lost, {server.twice} twice")
        server.reset()


def crash_loop(server: Server, directories: int) -> None:
    """Deliver what a program that crashes again and again has left: 40 files in each directory."""
    with runs.directory() as directory:
        journal = Path(directory, "journal")
        live = journal / hashlib.sha256(KEY.encode()).hexdigest()[:12] / "live"
        live.mkdir(0o700, parents=True)
        for number in range(directories):
            dead = live / f"{number:020d}-{number}-dead-handed-over"
            dead.mkdir(0o700)
            (dead / "owner.lock").touch(0o600)
            for file in range(40):
                line = {"type": "track", "event": "Crash", "userId": "u-17", "properties": {},
                        "messageId": f"{number}-{file}"}  # fmt: skip
                (dead / f"{file + 1:08d}.jsonl").write_text(json.dumps(line) + "\n")
        began = time.monotonic()
        process = start_deliverer(journal, server)
        server.wait_for(directories * 40)
        seconds = time.monotonic() - began
        process.terminate()
        process.wait()
        print(
            f"{directories * 40} files of {directories} dead processes: {server.requests} "
            f"requests, {seconds:.0f} s, {server.twice} twice"
        )
        server.reset()


def short_script(server: Server, rounds: int) -> None:
    """Measure how long a script with ten events takes."""
    with runs.directory() as directory:
        journal = Path(directory, "journal")
        taken: dict[str, list[float]] = {}
        with delivering(journal, server):
            for _ in range(rounds):
                for mode in ("no handler", "hand over", "deliver"):
                    began = time.perf_counter()
                    start("-c", SCRIPT, str(journal), server.host, mode).wait()
                    taken.setdefault(mode, []).append(time.perf_counter() - began)
            server.wait_for(2 * rounds * 10)
        for mode, seconds in taken.items():
            print(f"a script with ten events, {mode}: {min(seconds) * 1e3:.0f} ms at best")
        server.reset()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hand_over")
    parser.add_argument("--short", action="store_true", help="faster and less precise")
    is_short = parser.parse_args().short
    print(runs.machine())
    server = Server()
    short_script(server, 3 if is_short else 20)
    many_processes(server, 4 if is_short else 40)
    crash_loop(server, 500 if is_short else 5_000)


if __name__ == "__main__":
    main()
