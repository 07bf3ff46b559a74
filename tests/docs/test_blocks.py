"""Tests that run every code block in the README and the documentation."""

from __future__ import annotations

import configparser
import json
import logging
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
import unittest
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

from segment_logging import SegmentHandler, SegmentJsonFormatter
from segment_logging.cli.service import STOP_SECONDS
from segment_logging.collector import Collector
from segment_logging.testing import FakeClient

from ..builders import PROJECT, a_record
from .commands import check_command
from .pages import NO_RUN, PAGES, blocks, blocks_of, inline_code, pod_of, program_of
from .programs import LOGGER, SURROUNDINGS

KEY = "Jx0aB3kQ9ZpLw7Tn4Rs8Vd2Hy6Mc1Gfe"
"""The key that replaces YOUR_WRITE_KEY, which the package refuses."""

KEYS = {KEY, "OTHER_WRITE_KEY"}
"""The keys in the documentation."""

RUN = ("python", "yaml", "sh", "toml", "json", "ini", "dockerfile", "html")
NOT_RUN = {
    ("docs/batch-jobs.md", "text"): "lines for cron, whose commands other tests run",
    ("docs/design.md", "text"): "a diagram of the life of a message",
    ("docs/metrics.md", "text"): "a script for cron, which another test runs",
    ("docs/one-host.md", "text"): "a report, which test_statements compares",
    ("docs/command-line.md", "text"): "the help of the commands, which another test compares",
    ("docs/frameworks/celery.md", "python"): "a module that test_django_project runs",
    ("docs/operating.md", "python"): "settings of gunicorn, which test_asgi_servers runs",
    ("docs/testing.md", "python"): "settings of a project, which test_django_runner runs",
    (
        "docs/frameworks/django.md",
        "python",
    ): "settings that test_django_project runs, a class for Django REST framework that "
    "test_django_api runs, and an asgi.py that test_django_under_asgi runs",
}
"""The reasons why blocks cannot be run, by page and language."""

IN_FIXTURES = """
import pytest
@pytest.fixture
def before():
    logger.info("Before", extra={"user_id": "u-17"})
@pytest.fixture
def client(segment_events):
    yield
    logger.info("At the end", extra={"user_id": "u-17"})
def test_order(client, before, segment_events):
    segment_events.assert_tracked("Before")
    segment_events.clear()
def test_other_order(before, segment_events):
    segment_events.assert_not_tracked("Before")
"""
"""What a fixture logs is captured if the fixture for events was set up before it."""

DIRECTIVES = ("toctree", "include", "generated", "eval-rst")


def real(text: str) -> str:
    return text.replace("YOUR_WRITE_KEY", KEY)


class ProgramTest(unittest.TestCase):
    """Base class that runs programs in an empty directory, with a collector as Segment."""

    @override
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.close)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def environment(self) -> dict[str, str]:
        """Return the environment of a program that sends to the collector."""
        paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            **os.environ,
            "SEGMENT_HOST": self.collector.url,
            "SEGMENT_WRITE_KEY": KEY,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONIOENCODING": "utf-8",
        }

    def run_python(self, *arguments: str) -> str:
        """Run Python, assert that it succeeds with an empty stderr, and return its stdout."""
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            env=self.environment(),
            cwd=self.directory,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def arrived(self) -> list[tuple[Any, ...]]:
        """Return the type, name and user of each message that arrived, all of them valid."""
        self.assertEqual(self.collector.dropped, [])
        self.assertLessEqual({one.write_key for one in self.collector.requests}, KEYS)
        return [
            (
                one["type"],
                one.get("event", one.get("name")),
                one.get("userId", one.get("anonymousId")),
            )
            for one in self.collector.messages
        ]


