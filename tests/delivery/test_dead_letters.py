"""Tests for the file of dead letters."""

from __future__ import annotations

import io
import json
import os
import stat
import threading
import unittest
from contextlib import redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

from segment_logging import Batch, Counts, DeliveryError, Message, SegmentHandler, Track
from segment_logging._delivery.dead_letters import DeadLetters
from segment_logging.testing import FakeClient
from tests import needs
from tests.builders import a_record, run_python, syncs_counted

ERROR = DeliveryError("answered 400: fix it", status=400)


class DeadLettersTest(unittest.TestCase):
    """Tests for the file's content, and for how it is written."""

    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.path = self.root / "dead.jsonl"
        self.letters = DeadLetters(str(self.path), clock=lambda: 1_000_000_000.123)

    def read(self) -> list[Any]:
        """Return the values in the file, one per line."""
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]

    def test_a_line_says_what_and_why(self) -> None:
        """A dead letter is a line of JSON with the message, the reason, the status and the time."""
        self.letters.write([{"type": "track", "event": "Signup"}], ERROR)
        self.assertEqual(
            self.read(),
            [
                {
                    "reason": "answered 400: fix it",
                    "status": 400,
                    "time": "2001-09-09T01:46:40.123Z",
                    "message": {"type": "track", "event": "Signup"},
                }
            ],
        )

    def test_appends(self) -> None:
        """Dead letters are appended to the file, one line per message."""
        self.path.write_text('{"old": 1}\n')
        self.letters.write([{"n": 1}, {"n": 2}], ERROR)
        self.letters.write([{"n": 3}], ERROR)
        old, *new = self.read()
        self.assertEqual(old, {"old": 1})
        self.assertEqual([letter["message"] for letter in new], [{"n": 1}, {"n": 2}, {"n": 3}])

    def test_nobody_else_can_read(self) -> None:
        """The file has mode 0600 and a new directory 0700, regardless of the umask."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        DeadLetters(str(self.root / "made" / "dead.jsonl")).write([{}], ERROR)
        self.assertEqual(stat.S_IMODE((self.root / "made").stat().st_mode), 0o700)
        self.assertEqual(stat.S_IMODE((self.root / "made" / "dead.jsonl").stat().st_mode), 0o600)

    def test_may_be_rotated(self) -> None:
        """After the file is moved, the next dead letter creates a new file."""
        self.letters.write([{"n": 1}], ERROR)
        self.path.rename(self.root / "dead.1")
        self.letters.write([{"n": 2}], ERROR)
        self.assertEqual([letter["message"] for letter in self.read()], [{"n": 2}])

    def test_what_is_no_json_becomes_null(self) -> None:
        """A message that cannot be encoded as JSON is written as null."""
        cyclic: dict[str, Any] = {}
        cyclic["self"] = cyclic
        self.letters.write([cyclic, {"n": 1}], ERROR)
        self.assertEqual([letter["message"] for letter in self.read()], [None, {"n": 1}])

    def test_raises_when_it_cannot_be_written(self) -> None:
        """If the path cannot be written, `write` raises an OSError."""
        (self.root / "file").touch()
        with self.assertRaises(OSError):
            DeadLetters(str(self.root / "file" / "dead.jsonl")).write([{}], ERROR)

    def test_synced_when_write_returns(self) -> None:
        """Dead letters are synced when `write` returns, unless `sync` is False."""
        with syncs_counted() as syncs:
            self.letters.write([{}], ERROR, sync=False)
            self.assertEqual(syncs.count, 0)
            self.letters.write([{}], ERROR)
        self.assertEqual(syncs.count, 1)

    def test_a_full_disk_leaves_whole_lines_only(self) -> None:
        """A partly written dead letter is removed again, and an OSError is raised."""
        program = f"""
import json, resource
from segment_logging import DeliveryError
from segment_logging._delivery.dead_letters import DeadLetters
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
letters = DeadLetters({str(self.path)!r})
answers = []
for number in range(4):
    try:
        letters.write([{{"n": number, "pad": "x" * 300}}], DeliveryError("no"))
        answers.append(True)
    except OSError:
        answers.append(False)
print(json.dumps(answers))
"""
        self.assertEqual(run_python(program), [True, True, False, False])
        self.assertEqual([letter["message"]["n"] for letter in self.read()], [0, 1])

    def test_many_threads_write_whole_lines(self) -> None:
        """Several threads may write to the same file; no line is torn or lost."""

        def write(thread: int) -> None:
            letters = DeadLetters(str(self.path))
            for number in range(50):
                letters.write([{"thread": thread, "pad": "x" * 5_000}], ERROR, sync=number == 0)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writers = sorted(letter["message"]["thread"] for letter in self.read())
        self.assertEqual(writers, [0] * 50 + [1] * 50 + [2] * 50 + [3] * 50)

    def test_a_signal_handler_in_the_middle_of_a_write(self) -> None:
        """A signal handler that logs an invalid event during a write does not deadlock."""
        program = f"""
