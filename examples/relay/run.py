"""Everything between a web application and Segment, on one machine: `python examples/relay/run.py`.

    two web workers                      ->  RabbitMQ  ->  two relays  ->  the collector
    a nightly script  ->  journal, deliver  ->  RabbitMQ

The collector takes the place of Segment. One of the relays is killed on the way, and nothing is
lost. It requires Debian's `rabbitmq-server` and `pip install segment-logging[relay]`.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

from rabbitmq import SERVER, rabbitmq

from segment_logging.collector import Collector

HERE = Path(__file__).parent
VISITS = 50
EXPECTED = Counter({"Pricing Viewed": 2 * VISITS, "Invoice Sent": 10})


class Processes:
    """Starts programs, and stops those that still run at the end."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str | Path) -> "subprocess.Popen[bytes]":
        """Start a Python program."""
        process = subprocess.Popen([sys.executable, *command], env=self._environment)
        self._running.append(process)
        return process

    def stop(self) -> None:
        """Send SIGTERM to all of them, and wait until they have ended."""
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        for process in self._running:
            process.wait(60)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def visit(port: int) -> None:
    """Visit the page of a web worker, as soon as it listens."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/pricing", headers={"Cookie": "ajs_anonymous_id=visitor-31"}
    )
    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                response.read()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def arrived(collector: Collector) -> Counter[str]:
    """Count the events that have arrived. Duplicates have the same message id."""
    messages = {message["messageId"]: message["event"] for message in collector.messages}
    return Counter(messages.values())


def main() -> int:
    """Run everything. Return 0 if all events arrived."""
    if not SERVER.exists():
        print("it requires RabbitMQ: apt-get install rabbitmq-server", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "rabbitmq").mkdir()
        print("starting RabbitMQ", flush=True)
        broker = stack.enter_context(rabbitmq(folder / "rabbitmq"))
        collector = stack.enter_context(Collector())
        processes = Processes(
            {
                "SEGMENT_BROKER": broker,
                "SEGMENT_HOST": collector.url,
                "SEGMENT_WRITE_KEY": "example-key",
                "SHOP_JOURNAL": str(folder / "journal"),
                "NIGHTLY_JOURNAL": str(folder / "nightly"),
            }
        )
        stack.callback(processes.stop)
        print("starting two relays, two web workers and the nightly script", flush=True)
        relays = [processes.start("-m", "segment_logging", "relay") for _ in range(2)]
        deliverer = (
            "-m",
            "segment_logging",
            "deliver",
            str(folder / "nightly"),
            "--broker",
            broker,
        )
        processes.start(*deliverer)
        ports = [free_port(), free_port()]
        for port in ports:
            processes.start(HERE / "web.py", str(port))
        nightly = processes.start(HERE / "nightly.py")
        for number in range(VISITS):
            for port in ports:
                visit(port)
            if number == VISITS // 2:
                print("killing a relay", flush=True)
                relays[0].kill()
        nightly.wait(60)
        until = time.monotonic() + 60
        while arrived(collector) != EXPECTED and time.monotonic() < until:
            time.sleep(0.1)
        found, requests = arrived(collector), len(collector.requests)
    for event, count in sorted(found.items()):
        print(f"{count:4} {event}")
    print(f"{found.total()} of {EXPECTED.total()} events arrived in {requests} requests")
    return 0 if found == EXPECTED else 1


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
