"""Measures the page: `python -m tests.browser.measure`.

It prints how long a message takes from the request to the screen, and the longest tasks of the
page's main thread:

- while the page is opened and reads 20,000 messages
- while it has 10,000 to 20,000 rows, is scrolled, and receives 2,000 messages a second
- while it shows the counts of 200 events

On a busy machine, a task takes much longer than the page needs, because its thread waits for a
processor. Both times are printed for this reason. The CPU time is the one to compare.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segment_logging.collector import Collector

from .browser import Browser, send, track

_LATENCY = """
    return page.evaluate(async () => {
      const times = [];
      for (let index = 0; index < 20; index++) {
        const body = JSON.stringify({ userId: "u", event: `Timed ${index}` });
        const began = performance.now();
        const shown = new Promise((resolve) => {
          const look = () => document.querySelector("#rows").textContent.includes(`Timed ${index}`)
            ? resolve() : requestAnimationFrame(look);
          look();
        });
        await fetch("/v1/track", { method: "POST", body });
        await shown;
        times.push(performance.now() - began);
      }
      return times.sort((a, b) => a - b);
    });
"""
_SCROLL = """
    await page.evaluate(() => {
      const list = document.getElementById("list");
      let step = 0;
      const scroll = () => {
        step += 1;
        list.scrollTop = (Math.sin(step / 40) + 1) / 2 * list.scrollHeight;
        requestAnimationFrame(scroll);
      };
      scroll();
    });
"""
_START = """
    await page.context().browser().startTracing(
      undefined, { path: args.path, categories: ["toplevel", "devtools.timeline"] });
"""
_WAIT = "await page.waitForTimeout(args.milliseconds)"


def main() -> None:
    """Run the measurements."""
    collector, browser = Collector(keep=20_000), Browser()
    try:
        browser.run("await tools.open(args.url)", url=collector.url)
        browser.run(_WAIT, milliseconds=500)
        times = browser.run(_LATENCY)
        print(f"to the screen: median {times[10]:.0f} ms, longest {times[-1]:.0f} ms")
        for _ in range(20):
            send(collector, *[track("Row", properties={"a": 1}) for _ in range(500)])
        browser.run(_WAIT, milliseconds=1_000)
        with _tasks(browser, collector.url, "10,000 to 20,000 rows, scrolling and receiving"):
            browser.run(_SCROLL)
            for _ in range(50):
                send(collector, *[track("More", properties={"a": 1}) for _ in range(200)])
                browser.run(_WAIT, milliseconds=100)
        browser.run("await tools.open('about:blank')")  # ends the previous page first
        with _tasks(browser, collector.url, "opening with 20,000 messages"):
            browser.run("await tools.open(args.url)", url=collector.url)
            browser.run(_WAIT, milliseconds=3_000)
        properties = {f"property {number}": number for number in range(20)}
        with _tasks(browser, collector.url, "200 events with 20 properties each"):
            browser.run("await page.click('[data-tab=events]')")
            for _ in range(5):
                named = [track(f"Event {number}", properties=properties) for number in range(200)]
                send(collector, *named)
                browser.run(_WAIT, milliseconds=1_000)
    finally:
        browser.close()
        collector.close()


@contextmanager
def _tasks(browser: Browser, url: str, title: str) -> Iterator[None]:
    """Print the longest tasks during the block."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        browser.run(_START, path=str(path))
        yield
        browser.run("await page.context().browser().stopTracing()")
        events = json.loads(path.read_bytes())["traceEvents"]
    threads = {  # the browser has other pages of its own
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "FunctionCall" and event["args"]["data"].get("url", "").startswith(url)
    }
    tasks = [
        (event["dur"] / 1_000, event.get("tdur", 0) / 1_000)
        for event in events
        if event["name"].endswith("RunTask")
        and event["ph"] == "X"
        and (event["pid"], event["tid"]) in threads
    ]
    cpu_ms = max(cpu for _, cpu in tasks)
    longest_ms, its_cpu_ms = max(tasks)
    over = sum(cpu > 50 for _, cpu in tasks)
    print(
        f"{title}: at most {cpu_ms:.0f} ms of CPU time in a task, {over} above 50 ms; "
        f"the longest took {longest_ms:.0f} ms, of which {its_cpu_ms:.0f} ms were CPU time"
    )


if __name__ == "__main__":
    main()
