"""A collector that only counts, in its own process: `python -m benchmarks.collector`.

It is a plain socket server on 127.0.0.1 that supports HTTP/1.1 with keep-alive and uses one thread
per connection. It only counts the events in a body and does not parse it, so that the benchmarks
measure the clients and not the server. See `collector_speed`.
"""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
import time
from threading import Lock, Thread
from urllib.request import ProxyHandler, build_opener

MARK = b'"order_id"'
"""A text that occurs once in every event of every client. (posthog does not send `messageId`.)"""

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


class Counter:
    """Counts events, requests and bytes. It is thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._events = self._requests = self._bytes = 0

    def add(self, events: int, size_bytes: int) -> None:
        with self._lock:
            self._events += events
            self._requests += 1
            self._bytes += size_bytes

    def look(self) -> dict[str, int]:
        with self._lock:
            return {"events": self._events, "requests": self._requests, "bytes": self._bytes}


class Connection:
    """A client's connection, which is served until the client closes it.

    Args:
        peer: the connection's socket.
        counter: counts what arrives.
        is_mute: if True, POST requests are read and counted but never answered.
    """

    def __init__(self, peer: socket.socket, counter: Counter, *, is_mute: bool) -> None:
        self._peer = peer
        self._counter = counter
        self._is_mute = is_mute
        self._ahead = b""

    def serve(self) -> None:
        with self._peer:
            self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                while self._serve_request():
                    pass
            except OSError:
                pass  # the client has disconnected

    def _serve_request(self) -> bool:
        head = self._read_head()
        if head is None:
            return False
        request_line, _, rest = head.partition(b"\r\n")
        headers = dict(
            line.lower().split(b": ", 1) for line in rest.split(b"\r\n") if b": " in line
        )
        body = self._read(int(headers.get(b"content-length", b"0")))
        answer = b'{"success":true}'
        if request_line.startswith(b"GET /counts"):
            answer = json.dumps(self._counter.look()).encode()
        elif request_line.startswith(b"GET /reset"):
            self._counter.reset()
        else:
            packed = headers.get(b"content-encoding") == b"gzip"
            text = gzip.decompress(body) if packed else body
            self._counter.add(text.count(MARK), len(text))
            if self._is_mute:
                return True
        self._peer.sendall(_ANSWER % (len(answer), answer))
        return True

    def _read_head(self) -> bytes | None:
        while b"\r\n\r\n" not in self._ahead:
            data = self._peer.recv(65536)
            if not data:
                return None
            self._ahead += data
        head, _, self._ahead = self._ahead.partition(b"\r\n\r\n")
        return head

    def _read(self, size_bytes: int) -> bytearray:
        body = bytearray(size_bytes)
        taken = self._ahead[:size_bytes]
        body[: len(taken)] = taken
        self._ahead = self._ahead[size_bytes:]
        view = memoryview(body)[len(taken) :]
        while view:
            count = self._peer.recv_into(view)
            if not count:
                raise ConnectionError("the body is shorter than its Content-Length")
            view = view[count:]
        return body


def serve(*, is_mute: bool) -> None:
    """Serve until standard input is closed. The port is printed on the first line."""
    counter = Counter()
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listening.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            peer, _ = listening.accept()
            connection = Connection(peer, counter, is_mute=is_mute)
            Thread(target=connection.serve, daemon=True).start()

    Thread(target=accept, daemon=True).start()
    sys.stdin.read()  # returns when the parent process closes the pipe or ends
    sys.stdout.flush()
    os._exit(0)  # do not wait for threads that are still reading


class Collector:
    """Runs the collector in its own process until the `with` block ends."""

    def __init__(self, *, is_mute: bool = False) -> None:
        self._is_mute = is_mute

    def __enter__(self) -> Collector:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.collector", *(["--mute"] if self._is_mute else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        self._open = build_opener(ProxyHandler({})).open
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def reset(self) -> None:
        """Reset the counts to zero."""
        self._get("/reset")

    def counts(self) -> dict[str, int]:
        """Return the number of events, requests and (decompressed) bytes that arrived."""
        return json.loads(self._get("/counts"))

    def settled_counts(self) -> dict[str, int]:
        """Return the counts after nothing has arrived for a quarter of a second."""
        before = None
        while (now := self.counts()) != before:
            before = now
            time.sleep(0.25)
        return now

    def _get(self, path: str) -> bytes:
        with self._open(self.url + path, timeout=10) as answer:
            return answer.read()


if __name__ == "__main__":
    serve(is_mute="--mute" in sys.argv)
