"""Hands damaged files to the code that reads them, for much longer than the tests can.

    python -m tests.longer.fuzz_files [--files 100000] [--seed NUMBER]

Each round leaves the mutated journal files of a dead process beside intact ones, and lets a handler
with a fake client adopt them. A mutated file of dead letters is appended to and imported. The
program fails if anything raises, hangs, or needs more and more memory, or if a message from an
intact file does not arrive. It prints the seed, with which a run can be repeated.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import json
import logging
import os
import random
import resource
import secrets
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from segment_logging import Batch, DeliveryError, Message, SegmentHandler, cli
from segment_logging._client.diverted import divert_sending
from segment_logging._delivery.dead_letters import DeadLetters
from segment_logging._queues.journal.place import Place
from segment_logging._queues.journal.stored import MAX_STORED_BYTES
from segment_logging.testing import FakeClient

FILES_A_ROUND = 200
INTACT_EVERY = 10
HANG_AFTER = 60.0  # seconds
WARM_UP = 0.2  # the part of all files after which memory has to stay as it is
MAX_GROWTH_BYTES = 48 * 1024 * 1024

Mutation = Callable[[random.Random, bytes], bytes]


def a_message(number: int) -> bytes:
    """Return the line of a valid message."""
    return json.dumps(
        {
            "type": "track",
            "event": f"Event {number}",
            "userId": f"user-{number}",
            "messageId": f"message-{number}",
            "timestamp": "2026-11-23T08:00:00.123Z",
            "properties": {"number": number, "text": "ä" * (number % 7)},
        },
        ensure_ascii=False,
    ).encode()


def flip_bits(chance: random.Random, text: bytes) -> bytes:
    changed = bytearray(text)
    for _ in range(chance.randint(1, 20)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(chance: random.Random, text: bytes) -> bytes:
    return text[: chance.randrange(len(text))]


def drop_a_part(chance: random.Random, text: bytes) -> bytes:
    begin, end = sorted(chance.choices(range(len(text)), k=2))
    return text[:begin] + text[end:]


def repeat_a_part(chance: random.Random, text: bytes) -> bytes:
    begin, end = sorted(chance.choices(range(len(text)), k=2))
    return text[:end] + text[begin:end] * chance.randint(1, 5) + text[end:]


def insert(*pieces: bytes) -> Mutation:
    """Return a mutation that inserts one of these pieces anywhere."""

    def mutate(chance: random.Random, text: bytes) -> bytes:
        at = chance.randrange(len(text))
        return text[:at] + chance.choice(pieces) + text[at:]

    return mutate


def nuls(chance: random.Random, text: bytes) -> bytes:
    at = chance.randrange(len(text))
    return text[:at] + bytes(chance.choice((1, 512, 4_096, 70_000))) + text[at:]


def a_huge_line(chance: random.Random, text: bytes) -> bytes:
    size = chance.choice((31_900, 32_001, 300_000, 600_000))
    return text + b'{"type":"track","event":"' + b"x" * size + b'"}\n' + text


def deep_nesting(chance: random.Random, text: bytes) -> bytes:
    depth = chance.choice((50, 900, 5_000, 15_000))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return text + b'{"type":"track","properties":' + opening * depth + closing * depth + b"}\n"


def wrong_types(chance: random.Random, text: bytes) -> bytes:
    values: tuple[object, ...] = (
        None,
        True,
        7,
        -1e308,
        "",
        "x",
        [],
        {},
        [[]],
        {"type": {}},
        {"type": ["track"]},
    )
    message = json.loads(text.split(b"\n", 1)[0])
    if not isinstance(message, dict):
        return text
    for _ in range(chance.randint(1, 4)):
        message[chance.choice([*message, "context", "integrations", "traits"])] = chance.choice(
            values
        )
    wrong = chance.choice((message, chance.choice(values)))
    return json.dumps(wrong).encode() + b"\n" + text


def twice_the_keys(chance: random.Random, text: bytes) -> bytes:
    return text.replace(b"{", b'{"type":"identify","userId":7,"event":null,', chance.randint(1, 3))


def nothing(chance: random.Random, text: bytes) -> bytes:
    return chance.choice((b"", b"\n", b"\n" * 300, b"{}\n" * 300, b" \n", b"\r\n", b"}{\n"))


def in_another_encoding(chance: random.Random, text: bytes) -> bytes:
    encoding = chance.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1"))
    return text.decode().encode(encoding)


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, cut, drop_a_part, repeat_a_part, nuls, a_huge_line, deep_nesting, wrong_types,
    twice_the_keys, nothing, in_another_encoding,
    insert(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xef\xbb\xbf"),
    insert(b"NaN", b"Infinity", b"1e999", b"9" * 5_000, b"\\ud800", b"\x1b[2J", b"\n", b'"', b"}"),
)  # fmt: skip


class Fuzzer:
    """Makes damaged files and checks what becomes of the intact ones.

    Args:
        root: an empty directory.
        seed: what makes the run repeatable.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self._root = root
        self._chance = random.Random(seed)
        self._number = 0
        self.files = 0
        self.delivered = 0
        self.letters = 0
        self.problems: list[str] = []

    def mutated(self) -> bytes:
        """Return the content of a journal file, damaged in one to three ways."""
        count = self._chance.randint(1, 4)
        text = b"".join(a_message(self._next()) + b"\n" for _ in range(count))
        for _ in range(self._chance.choice((1, 1, 1, 2, 3))):
            with contextlib.suppress(ValueError, RecursionError):  # not every text suits every one
                text = self._chance.choice(MUTATIONS)(self._chance, text or b"\n")
        return text[:MAX_STORED_BYTES]  # a larger file is left where it is

    def _next(self) -> int:
        self._number += 1
        return self._number

    def journal_round(self) -> None:
        """Let a handler adopt damaged and intact files."""
        journal = self._root / "journal"
        live = Path(Place(str(journal), "key").live_path)
        expected = set()
        for number in range(FILES_A_ROUND):
            directory = live / f"{number // 5:020d}-1-dead"
            directory.mkdir(0o700, parents=True, exist_ok=True)
            if number % INTACT_EVERY == 0:
                one = self._next()
                expected.add(f"message-{one}")
                content = a_message(one) + b"\n"
            else:
                content = self.mutated()
                self.files += 1
            (directory / f"{number:08d}.jsonl").write_bytes(content)
        client = _Client()
        handler = SegmentHandler(
            "key", journal=journal, client=client, flush_interval=0, max_journal_bytes=50_000_000
        )
        if not handler.drain(HANG_AFTER):
            self.problems.append(f"drain returned False: {handler.counts()}")
        handler.close()
        arrived = client.ids
        if missing := expected - arrived:
            self.problems.append(f"{len(missing)} intact messages did not arrive")
        if left := list(live.glob("*/*.jsonl")):
            self.problems.append(f"{len(left)} files are still there, such as {left[0]}")
        self.delivered += client.count

    def letters_round(self) -> None:
        """Append to a damaged file of dead letters, and import it."""
        path = self._root / "dead.jsonl"
        path.write_bytes(self.mutated())
        path.chmod(0o600)
        DeadLetters(str(path), max_bytes=1_000_000).write(
            [{"intact": 1}], DeliveryError("no"), sync=False
        )
        client = _Client()
        before = divert_sending(lambda message: client.send("a-write-key", message))
        silent = io.StringIO()
        try:
            with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
                code = cli.main(["import", str(path), "--write-key", "a-write-key"])
        finally:
            divert_sending(before)
        if code not in (0, 1, 2):  # 2 if the file looks like that of another format
            self.problems.append(f"the import ended with exit code {code}")
        self.letters += 1


