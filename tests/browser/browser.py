"""A headless Chromium for tests, and the messages that they send."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import unittest
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar
from urllib.request import Request, urlopen

from typing_extensions import override

from segment_logging.collector import Collector

HERE = Path(__file__).parent
FOLDER = Path(f"{sys.prefix}-browser")
"""The folder with `node_modules`, which `make browser` creates."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def required() -> tuple[str, str]:
    """Return the paths of Node.js and Chromium. Raise SkipTest if something is missing."""
    node = shutil.which("node")
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if node is None or chromium is None:
        raise unittest.SkipTest("needs Node.js and Chromium (apt-get install nodejs chromium)")
    if not (FOLDER / "node_modules").is_dir():
        raise unittest.SkipTest("needs the npm packages of `make browser`")
    return node, chromium


class Browser:
    """A browser in its own process, with one page."""

    def __init__(self) -> None:
        node, chromium = required()
        self._process = subprocess.Popen(
            [node, HERE / "driver.mjs", FOLDER, chromium],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def run(self, code: str, **args: Any) -> Any:
        """Run the body of an async function, which has `page`, `args` and `tools`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": code, "args": args}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError("the browser has ended")
        reply = json.loads(line)
        if "error" in reply:
            raise AssertionError(reply["error"])
        return reply["value"]

    def close(self) -> None:
        """End the browser."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


class PageTest(unittest.TestCase):
    """Base class for tests of the page, with a collector and a browser."""

    browser: ClassVar[Browser]

    @override
    @classmethod
    def setUpClass(cls) -> None:
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    @override
    def setUp(self) -> None:
        self.collector = Collector(keep=20_000)
        self.addCleanup(lambda: self.collector.close())

    def open(self, fragment: str = "", **options: Any) -> None:
        """Open the page and wait until it is connected."""
        self.run_js(
            """
            await tools.open(args.url, args.options);
            await tools.page.waitForFunction(() => document.getElementById("address").textContent);
            """,
            url=f"{self.collector.url}/{fragment}",
            options=options,
        )

    def run_js(self, code: str, **args: Any) -> Any:
        """Run JavaScript in the driver; see `Browser.run`."""
        return self.browser.run(code, **args)

    def names(self) -> list[str]:
        """Return the names in the visible rows, the newest first."""
        found: list[str] = self.run_js(
            """
            return page.evaluate(() => [...document.querySelectorAll(".row:not([hidden])")]
              .sort((a, b) => a.getAttribute("aria-posinset") - b.getAttribute("aria-posinset"))
              .map((row) => row.querySelector(".name").textContent));
            """
        )
        return found

    def wait_for_names(self, names: Iterable[str]) -> None:
        """Wait until the visible rows have exactly these names."""
        wanted = list(names)
        self.run_js(
            """
            await page.waitForFunction((wanted) => {
              const rows = [...document.querySelectorAll("#list:not([hidden]) .row:not([hidden])")];
              rows.sort((a, b) =>
                a.getAttribute("aria-posinset") - b.getAttribute("aria-posinset"));
              const names = rows.map((row) => row.querySelector(".name").textContent);
              return JSON.stringify(names) === JSON.stringify(wanted);
            }, args.wanted, { timeout: 10_000 });
            """,
            wanted=wanted,
        )


def track(name: Any, /, **fields: Any) -> dict[str, Any]:
    """Return a call without any fault. A field that is passed as `...` is removed."""
    track.number += 1  # type: ignore[attr-defined]
    given = {
        "type": "track",
        "userId": "u-1",
        "event": name,
        "properties": {},
        "messageId": f"m-{track.number}",  # type: ignore[attr-defined]
        "timestamp": "2026-11-23T08:00:00.000Z",
        "context": {"library": {"name": "test", "version": "1"}},
        **fields,
    }
    return {key: value for key, value in given.items() if value is not ...}


track.number = 0  # type: ignore[attr-defined]


def send(collector: Collector, *calls: Any) -> None:
    """Send a batch to the collector."""
    body = json.dumps({"batch": calls, "sentAt": "2026-11-23T08:00:00.000Z"})
    with urlopen(Request(f"{collector.url}/v1/batch", body.encode()), timeout=30) as answer:
        assert answer.status == 200
