"""Tests for the `check` command, each on an application made for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import unittest
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import Any

from typing_extensions import override

from segment_logging._broker.bundles import key_name_of
from segment_logging._client.hosts import EU_HOST, US_HOST
from segment_logging.cli.network_checks import check_region
from segment_logging.collector import Collector
from tests.builders import PROJECT
from tests.cli.checks import BEGINNING, KEY, CheckCase
from tests.servers import dead_host

SEVERAL = """
import gc, json, logging, sys
from segment_logging.cli.logging_checks import checks_of_logging
found = []
for program in json.load(sys.stdin):
    logging.disable(logging.NOTSET)
    logging.root.handlers.clear()
    logging.root.manager.loggerDict.clear()
    gc.collect()
    space = {}
    exec(sys.argv[1] + program, space)
    found.append(list(checks_of_logging()))
    space.clear()
print(json.dumps(found))
"""
"""Checks the logging of several programs."""


class TestLogging(CheckCase):
    def test_nothing_wrong(self) -> None:
        """An application without problems sends one test event."""
        self.assertEqual(self.problems_of_app("log.addHandler(handler)"), [])
        (message,) = self.collector.messages
        self.assertEqual(message["anonymousId"], "segment-logging-check")
        self.assertEqual(self.collector.dropped, [])

    def test_another_process_delivers(self) -> None:
        """A handler that only writes to a journal needs no network, and sends no test event."""
        place = str(self.directory / "journal")
        program = f"log.addHandler(SegmentHandler('key', journal={place!r}, deliver=False))"
        self.assertEqual(self.problems_of_app(f"del handler\n{program}"), [])
        self.assertEqual(self.collector.messages, [])

    def test_broker(self) -> None:
        """A broker that cannot be reached is one problem, and not one of Segment's host."""
        url = dead_host().replace("http", "amqp")
        program = f"log.addHandler(SegmentHandler('key', broker={url!r}))"
        found = self.problems_of_app(f"del handler\n{program}")
        self.assertFinds(found, "test event", "127.0.0.1")

    def test_loggers(self) -> None:
        """Each mistake with loggers and handlers is found, with what to do."""
        cases = []
        for program, subject, text in (
            ("log.addHandler(handler); log.setLevel('WARNING')", "level",
             "the level of the logger 'shop' is WARNING: set it to INFO"),
            ("log.addHandler(handler); log.setLevel('NOTSET')", "level", "which it inherits"),
            ("log.addHandler(handler); handler.setLevel('ERROR')", "level",
             "the handler's level is ERROR"),
            ("log.addHandler(handler); logging.disable(logging.CRITICAL)", "level",
             "logging.disable(CRITICAL)"),
            ("log.addHandler(handler); logging.getLogger('shop.cart').setLevel('ERROR')", "level",
             "'shop.cart'"),
            ("log.addHandler(handler); log.disabled = True", "disabled",
             "disable_existing_loggers to false"),
            ("log.addHandler(handler); dictConfig({'version': 1, 'loggers': {'other': {}}})",
             "disabled", "the logger 'shop' is disabled"),
            ("pass", "handler", "is not attached to any logger"),
            ("del handler", "handler", "there is no SegmentHandler"),
            ("log.addHandler(handler); logging.root.addHandler(handler); "
             "logging.root.setLevel('INFO')", "attached twice", "'shop', 'root'"),
            ("log.addHandler(handler); cart = logging.getLogger('shop.cart'); "
             "cart.propagate = False", "propagate", "'shop.cart'"),
        ):  # fmt: skip
            cases.append((program, subject, text))
        found = json.loads(self.run_python(json.dumps([program for program, _, _ in cases])))
        for (program, subject, text), findings in zip(cases, found, strict=True):
            with self.subTest(program):
                problems = [one for one in findings if one[0] == "problem"]
                self.assertEqual([one[1] for one in problems], [subject], problems)
                self.assertIn(text, problems[0][2])
                if "handler.setLevel" in program:
                    self.assertNotIn("passes INFO to it", str(findings))

    def run_python(self, programs: str) -> str:
        """Run programs in one process, each with fresh loggers; return the findings as JSON."""
        return subprocess.run(
            [sys.executable, "-c", SEVERAL, BEGINNING], input=programs, text=True, timeout=60,
            cwd=PROJECT, env={**os.environ, "SEGMENT_WRITE_KEY": KEY}, check=True,
            stdout=subprocess.PIPE,
        ).stdout  # fmt: skip

    def test_behind_another_handler(self) -> None:
        """A SegmentHandler behind a MemoryHandler is attached."""
        program = "from logging.handlers import MemoryHandler\nlog.addHandler("
        self.assertEqual(self.problems_of_app(program + "MemoryHandler(9, target=handler))"), [])

    @unittest.skipUnless(find_spec("loguru"), "needs loguru")
    def test_sink_of_loguru(self) -> None:
        """If the application uses loguru, a handler that is not attached is only a note."""
        program = "from loguru import logger\nlogger.add(handler)"
        self.assertEqual(self.problems_of_app(program), [])
        _, out, _ = self.check("--app", "app:log")
        self.assertIn("attached to any logger: unless it is a sink of loguru, add it to", out)

    def test_compat(self) -> None:
        """The handlers of `compat.analytics` are not meant to be attached to a logger."""
        program = """del handler
from segment_logging.compat import analytics
analytics.write_key = 'key'
analytics.flush()
"""
        self.assertEqual(self.problems_of_app(program), [])

    def test_logging_config(self) -> None:
        """A configuration is checked in each format, also if it cannot be applied."""
        good: dict[str, Any] = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"segment": {"class": "segment_logging.SegmentHandler"}},
            "loggers": {"shop": {"level": "INFO", "handlers": ["segment"]}},
        }
        path = self.directory / "logging.json"
        path.write_text(json.dumps(good))
        self.assertEqual(self.problems("--logging-config", str(path)), [])
        (self.directory / "logging.yaml").write_text(json.dumps(good))
        self.assertEqual(self.problems("--logging-config", "logging.yaml"), [])
        good["loggers"]["shop"]["handlers"] = []
        path.write_text(json.dumps(good))
        self.assertIn("not attached", self.problems("--logging-config", str(path))[0])
        good["handlers"]["segment"]["write_key"] = "https://api.segment.io"
        path.write_text(json.dumps(good))
        self.assertIn(
            "write_key must not be a URL", self.problems("--logging-config", str(path))[0]
        )
        path.write_text("{")
        self.assertIn("is not valid JSON", self.problems("--logging-config", str(path))[0])

    def test_cannot_be_loaded(self) -> None:
        """An application that cannot be imported is a problem, in one line."""
        (self.directory / "bad.py").write_text("raise ValueError('ada@example.org')")
        (line,) = self.problems("--app", "bad:app")
        self.assertIn("bad:app cannot be loaded (ValueError in bad.py, line 1)", line)
        self.assertNotIn("ada", line)
        self.assertIn("there is no module missing", self.problems("--app", "missing:app")[0])


