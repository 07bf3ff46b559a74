"""Tests for the `replay` command: letters that are delivered leave their file, all others stay."""

from __future__ import annotations

import json
import os
import unittest
from pathlib import Path
from typing import Any

from segment_logging import DeliveryError
from segment_logging._delivery.dead_letters import DeadLetters
from segment_logging.cli.bookmark import Place
from segment_logging.cli.dead_letter_file import bookmark_of
from segment_logging.collector import Request
from tests.builders import a_track
from tests.cli.cases import CliCase, run_command, start_command
from tests.servers import dead_host


def a_letter(number: int, **fields: Any) -> str:
    """Return a dead letter of a track call."""
    form = {**a_track(f"E{number}", message_id=f"m-{number}").to_dict(), **fields}
    return json.dumps({"reason": "401", "status": 401, "time": "2026", "message": form}) + "\n"


class TestReplay(CliCase):
    def replay(self, host: str, *more: str) -> tuple[int, str, str]:
        arguments = ("replay", str(self.file), "--host", host, "--write-key", "key")
        return run_command(*arguments, "--max-attempts", "1", *more)

    def letters_left(self) -> list[str]:
        """Return the events of the letters in the file."""
        if not self.file.exists():
            return []
        lines = self.file.read_text().splitlines()
        return [json.loads(line)["message"]["event"] for line in lines]

    def neighbours(self) -> list[str]:
        return sorted(one.name for one in self.file.parent.iterdir())

    def test_all(self) -> None:
        """Letters that are delivered leave the file, and an empty file is removed."""
        self.file.write_text("".join(map(a_letter, range(3_000))))
        collector = self.collected()
        code, out, said = self.replay(collector.url)
        self.assertEqual((code, out, said), (0, "3000 messages were delivered\n", ""))
        ids = [one["messageId"] for one in collector.messages]
        self.assertEqual(ids, [f"m-{number}" for number in range(3_000)])
        self.assertEqual(self.neighbours(), [])

    def test_refused_again(self) -> None:
        """Letters that are refused again stay, with the new reason; bad lines stay as they are."""
        bad = '{"reason": "r", "message": null}\n'
        self.file.write_text(a_letter(1) + bad + a_letter(2) + a_letter(3, userId=7))
        collector = self.collected(
            lambda request: 400 if any(
                one.message["event"] == "E2" for one in request.verdict.judged
            ) else None
        )  # fmt: skip
        code, out, said = self.replay(collector.url)
        self.assertEqual(code, 1)
        self.assertIn("2 messages were delivered\n2 letters stay in the file", out)
        self.assertIn("line 2: a dead letter without its message", said)
        self.assertEqual(self.events(collector), ["E1", "E3"])
        lines = self.file.read_text().splitlines(keepends=True)
        self.assertIn(bad, lines)
        (letter,) = (json.loads(line) for line in lines if line != bad)
        self.assertEqual(letter["message"]["event"], "E2")
        self.assertIn("400", letter["reason"])
        self.assertEqual(self.neighbours(), [self.file.name])

    def test_repeated_ids(self) -> None:
        """A letter with the id of another letter stays, because Segment would drop it."""
        other = a_letter(2, messageId="m-1")
        self.file.write_text(a_letter(1) + other + a_letter(1))
        collector = self.collected()
        code, out, said = self.replay(collector.url)
        self.assertEqual(code, 1)
        self.assertIn("2 messages were delivered\n1 letter stays in the file", out)
        self.assertIn(
            "line 2: another message with different content has the same message id", said
        )
        self.assertEqual(self.events(collector), ["E1", "E1"])
        self.assertEqual(self.letters_left(), ["E2"])
        for _ in range(2):  # the next replay does not know the other letter
            code, out, said = self.replay(collector.url)
            self.assertEqual((code, len(collector.messages)), (1, 2))
            self.assertIn(
                "line 1: another message with different content has the same message id", said
            )
        letter = json.loads(self.file.read_text())
        self.assertTrue(letter["reason"].endswith("Segment would drop this one: m-1"), letter)
        self.assertEqual(letter["message"], json.loads(other)["message"])
        letter["message"]["messageId"] = "m-2"
        self.file.write_text(json.dumps(letter) + "\n")
        self.assertEqual(self.replay(collector.url)[0], 0)
        self.assertEqual(self.events(collector), ["E1", "E1", "E2"])
        self.assertEqual(self.neighbours(), [])

    def test_repeated_ids_after_a_kill(self) -> None:
        """A replay that continues knows the ids of the letters before its position."""
        first = a_letter(1)
        self.file.write_text(first + a_letter(2, messageId="m-1") + a_letter(3))
        bookmark_of(str(self.file), self.file.read_bytes()[:4096]).put(Place(len(first), 1))
        collector = self.collected()
        self.assertEqual(self.replay(collector.url)[0], 1)
        self.assertEqual(self.events(collector), ["E3"])
        self.assertEqual(self.letters_left(), ["E2"])

    @unittest.skipUnless(os.name == "posix", "needs the modes of POSIX")
    def test_mode(self) -> None:
        """A file that the group of a journal can read stays so; any other file becomes private."""
        bad = '{"reason": "r", "message": null}\n'
        collector = self.collected(
            lambda request: 400 if any(
                one.message["event"] == "E2" for one in request.verdict.judged
            ) else None
        )  # fmt: skip
        for before, after in ((0o640, 0o640), (0o600, 0o600), (0o644, 0o600)):
            with self.subTest(mode=oct(before)):
                self.file.write_text(a_letter(1) + a_letter(2) + bad)
                self.file.chmod(before)
                self.assertEqual(self.replay(collector.url)[0], 1)
                self.assertEqual(self.file.read_text().count("\n"), 2)
                self.assertEqual(self.file.stat().st_mode & 0o777, after)
                self.file.unlink()

    def test_server_is_down(self) -> None:
        """If nothing can be delivered, the file stays as it is."""
        self.file.write_text("".join(map(a_letter, range(10))))
        before = self.file.read_bytes()
        code, out, _ = self.replay(dead_host())
        self.assertEqual((code, self.file.read_bytes()), (1, before))
        self.assertIn("the other letters are still in the file", out)
        self.assertEqual(self.neighbours(), [self.file.name])
        self.assertTrue(out.endswith("in the file: run the command again to continue\n"), out)
        code, out, _ = self.replay(self.collected(lambda request: 401).url)
        self.assertEqual((code, self.file.read_bytes()), (1, before))
        self.assertIn("in the file: running the command again does not help until this is", out)
        self.assertIn("answered 401 Unauthorized: check the write key", out)

    def test_partly(self) -> None:
        """If the server goes down, only the letters that were delivered have left the file."""
        self.file.write_text("".join(map(a_letter, range(6_000))))
        requests: list[Request] = []

        def answer(request: Request) -> int | None:
            requests.append(request)
            return 503 if len(requests) > 1 else None

        collector = self.collected(answer)
        self.assertEqual(self.replay(collector.url)[0], 1)
        every = [f"E{number}" for number in range(6_000)]
        self.assertEqual(self.events(collector) + self.letters_left(), every)

    def test_older_file(self) -> None:
        """The older file of a rotated pair is sent first."""
        Path(f"{self.file}.1").write_text(a_letter(1))
        self.file.write_text(a_letter(2))
        collector = self.collected()
        self.assertEqual(self.replay(collector.url)[0], 0)
        self.assertEqual(self.events(collector), ["E1", "E2"])
        self.assertEqual(self.neighbours(), [])

    def test_rotated_meanwhile(self) -> None:
        """A handler may rename the file while it is replayed."""
        self.file.write_text("".join(map(a_letter, range(10))))

        def answer(request: Request) -> None:
            os.rename(self.file, f"{self.file}.1")
            self.file.write_text(a_letter(99))

        collector = self.collected(answer)
        self.assertEqual(self.replay(collector.url)[0], 0)
        self.assertEqual(len(collector.messages), 10)
        self.assertEqual((self.letters_left(), self.neighbours()), (["E99"], [self.file.name]))

    def test_live_writer(self) -> None:
        """Letters that a program writes during a replay are neither lost nor removed."""
        self.file.write_text("".join(map(a_letter, range(10))))
        letters = DeadLetters(str(self.file))

        def answer(request: Request) -> None:
            letters.write([a_track("New").to_dict()], DeliveryError("no"))

        self.assertEqual(self.replay(self.collected(answer).url)[0], 0)
        self.assertEqual(self.letters_left(), ["New"])

    def test_repaired(self) -> None:
        """A letter whose message was corrected by hand is delivered."""
        self.file.write_text(a_letter(1, timestamp="never"))
        collector = self.collected()
        self.assertEqual(self.replay(collector.url)[0], 1)
        self.file.write_text(self.file.read_text().replace("never", "2026-01-02T03:04:05Z"))
        self.assertEqual(self.replay(collector.url)[0], 0)
        self.assertEqual(self.events(collector), ["E1"])

    def test_killed(self) -> None:
        """After `kill -9`, the next replay sends the rest; no message arrives under two ids."""
        self.file.write_text("".join(map(a_letter, range(10_000))))
        requests: list[Request] = []

        def answer(request: Request) -> None:
            requests.append(request)
            if len(requests) == 3:
                process.kill()

        collector = self.collected(answer)
        process = start_command("replay", str(self.file), url=collector.url)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, -9)
        self.assertEqual(self.replay(collector.url)[0], 0)
        ids = {one["messageId"] for one in collector.messages}
        self.assertEqual(ids, {f"m-{number}" for number in range(10_000)})
        self.assertLess(len(collector.messages), 14_000)
        self.assertEqual(self.neighbours(), [])

    def test_killed_while_removing(self) -> None:
        """A replay that was killed while it removed letters is finished by the next one."""
        content = "".join(map(a_letter, range(4)))
        aside = Path(f"{self.file}.replayed")
        aside.write_text(content)
        self.file.write_text(a_letter(9))
        collector = self.collected()
        self.assertEqual(self.replay(collector.url)[0], 0)
        self.assertEqual(sorted(self.events(collector)), ["E0", "E1", "E2", "E3", "E9"])
        self.assertEqual(self.neighbours(), [])

    def test_one_at_a_time(self) -> None:
        """A second replay of the same file ends at once."""
        self.file.write_text(a_letter(1))
        codes: list[tuple[int, int]] = []

        def answer(request: Request) -> None:
            other = start_command("replay", str(self.file), url=url)
            _, said = other.communicate(timeout=60)
            codes.append((other.returncode, len(said.splitlines())))

        collector = self.collected(answer)
        url = collector.url
        self.assertEqual(self.replay(url)[0], 0)
        self.assertEqual(codes, [(2, 1)])

    def test_cannot_begin(self) -> None:
        """A missing file, stdin and a compressed file are refused in one line."""
        for path in ("-", f"{self.file}.missing"):
            code, _, said = run_command("replay", path, "--write-key", "key")
            self.assertEqual((code, len(said.splitlines())), (2, 1))


if __name__ == "__main__":
    unittest.main()
