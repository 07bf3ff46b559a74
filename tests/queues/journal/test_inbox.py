"""Tests for the inbox: what other processes have sealed is taken, merged and removed."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typing_extensions import override

from segment_logging._queues.journal.directory import JournalDirectory
from segment_logging._queues.journal.inbox import Inbox
from segment_logging._queues.journal.outbox import Outbox
from segment_logging._queues.journal.place import Place
from tests import needs
from tests.builders import run_python
from tests.queues.cases import KEY, JournalCase, a_journal, a_line, acknowledge, taken_from


@needs.file_locks
class InboxCase(JournalCase):
    """A test case with an inbox, whose clock moves by hand."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0
        self.place = Place(str(self.root), KEY)
        self.inbox = self.an_inbox()

    def an_inbox(self, **options: Any) -> Inbox:
        inbox = Inbox(self.place, max_kept_bytes=1 << 20, clock=lambda: self.now, **options)
        self.addCleanup(inbox.release)
        return inbox

    def an_outbox(self) -> Outbox:
        outbox = Outbox(
            self.place,
            max_bytes=1 << 30,
            max_waiting_messages=100,
            max_waiting_bytes=1 << 20,
            sync="off",
            seal_after=60.0,
            wake=lambda: None,
        )
        self.addCleanup(outbox.release)
        return outbox

    def found(self, inbox: Inbox | None = None) -> list[bytes]:
        """Let some time pass, and return what an inbox takes."""
        inbox = inbox or self.inbox
        self.now += 10.0
        inbox.tend(self.now)
        return taken_from(inbox)

    def leave(self, name: str, *contents: bytes) -> Path:
        """Leave files of a process that is dead and had handed its messages over."""
        return self.leave_behind(*(one + b"\n" for one in contents), name=f"{name}-handed-over")


class TestLeftovers(InboxCase):
    def test_an_empty_file_without_an_owner(self) -> None:
        """An empty file in a directory that has lost its `owner.lock` is removed with it."""
        directory = self.leave("1-1-a", a_line(1))
        (directory / "owner.lock").unlink(missing_ok=True)
        (directory / "00000009.jsonl").touch(0o600)
        self.assertEqual(self.found(), [a_line(1)])
        for _ in range(3):
            self.found()
        self.assertFalse(directory.exists())
        self.assertTrue(self.inbox.is_done)

    def test_nothing_is_there_any_more(self) -> None:
        """If all directories are removed by others, nothing is left to wait for."""
        directory = self.leave("1-1-a", a_line(1))
        self.now += 10.0
        self.inbox.tend(self.now)
        self.assertFalse(self.inbox.is_done)
        self.inbox.release()
        self.inbox.tend(self.now)
        shutil.rmtree(directory.parent)
        self.found()
        self.found()
        self.assertTrue(self.inbox.is_done)
        self.assertTrue(self.inbox.is_empty)

    def test_many_small_files(self) -> None:
        """No more files are held than leave some for connections, and all are taken in turn."""
        told = run_python(
            f"""
import json, os, resource
from segment_logging._queues.journal.inbox import Inbox
from segment_logging._queues.journal.place import Place
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (70, hard))
inbox = Inbox(Place({str(self.root)!r}, {KEY!r}), max_kept_bytes=1 << 20)
directory = {str(self.leave("1-1-a", *(a_line(number) for number in range(100))))!r}
inbox.tend(1e9)
held, sizes = len(os.listdir("/proc/self/fd")), []
while (batch := inbox.take()) is not None:
    inbox.acknowledge(len(batch))
    sizes.append(len(batch))
    inbox.tend(1e9 + len(sizes))
print(json.dumps([held, sum(sizes)]))
"""
        )
        held, taken = told
        self.assertLess(held, 60)
        self.assertEqual(taken, 100)