class TestPython(ProgramTest):
    def test_pages(self) -> None:
        """A page's Python blocks form a program that runs and whose messages arrive."""
        for page, around in SURROUNDINGS.items():
            with self.subTest(page=page):
                missing = [name for name in around.needs if find_spec(name) is None]
                if missing:
                    self.skipTest(f"needs {', '.join(missing)}")
                before = len(self.collector.messages)
                run = f"exec(compile({real(program_of(page))!r}, {page!r}, 'exec'))"
                self.run_python("-c", "\n".join([around.before, run, around.after]))
                self.assertCountEqual(self.arrived()[before:], around.arrives)

    @unittest.skipUnless(find_spec("django"), "needs Django")
    def test_consent(self) -> None:
        """The middleware for consent on Django's page adds it, and keeps the visitor's data."""
        page = "docs/frameworks/django.md"
        program = f"exec(compile({real(program_of(page))!r}, {page!r}, 'exec'))"
        self.run_python("-c", f"{LOGGER}\n{program}\n{SURROUNDINGS[page].after}")
        with_consent = [one for one in self.collector.messages if "consent" in one["context"]]
        self.assertEqual(len(with_consent), 2)
        for message in with_consent:
            self.assertEqual(
                message["context"]["consent"],
                {"categoryPreferences": {"analytics": True, "advertising": False}},
            )
            self.assertEqual(message["context"]["ip"], "127.0.0.1")

    def test_all_pages(self) -> None:
        """Every page with Python blocks is tested."""
        self.assertEqual({block.page for block in blocks("python")}, set(SURROUNDINGS))

    def test_first_ones(self) -> None:
        """On pages that begin with an example, the example runs on its own."""
        for page in ("README.md", "docs/index.md", "docs/getting-started.md"):
            with self.subTest(page=page):
                before = len(self.collector.messages)
                first = next(block for block in blocks_of(page) if block.language == "python")
                self.assertEqual(self.run_python("-c", real(first.text)), "")
                (message,) = self.collector.messages[before:]
                self.assertEqual(
                    (message["type"], message["event"], message["userId"], message["properties"]),
                    ("track", "Signup", "u-17", {"plan": "pro"}),
                )

    @unittest.skipUnless(find_spec("pytest"), "needs pytest")
    def test_pytest(self) -> None:
        """The example for pytest passes."""
        (example,) = (block for block in blocks("python") if "segment_events" in block.text)
        program = SURROUNDINGS[example.page].before + example.text + IN_FIXTURES
        (self.directory / "test_example.py").write_text(program, encoding="utf-8")
        shown = self.run_python(
            *(
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-p",
                "segment_logging.pytest_plugin",
            ),
            *("--disable-plugin-autoload",),
        )
        self.assertIn("3 passed", shown)
        self.assertEqual(self.arrived(), [("track", "Before", "u-17")])


class TestSegmentTestCase(unittest.TestCase):
    def test_fails_when_it_should(self) -> None:
        """The SegmentTestCase examples pass, and fail for a different or invalid event."""
        logger = logging.Logger("docs")
        logger.addHandler(SegmentHandler(KEY))

        def failures_of(example: str, user_id: str, plan: str) -> int:
            extra = {"user_id": user_id, "properties": {"plan": plan}}
            names = {"sign_up": lambda _: logger.info("Signup", extra=extra), "__name__": __name__}
            exec(example, names)
            case: Any = names["TestSignUp"]
            result = unittest.TestResult()
            case("test_event").run(result)
            self.assertEqual(result.testsRun, 1)
            return len(result.failures) + len(result.errors)

        examples = [block for block in blocks("python") if "SegmentTestCase" in block.text]
        self.assertEqual([block.page for block in examples], ["README.md", "docs/testing.md"])
        for example in examples:
            with self.subTest(page=example.page):
                self.assertEqual(failures_of(example.text, "u-17", "pro"), 0)
                self.assertGreater(failures_of(example.text, "u-17", "free"), 0)
                self.assertGreater(failures_of(example.text, "", "pro"), 0)


class TestYaml(ProgramTest):
    def test_all(self) -> None:
        """Each YAML block is a valid dictConfig, Vector configuration or set of options."""
        for block in blocks("yaml"):
            with self.subTest(page=block.page, line=block.line):
                value = yaml.safe_load(block.text)
                if "version" in value:
                    self.check_configuration(block.text)
                elif "apiVersion" in value:
                    self.check_pods(pod_of(value))
                elif "services" in value:
                    self.check_services(value)
                elif "sinks" in value:
                    self.check_vector(value["sinks"]["segment"])
                else:
                    SegmentHandler(KEY, **value).close()

    def check_pods(self, pod: Any) -> None:
        """Assert that the containers of a pod run a command that exists, with its options."""
        for container in pod.get("initContainers", pod.get("containers")):
            check_command(self, container["command"])

    def check_services(self, value: Any) -> None:
        """Assert that a program and the command share a user and a volume, and can stop in time."""
        services, command = value["services"], value["services"]["deliver"]["command"]
        check_command(self, command)
        shop, deliver = services["shop"], services["deliver"]
        self.assertEqual((shop["user"], shop["volumes"]), (deliver["user"], deliver["volumes"]))
        linger = float(command[command.index("--linger") + 1])
        grace = float(deliver["stop_grace_period"].removesuffix("s"))
        self.assertGreater(grace, linger + STOP_SECONDS + 1)
        self.assertEqual(services["agent"]["network_mode"], "service:deliver")

    def check_configuration(self, text: str) -> None:
        """Assert that with this dictConfig, only events are sent or printed."""
        before = len(self.collector.messages)
        config = yaml.safe_load(text.replace("/var/lib/shop", str(self.directory)))
        written = self.run_python(
            "-c",
            f"""
import json, logging.config
logging.config.dictConfig(json.loads({json.dumps(config)!r}))
logger = logging.getLogger("analytics")
logger.info("cache miss")
logger.info("Signup", extra={{"user_id": "u-17"}})
""",
        )
        events = [json.loads(line)["event"] for line in written.splitlines()]
        events += [one["event"] for one in self.collector.messages[before:]]
        self.assertEqual(events, ["Signup"])

    def check_vector(self, sink: Any) -> None:
        """Assert that the sink sends the formatter's lines in batches within Segment's limits."""
        line = SegmentJsonFormatter().format(a_record("Signup", extra={"user_id": "u-17"}))
        body = json.loads(sink["payload_prefix"] + f"[{line}]" + sink["payload_suffix"])
        self.assertEqual(body["batch"][0]["event"], "Signup")
        self.assertLessEqual(sink["batch"]["max_events"], 2_500)
        self.assertLessEqual(sink["batch"]["max_bytes"], 500_000)


