"""Events per second through RabbitMQ and one relay, and the CPU time of each part.

    python -m benchmarks.broker

It requires Debian's `rabbitmq-server` and the `relay` extra. Everything runs on this machine, so
the parts take the CPUs from each other. The server that stands in for Segment reads each request
and answers with 200.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from segment_logging._broker.client import BrokerClient
from segment_logging._messages.batcher import batches_of
from segment_logging._messages.encoding import encode
from tests.builders import PROJECT, a_track
from tests.rabbitmq import RabbitMQ
from tests.servers import ScriptedServer

KEY = "Jx0aB3kQ9ZpLw7Tn4Rs8Vd2Hy6Mc1Gfe"
_LINE_BYTES = 375


def _a_line(number: int) -> bytes:
    message = a_track(message_id=f"message-{number:012}", properties={"number": number})
    size_bytes = len(encode(message.to_dict()))
    pad = "x" * (_LINE_BYTES - size_bytes - len(',"pad":""'))
    message = a_track(message_id=f"message-{number:012}", properties={"number": number, "pad": pad})
    return encode(message.to_dict())


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(events: int) -> None:
    """Publish events, relay them, and print the rates."""
    lines = [_a_line(number) for number in range(events)]
    with RabbitMQ() as broker, ScriptedServer() as server:
        client = BrokerClient(broker.url)
        client.send(KEY, a_track())  # declares the queues
        began, own, others = time.perf_counter(), time.process_time(), broker.cpu_seconds()
        for batch in batches_of(lines):
            client.send(KEY, batch)
        took = time.perf_counter() - began
        own = time.process_time() - own
        print(f"published: {events / took:,.0f} events/s, confirmed; CPU per event: ", end="")
        others = broker.cpu_seconds() - others
        print(f"publisher {1e6 * own / events:.1f} µs, broker {1e6 * others / events:.1f} µs")
        client.close()
        others = broker.cpu_seconds()
        relay = subprocess.Popen(
            [sys.executable, "-m", "segment_logging", "relay", "--broker", broker.url],
            cwd=PROJECT,
            env={**os.environ, "SEGMENT_WRITE_KEY": KEY, "SEGMENT_HOST": server.host},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not server.requests:
                time.sleep(0.001)
            began, before = time.perf_counter(), _cpu_seconds(relay.pid)
            first = server.requests[0].body.count(b'"messageId"')
            while sum(one.body.count(b'"messageId"') for one in server.requests) <= events:
                time.sleep(0.02)
            took = time.perf_counter() - began
            used = _cpu_seconds(relay.pid) - before
            others = broker.cpu_seconds() - others
            count = events + 1 - first
            print(
                f"relayed:   {count / took:,.0f} events/s in {len(server.requests)} requests; ",
                end="",
            )
            print(
                f"CPU per event: relay {1e6 * used / count:.1f} µs, broker "
                f"{1e6 * others / count:.1f} µs"
            )
        finally:
            relay.terminate()
            relay.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.broker")
    parser.add_argument("--events", type=int, default=200_000)
    measure(parser.parse_args(arguments).events)
    return 0


if __name__ == "__main__":
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    sys.exit(main())