import faulthandler, json, logging, signal
from segment_logging import SegmentHandler
from segment_logging.testing import FakeClient
faulthandler.dump_traceback_later(10, exit=True)
logging.raiseExceptions = False
handler = SegmentHandler("key", client=FakeClient(), dead_letters={str(self.path)!r})
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
logged = 0
def log(*signal):
    global logged
    logged += 1
    logger.info("Event", extra={{"user_id": ""}})
signal.signal(signal.SIGALRM, log)
for number in range(3_000):
    signal.setitimer(signal.ITIMER_REAL, 0.00001 * (1 + number % 20))
    log()
signal.setitimer(signal.ITIMER_REAL, 0)
print(json.dumps([handler.counts().invalid >= 3_000, logged >= 3_000]))
"""
        self.assertEqual(run_python(program), [True, True])

    def test_a_lock_that_somebody_holds_does_not_hold_the_caller(self) -> None:
        """An invalid event is refused at once even if another process holds the file's lock."""
        program = f"""
import faulthandler, fcntl, json, logging, os
from segment_logging import SegmentHandler
from segment_logging.testing import FakeClient
faulthandler.dump_traceback_later(5, exit=True)
logging.raiseExceptions = False
held = os.open({str(self.path)!r}, os.O_RDWR | os.O_CREAT)
fcntl.flock(held, fcntl.LOCK_EX)
handler = SegmentHandler("key", client=FakeClient(), dead_letters={str(self.path)!r})
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
logger.info("Event", extra={{"user_id": "u-17"}})
logger.info("Event", extra={{"user_id": ""}})
print(json.dumps(handler.counts().invalid))
"""
        self.assertEqual(run_python(program), 1)


class JournalDeadLettersTest(unittest.TestCase):
    """Tests for the dead letters of a journal without an explicit path."""

    def test_in_the_journals_directory(self) -> None:
        """With a journal and no path, the dead letters are in DIR/dead-letters.jsonl."""
        with TemporaryDirectory() as directory:
            handler = SegmentHandler("key", client=FakeClient([400]), journal=directory)
            with self.assertLogs("segment_logging"):
                handler.handle(a_record("Event", extra={"user_id": "u"}))
                self.assertTrue(handler.drain(10))
            handler.close()
            (line,) = (Path(directory) / "dead-letters.jsonl").read_bytes().splitlines()
        self.assertEqual(json.loads(line)["message"]["event"], "Event")

    def test_refused_before_the_queue(self) -> None:
        """An invalid event is written with Segment's field names, so it can be fixed and sent."""
        with TemporaryDirectory() as directory, redirect_stderr(io.StringIO()):
            handler = SegmentHandler("key", client=FakeClient(), journal=directory)
            for extra in ({"user_id": "u", "event": ""}, {"user_id": "u", "type": ["track"]}):
                handler.handle(a_record("Event", extra={**extra, "properties": {"a": 1}}))
            handler.close()
            lines = (Path(directory) / "dead-letters.jsonl").read_bytes().splitlines()
        track, unknown = (json.loads(line)["message"] for line in lines)
        self.assertEqual(
            (track["type"], track["userId"], unknown["type"]), ("track", "u", ["track"])
        )
        mended = Message.from_dict({**track, "event": "Signup"})
        assert isinstance(mended, Track)
        self.assertEqual((mended.event, mended.properties), ("Signup", {"a": 1}))

    def test_stays_where_it_was(self) -> None:
        """The file stays in the same directory if the program changes its working directory."""
        with TemporaryDirectory() as directory:
            before = Path.cwd()
            self.addCleanup(os.chdir, before)
            os.chdir(directory)
            handler = SegmentHandler("key", client=FakeClient([200, 400]), journal="journal")
            handler.handle(a_record("Event", extra={"user_id": "u"}))
            self.assertTrue(handler.drain(10))
            (Path(directory) / "elsewhere").mkdir()
            os.chdir("elsewhere")
            with self.assertLogs("segment_logging"):
                handler.handle(a_record("Event", extra={"user_id": "u"}))
                self.assertTrue(handler.drain(10))
            handler.close()
            os.chdir(before)
            self.assertTrue((Path(directory) / "journal" / "dead-letters.jsonl").exists())


