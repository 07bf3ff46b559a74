"""Measures the page: `python -m tests.browser.measure`.

It prints how long a message takes from the request to the screen, and the longest task of the page
while it has 10,000 rows, is scrolled, and receives 2,000 messages a second.
"""

from __future__ import annotations

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
_WATCH = """
    await page.evaluate(() => {
      window.tasks = [0];
      new PerformanceObserver((list) => list.getEntries().forEach((entry) =>
        window.tasks.push(entry.duration))).observe({ entryTypes: ["longtask"] });
      const list = document.getElementById("list");
      window.frames = 0;
      let step = 0;
      const scroll = () => {
        window.frames += 1;
        step += 1;
        list.scrollTop = (Math.sin(step / 40) + 1) / 2 * list.scrollHeight;
        requestAnimationFrame(scroll);
      };
      scroll();
    });
"""


def main() -> None:
    """Run the measurements."""
    collector, browser = Collector(keep=20_000), Browser()
    try:
        browser.run("await tools.open(args.url)", url=collector.url)
        browser.run("await page.waitForTimeout(500)")
        times = browser.run(_LATENCY)
        print(f"to the screen: median {times[10]:.0f} ms, longest {times[-1]:.0f} ms")
        for _ in range(20):
            send(collector, *[track("Row", properties={"a": 1}) for _ in range(500)])
        browser.run("await page.waitForTimeout(1000)")
        browser.run(_WATCH)
        for _ in range(50):
            send(collector, *[track("More", properties={"a": 1}) for _ in range(200)])
            browser.run("await page.waitForTimeout(100)")
        longest, frames = browser.run(
            "return page.evaluate(() => [Math.max(...window.tasks), window.frames])"
        )
        said = "no task above 50 ms" if longest == 0 else f"longest task {longest:.0f} ms"
        print(f"10,000 to 20,000 rows, scrolling and receiving: {said}, {frames} frames")
    finally:
        browser.close()
        collector.close()


if __name__ == "__main__":
    main()
