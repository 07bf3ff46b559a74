"""Tests that every request, however odd, has a clean answer."""

from __future__ import annotations

import base64
import gzip
import json
import socket

from segment_logging.collector import Answer, Collector, Request

from .serving import GOOD, OverHttp, captured_reports

HEAD = b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\n"
END = b"Connection: close\r\n"


class TestBodies(OverHttp):
    def test_chunked(self) -> None:
        """A chunked body is read, with extensions and trailers."""
        collector = self.start()
        body = b"a;x=1\r\n" + GOOD[:10] + b"\r\n%x\r\n" % len(GOOD[10:]) + GOOD[10:]
        request = (
            HEAD + END + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"\r\n0\r\nA: b\r\n\r\n"
        )
        self.assertIn(b" 200 ", self.raw(collector, request))
        self.assertEqual(collector.messages[0]["event"], "E")

    def test_bad_chunks(self) -> None:
        """A chunked body with a fault is refused."""
        collector = self.start()
        head = HEAD + b"Transfer-Encoding: chunked\r\n"
        for body in (b"zz\r\n", b"-1\r\n", b"3\r\nabcdef\r\n", b"3\r\nab", b"1" * 2_000, b"\r\n"):
            with self.subTest(body=body[:10]):
                self.assertIn(b" 400 ", self.raw_ending(collector, head + b"\r\n" + body))
        both = head + b"Content-Length: 5\r\n\r\n0\r\n\r\n"
        self.assertIn(b" 400 ", self.raw(collector, both))
        other = HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n"
        self.assertIn(b" 501 ", self.raw(collector, other))

    def raw_ending(self, collector: Collector, request: bytes) -> bytes:
        """Send bytes and nothing more, and return the answer."""
        address = ("127.0.0.1", int(collector.url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(65_536)

    def test_large_chunked(self) -> None:
        """A chunked body of 3 MB is refused, and the client can read the answer."""
        collector = self.start()
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        self.assertIn(b" 400 ", self.raw(collector, head + chunk * 3 + b"0\r\n\r\n"))
        self.assertIn("3,145,728 bytes", collector.arrivals[0].reason or "")

    def test_gzip_members(self) -> None:
        """A gzip body may have several members."""
        collector = self.start()
        body = gzip.compress(GOOD[:10]) + gzip.compress(GOOD[10:])
        self.assertEqual(self.post(collector, body, Content_Encoding="GZIP"), 200)

    def test_text_plain(self) -> None:
        """The content type does not matter, as sendBeacon sends text."""
        collector = self.start()
        self.assertEqual(self.post(collector, Content_Type="text/plain;charset=UTF-8"), 200)


class TestOddities(OverHttp):
    def test_authorization(self) -> None:
        """An odd Authorization header is ignored."""
        collector = self.start()
        for value in ("Basic", "Basic \xe9\xe9", "Basic %%%", "Basic /w==", "Bearer x", "basic "):
            with self.subTest(value=value):
                self.assertEqual(self.post(collector, Authorization=value), 200)
        key = base64.b64encode(b"key:").decode()
        self.assertEqual(self.post(collector, Authorization=f"bAsIc  {key}"), 200)
        self.assertEqual([one.write_key for one in collector.requests], [None] * 6 + ["key"])

    def test_targets(self) -> None:
        """An odd target has an error as its answer, in JSON."""
        collector = self.start()
        for target in (b"http://[::1/", b"*", b"/%ff/../x", b"/" + b"a" * 70_000, b"/a b"):
            with self.subTest(target=target[:20]):
                answer = self.raw(
                    collector,
                    b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n" + END + b"\r\n",
                )
                self.assertRegex(answer, rb"^HTTP/1.1 4\d\d ")
                self.assertFalse(json.loads(answer.partition(b"\r\n\r\n")[2])["success"])

    def test_deep_nesting(self) -> None:
        """Deep nesting is refused or accepted, but never an error of the collector."""
        collector = self.start(keep=10)
        for depth in (100, 900, 990, 5_000, 100_000):
            for start, end in (("[", "]"), ('{"a":', "}")):
                nested = start * depth + ("1" if end == "}" else "") + end * depth
                body = f'{{"userId":"u","event":"E","properties":{{"a":{nested}}}}}'
                with self.subTest(depth=depth):
                    self.assertIn(self.post(collector, body.encode()), (200, 400))
        batch = '{"batch":[{"userId":"u","context":%s}],"context":%s}'
        deep = '{"a":' * 900 + "1" + "}" * 900
        self.assertIn(
            self.post(collector, (batch % (deep, deep)).encode(), "/v1/batch"), (200, 400)
        )
        self.get_json(collector, "/api/messages")

    def test_numbers(self) -> None:
        """Numbers that no JSON has, and numbers that readers cannot hold, are refused."""
        collector = self.start()
        for number in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 5_000, "01", "+1"):
            with self.subTest(number=number[:10]):
                body = f'{{"userId":"u","event":"E","properties":{{"n":{number}}}}}'
                self.assertEqual(self.post(collector, body.encode()), 400)

    def test_get_with_a_body(self) -> None:
        """The body of a GET request is ignored, and the connection can be used again."""
        collector = self.start()
        get = b"GET /api/counts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        answer = self.raw(collector, get + b"\r\nabc" + get + END + b"\r\nabc")
        self.assertEqual(answer.count(b"HTTP/1.1 200 OK"), 2)

    def test_head(self) -> None:
        """HEAD has the headers of GET and no body."""
        collector = self.start()
        for path in ("/", "/page.js", "/api/messages", "/api/stream", "/nothing"):
            with self.subTest(path=path):
                status, headers, body = self.ask(collector, "HEAD", path)
                self.assertEqual((status, body), (404 if path == "/nothing" else 200, b""))
                self.assertIsNotNone(headers["Content-Type"])

    def test_methods(self) -> None:
        """A method that there is not has an error as its answer."""
        collector = self.start()
        for method in ("PUT", "PATCH", "DELETE"):
            self.assertEqual(self.ask(collector, method, "/v1/track", b"{}")[0], 405)
        self.assertEqual(self.ask(collector, "BREW", "/v1/track")[0], 501)
        self.assertEqual(self.ask(collector, "POST", "/api/messages", b"")[0], 405)

    def test_not_http(self) -> None:
        """What is not HTTP is answered and not reported."""
        collector = self.start()
        with captured_reports() as said:
            self.raw(collector, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
            self.raw(collector, b"GET / HTTP/9.9\r\n\r\n")
            self.raw(collector, HEAD + b"A: " + b"b" * 70_000 + b"\r\n\r\n")
        self.assertEqual(said, [])
        self.assertEqual(self.post(collector), 200)

    def test_short_paths(self) -> None:
        """The paths of analytics.js are the same as the long ones."""
        collector = self.start()
        call = {"userId": "u", "event": "E", "name": "N", "groupId": "g", "previousId": "p"}
        for path in "tpigas":
            self.post(collector, json.dumps(call).encode(), f"/v1/{path}")
        self.post(collector, json.dumps({"batch": [{"type": "track", **call}]}).encode(), "/v1/b")
        self.assertEqual(
            [message["type"] for message in collector.messages],
            ["track", "page", "identify", "group", "alias", "screen", "track"],
        )
        self.post(collector, b"{}", "/v1/m")  # figures about analytics.js itself
        self.assertEqual(len(collector.requests), 7)


class TestAnswers(OverHttp):
    def test_answer_that_raises(self) -> None:
        """If the `answer` function raises, the answer is 500, with one report without values."""

        def answer(request: Request) -> int:
            raise ValueError("secret")

        with captured_reports() as said:
            collector = self.start(answer=answer)
            self.assertEqual([self.post(collector) for _ in range(3)], [500] * 3)
        (report,) = said
        self.assertIn("answer raised ValueError", report)
        self.assertNotIn("secret", report)
        self.assertEqual([one.reason for one in collector.arrivals], ["answered 500"] * 3)

    def test_answer_of_a_wrong_type(self) -> None:
        """If the `answer` function returns something else, the answer is 500."""
        with captured_reports() as said:
            collector = self.start(answer=lambda request: "no")
            self.assertEqual(self.post(collector), 500)
        self.assertIn("answer raised TypeError", said[0])

    def test_on_arrival_that_raises(self) -> None:
        """If `on_arrival` raises, the client is answered all the same."""
        with captured_reports() as said:
            collector = self.start(on_arrival=lambda arrival: 1 / 0)
            self.assertEqual([self.post(collector), self.post(collector)], [200, 200])
        self.assertEqual(len(said), 1)

    def test_script_as_text(self) -> None:
        """A text describes the answers."""
        collector = self.start(answer="429:retry-after=2,500*2,ok")
        status, headers, _ = self.ask(collector, "POST", "/v1/track", GOOD)
        self.assertEqual((status, headers["Retry-After"]), (429, "2"))
        self.assertEqual([self.post(collector) for _ in range(4)], [500, 500, 200, 200])

    def test_script_that_is_set_later(self) -> None:
        """New answers can be set while the collector runs."""
        collector = self.start()
        self.assertEqual(self.post(collector), 200)
        collector.answer = [503]
        self.assertEqual([self.post(collector), self.post(collector)], [503, 200])
        collector.answer = "500*"
        self.assertEqual([self.post(collector), self.post(collector)], [500, 500])

    def test_hang(self) -> None:
        """A request that hangs is released by the client, and by the collector's end."""
        collector = self.start(answer="hang*")
        for _ in range(2):
            with self.assertRaises(OSError):
                self.ask(collector, "POST", "/v1/track", GOOD, timeout=0.2)
        self.assertEqual({one.reason for one in collector.arrivals}, {"hung up"})

    def test_204(self) -> None:
        """An answer that must not have a body has none."""
        collector = self.start(answer=[Answer(204), Answer(200)])
        self.assertEqual(self.ask(collector, "POST", "/v1/track", GOOD)[2], b"")
        self.assertEqual(self.post(collector), 200)