class TestSealed(InboxCase):
    def test_sealed_files_of_a_living_process(self) -> None:
        """A sealed file is taken while its process lives, and removed once it is settled."""
        outbox = self.an_outbox()
        outbox.put(a_line(1))
        outbox.hand_over()
        outbox.put(a_line(2))
        self.assertEqual(self.found(), [a_line(1)])
        self.assertEqual(len(self.files()), 1)
        outbox.hand_over()
        self.assertEqual(self.found(), [a_line(2)])
        self.assertEqual(self.files(), [])

    def test_an_open_file_ends_the_walk(self) -> None:
        """Nothing that comes after a file that is not sealed is taken, so the order holds."""
        directory = self.leave("1-1-a", a_line(1), a_line(2), a_line(3))
        lock = os.open(directory / "00000002.jsonl", os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.assertEqual(self.found(), [a_line(1)])
        os.close(lock)
        self.assertEqual(self.found(), [a_line(2), a_line(3)])

    def test_unsealed_at_once(self) -> None:
        """A file whose lock is released later is found, although its directory did not change."""
        directory = self.leave("1-1-a", a_line(1))
        lock = os.open(directory / "00000001.jsonl", os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.utime(directory, (1, 1))
        self.assertEqual(self.found(), [])
        os.close(lock)
        self.assertEqual(self.found(), [a_line(1)])

    def test_an_empty_file_of_a_living_owner(self) -> None:
        """An empty file is skipped, because its maker may not have locked it yet."""
        directory = self.leave("1-1-a")
        owner = os.open(directory / "owner.lock", os.O_RDONLY)
        self.addCleanup(os.close, owner)
        fcntl.flock(owner, fcntl.LOCK_EX)
        (directory / "00000001.jsonl").touch()
        (directory / "00000002.jsonl").write_bytes(a_line(2) + b"\n")
        self.assertEqual(self.found(), [a_line(2)])
        self.assertTrue((directory / "00000001.jsonl").exists())

    def test_an_empty_file_of_a_dead_owner(self) -> None:
        """An empty file of a dead process is removed with its directory."""
        directory = self.leave("1-1-a")
        (directory / "00000001.jsonl").touch()
        self.found()
        self.found()
        self.assertFalse(directory.exists())

    def test_a_maker_whose_file_is_locked_or_removed(self) -> None:
        """A process whose new file was locked or removed by somebody makes another one."""
        directory = JournalDirectory.make(self.place, "-handed-over")
        self.addCleanup(directory.close)
        opened = directory.folder.open

        def interfere(name: str, flags: int) -> int:
            descriptor = opened(name, flags)
            if name == "00000001.jsonl":
                os.unlink(os.path.join(directory.path, name))
            elif name == "00000002.jsonl":
                lock = opened(name, os.O_RDONLY)
                self.addCleanup(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX)
            return descriptor

        directory.folder.open = interfere  # type: ignore[method-assign]
        file = directory.new_file()
        self.addCleanup(file.close)
        self.assertEqual(file.name, "00000003.jsonl")

    def test_locks_are_held_until_the_file_is_removed(self) -> None:
        """Nobody else can take a file while its messages are on their way."""
        directory = self.leave("1-1-a", a_line(1))
        self.inbox.tend(self.now)
        self.assertIsNotNone(self.inbox.take())
        lock = os.open(directory / "00000001.jsonl", os.O_RDONLY)
        self.addCleanup(os.close, lock)
        with self.assertRaises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        acknowledge(self.inbox)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.assertEqual(self.files(), [])

    def test_damaged_lines(self) -> None:
        """Damaged lines and a torn end are kept in the quarantine, and counted."""
        self.leave_behind(b"\0\0\0\n" + a_line(1) + b'\n{"to', name="1-1-a-handed-over")
        self.assertEqual(self.found(), [a_line(1)])
        self.assertEqual(self.inbox.damaged, 2)
        self.assertIn(b'{"to', self.quarantine.read_bytes())

    def test_a_file_that_somebody_else_removed(self) -> None:
        """A file that is already gone when it is settled counts as delivered."""
        directory = self.leave("1-1-a", a_line(1))
        self.inbox.tend(self.now)
        self.inbox.take()
        (directory / "00000001.jsonl").unlink()
        acknowledge(self.inbox)
        self.assertTrue(self.inbox.is_empty)


class TestMerging(InboxCase):
    def test_small_files_make_full_batches(self) -> None:
        """Files of many dead processes are merged into as few batches as possible."""
        for number in range(12):
            contents = [b"\n".join([a_line(one)] * 10) for one in range(25)]
            self.leave(f"{number:020d}-1-a", *contents)
        batches = []
        self.inbox.tend(self.now)
        while (batch := self.inbox.take()) is not None:
            batches.append(len(batch))
            self.inbox.acknowledge(len(batch))
        self.assertEqual(batches, [2_500, 500])

    def test_old_and_fresh_take_turns(self) -> None:
        """Fresh events do not wait for what dead processes left."""
        for number in range(60):
            self.leave(f"{number:020d}-1-a", *[a_line(number)] * 100)
        outbox = self.an_outbox()
        outbox.put(a_line(1_000_000))
        outbox.hand_over()
        self.inbox.tend(self.now)
        batch = self.inbox.take()
        assert batch is not None
        self.assertIn(a_line(1_000_000), batch.lines)

    def test_order_within_a_directory(self) -> None:
        """The messages of a process stay in order over several batches."""
        lines = [a_line(number, size_bytes=20_000) for number in range(60)]
        self.leave("1-1-a", *lines)
        self.assertEqual(self.found(), lines)

    def test_too_many_open_files(self) -> None:
        """If no more files can be opened, the batch is sent as it is."""
        from resource import RLIMIT_NOFILE, getrlimit, setrlimit  # noqa: PLC0415

        self.leave("1-1-a", *[a_line(number) for number in range(200)])
        before = getrlimit(RLIMIT_NOFILE)
        self.addCleanup(setrlimit, RLIMIT_NOFILE, before)
        setrlimit(RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 50, before[1]))
        self.assertEqual(len(self.found()), 200)

    def test_rate(self) -> None:
        """With a rate, the next batch waits as long as the messages of the last one need, from the
        time at which it was taken."""
        inbox = self.an_inbox(rate=10.0)
        self.leave("1-1-a", *map(a_line, range(10)))
        inbox.tend(self.now)
        inbox.take()
        self.now += 0.4
        inbox.acknowledge(10)
        self.leave("2-1-a", a_line(2))
        self.now = 0.9
        self.assertEqual(inbox.tend(self.now), 1.0)
        self.assertTrue(inbox.is_empty)
        self.now = 1.0
        inbox.tend(self.now)
        self.assertFalse(inbox.is_empty)

    def test_rate_of_a_large_file(self) -> None:
        """With a rate, each batch has at most what may leave in a second, and a larger file is
        split and removed at its end."""
        lines = [a_line(number) for number in range(25)]
        directory = self.leave("1-1-a", b"\n".join(lines))
        self.assertEqual(self.batches_at(10.0), {0: lines[:10], 1: lines[10:20], 2: lines[20:]})
        self.assertEqual(list(directory.glob("*.jsonl")), [])

    def test_rate_below_one(self) -> None:
        """With a rate below 1, a batch has one message, and the next one waits for longer."""
        self.leave("1-1-a", a_line(1), a_line(2))
        self.assertEqual(self.batches_at(0.5), {0: [a_line(1)], 2: [a_line(2)]})

    def test_rate_of_small_files(self) -> None:
        """With a rate, small files are merged up to what may leave in a second."""
        files = [[a_line(2 * number), a_line(2 * number + 1)] for number in range(4)]
        self.leave("1-1-a", *map(b"\n".join, files))
        self.assertEqual(self.batches_at(4.0), {0: files[0] + files[1], 1: files[2] + files[3]})

    def batches_at(self, rate: float) -> dict[float, list[bytes]]:
        """Settle everything with a rate, and return the batches by the time at which they left."""
        inbox = self.an_inbox(rate=rate)
        batches = dict[float, list[bytes]]()
        wake_at = inbox.tend(self.now)
        while inbox.has_backlog:
            if inbox.is_empty:
                self.now = wake_at
            else:
                batch = inbox.take()
                assert batch is not None
                batches[self.now] = list(batch.lines)
                inbox.acknowledge(len(batch))
            wake_at = inbox.tend(self.now)
        return batches


class TestTurns(InboxCase):
    def test_one_delivers(self) -> None:
        """A second inbox stands by until the first one releases its lock."""
        self.leave("1-1-a", a_line(1))
        self.inbox.tend(self.now)
        other = self.an_inbox()
        self.assertEqual(self.found(other), [])
        self.assertEqual((other.is_delivering, other.is_standing_by), (False, True))
        self.inbox.release()
        self.assertEqual(self.found(other), [a_line(1)])

    def test_not_known(self) -> None:
        """Before the first try, and after one that failed, it is not known who delivers."""
        inbox = self.an_inbox()
        self.assertEqual((inbox.is_delivering, inbox.is_standing_by), (False, False))
        self.inbox.tend(self.now)
        inbox.tend(self.now)
        self.assertTrue(inbox.is_standing_by)
        with patch("segment_logging._files.os.open", side_effect=PermissionError(13, "denied")):
            inbox.tend(self.now + 10)
        self.assertEqual((inbox.is_delivering, inbox.is_standing_by), (False, False))

    def test_a_lock_that_was_removed(self) -> None:
        """If its lock is removed, an inbox takes no batch before it holds a lock again."""
        self.leave("1-1-a", a_line(1))
        self.inbox.tend(self.now)
        (self.live.parent / "deliver.lock").unlink()
        self.assertIsNone(self.inbox.take())
        self.assertEqual(self.found(), [a_line(1)])

    def test_locks_that_do_not_work(self) -> None:
        """Where a second descriptor can take the lock as well, nothing is taken, and reported."""
        self.leave("1-1-a", a_line(1))
        works = patch("segment_logging._queues.journal.turn.try_lock", return_value=True)
        with works, self.assertLogs("segment_logging") as logs:
            self.assertEqual(self.found(), [])
        self.assertIn("file locks do not work", logs.output[0])

    def test_handlers_that_deliver_keep_their_files(self) -> None:
        """The files of a living handler that delivers for itself are left to it."""
        journal = a_journal(self.root)
        journal.put(a_line(1))
        batch = journal.take()  # sealed, and on its way
        self.assertEqual(self.found(), [])
        assert batch is not None
        journal.acknowledge(len(batch))
        journal.put(a_line(2))
        journal.abandon()  # as if it had died
        self.assertEqual(self.found(), [a_line(2)])

    def test_while_a_handler_adopts(self) -> None:
        """While another process adopts, only the files of the living are taken."""
        self.leave("1-1-a", a_line(1))
        lock = os.open(self.live.parent / "adopting.lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(lock, fcntl.LOCK_EX)
        outbox = self.an_outbox()
        outbox.put(a_line(2))
        outbox.hand_over()
        self.assertEqual(self.found(), [a_line(2)])
        os.close(lock)
        self.assertEqual(self.found(), [a_line(1)])

    def test_going_back_a_step(self) -> None:
        """A handler that delivers for itself adopts what was handed over, if nobody delivers it."""
        self.leave("1-1-a", a_line(1))
        self.assertEqual(self.adopted_by(a_journal(self.root)), [a_line(1)])

    def test_a_file_on_its_way_is_not_adopted(self) -> None:
        """A handler does not adopt a file that a deliverer is sending."""
        directory = self.leave("1-1-a", a_line(1), a_line(2))
        lock = os.open(directory / "00000001.jsonl", os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        journal = a_journal(self.root)
        self.assertEqual(self.adopted_by(journal), [])
        os.close(lock)
        self.assertEqual(self.adopted_by(journal), [a_line(1), a_line(2)])

    def test_release_forgets_what_is_not_settled(self) -> None:
        """After a release, another inbox sends everything that was not settled."""
        self.leave("1-1-a", a_line(1), a_line(2))
        self.inbox.tend(self.now)
        self.inbox.take()
        self.inbox.acknowledge(1)
        self.inbox.release()
        self.assertEqual(self.inbox.accepted, 1)
        self.assertEqual(self.found(self.an_inbox()), [a_line(2)])

    def test_stopping(self) -> None:
        """An inbox that is stopping seems empty, and takes nothing more."""
        self.leave("1-1-a", a_line(1))
        self.inbox.is_stopping = True
        self.inbox.tend(self.now)
        self.assertTrue(self.inbox.is_empty)

    def test_done(self) -> None:
        """It is done once no process writes any more and all files are gone."""
        outbox = self.an_outbox()
        outbox.put(a_line(1))
        self.found()
        self.assertFalse(self.inbox.is_done)
        outbox.hand_over()
        outbox.release()
        self.found()
        self.found()
        self.assertTrue(self.inbox.is_done)
        self.assertEqual(list(self.live.iterdir()), [])


class TestForeign(InboxCase):
    def test_things_that_are_not_files(self) -> None:
        """Links, pipes and directories in place of files are left and reported, not followed."""
        directory = self.leave("1-1-a", a_line(1))
        secret = self.root / "secret"
        secret.write_bytes(a_line(7) + b"\n")
        (directory / "00000002.jsonl").symlink_to(secret)
        os.mkfifo(directory / "00000003.jsonl")
        (directory / "00000004.jsonl").mkdir()
        os.link(secret, directory / "00000005.jsonl")
        (directory / "00000006.jsonl").write_bytes(a_line(6) + b"\n")
        with self.assertLogs("segment_logging"):
            self.assertEqual(self.found(), [a_line(1), a_line(6)])
        self.assertTrue(secret.exists())
        self.assertEqual(self.inbox.unreadable, 1)

    def test_unreadable_for_a_while(self) -> None:
        """A directory in which others may write is unreadable until its mode is corrected."""
        directory = self.leave("1-1-a", a_line(1))
        directory.chmod(0o777)
        with self.assertLogs("segment_logging"):
            self.assertEqual(self.found(), [])
        self.assertEqual(self.inbox.unreadable, 1)
        directory.chmod(0o700)
        self.assertEqual(self.found(), [a_line(1)])
        self.assertEqual(self.inbox.unreadable, 0)

    def test_a_link_in_place_of_a_directory(self) -> None:
        """A link in place of a process's directory is not followed."""
        elsewhere = self.leave("1-1-a", a_line(1))
        moved = self.root / "elsewhere"
        elsewhere.rename(moved)
        elsewhere.symlink_to(moved)
        with self.assertLogs("segment_logging"):
            self.assertEqual(self.found(), [])
