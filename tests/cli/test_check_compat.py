"""Tests for the `check` command on applications that use `compat.analytics`."""

from __future__ import annotations

import unittest

from tests.cli.checks import BEGINNING, KEY, CheckCase
from tests.servers import dead_host

IMPORT = "from segment_logging.compat import analytics\n"


class TestDefaultClient(CheckCase):
    def app(self, program: str) -> None:
        (self.directory / "app.py").write_text(program)

    def test_settings(self) -> None:
        """The module's settings are read before its first call, and its host gets the event."""
        host = self.collector.url
        self.app(f"{IMPORT}analytics.write_key, analytics.host = {KEY!r}, {host!r}")
        code, out, said = self.check(
            "--app", "app", environment={"SEGMENT_WRITE_KEY": None, "SEGMENT_HOST": None}
        )
        self.assertEqual((code, said), (0, ""), out)
        self.assertIn("ok       handler: analytics has a default client", out)
        (request,) = self.collector.requests
        self.assertEqual(request.write_key, KEY)

    def test_host(self) -> None:
        """A host without a server is a problem, although SEGMENT_HOST has one."""
        self.app(f"{IMPORT}analytics.write_key, analytics.host = {KEY!r}, {dead_host()!r}")
        self.assertFinds(self.problems("--app", "app", "--no-event"), "connection", "")

    def test_invalid_setting(self) -> None:
        """An invalid setting is a problem, and nothing is said about a missing handler."""
        for setting, subject, text in (
            ("host = 'segment.example'", "configuration", "host must be a URL"),
            ("max_total_backoff_duration = -1", "configuration", "non-negative"),
            ("write_key = 'YOUR_WRITE_KEY'", "write key", "is a placeholder"),
            ("write_key = 5", "write key", "write_key must have"),
        ):
            with self.subTest(setting):
                self.app(f"{IMPORT}analytics.write_key = {KEY!r}\nanalytics.{setting}")
                found = self.problems("--app", "app", "--no-event")
                self.assertFinds(found, subject, f"a setting of analytics is invalid: {text}"[:35])
                self.assertIn(text, found[0])

    def test_no_write_key(self) -> None:
        """A missing write key is a problem, unless the application has other handlers."""
        self.app(IMPORT)
        found = self.problems("--app", "app", "--no-event")
        self.assertFinds(found, "write key", "analytics.write_key is not set")
        self.app(f"{IMPORT}client = analytics.Client({KEY!r})")
        self.assertEqual(self.problems("--app", "app", "--no-event"), [])
        self.app(f"{IMPORT}{BEGINNING}log.addHandler(handler)")
        self.assertEqual(self.problems("--app", "app", "--no-event"), [])

    def test_send(self) -> None:
        """If `send` is False, that is a problem. The loggers are checked, too."""
        self.app(f"{IMPORT}analytics.write_key, analytics.send = {KEY!r}, False")
        found = self.problems("--app", "app", "--no-event")
        self.assertFinds(found, "send", "analytics.send is False")

    def test_unused(self) -> None:
        """An application that does not import the module does not get it imported."""
        self.app(f"""{BEGINNING}
import atexit, sys
log.addHandler(handler)
atexit.register(lambda: print(sorted(name for name in sys.modules if "compat.ana" in name)))
""")
        _, out, _ = self.check("--app", "app", "--no-event")
        self.assertEqual(out.splitlines()[-1], "[]")

    def test_threads(self) -> None:
        """The client is created without a thread, and its calls are not sent."""
        self.app(f"""{IMPORT}
import atexit, threading
analytics.write_key = {KEY!r}
analytics.track("u-1", "Signup")
atexit.register(lambda: print(sorted(one.name for one in threading.enumerate())))
""")
        _, out, _ = self.check("--app", "app", "--no-event")
        self.assertEqual(out.splitlines()[-1], "['MainThread']")
        self.assertEqual(self.collector.messages, [])


if __name__ == "__main__":
    unittest.main()