class TestOthers(unittest.TestCase):
    def test_json(self) -> None:
        """The dead letter in the documentation has the keys of a real dead letter."""
        letter_block, _ = blocks("json")  # tests/broker/test_queues.py loads the other one
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "dead-letters.jsonl")
            handler = SegmentHandler(KEY, client=FakeClient([400]), dead_letters=path)
            logger = logging.Logger("tests.docs")
            logger.addHandler(handler)
            with self.assertLogs("segment_logging", "WARNING"):
                logger.info("Signup", extra={"user_id": "u-17"})
                self.assertTrue(handler.drain(10))
            handler.close()
            letter = json.loads(path.read_text(encoding="utf-8"))
        self.assertEqual(list(json.loads(letter_block.text)), list(letter))

    def test_ini(self) -> None:
        """The command of each systemd unit exists and accepts the options that are passed."""
        for block in blocks("ini"):
            unit = configparser.ConfigParser(interpolation=None)
            unit.read_string(block.text)
            if "Timer" in unit:
                continue
            for key in ("ExecStart", "ExecStopPost"):
                if key in unit["Service"]:
                    program, *words = shlex.split(unit["Service"][key])
                    check_command(self, [Path(program).name, *words])

    def test_dockerfile(self) -> None:
        """Each image runs a command that exists, without a shell, which would not pass signals."""
        for block in blocks("dockerfile"):
            instructions = [line.partition(" ") for line in block.text.splitlines()]
            for name, _, rest in instructions:
                self.assertIn(name, ("FROM", "RUN", "COPY", "WORKDIR", "USER", "CMD"))
                if name == "CMD":
                    check_command(self, json.loads(rest))
            self.assertEqual(instructions[-1][0], "CMD")

    def test_toml(self) -> None:
        """The pytest plugin defines each documented pytest setting."""
        for block in blocks("toml"):
            settings = tomllib.loads(block.text)["tool"]["pytest"]["ini_options"]
            plugin = (PROJECT / "segment_logging" / "pytest_plugin.py").read_text(encoding="utf-8")
            for name in settings:
                self.assertIn(f'addini("{name}"', plugin)

    def test_sh(self) -> None:
        """Every shell command exists and accepts the options that are passed."""
        for block in blocks("sh"):
            for line in block.text.splitlines():
                with self.subTest(page=block.page, line=line):
                    check_command(self, shlex.split(line, comments=True))

    def test_commands_in_the_text(self) -> None:
        """Every command in a page's text exists and accepts the options that are passed."""
        for page in PAGES:
            for code in inline_code(page):
                if re.match(r"(make|pip install|segment-logging|python -m) \S", code):
                    with self.subTest(page=page, command=code):
                        check_command(self, shlex.split(code))

    def test_nothing_is_left_out(self) -> None:
        """Every block is in a language that is tested, or is marked and listed in NOT_RUN."""
        marked = {(block.page, block.language) for block in blocks() if block.mark == NO_RUN}
        self.assertEqual(marked, set(NOT_RUN))
        for block in blocks():
            with self.subTest(page=block.page, line=block.line):
                self.assertIn(block.mark, ("", NO_RUN))
                if block.mark != NO_RUN:
                    self.assertIn(block.language, RUN)

    def test_directives(self) -> None:
        """Every other fenced block is a known directive that contains no code."""
        for page, text in PAGES.items():
            for name in re.findall(r"^(?:```+|:::+)\{([^}]*)\}", text, re.MULTILINE):
                self.assertIn(name, DIRECTIVES, page)
            self.assertEqual(
                len(re.findall(r"^\s*```", text, re.MULTILINE)), 2 * len(blocks_of(page))
            )
