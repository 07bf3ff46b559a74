"""The README, line by line: its options, its tables and its examples are those of the package."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import io
import json
import logging
import logging.config
import os
import re
import subprocess
import sys
import unittest
from contextlib import redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from segment_logging import Counts, SegmentHandler
from segment_logging._records.mapping import MARKS
from segment_logging.cli import main
from segment_logging.collector import Collector
from segment_logging.testing import capture_segment

from .builders import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")

PROMISES = {
    "Segment answers 2xx": (
        "delivery.test_attempts.AnswerTest.test_2xx",
        "client.test_exchange.TestAnswers.test_broken_body",
    ),
    "408, 410, 429, 460": (
        "client.test_answers.TestFault.test_network",
        "delivery.test_retries.TestWaits.test_series",
        "client.test_exchange.TestAnswers.test_web_page",
        "client.test_http_client.TestRepeated.test_retry_count",
        "client.test_http_client.TestRepeated.test_fresh_sent_at",
        "delivery.test_attempts.AnswerTest.test_network_faults_are_tried_again",
    ),
    "a Retry-After comes": (
        "delivery.test_attempts.AnswerTest.test_retry_after_is_waited_for_exactly",
        "delivery.test_attempts.AnswerTest.test_retry_after_is_no_attempt",
        "client.test_answers.TestRetryAfter.test_capped",
        "delivery.test_attempts.AttemptsUsedUpTest.test_half_an_hour_of_retry_after",
        "client.test_http_client.TestRepeated.test_retry_count_after_retry_after",
    ),
    "attempts used up": (
        "delivery.test_attempts.AttemptsUsedUpTest.test_given_up_without_a_journal",
        "delivery.test_attempts.AttemptsUsedUpTest.test_kept_with_a_journal",
        "delivery.test_listener.TestAnswers.test_kept",
    ),
    "400, 413": (
        "delivery.test_attempts.HalvingTest.test_the_guilty_stands_alone",
        "delivery.test_attempts.HalvingTest.test_several_guilty",
        "delivery.test_dead_letters.TestFullDisk.test_own",
        "delivery.test_dead_letters.TestFullDisk.test_adopted",
    ),
    "401, 403, 404": (
        "delivery.test_attempts.ConfigurationFaultTest.test_given_up_without_a_journal",
        "delivery.test_attempts.ConfigurationFaultTest.test_kept_with_a_journal",
        "delivery.test_attempts.ConfigurationFaultTest.test_reported_once",
        "faults.test_journal.OutageTest.test_a_wrong_key_loses_nothing",
    ),
    "3xx": ("client.test_exchange.TestAnswers.test_redirects",),
    "a message above 32,000 bytes": (
        "records.test_reader.TestRecords.test_too_large",
        "handler.test_records.TestRecords.test_bad_ones_among_good_ones",
        "handler.test_records.TestRecords.test_raise_exceptions",
    ),
    "the queue is full": (
        "handler.test_life.TestOverflow.test_drop",
        "handler.test_life.TestOverflow.test_block",
        "handler.test_life.TestOverflow.test_block_timeout",
        "test_reports.TestDropReports.test_once_a_minute",
    ),
    "the process ends normally": (
        "faults.test_exits.TestExits.test_normal_end",
        "faults.test_exits.TestExits.test_sys_exit",
        "faults.test_exits.TestExits.test_uncaught_exception",
        "faults.test_exits.TestExits.test_ctrl_c",
        "faults.test_journal.OutageTest.test_five_thousand_events_outlast_it",
        "faults.test_exits.TestExitsWithoutAnswers.test_mute_server",
        "faults.test_exits.TestExitsWithoutAnswers.test_late_events",
        "faults.test_exits.TestExitsWithoutAnswers.test_ctrl_c_at_the_end",
    ),
    "SIGTERM": (
        "faults.test_exits.TestExits.test_sigterm",
        "faults.test_journal.KillTest.test_right_after_the_calls",
        "faults.test_journal.KillTest.test_in_the_middle_of_delivery",
    ),
    "power cut": (
        "queues.journal.test_sync.SyncTest.test_interval_syncs_soon_and_not_each_message",
        "queues.journal.test_sync.SyncTest.test_emit_syncs_each_message_before_put_returns",
    ),
    "fork": (
        "faults.test_forks.TestForks.test_child_exits",
        "faults.test_forks.TestForks.test_descendants_with_a_journal",
        "faults.test_forks.TestMultiprocessing.test_process",
        "faults.test_servers.TestGunicorn.test_preload",
        "faults.test_servers.TestCelery.test_prefork",
        "faults.test_servers.TestUwsgi.test_without_threads",
    ),
    "dictConfig runs again": (
        "faults.test_no_deadlock.TestDictConfig.test_during_a_hanging_request",
        "faults.test_no_deadlock.TestDictConfig.test_repeatedly",
    ),
    "Segment hangs or is down": (
        "faults.test_exits.TestExitsWithoutAnswers.test_mute_server",
        "faults.test_exits.TestExitsWithoutAnswers.test_only_503",
        "faults.test_journal.OutageTest.test_a_hanging_server_does_not_hold_the_exit",
    ),
    "`before_send` raises": (
        "faults.test_no_deadlock.TestHooks.test_before_send",
        "faults.test_no_deadlock.TestHooks.test_values_that_raise",
    ),
    "`on_error` raises": ("faults.test_no_deadlock.TestHooks.test_on_error",),
    "urllib3 logs at DEBUG": ("faults.test_no_deadlock.TestLoops.test_urllib3_at_debug",),
    "a signal handler": (
        "faults.test_no_deadlock.TestInTheMiddle.test_signal_handler",
        "faults.test_no_deadlock.TestInTheMiddle.test_del",
        "queues.test_spill.SpillingQueueTest.test_memory_takes_over_in_the_middle_of_a_put",
    ),
}
"""How a row of "What happens when" begins, to the tests that hold it."""


def rows_under(title: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its header."""
    section = README.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


