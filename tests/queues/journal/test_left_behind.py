"""Tests for messages that were left in another directory when the journal's mode was changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

from segment_logging import SegmentHandler
from segment_logging._queues.journal.left_behind import left_in, text_of_left
from segment_logging._queues.journal.place import group_name, trust_in
from segment_logging.testing import FakeClient
from tests import needs
from tests.builders import a_record
from tests.faults.delivering import wait_until
from tests.queues.cases import KEY, JournalCase


def open_to_group(root: Path) -> None:
    """Change the modes as Kubernetes does for an `fsGroup`."""
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode & 0o7777 | (0o2770 if path.is_dir() else 0o660))


def close_to_group(root: Path) -> None:
    """Change the modes as `chmod -R go-w` does."""
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode & 0o7755)


@needs.a_real_disk
class LeftBehindTest(JournalCase):
    """A journal whose directory's mode was changed so that others may write in it."""

    @property
    def own(self) -> Path:
        """The directory of this user in the journal."""
        return self.root / f"u{os.geteuid()}"

    def leave(self, root: Path) -> Path:
        """Leave an event in a journal, and return the directory of the write key."""
        handler = SegmentHandler(KEY, journal=str(root), deliver=False)
        handler.handle(a_record("Left", extra={"user_id": "u"}))
        handler.close()
        return root / self.live.parent.name

    def reports(self, events: int, **options: Any) -> list[str]:
        """Log events to a handler and close it. Return what was reported."""
        handler = SegmentHandler(KEY, journal=str(self.root), **options)
        said: list[str] = []
        with mock.patch("segment_logging._reports.report", lambda text, *_: said.append(text)):
            for _ in range(events):
                handler.handle(a_record("New", extra={"user_id": "u"}))
            self.assertTrue(handler.drain(10))
            if "deliver" in options:
                wait_until(lambda: said)
            handler.close()
        return said

    def test_others_may_write(self) -> None:
        """The messages are reported once, with the ways to send them."""
        left = self.leave(self.root)
        open_to_group(self.root)
        client = FakeClient()
        said = self.reports(3, client=client)
        self.assertEqual(len(client.messages), 3)
        self.assertEqual(
            said,
            [
                f"messages in {left} are not sent, because the journal is {self.own} instead of "
                f"{self.root} (others may write in {self.root}): run `chmod -R go-w {self.root}` "
                f"or, if others must write in it, run `segment-logging import "
                f"{left}/live/*/*.jsonl` with their write key, and remove {left} if that ended "
                "with exit code 0 and no process writes to it"
            ],
        )

    def test_deliver_false(self) -> None:
        """A handler that does not deliver reports them as well."""
        left = self.leave(self.root)
        open_to_group(self.root)
        said = self.reports(1, deliver=False)
        self.assertEqual(said, [text_of_left(str(left), str(self.root))])

    def test_ways_out(self) -> None:
        """After `chmod -R go-w`, they are sent, and messages that then remain in the other
        directory are reported. The command in that report sends them."""
        self.leave(self.root)
        open_to_group(self.root)
        left = self.leave(self.own)
        close_to_group(self.root)
        client = FakeClient()
        said = self.reports(0, client=client)
        self.assertEqual([message.to_dict()["event"] for message in client.messages], ["Left"])
        self.assertEqual(
            said,
            [
                f"messages in {left} are not sent, because the journal is {self.root} instead of "
                f"{self.own} (others may not write in {self.root}): run `segment-logging journal "
                f"{self.own} --drain` with their write key"
            ],
        )

    def test_nothing_left(self) -> None:
        """Directories without messages are not reported."""
        left = self.leave(self.root)
        open_to_group(self.root)
        (file,) = left.glob("live/*/*.jsonl")
        self.assertEqual(left_in(str(self.root)), [str(left)])
        file.unlink()
        self.assertEqual(left_in(str(self.root)), [])
        self.assertEqual(self.reports(1, client=FakeClient()), [])

    def test_ordinary_journal(self) -> None:
        """If the mode has not changed, nothing is reported."""
        self.leave(self.root)
        self.assertEqual(self.reports(1, client=FakeClient()), [])

    def test_living_process(self) -> None:
        """A running process sends its own messages, so they are not reported."""
        with self.assertLogs("segment_logging"):
            handler = SegmentHandler(
                KEY, journal=str(self.root), client=FakeClient([500] * 9), shutdown_timeout=0
            )
            handler.handle(a_record("Event", extra={"user_id": "u"}))
            open_to_group(self.root)
            self.assertEqual(left_in(str(self.root)), [])
            handler.close()
            wait_until(lambda: left_in(str(self.root)))

    def test_other_keys(self) -> None:
        """A handler only looks for its own write key, and commands look for all of them."""
        left = self.leave(self.root)
        open_to_group(self.root)
        self.assertEqual(left_in(str(self.root), keys=["0123456789ab"]), [])
        self.assertEqual(left_in(f"{self.root}/"), [str(left)])

    def test_link(self) -> None:
        """A link in place of the directory is not followed."""
        left = self.leave(self.root)
        elsewhere = self.root.parent / left.name
        left.rename(elsewhere)
        left.symlink_to(elsewhere)
        open_to_group(self.root)
        self.assertEqual(left_in(str(self.root)), [])

    def test_directory_of_another_user(self) -> None:
        """If the journal was given to another user, changing its mode is not advised."""
        left = self.leave(self.root)
        with mock.patch("os.stat", lambda _: mock.Mock(st_uid=os.geteuid() + 1)):
            text = text_of_left(str(left), str(self.root))
        self.assertIn(f"({self.root} belongs to another user): run `segment-logging import", text)
        self.assertNotIn("chmod", text)

    def test_group(self) -> None:
        """With a group, messages in the directory of this user are found, and no file's mode is
        changed. The journal's own directories belong to root then, so nothing is found there."""
        group = str(os.getegid())
        handler = SegmentHandler(KEY, journal=str(self.own), journal_group=group, deliver=False)
        handler.handle(a_record("Left", extra={"user_id": "u"}))
        handler.close()
        self.root.chmod(0o2770)
        before = {path: path.stat().st_mode for path in self.root.rglob("*")}
        trust = trust_in(group)
        (path,) = left_in(str(self.root), trust)
        text = text_of_left(path, str(self.root), trust)
        self.assertIn(f"{self.own} --drain --group {group_name(os.getegid())}`", text)
        self.assertEqual({path: path.stat().st_mode for path in self.root.rglob("*")}, before)
        self.root.chmod(0o777)
        self.assertEqual(left_in(str(self.root), trust), [])
