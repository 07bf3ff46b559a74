"""Tests for the liveness file, and for the options that services share."""

from __future__ import annotations

import argparse
import os
import stat
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from typing_extensions import override

from segment_logging import ConfigurationError
from segment_logging._reports import Reporter
from segment_logging.cli.connection import (
    add_broker_option,
    add_request_options,
    broker_of,
    headers_of,
    proxies_of,
)
from segment_logging.cli.metrics import MetricsServer
from segment_logging.cli.watching import LivenessFile, metrics_served
from tests.cli.cases import run_command


class TestLivenessFile(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.path = self.folder / "alive"
        self.other = self.folder / "other"
        self.file = LivenessFile(str(self.path), Reporter())

    def test_written(self) -> None:
        """It is replaced as a whole, and everybody may read it."""
        for text in ("longer", "short"):
            self.file.write(text)
            self.assertEqual(self.path.read_text(), text)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode) & ~0o022, 0o644)
        self.assertEqual(os.listdir(self.folder), ["alive"])

    def test_touched(self) -> None:
        """It is made, and its time is set without changing its content."""
        self.file.touch()
        self.path.write_text("content")
        os.utime(self.path, (1, 1))
        self.file.touch()
        self.assertGreater(self.path.stat().st_mtime, 1)
        self.assertEqual(self.path.read_text(), "content")

    def test_links(self) -> None:
        """Nothing is written through a link that somebody else has prepared."""
        self.other.write_text("precious")
        os.utime(self.other, (1, 1))
        for name in ("alive", "alive.new"):
            (self.folder / name).symlink_to(self.other)
        with self.assertLogs("segment_logging") as logs:
            self.file.touch()
        self.assertIn("cannot be written", logs.output[0])
        self.file.write("figures")
        self.assertEqual((self.other.read_text(), self.other.stat().st_mtime), ("precious", 1))
        self.assertFalse(self.path.is_symlink())
        self.assertEqual(self.path.read_text(), "figures")

    def test_pipe(self) -> None:
        """A pipe in its place is not waited for."""
        os.mkfifo(self.path)
        with self.assertLogs("segment_logging"):
            self.file.touch()

    def test_no_directory(self) -> None:
        """A directory that does not exist is reported once, and removing the file never raises."""
        file = LivenessFile(str(self.folder / "none" / "alive"), Reporter())
        with self.assertLogs("segment_logging") as logs:
            file.write("figures")
            file.write("figures")
        self.assertEqual(len(logs.output), 1)
        file.remove()

    def test_removed(self) -> None:
        """It is removed, even a second time. A directory in its place stays."""
        self.file.write("figures")
        self.file.remove()
        self.assertFalse(self.path.exists())
        self.file.remove()
        self.path.mkdir()
        self.file.remove()
        self.assertTrue(self.path.is_dir())

    def test_none(self) -> None:
        """Without a path, nothing is done."""
        file = LivenessFile(None, Reporter())
        file.touch()
        file.write("figures")
        file.remove()
        self.assertEqual(os.listdir(self.folder), [])


class TestBroker(unittest.TestCase):
    def parsed(self, *arguments: str) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        add_broker_option(parser, "a broker")
        add_request_options(parser)
        return parser.parse_args(arguments)

    @mock.patch.dict(os.environ, SEGMENT_BROKER="amqp://from-environment")
    def test_environment(self) -> None:
        """Without a value, or without the option, the URL is SEGMENT_BROKER's."""
        for arguments, url in (
            ((), "amqp://from-environment"),
            (("--broker",), "amqp://from-environment"),
            (("--broker", "--gzip"), "amqp://from-environment"),
            (("--broker", "amqp://given"), "amqp://given"),
        ):
            self.assertEqual(broker_of(self.parsed(*arguments)), url)

    @mock.patch.dict(os.environ)
    def test_neither(self) -> None:
        """If there is no URL at all, that is an error."""
        os.environ.pop("SEGMENT_BROKER", None)
        for arguments in ((), ("--broker",)):
            with self.assertRaisesRegex(ConfigurationError, "set SEGMENT_BROKER"):
                broker_of(self.parsed(*arguments))

    def test_deliver(self) -> None:
        """`deliver --broker` reads SEGMENT_BROKER. Without the option, the variable has no
        effect, because the program's environment may have it for a different command."""
        with TemporaryDirectory() as directory, mock.patch.dict(
            os.environ, SEGMENT_WRITE_KEY="key", SEGMENT_BROKER="redis://u:s3cr3t@shop"
        ):  # fmt: skip
            code, _, said = run_command("deliver", directory, "--broker")
            self.assertEqual(code, 2)
            self.assertIn("16 of 30,000", said)
            self.assertNotIn("s3cr3t", said)
            code, _, said = run_command("deliver", directory, "--host", "nonsense")
            self.assertIn("host must be", said)
            del os.environ["SEGMENT_BROKER"]
            code, _, said = run_command("deliver", directory, "--broker")
            self.assertEqual(code, 2)
            self.assertIn("set SEGMENT_BROKER", said)

    def test_requests(self) -> None:
        """Headers and the proxy are read from the options."""
        options = self.parsed("--header", "X-A: 1", "--header", "X-B:2", "--proxy", "http://proxy")
        self.assertEqual(headers_of(options), {"X-A": "1", "X-B": "2"})
        self.assertEqual(proxies_of(options), {"http": "http://proxy", "https": "http://proxy"})
        self.assertIsNone(proxies_of(self.parsed()))


class TestRelayOptions(unittest.TestCase):
    def test_a_metrics_port_in_use(self) -> None:
        """A port that another command uses is named, with the option."""
        with MetricsServer(0, str) as server:
            port = int(server.url.split(":")[2].partition("/")[0])
            with (
                self.assertRaisesRegex(ConfigurationError, f"--metrics-port {port} cannot be used"),
                metrics_served(port, str),
            ):
                pass

    def test_refused(self) -> None:
        """An option that cannot work is refused with exit code 2 and one line."""
        for arguments in (
            ("--prefetch", "65536"), ("--prefetch", "0"), ("--metrics-port", "70000"),
            ("--header", "nonsense"), ("--max-attempts", "0"), ("--broker", "http://shop"),
        ):  # fmt: skip
            given = ("--broker", "memory://", *arguments)
            with self.subTest(arguments), mock.patch.dict(os.environ, SEGMENT_WRITE_KEY="key"):
                code, out, said = run_command("relay", *given)
                self.assertEqual((code, out, len(said.splitlines())), (2, "", 1), said)
