"""Tests of the programs in docs/privacy.md, each on its own."""

from __future__ import annotations

import gzip
import json
import logging
import os
import tempfile
import unittest
from pathlib import Path
from typing import Any

from segment_logging import SegmentHandler, identity
from segment_logging.testing import capture_segment

from .pages import blocks_of


def names_of(function: str) -> dict[str, Any]:
    """Return what the block that defines a function defines when it runs on its own."""
    (block,) = (one for one in blocks_of("docs/privacy.md") if f"def {function}(" in one.text)
    names: dict[str, Any] = {}
    exec(block.text, names)
    return names


class TestConsent(unittest.TestCase):
    def test_dropped(self) -> None:
        """Events without the visitor's consent, or if nothing is known, are dropped."""
        logger = logging.Logger("docs")
        before_send = names_of("only_with_consent")["only_with_consent"]
        logger.addHandler(SegmentHandler("key", before_send=before_send))
        contexts: tuple[dict[str, Any], ...] = (
            {},
            {"consent": {"categoryPreferences": {}}},
            {"consent": {"categoryPreferences": {"analytics": False, "advertising": True}}},
            {"consent": {"categoryPreferences": {"analytics": True}}},
        )
        with capture_segment() as captured:
            for number, context in enumerate(contexts):
                with identity(user_id="u-17", context=context):
                    logger.info("Event %d", number, extra={"message_id": f"m-{number}"})
        self.assertEqual([one.to_dict()["messageId"] for one in captured], ["m-3"])

    def test_job(self) -> None:
        """A job binds the stored choice, which decides whether the event is sent."""
        logger = logging.Logger("docs")
        before_send = names_of("only_with_consent")["only_with_consent"]
        logger.addHandler(SegmentHandler("key", before_send=before_send))
        names = names_of("renewed")
        names["logger"] = logger
        with capture_segment() as captured:
            logger.info("Renewed", extra={"user_id": "u-16"})
            names["renewed"]("u-17", {"analytics": True})
            names["renewed"]("u-18", {"analytics": False})
        self.assertEqual([one.user.user_id for one in captured], ["u-17"])


class TestTokens(unittest.TestCase):
    def test_removed(self) -> None:
        """Tokens in the path are removed from all addresses of the page, and nothing else is."""
        logger = logging.Logger("docs")
        before_send = names_of("without_tokens")["without_tokens"]
        logger.addHandler(SegmentHandler("key", before_send=before_send))
        url = "https://shop.example/accounts/reset/MQ/cxd3k1-5f/"
        page = {"path": "/accounts/reset/MQ/cxd3k1-5f/", "url": f"{url}?utm_source=a"}
        with capture_segment() as captured:
            for bound in ({**page, "referrer": url, "title": "Reset"}, {"path": "/preset/1/"}, {}):
                with identity(user_id="u-17", context={"page": bound} if bound else {}):
                    logger.info("Reset", extra={"segment": True})
        first, second, third = (one.to_dict()["context"].get("page") for one in captured)
        removed = "https://shop.example/accounts/reset/removed"
        self.assertEqual(
            first,
            {
                "path": "/accounts/reset/removed",
                "url": f"{removed}?utm_source=a",
                "referrer": removed,
                "title": "Reset",
            },
        )
        self.assertEqual((second, third), ({"path": "/preset/1/"}, None))


class TestDeletion(unittest.TestCase):
    def test_mode_and_group(self) -> None:
        """A changed file keeps its mode and its group."""
        delete_lines = names_of("delete_lines")["delete_lines"]
        groups = {os.getegid(), 4711} if os.geteuid() == 0 else {os.getegid(), *os.getgroups()}
        with tempfile.TemporaryDirectory() as directory:
            for group in groups:
                for mode in (0o600, 0o640, 0o660):
                    path = Path(directory, f"{group}-{mode}.jsonl")
                    lines = [json.dumps({"userId": one}) + "\n" for one in ("u-17", "u-18")]
                    path.write_text("".join(lines), encoding="utf-8")
                    os.chown(path, -1, group)
                    path.chmod(mode)
                    self.assertEqual(delete_lines(path, {"u-17"}), 1)
                    self.assertEqual(path.read_text(encoding="utf-8"), lines[1])
                    found = path.stat()
                    self.assertEqual((found.st_mode & 0o777, found.st_gid), (mode, group))

    def test_bookkeeping(self) -> None:
        """The number in a file `room` is not taken for an id."""
        delete_messages = names_of("delete_messages")["delete_messages"]
        with tempfile.TemporaryDirectory() as directory:
            room = Path(directory, "0123456789ab", "live", "1-2", "room")
            room.parent.mkdir(parents=True)
            room.write_text("524288", encoding="utf-8")
            self.assertEqual(delete_messages(directory, [42]), 0)
            self.assertEqual(room.read_text(encoding="utf-8"), "524288")

    @unittest.skipUnless(os.geteuid() == 0, "only root can become other users")
    def test_owners(self) -> None:
        """As root, files keep their owners, and another user is told that nothing was changed."""
        with tempfile.TemporaryDirectory() as directory:
            os.chown(directory, 65_501, -1)
            for name, owner in (("a.jsonl", 65_501), ("b.jsonl", 65_502)):
                path = Path(directory, name)
                path.write_text('{"userId": "u-17"}\n{"userId": "u-18"}\n', encoding="utf-8")
                os.chown(path, owner, -1)
            delete_messages = names_of("delete_messages")["delete_messages"]
            os.seteuid(65_501)
            try:
                with self.assertRaisesRegex(SystemExit, "b.jsonl belongs to another user"):
                    delete_messages(directory, ["u-17"])
            finally:
                os.seteuid(0)
            self.assertEqual(delete_messages(directory, ["u-17"]), 2)
            owners = [Path(directory, name).stat().st_uid for name in ("a.jsonl", "b.jsonl")]
            self.assertEqual(owners, [65_501, 65_502])
            self.assertEqual(sorted(os.listdir(directory)), ["a.jsonl", "b.jsonl"])

    def test_compressed(self) -> None:
        """Lines of a gzip file are deleted, and a damaged gzip file is an error."""
        delete_messages = names_of("delete_messages")["delete_messages"]
        with tempfile.TemporaryDirectory() as directory:
            path, journal = Path(directory, "events.jsonl.gz"), Path(directory, "journal")
            journal.mkdir()
            lines = [json.dumps({"userId": one}).encode() + b"\n" for one in ("u-17", "u-18")]
            packed = gzip.compress(b"".join(lines))
            path.write_bytes(packed)
            self.assertEqual(delete_messages(journal, ["u-17"], path), 1)
            self.assertEqual(gzip.decompress(path.read_bytes()), lines[1])
            path.write_bytes(packed[:-6])
            with self.assertRaises(EOFError):
                delete_messages(journal, ["u-17"], path)

    def test_numbers(self) -> None:
        """An id that is a number in the file is found by its digits, and the reverse."""
        delete_messages = names_of("delete_messages")["delete_messages"]
        with tempfile.TemporaryDirectory() as directory:
            path, journal = Path(directory, "events.jsonl"), Path(directory, "journal")
            journal.mkdir()
            for given in ("17", 17):
                lines = [json.dumps({"userId": one}) + "\n" for one in (17, "17", 170, None)]
                path.write_text("".join(lines), encoding="utf-8")
                self.assertEqual(delete_messages(journal, [given], path), 2)
                self.assertEqual(path.read_text(encoding="utf-8"), "".join(lines[2:]))


if __name__ == "__main__":
    unittest.main()
