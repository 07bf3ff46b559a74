"""Checks of the shell commands in the README and the documentation."""

from __future__ import annotations

import io
import json
import re
import tomllib
import unittest
from collections.abc import Collection
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.request import Request, urlopen

from segment_logging.cli import main
from segment_logging.collector import Collector

from ..builders import PROJECT


def check_command(test: unittest.TestCase, words: list[str]) -> None:
    """Assert that a command exists and has the options that are passed."""
    match words:
        case ["export", assignment]:
            name = assignment.partition("=")[0]
            test.assertIn(name, ("SEGMENT_BROKER", "SEGMENT_HOST", "SEGMENT_WRITE_KEY"))
        case ["pip", "install", requirement]:
            name, _, extra = requirement.rstrip("]").partition("[")
            project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
            test.assertEqual(name, project["project"]["name"])
            test.assertIn(extra, ("", *project["project"]["optional-dependencies"]))
        case ["echo", message, "|", *others]:
            json.loads(message)
            check_command(test, others)
        case ["timeout", seconds, *others]:
            test.assertGreater(int(seconds), 0)
            check_command(test, others)
        case ["umask", "077"] | ["python", "nightly.py"]:  # which is on docs/batch-jobs.md
            pass
        case ["rabbitmqadmin", *settings]:
            names = {one.partition("=")[0] for one in settings}
            known = {"--vhost", "--format", "get", "queue", "ackmode", "count", "payload_file"}
            test.assertLessEqual(names, known)
            test.assertIn("queue=segment-logging.dead", settings)
        case ["make", target]:
            makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
            test.assertRegex(makefile, rf"(?m)^{re.escape(target)}:")
        case ["python", "-m", module]:
            test.assertIsNotNone(find_spec(module), module)
        case ["python", "-c", program]:
            with redirect_stdout(io.StringIO()) as told:
                exec(program, {})
            test.assertIn("sample_rate", told.getvalue())
        case ["cat", path, ">", _] | ["rm", "-r", path]:  # for what waits under another write key
            test.assertRegex(path, r"/[0-9a-f]{12}(/live/\*/\*\.jsonl)?$")
        case ["curl", *_, url]:
            with Collector() as collector:
                found = Request(url.replace("http://127.0.0.1:8765", collector.url), method="HEAD")
                urlopen(found, timeout=10).close()
        case ["segment-logging", command, *arguments]:
            with redirect_stdout(io.StringIO()) as told, test.assertRaises(SystemExit) as ended:
                main([command, "--help"])
            test.assertEqual(ended.exception.code, 0)
            for argument in arguments:
                if argument.startswith("-"):
                    test.assertIn(f"{argument} ", told.getvalue().replace("]", " "))
        case ["gunicorn" | "uvicorn" as server, application, *arguments]:
            test.assertRegex(application, r"^\w+:\w+$")
            check_options(test, server, [one for one in arguments if one.startswith("-")])
        case _:
            test.fail(f"unknown command, add a check: {words}")


def check_options(test: unittest.TestCase, server: str, names: Collection[str]) -> None:
    """Assert that a server has these options, if it is installed."""
    if find_spec(server) is None:
        return
    known: set[str]
    if server == "gunicorn":
        parser: Any = import_module("gunicorn.config").Config().parser()
        known = {name for action in parser._actions for name in action.option_strings}
    else:
        command: Any = import_module("uvicorn").main
        known = {name for parameter in command.params for name in parameter.opts}
    test.assertLessEqual(set(names), known)
