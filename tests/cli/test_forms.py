"""Tests for reading lines: archives, dead letters, and the reasons why a line is not a message."""

from __future__ import annotations

import gzip
import json
import unittest
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from segment_logging._messages.encoding import decode
from segment_logging.cli.forms import BadLine, ready
from segment_logging.cli.lines import MAX_LINE_BYTES, DamagedFile, Line, Source, lines_in
from segment_logging.errors import ConfigurationError
from tests.builders import a_track, each


def a_line(value: Any) -> Line:
    """Return a line with a JSON value, or with bytes."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Line(1, 0, len(content), content, len(content), True)


def sent(value: Any, **options: Any) -> dict[str, Any]:
    """Return the message that is sent for a line."""
    form: dict[str, Any] = decode(ready(a_line(value), lambda: "new", **options).encoded)
    return form


def stored(**fields: Any) -> dict[str, Any]:
    """Return a message like those in Segment's archives."""
    return {
        "type": "track",
        "userId": "u-17",
        "event": "Signup",
        "messageId": "m-1",
        "properties": {"version": 3, "sentAt": "yesterday"},
        "context": {"ip": "1.2.3.4", "app": {"version": "7"}, "version": "9", "sentAt": "x"},
        "timestamp": "2024-01-01T00:00:00.500Z",
        "originalTimestamp": "2024-01-01T00:00:00Z",
        "sentAt": "2024-01-01T00:00:01Z",
        "receivedAt": "2024-01-01T00:00:02Z",
        "projectId": "p",
        "version": 2,
        "writeKey": "other",
        "channel": "server",
        "_metadata": {"bundled": []},
        **fields,
    }


class TestForms(unittest.TestCase):
    def test_archive(self) -> None:
        """What Segment's servers have set is left out, but not what the caller had sent."""
        self.assertEqual(
            sent(stored()),
            {
                "type": "track",
                "userId": "u-17",
                "event": "Signup",
                "messageId": "m-1",
                "properties": {"version": 3, "sentAt": "yesterday"},
                "context": {"ip": "1.2.3.4", "app": {"version": "7"}, "version": "9"},
                "timestamp": "2024-01-01T00:00:00.500Z",
                "channel": "server",
            },
        )

    def test_time_of_the_archive(self) -> None:
        """A stored message without a timestamp keeps its time."""
        self.assertEqual(sent(stored(timestamp=None))["timestamp"], "2024-01-01T00:00:00.000Z")
        form = stored(timestamp=None)
        del form["originalTimestamp"]
        self.assertEqual(sent(form)["timestamp"], "2024-01-01T00:00:02.000Z")

    def test_dead_letter(self) -> None:
        """The message in a dead letter is sent, also from a dead letter of a dead letter."""
        form = a_track("E", message_id="m-1").to_dict()
        letter = {"reason": "401", "status": 401, "time": "2026-01-01T00:00:00Z", "message": form}
        self.assertEqual(sent(letter), form)
        self.assertEqual(sent({"reason": "again", "message": letter}), form)

    def test_message_with_such_keys(self) -> None:
        """A message with extra keys called reason and message is not taken for a dead letter."""
        form = {**a_track("E").to_dict(), "reason": "r", "message": {"event": "F"}}
        self.assertEqual(sent(form)["event"], "E")

    def test_new_ids(self) -> None:
        """Messages without an id get one, and all of them if they are to be replaced."""
        form = {"type": "track", "userId": "u", "event": "E"}
        self.assertEqual(sent(form)["messageId"], "new")
        self.assertEqual(sent({**form, "messageId": "m-1"})["messageId"], "m-1")
        self.assertEqual(sent({**form, "messageId": "m-1"}, replace_id=True)["messageId"], "new")

    def test_byte_order_mark(self) -> None:
        """A byte order mark at the beginning is not part of the message."""
        self.assertEqual(sent(b"\xef\xbb\xbf" + a_line(stored()).content)["event"], "Signup")

    def test_reasons(self) -> None:
        """Each line that is not a message has its true reason, without its contents."""
        for value, expected in each(
            (b"no json", "not JSON (column 1: Expecting value)"),
            (b'{"a": }', "not JSON (column 7: Expecting value)"),
            (b'{"a": "\xff"}', "not UTF-8 (byte 8)"),
            (b"[" * 20_000, "nested too deeply"),
            (b"1" * 5_000, "contains a number with too many digits"),
            ([1], "an array, not an object"),
            ("text", "text, not an object"),
            (17, "a number, not an object"),
            (True, "true or false, not an object"),
            (None, "null, not an object"),
            ({"type": "ada@example.org"},
             "not one of Segment's calls: its type is missing or unknown"),
            (stored(timestamp="ada@example.org"), "its timestamp is not a valid time"),
            (stored(userId=""), "user_id is empty (id_not_string)"),
            (stored(properties=["ada@example.org"]), None),
            (stored(properties={"x": "y" * 40_000}),
             "larger than Segment's limit of 32,000 bytes (40,"),
            ({"reason": "r", "message": None}, "a dead letter without its message"),
            ({"reason": "r", "message": "text"}, "a dead letter whose message is text"),
            ({"batch": []}, "a whole batch, not a single message"),
        ):  # fmt: skip
            with self.subTest(expected), self.assertRaises(BadLine) as raised:
                sent(value)
            self.assertIn(expected or "properties", str(raised.exception))
            self.assertNotIn("ada", str(raised.exception))

    def test_too_long(self) -> None:
        """A line that was too long to be read says so."""
        with self.assertRaisesRegex(BadLine, "longer than 1,048,576 bytes .1,500,000,000 bytes."):
            ready(Line(1, 0, 1_500_000_001, b"", 1_500_000_000, True), str)