@unittest.skipUnless(Path("/dev/full").exists(), "needs /dev/full, which is always full")
class TestFullDisk(unittest.TestCase):
    """With a journal and a full disk, a refused message is not lost, and others are delivered."""

    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.journal = Path(directory.name)

    def deliver(self, client: FakeClient, *events: str, seconds: float = 10.0) -> Counts:
        """Log the events, and drain the journal for at most `seconds`."""
        handler = SegmentHandler(
            "key", client=client, journal=self.journal, dead_letters="/dev/full", max_attempts=1
        )
        for event in events:
            handler.handle(a_record(event, extra={"user_id": "u"}))
        self.said = io.StringIO()
        with redirect_stderr(self.said):
            handler.drain(seconds)
            handler.close()
        return handler.counts()

    def answer(self, message: Message) -> int | None:
        assert isinstance(message, Batch)
        return 400 if any(call.to_dict()["event"] == "Bad" for call in message.batch) else None

    def assert_set_aside(self, client: FakeClient, counts: Counts) -> None:
        delivered = [message.to_dict()["event"] for message in client.messages]
        self.assertEqual(delivered, ["A", "B", "C"])
        self.assertEqual((counts.delivered, counts.dead_lettered, counts.pending), (3, 1, 0))
        (left,) = self.journal.rglob("*.jsonl")
        self.assertEqual(left.parent.name, "quarantine")
        self.assertEqual(stat.S_IMODE(left.stat().st_mode), 0o600)
        self.assertEqual(left.read_text().count('"Bad"'), 1)
        where = f"set aside in the quarantine of the journal {self.journal}"
        self.assertIn(where, self.said.getvalue())

    def test_own(self) -> None:
        """The batch's file is moved to the quarantine, and the other messages are delivered."""
        client = FakeClient(self.answer)
        self.assert_set_aside(client, self.deliver(client, "A", "Bad", "B", "C"))

    def test_adopted(self) -> None:
        """The same happens to the file of a batch that an earlier process left."""
        self.deliver(FakeClient(lambda message: 503), "A", "Bad", "B", "C", seconds=0.1)
        client = FakeClient(self.answer)
        self.assert_set_aside(client, self.deliver(client))


@needs.a_real_disk
class TestNotOurs(unittest.TestCase):
    """Nothing is written to a path that somebody else may have prepared."""

    @override
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "dead.jsonl"

    def write(self, path: object | None = None) -> None:
        letters = DeadLetters(str(path or self.path))
        letters.write([{"type": "track"}], DeliveryError("no", status=400))

    def test_link(self) -> None:
        """A symbolic link is not followed, even if its target does not exist yet."""
        target = self.path.with_name("target")
        self.path.symlink_to(target)
        with self.assertRaisesRegex(OSError, "link"):
            self.write()
        self.assertFalse(target.exists())

    def test_second_name(self) -> None:
        """A file with a second name is not written to."""
        other = self.path.with_name("other")
        other.touch(0o600)
        self.path.hardlink_to(other)
        with self.assertRaisesRegex(OSError, "another name"):
            self.write()
        self.assertEqual(other.read_bytes(), b"")

    def test_pipe(self) -> None:
        """A named pipe is refused at once, whether or not somebody reads it."""
        os.mkfifo(self.path)
        with self.assertRaisesRegex(OSError, "regular file"):
            self.write()
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        with self.assertRaisesRegex(OSError, "regular file"):
            self.write()

    def test_device(self) -> None:
        """A device is refused."""
        with self.assertRaisesRegex(OSError, "regular file"):
            self.write("/dev/null")

    def test_wide_mode(self) -> None:
        """A file that others may read is made private before anything is written to it."""
        self.path.touch()
        self.path.chmod(0o666)
        self.write()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)


@needs.a_real_disk
class TestLimit(unittest.TestCase):
    """The file and its predecessor are limited in size."""

    @override
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "dead.jsonl"
        self.previous = self.path.with_name("dead.jsonl.1")

    def write(self, number: int, *, letters: DeadLetters | None = None) -> int:
        letters = letters or DeadLetters(str(self.path), max_bytes=10_000)
        message = {"type": "track", "event": f"E{number}", "properties": {"x": "y" * 300}}
        return letters.write([message], DeliveryError("no", status=400), sync=False)

    def events(self) -> list[str]:
        lines = self.previous.read_text() + self.path.read_text()
        return [json.loads(line)["message"]["event"] for line in lines.splitlines()]

    def test_oldest_go_first(self) -> None:
        """The newest dead letters are kept, in order, and nothing is cut in the middle."""
        removed = sum(self.write(number) for number in range(100))
        events = self.events()
        self.assertEqual(events, [f"E{number}" for number in range(100 - len(events), 100)])
        self.assertGreater(len(events), 10)
        sizes = self.path.stat().st_size + self.previous.stat().st_size
        self.assertLessEqual(sizes, 10_000)
        each = sizes // len(events)
        self.assertAlmostEqual(removed / each, 100 - len(events), delta=2)

    def test_several_writers(self) -> None:
        """Several writers rotate one file without losing the newest dead letters."""
        writers = [DeadLetters(str(self.path), max_bytes=10_000) for _ in range(4)]
        for number in range(400):
            self.write(number, letters=writers[number % 4])
        events = self.events()
        self.assertEqual(events, [f"E{number}" for number in range(400 - len(events), 400)])
        self.assertGreater(len(events), 10)

    def test_large_message(self) -> None:
        """Of a large message, the beginning and the size are kept."""
        message = {"type": "track", "event": "E", "properties": {"x": "é" * 500_000}}
        DeadLetters(str(self.path)).write([message], DeliveryError("no", status=400))
        letter = json.loads(self.path.read_text())
        self.assertIsNone(letter["message"])
        self.assertGreater(letter["cut"]["size_bytes"], 1_000_000)
        self.assertTrue(letter["cut"]["beginning"].startswith('{"type":"track","event":"E"'))
        self.assertLess(self.path.stat().st_size, 40_000)