class TestTables(unittest.TestCase):
    def test_options(self) -> None:
        """The table has the constructor's options, in its order, with its defaults."""
        parameters = inspect.signature(SegmentHandler).parameters.values()
        self.assertEqual(
            [(option, default) for option, default, _ in rows_under("Options")],
            [
                (f"`{one.name}`", f"`{one.default!r}`".replace("'", '"'))
                for one in parameters
                if one.name != "self"
            ],
        )

    def test_promises(self) -> None:
        """Every row of "What happens when" names tests that exist."""
        whens = [row[0] for row in rows_under("What happens when")]
        self.assertEqual(len(whens), len(PROMISES))
        for when, (beginning, tests) in zip(whens, PROMISES.items()):
            with self.subTest(when=when):
                self.assertTrue(when.startswith(beginning), beginning)
                for test in tests:
                    module, case, name = test.rsplit(".", 2)
                    found = getattr(importlib.import_module(f"tests.{module}"), case)
                    self.assertTrue(callable(getattr(found, name)), test)

    def test_records(self) -> None:
        """Every call of the table becomes the message that stands beside it."""
        logger = logging.Logger("readme")
        logger.addHandler(SegmentHandler())
        told = {
            "track": r'track(?: with| "([^"]+)")', "identify": "identify$", "group": "group$",
            "alias": "alias$", "page": r'page named "([^"]+)"',
        }  # fmt: skip
        for call, becomes in rows_under("From record to message"):
            with self.subTest(call=call), capture_segment() as captured:
                exec(call.strip("`"), {"logger": logger, "amount": 12})
                message = captured[0]
                match = re.match(told[message.type], becomes)
                assert match is not None, (message.type, becomes)
                title = getattr(message, "event", None) or getattr(message, "name", None)
                if match.groups() and match[1] is not None:
                    self.assertEqual(title, match[1])
                if "properties" in becomes and "plan" in becomes:
                    self.assertEqual(message.to_dict()["properties"], {"plan": "pro", "ref": "ad"})
                if "formatted" in becomes:
                    self.assertEqual(message.to_dict()["properties"], {"message": "Paid 12"})

    def test_marks(self) -> None:
        """The keys that make an event are those of the package."""
        sentence = README.split("A record is an event when it carries one of ")[1].split("`extra`")[
            0
        ]
        self.assertEqual(set(re.findall(r"`(\w+)`", sentence)), {*MARKS, "segment"})

    def test_counts(self) -> None:
        """Every count is told."""
        section = README.split("`handler.counts()` says")[1].split("\n\n")[0]
        told = set(re.findall(r"[a-z_]+", section))
        self.assertLessEqual({field.name for field in fields(Counts)}, told)