class TestLines(unittest.TestCase):
    def test_positions(self) -> None:
        """Lines have their numbers and offsets, wherever the pieces end."""
        content = b"one\n\ntwo\r\nthree"
        for size in range(1, len(content) + 1):
            pieces = (content[at : at + size] for at in range(0, len(content), size))
            found = list(lines_in(pieces))
            self.assertEqual([one.content for one in found], [b"one", b"", b"two\r", b"three"])
            self.assertEqual([one.number for one in found], [1, 2, 3, 4])
            self.assertEqual([content[one.start : one.end] for one in found],
                             [b"one\n", b"\n", b"two\r\n", b"three"])  # fmt: skip
            self.assertEqual([one.is_ended for one in found], [True, True, True, False])

    def test_too_long(self) -> None:
        """A line that is too long is skipped, with its size; the lines around it are read."""
        content = b"one\n" + b"x" * 30 + b"\ntwo\n" + b"y" * 11
        for size in range(1, len(content) + 1):
            pieces = (content[at : at + size] for at in range(0, len(content), size))
            found = list(lines_in(pieces, longest=10))
            self.assertEqual([(one.content, one.size_bytes, one.is_too_long) for one in found],
                             [(b"one", 3, False), (b"", 30, True),
                              (b"two", 3, False), (b"", 11, True)])  # fmt: skip
            self.assertEqual(found[-1].end, len(content))

    def test_holds_little(self) -> None:
        """Of an endless line, only a piece is held."""

        def pieces() -> Iterator[bytes]:
            for _ in range(5_000):
                yield b"x" * 65_536
            yield b"\nend\n"

        found = list(lines_in(pieces()))
        self.assertEqual([one.size_bytes for one in found], [5_000 * 65_536, 3])


class TestSource(unittest.TestCase):
    def source(self, content: bytes) -> Source:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = Path(directory.name, "file")
        path.write_bytes(content)
        source = Source(str(path))
        self.addCleanup(source.close)
        return source

    def test_gzip(self) -> None:
        """Gzip data is recognised by its content, also with several members and padding."""
        content = b"".join(b'{"n": %d}\n' % number for number in range(100_000))
        packed = gzip.compress(content[:700_000]) + gzip.compress(content[700_000:]) + bytes(512)
        found = list(self.source(packed).lines())
        self.assertEqual(b"".join(one.content + b"\n" for one in found), content)
        half = found[50_000]
        again = list(self.source(packed).lines(half.start, half.number - 1))
        self.assertEqual(again, found[50_000:])

    def test_bomb(self) -> None:
        """Zeros that were compressed to a thousandth are one line that is too long."""
        (line,) = self.source(gzip.compress(bytes(100 << 20))).lines()
        self.assertEqual((line.size_bytes, line.content), (100 << 20, b""))

    def test_damaged(self) -> None:
        """The lines before the damage are yielded."""
        content = b"".join(b'{"n": %d}\n' % (number * 7919) for number in range(100_000))
        packed = gzip.compress(content)
        broken = bytearray(packed)
        broken[-6] ^= 255
        for damaged, expected in ((packed[:-900], "too early"), (bytes(broken), "damaged"),
                                  (packed + b"junk", "damaged")):  # fmt: skip
            source, count = self.source(damaged), 0
            with self.assertRaisesRegex(DamagedFile, expected):
                for _ in source.lines():
                    count += 1
            self.assertGreater(count, 80_000)

    def test_other_formats(self) -> None:
        """Files of other formats are refused, with what to do."""
        for content, expected in (
            (b"\x28\xb5\x2f\xfd...", "zstd"), (b"BZh9...", "bzip2"), (b"\xfd7zXZ\0...", "xz"),
            (b"PK\x03\x04...", "zip"), (b"PAR1...", "Parquet"), (b"\xff\xfe{\0", "UTF-16"),
            (b"{\0", "UTF-16"), (b"\0{", "UTF-16"),
        ):  # fmt: skip
            with self.assertRaisesRegex(ConfigurationError, expected):
                self.source(content)

    def test_other_shapes(self) -> None:
        """JSON that is not one object per line is refused, compressed or not."""
        one = '{"type": "track"}'
        for text, expected in (
            (f"[{one}, {one}]", "JSON array"), (f"[\n  {one}\n]\n", "JSON array"),
            (f"\ufeff[{one},\n{one}]\n", "JSON array"),
            ('{\n  "type": "track"\n}\n', "several lines"), (f"{one}\r{one}\r", "carriage returns"),
        ):  # fmt: skip
            for content in (text.encode(), gzip.compress(text.encode())):
                with self.assertRaisesRegex(ConfigurationError, expected):
                    self.source(content)
        for text in (f"[]\n{one}\n", f"[1]\n{one}\n", f"{one}\r\n{one}\r\n", f"{one} {one}"):
            self.assertTrue(list(self.source(text.encode()).lines()))

    def test_not_a_file(self) -> None:
        """A directory and a device are refused."""
        for path in ("/", "/dev/zero"):
            with self.assertRaises(ConfigurationError):
                Source(path)

    def test_limit(self) -> None:
        """The longest line that is read has 1 MiB."""
        found = list(self.source(b"x" * MAX_LINE_BYTES + b"\n" + b"x" * MAX_LINE_BYTES + b"x\n")
                     .lines())  # fmt: skip
        self.assertEqual([one.is_too_long for one in found], [False, True])


if __name__ == "__main__":
    unittest.main()