class TestKeysAndHosts(CheckCase):
    def test_write_keys(self) -> None:
        """A missing key, a placeholder and a URL are found, and the key is never shown."""
        for key, text in (
            (None, "there is none"),
            ("YOUR_WRITE_KEY", "is a placeholder"),
            ("https://api.segment.io/v1", "must not be a URL"),
        ):
            self.assertFinds(self.problems(SEGMENT_WRITE_KEY=key), "write key", text)
        found = self.problems_of_app("log.addHandler(handler)", SEGMENT_WRITE_KEY=None)
        self.assertFinds(found, "write key", "there is none")
        self.assertNotIn(KEY, self.check()[1])

    def test_region(self) -> None:
        """A host that does not belong to the region, or accepts no events, is found."""
        for base, region, text in (
            (US_HOST, "eu", "the region is 'eu', but events go to https://api.segment.io"),
            (EU_HOST, "us", "the region is 'us', but"),
            ("https://app.segment.com", "us", "app.segment.com is the host of the app"),
        ):
            (found,) = check_region(base, region)
            self.assertEqual((found.grade, found.subject), ("problem", "region"))
            self.assertIn(text, found.text)
        (found,) = check_region(EU_HOST, "eu")
        self.assertEqual(found.grade, "ok")

    def test_dns(self) -> None:
        """A name that cannot be resolved is found."""
        found = self.problems("--host", "http://no-such-host.invalid", "--no-event")
        self.assertFinds(found, "DNS", "no-such-host.invalid cannot be resolved")

    def test_connection(self) -> None:
        """A host that refuses connections is found."""
        self.assertFinds(
            self.problems("--host", dead_host(), "--no-event"), "connection", "refused"
        )

    def test_proxy(self) -> None:
        """A proxy that cannot be reached is found, and its password is not shown."""
        proxy = dead_host().replace("http://", "http://ada:secret@")
        code, out, _ = self.check("--no-event", environment={"http_proxy": proxy})
        self.assertEqual(code, 1)
        self.assertIn("PROBLEM  proxy: ", out)
        self.assertIn("through the proxy 127.0.0.1:", out)
        self.assertNotIn("secret", out)

    def test_tls(self) -> None:
        """A server that does not speak TLS is found."""
        found = self.problems("--host", self.collector.url.replace("http:", "https:"), "--no-event")
        self.assertFinds(found, "TLS", "is not secure")

    def test_clock(self) -> None:
        """A clock that is an hour off is found."""

        class Past(BaseHTTPRequestHandler):
            @override
            def date_time_string(self, timestamp: float | None = None) -> str:
                return formatdate(1_000_000_000, usegmt=True)

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            @override
            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Past)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        host = f"http://127.0.0.1:{server.server_port}"
        self.assertFinds(self.problems("--host", host, "--no-event"), "clock", "s ahead of")

    def test_test_event(self) -> None:
        """A test event that is refused is a problem, with what the server said."""
        with Collector(answer=lambda request: 401) as refusing:
            found = self.problems("--host", refusing.url)
        self.assertFinds(found, "test event", "answered 401 Unauthorized: check the write key")

    def test_json(self) -> None:
        """--json prints all findings."""
        code, out, _ = self.check("--json")
        told = json.loads(out)
        self.assertEqual((code, told[-1]["subject"], told[-1]["grade"]), (0, "test event", "ok"))


