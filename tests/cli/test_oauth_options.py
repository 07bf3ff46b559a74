"""Tests for the options with which commands send to a source that requires OAuth."""

from __future__ import annotations

import io
import json
import unittest
from unittest.mock import Mock, patch

from typing_extensions import override

from segment_logging import ConfigurationError, SegmentHandler
from segment_logging.cli import delivering, relaying
from tests.builders import a_record, a_track
from tests.cli.cases import CliCase, a_line, run_command
from tests.client.test_oauth import HAS_JWT, token_answer
from tests.servers import Answer, Request, ScriptedServer

if HAS_JWT:
    from tests.client.test_oauth import PEM


@unittest.skipUnless(HAS_JWT, "needs PyJWT, from the extra oauth")
class TestOAuthOptions(CliCase):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.pem = self.file.with_name("key.pem")
        self.pem.write_text(PEM)
        self.keys = self.file.with_name("keys")
        self.keys.write_text("key\n")
        self.journal = self.file.with_name("journal")
        server = ScriptedServer([Answer(body=token_answer().body)])
        self.server = self.enterContext(server)

    def options(self) -> tuple[str, ...]:
        """Return the options for the server, which is also the OAuth server."""
        return (
            "--host", self.server.host, "--write-key-file", str(self.keys),
            "--oauth-client-id", "c", "--oauth-key-id", "k", "--oauth-private-key", str(self.pem),
            "--oauth-server", self.server.host,
        )  # fmt: skip

    @property
    def posts(self) -> list[Request]:
        return [one for one in self.server.requests if one.method == "POST"]

    def assert_sent(self, path: str = "/v1/batch") -> None:
        """Assert that a token was requested, and that one request was sent with it."""
        token, sent = self.posts
        self.assertEqual((token.path, sent.path), ("/token", path))
        self.assertEqual(sent.headers["Authorization"], "Bearer t-1")
        self.assertEqual(sent.json["writeKey"], "key")

    def test_import(self) -> None:
        """`import` sends with a token."""
        self.file.write_text(a_line(1))
        code, _, said = run_command("import", str(self.file), *self.options())
        self.assertEqual(code, 0, said)
        self.assert_sent()

    def test_replay(self) -> None:
        """`replay` sends with a token."""
        letter = {"message": json.loads(a_line(1)), "error": "E", "reason": "r"}
        self.file.write_text(json.dumps(letter) + "\n")
        code, _, said = run_command("replay", str(self.file), *self.options())
        self.assertEqual(code, 0, said)
        self.assert_sent()

    def test_send(self) -> None:
        """`send` sends with a token."""
        with patch("sys.stdin", io.TextIOWrapper(io.BytesIO(a_line(1).encode()))):
            code, _, said = run_command("send", *self.options())
        self.assertEqual(code, 0, said)
        self.assert_sent()

    def test_drain(self) -> None:
        """`journal --drain` sends with a token."""
        handler = SegmentHandler("key", journal=str(self.journal), deliver=False)
        handler.handle(a_record(extra={"user_id": "u"}))
        handler.close()
        code, _, said = run_command("journal", str(self.journal), "--drain", *self.options())
        self.assertEqual(code, 0, said)
        self.assert_sent()

    def test_check(self) -> None:
        """`check` sends its test event with a token."""
        script = [Answer(), Answer(body=token_answer().body)]  # the first one is about the clock
        self.server = self.enterContext(ScriptedServer(script))
        _, out, _ = run_command("check", *self.options())
        self.assertRegex(out, "test event: accepted")
        self.assert_sent("/v1/track")

    def test_deliver(self) -> None:
        """`deliver` sends with a token."""
        made = Mock(side_effect=ConfigurationError("as far as this"))
        with patch.object(delivering, "Deliverer", made):
            run_command("deliver", str(self.journal), *self.options())
        made.call_args.args[2].new_client().send("key", a_track())
        self.assert_sent("/v1/track")

    def test_relay(self) -> None:
        """`relay` sends with a token."""
        made = Mock(side_effect=ConfigurationError("as far as this"))
        with patch.object(relaying, "Relay", made):
            run_command("relay", "--broker", "amqp://127.0.0.1:9", *self.options())
        made.call_args.args[0].new_client().send("key", a_track())
        self.assert_sent("/v1/track")

    def test_incomplete(self) -> None:
        """If one of the three options is missing, every command names all three in one line."""
        self.file.write_text(a_line(1))
        for command in (
            ("import", str(self.file)), ("replay", str(self.file)), ("send",),
            ("journal", str(self.journal), "--drain"), ("check",), ("deliver", str(self.journal)),
            ("relay", "--broker", "amqp://127.0.0.1:9"),
        ):  # fmt: skip
            with self.subTest(command=command[0]):
                self.journal.mkdir(mode=0o700, exist_ok=True)
                code, out, said = run_command(*command, *self.options()[:-4])
                self.assertEqual(code, 1 if command[0] == "check" else 2)
                self.assertIn("OAuth needs --oauth-client-id, --oauth-key-id and", out + said)
                self.assertNotIn("Traceback", said)
        self.assertEqual(self.posts, [])


if __name__ == "__main__":
    unittest.main()
