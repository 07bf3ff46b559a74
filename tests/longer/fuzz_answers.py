"""Random answers to a client and to a handler: no error but ours, no hang, no growth.

python -m tests.longer.fuzz_answers --count 100000 --seed 1

Every answer is a good one that was mutated: bytes changed, parts repeated, cut or swapped, headers
added that mean something. The server sends it and closes the connection, or keeps it open.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from typing_extensions import override

from segment_logging import DeliveryError, HttpClient, Message, SegmentError, SegmentHandler
from tests.builders import a_record, a_track
from tests.raw_servers import RawServer

KEY = "s3cr3t-write-key"
LONGEST = 8.0  # seconds for one exchange, whose limits are far below
MOST_GROWTH = 16_384  # KiB of memory, after the first answers
MOST_REPORTS = 20_000  # bytes on stderr for each minute

STATUSES = (
    b"200 OK", b"200 OK", b"207 Multi-Status", b"204 No", b"100 Continue", b"103 Early",
    b"302 Found", b"400 Bad", b"401 No", b"407 Proxy", b"413 Big", b"429 Many", b"500 X",
    b"503 Busy", b"999 X",
)  # fmt: skip
HEADERS = (
    b"Content-Length: 16", b"Content-Length: 17, 18", b"Content-Length: -1", b"Location: http://[",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Encoding: gzip",
    b"Retry-After: 0.01", b"Retry-After: Fri, 99 Foo", b"Retry-After: nan", b"Connection: close",
    b"Date: Thu, 01 Jan 1970 00:00:00 GMT", b"X-RateLimit-Reset: 1e999", b"Set-Cookie: a=b",
    b"Content-Type: text/plain; charset=x", b"Content-Type: text/html", b"Keep-Alive: timeout=x",
    b" folded: x", b"no colon", b"X-\xff: \x00", b"X-Long: " + b"x" * 70_000,
)  # fmt: skip
BODIES = (
    b'{"success":true}', b'{"success":false}', b'{"ok":false,"errors":["Message ID: m-1: bad"]}',
    b'{"error":{"code":"x","message":"s3cr3t-write-key \xe2\x80\xae"}}', b"<html>", b"",
    b"5\r\nhello\r\n0\r\n\r\n",
    b'{"errors":' * 500 + b"1" + b"}" * 500, b"[" * 5_000, b"\x1f\x8b\x08\x00", b"x" * 70_000,
    b'{"success":false,"errors":[{"messageId":"m-1","status":400,"message":"\\ud800"}]}',
)  # fmt: skip


def an_answer(rng: random.Random) -> bytes:
    """Return a random answer, which often is a valid one."""
    headers = [rng.choice(HEADERS) for _ in range(rng.randrange(4))]
    body = rng.choice(BODIES)
    if rng.random() < 0.6:
        headers.append(b"Content-Length: %d" % len(body))
    answer = bytearray(
        b"HTTP/1.1 " + rng.choice(STATUSES) + b"\r\n" + b"".join(one + b"\r\n" for one in headers)
        + b"\r\n" + body
    )  # fmt: skip
    for _ in range(rng.choice((0, 0, 0, 1, 2, 8))):
        at, size = rng.randrange(len(answer) + 1), rng.randrange(1, 20)
        match rng.randrange(4):
            case 0:
                answer[at : at + size] = rng.randbytes(size)
            case 1:
                del answer[at : at + size]
            case 2:
                answer[at:at] = answer[at : at + size] * rng.randrange(1, 4)
            case 3:
                del answer[at:]
    return bytes(answer)


class Impatient(HttpClient):
    """A client whose errors ask for no wait, which may be as long as five minutes."""

    @override
    def send(self, write_key: str, message: Message) -> None:
        try:
            super().send(write_key, message)
        except DeliveryError as error:
            error.retry_after = None
            raise


def most_memory() -> int:
    """Return the most memory that this process has used, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def serve(seed: int) -> RawServer:
    """Return a server that answers each request with a random answer."""
    rng = random.Random(seed)

    def behave(server: RawServer, connection: Any) -> None:
        while server.take(connection) is not None:
            server.requests.clear()
            server.forget()
            connection.sendall(an_answer(rng))
            if rng.random() < 0.98:  # else the client waits for what its headers announce
                return

    return RawServer(behave)


def fuzz_client(count: int, seed: int) -> Counter[str]:
    """Send one message after another, and return how many times each outcome occurred."""
    outcomes: Counter[str] = Counter()
    before, slowest = 0, 0.0
    with serve(seed) as server:
        client = HttpClient(server.url, timeout=(1, 0.02))
        message = a_track(message_id="m-1")
        for number in range(count):
            began = time.monotonic()
            try:
                client.send(KEY, message)
                outcomes["delivered"] += 1
            except SegmentError as error:
                outcomes[f"{type(error).__name__} {getattr(error, 'status', '')}"] += 1
                text = f"{error} {vars(error)}"
                if KEY in text or len(text) > 20_000:
                    raise AssertionError(f"answer {number} of seed {seed}: {text}") from None
            slowest = max(slowest, time.monotonic() - began)
            if slowest > LONGEST:
                raise AssertionError(f"answer {number} of seed {seed} took {slowest:.1f} s")
            if number == min(count // 10, 5_000):
                before = most_memory()
        client.close()
    growth = most_memory() - before
    print(f"slowest exchange {slowest:.2f} s, the most memory grew by {growth:,} KiB", flush=True)
    if growth > MOST_GROWTH:
        raise AssertionError(f"memory grew by {growth:,} KiB with seed {seed}")
    return outcomes


def fuzz_handler(count: int, seed: int) -> None:
    """Deliver messages through a handler, and compare its counts."""
    began, said = time.monotonic(), StringIO()
    with serve(seed + 1) as server, redirect_stderr(said), tempfile.TemporaryDirectory() as at:
        handler = SegmentHandler(
            KEY,
            client=Impatient(server.url, timeout=(1, 0.02)),
            flush_interval=0.0,
            max_attempts=1,
            dead_letters=f"{at}/dead-letters",
        )
        for number in range(count):
            handler.handle(a_record(f"event {number}", extra={"user_id": "u-17"}))
            if number % 20 == 0:
                handler.drain(10)
        is_drained = handler.drain(120)
        counts = handler.counts()
        handler.close()
    minutes = 1 + (time.monotonic() - began) / 60
    print(f"{counts}, {len(said.getvalue()):,} bytes on stderr")
    if not is_drained or counts.pending or counts.accepted != count:
        raise AssertionError(f"the handler did not settle all messages with seed {seed}")
    if KEY in said.getvalue() or len(said.getvalue()) > MOST_REPORTS * minutes:
        raise AssertionError(f"too much on stderr with seed {seed}")


def main() -> int:
    """Run both, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.longer.fuzz_answers")
    parser.add_argument("--count", type=int, default=2_000, help="answers to the client")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    for outcome, number in fuzz_client(options.count, options.seed).most_common():
        print(f"{number:8,}  {outcome}")
    fuzz_handler(max(options.count // 20, 100), options.seed)
    print(f"at most {most_memory() // 1024} MiB of memory")
    return 0


if __name__ == "__main__":
    sys.exit(main())
