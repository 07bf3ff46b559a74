"""Tests that files in the formats of version 0.1 are read, as docs/versions.md promises."""

from __future__ import annotations

import json
from hashlib import sha256

from tests.cli.cases import CliCase, run_command

LINE = (
    '{"type":"track","userId":"u-17","event":"E","timestamp":"2026-11-27T17:06:52.711Z",'
    '"messageId":"VdYUAl_m8spQnmN_RvB6PGWd-3"}\n'
)
PROCESS = "01795799212709095525-4775-daf7bae0-handed-over"


class TestFormats(CliCase):
    def test_journal(self) -> None:
        """A file that a process of version 0.1 handed over is sent."""
        journal = self.file.parent / "journal"
        directory = journal / sha256(b"key").hexdigest()[:12] / "live" / PROCESS
        directory.mkdir(parents=True)
        for folder in (journal, *journal.rglob("*")):
            folder.chmod(0o700)
        (directory / "00000001.jsonl").write_text(LINE)
        (directory / "owner.lock").touch()
        collector = self.collected()
        code, _, _ = run_command(
            "journal", str(journal), "--drain", "--write-key", "key", "--host", collector.url
        )
        self.assertEqual((code, [one["event"] for one in collector.messages]), (0, ["E"]))

    def test_dead_letters(self) -> None:
        """A dead letter of version 0.1 is sent again, and its empty file is removed."""
        letter = {"reason": "x", "status": 400, "time": "2026-11-27T17:06:52.711Z"}
        self.letters.write_text(json.dumps({**letter, "message": json.loads(LINE)}) + "\n")
        collector = self.collected()
        replay = ("replay", str(self.letters), "--write-key", "key", "--host", collector.url)
        self.assertEqual((run_command(*replay)[0], len(collector.messages)), (0, 1))
        code, _, said = run_command(*replay)
        self.assertEqual(code, 2)
        self.assertIn("there is no such file", said)

    def test_incurable_letter(self) -> None:
        """A letter whose message breaks Segment's rules stays in the file, unchanged."""
        message = {**json.loads(LINE), "event": ""}
        letter = {"reason": "event is empty", "status": None, "time": "", "message": message}
        self.letters.write_text(json.dumps(letter) + "\n")
        before = self.letters.read_text()
        code, out, _ = run_command(
            "replay", str(self.letters), "--write-key", "key", "--host", self.collected().url
        )
        self.assertEqual((code, self.letters.read_text()), (1, before))
        self.assertIn("1 letter stays in the file", out)

    def test_bookmark(self) -> None:
        """An import continues at a bookmark of version 0.1."""
        self.file.write_text(LINE + LINE.replace('"E"', '"F"'))
        head = sha256(LINE.encode()).hexdigest()
        bookmark = {"offset": len(LINE), "line": 1, "salt": "", "head": head}
        path = self.file.with_name(f"{self.file.name}.imported")
        path.write_text(json.dumps(bookmark))
        path.chmod(0o600)
        collector = self.collected()
        code, _, _ = run_command(
            "import", str(self.file), "--write-key", "key", "--host", collector.url
        )
        self.assertEqual((code, [one["event"] for one in collector.messages]), (0, ["F"]))