class TestPlaces(CheckCase):
    def test_journal(self) -> None:
        """A journal that cannot be written, or is somebody else's, is found."""
        file = self.directory / "file"
        file.touch()
        self.assertFinds(self.problems("--journal", str(file)), "journal", "name a directory")
        self.assertFinds(self.problems("--journal", "/proc/nowhere"), "journal", "be written")
        journal = self.directory / "journal"
        self.assertEqual(self.problems("--journal", str(journal)), [])
        self.assertFalse(journal.exists())
        program = f"log.addHandler(SegmentHandler(journal={'/proc/nowhere'!r}))"
        self.assertIn("PROBLEM  journal: /proc/nowhere", str(self.problems_of_app(program)))

    def test_journal_of_another_user(self) -> None:
        """A journal of another user is found."""
        if os.geteuid() != 0:
            self.skipTest("needs root, to make a directory of another user")
        journal = self.directory / "journal"
        journal.mkdir()
        os.chown(journal, 40_002, 40_002)
        found = self.problems("--journal", str(journal))
        self.assertFinds(found, "journal", "belongs to another user")

    def test_other_write_keys(self) -> None:
        """Messages of other write keys that wait are noted, and those of this one are not."""
        journal = self.directory / "journal"
        for key, name in ((KEY, "1"), ("other", "1-handed-over"), ("third", "1")):
            folder = journal / key_name_of(key) / "live" / name
            folder.mkdir(parents=True)
            (folder / "00000001.jsonl").write_text("" if key == "third" else "{}\n")
        journal.chmod(0o700)
        code, out, _ = self.check("--journal", str(journal), "--no-event")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"note +journal: messages of 1 other write key wait in it")
        self.assertIn(f"('{key_name_of('other')}'", out)
        self.assertIn("import the files with the right key", out)

    def test_workers(self) -> None:
        """uWSGI without threads is found, in its configuration and in its own process."""
        (self.directory / "uwsgi.ini").write_text("[uwsgi]\nprocesses = 4\n")
        self.assertFinds(self.problems(), "workers", "uwsgi.ini forks workers without threads")
        (self.directory / "uwsgi.ini").write_text("[uwsgi]\nenable-threads = true\n")
        self.assertEqual(self.problems(), [])
        program = """
        import sys, types
        sys.modules["uwsgi"] = types.ModuleType("uwsgi")
        sys.modules["uwsgi"].opt = {b"processes": b"4"}
        log.addHandler(handler)
        """
        self.assertFinds(self.problems_of_app(program), "workers", "set enable-threads")


if __name__ == "__main__":
    unittest.main()