class _Client(FakeClient):
    """Keeps only the ids of what it receives, and checks that each body is JSON in UTF-8."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.count = 0

    @override
    def send(self, write_key: str, message: Message) -> None:
        assert isinstance(message, Batch)
        for one in json.loads(message.body(sent_at=0).decode())["batch"]:
            self.count += 1
            if isinstance(one.get("messageId"), str):
                self.ids.add(one["messageId"])


def memory_bytes() -> int:
    """Return the memory that this process uses now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    """Run the number of files that the arguments name. Return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    logging.getLogger("segment_logging").setLevel(logging.CRITICAL)
    raised: list[str] = []
    threading.excepthook = lambda about: raised.append(repr(about.exc_value))
    began, warm = time.perf_counter(), 0
    with TemporaryDirectory() as directory, contextlib.redirect_stderr(io.StringIO()) as told:
        fuzzer = Fuzzer(Path(directory), options.seed)
        while fuzzer.files < options.files and not fuzzer.problems and not raised:
            faulthandler.dump_traceback_later(2 * HANG_AFTER, exit=True, file=2)
            fuzzer.journal_round()
            for _ in range(FILES_A_ROUND // 10):
                fuzzer.letters_round()
            if not warm and fuzzer.files >= WARM_UP * options.files:
                warm = memory_bytes()
        faulthandler.cancel_dump_traceback_later()
    growth = memory_bytes() - warm
    if growth > MAX_GROWTH_BYTES:
        fuzzer.problems.append(f"memory grew by {growth:,} bytes")
    fuzzer.problems += raised
    if "Traceback" in told.getvalue():
        fuzzer.problems.append(told.getvalue())
    print(
        f"{fuzzer.files:,} damaged journal files, {fuzzer.letters:,} files of dead letters, "
        f"{fuzzer.delivered:,} messages delivered, memory {growth / 1e6:+.1f} MB after the first "
        f"{WARM_UP:.0%}, {time.perf_counter() - began:.0f} s"
    )
    for problem in fuzzer.problems:
        print("PROBLEM:", problem)
    return 1 if fuzzer.problems else 0


if __name__ == "__main__":
    sys.exit(main())