class TestExamples(unittest.TestCase):
    def test_first_one(self) -> None:
        """The first example delivers its event, with nothing after it but the program's end."""
        with Collector() as collector:
            done = subprocess.run(
                [
                    sys.executable,
                    "-W",
                    "error",
                    "-c",
                    code_blocks("python")[0].replace("YOUR_WRITE_KEY", "a-key"),
                ],
                env={**os.environ, "SEGMENT_HOST": collector.url},
                cwd=PROJECT,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            (message,) = collector.messages
        self.assertEqual(
            (message["type"], message["event"], message["userId"], message["properties"]),
            ("track", "Signup", "u-17", {"plan": "pro"}),
        )

    def test_testing(self) -> None:
        """The testing example passes; another event, and one Segment would drop, fail it."""
        (example,) = (block for block in code_blocks("python") if "SegmentTestCase" in block)
        logger = logging.Logger("readme")
        logger.addHandler(SegmentHandler("key"))

        def failures_of(user_id: Any, plan: str) -> int:
            extra = {"user_id": user_id, "properties": {"plan": plan}}
            names = {"sign_up": lambda _: logger.info("Signup", extra=extra), "__name__": __name__}
            exec(example, names)
            case: Any = names["TestSignUp"]
            result = unittest.TestResult()
            case("test_event").run(result)
            self.assertEqual(result.testsRun, 1)
            return len(result.failures) + len(result.errors)

        self.assertEqual(failures_of("u-17", "pro"), 0)
        self.assertGreater(failures_of("u-17", "free"), 0)
        self.assertGreater(failures_of("", "pro"), 0)

    def test_typed_calls(self) -> None:
        """The logger's example makes a track and an identify, and an ordinary record."""
        (example,) = (block for block in code_blocks("python") if "SegmentLogger" in block)
        with capture_segment() as captured:
            exec(example, {})
        self.assertEqual([message.type for message in captured], ["track", "identify"])
        self.assertEqual({message.user.user_id for message in captured}, {"u-17"})

    def test_yaml(self) -> None:
        """The pieces of YAML are options, and a configuration, that work."""
        options, formatting, sink = map(yaml.safe_load, code_blocks("yaml"))
        SegmentHandler("key", **options).close()
        logger = logging.getLogger("tests.readme")
        self.addCleanup(logger.handlers.clear)
        with redirect_stdout(io.StringIO()) as stdout:
            logging.config.dictConfig(
                {
                    "version": 1,
                    "disable_existing_loggers": False,
                    **formatting,
                    "loggers": {"tests.readme": {"handlers": ["stdout"], "level": "INFO"}},
                }
            )
            logger.info("cache miss")
            logger.info("Signup", extra={"user_id": "u-17"})
        (line,) = stdout.getvalue().splitlines()
        self.assertEqual(json.loads(line)["event"], "Signup")
        sink = sink["sinks"]["segment"]
        body = sink["payload_prefix"] + f"[{line}]" + sink["payload_suffix"]
        self.assertEqual(json.loads(body)["batch"][0]["event"], "Signup")
        self.assertLessEqual(sink["batch"]["max_events"], 2_500)

    def test_inline(self) -> None:
        """The one-liners work."""
        sentence = README.split("## Without logging\n")[1].split("`")[1]
        with Collector() as collector:
            program = (
                "from segment_logging import HttpClient, Track, User\nwrite_key = 'key'\n"
                + sentence.replace("HttpClient()", f"HttpClient({collector.url!r})")
            )
            exec(program, {})
            self.assertEqual([one["event"] for one in collector.messages], ["Signup"])
        (fake,) = re.findall(r"`(FakeClient\(.*?\))`", README)
        client = eval(fake, vars(importlib.import_module("segment_logging.testing")))
        self.assertTrue(callable(client.send))

    def test_commands(self) -> None:
        """Every make target and every file named is there."""
        makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
        for target in re.findall(r"\bmake ([a-z-]+)", README):
            self.assertRegex(makefile, rf"(?m)^{target}:")
        for module in re.findall(r"python -m ([\w.]+)", README):
            self.assertIsNotNone(importlib.util.find_spec(module), module)
        for command in re.findall(r"`segment-logging (\w+)", README):
            with redirect_stdout(io.StringIO()) as help_text, self.assertRaises(SystemExit):
                main([command, "--help"])
            self.assertIn("usage:", help_text.getvalue())
        for path in re.findall(r"`(\w+/)`", README):
            self.assertTrue(Path(PROJECT, path).is_dir(), path)
        for path in re.findall(r"\]\((?!http|#)([^)]+)\)", README):
            self.assertTrue(Path(PROJECT, path).exists(), path)

    def test_json_of_the_table_is_plain(self) -> None:
        """Every default fits a dictConfig in JSON or YAML."""
        for one in inspect.signature(SegmentHandler).parameters.values():
            json.dumps(one.default)
