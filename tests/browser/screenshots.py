"""Takes the screenshots in the documentation: `python -m tests.browser.screenshots FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from segment_logging.collector import Collector

from .browser import Browser, send, track

WIDE: dict[str, Any] = {"width": 1100, "height": 620}
PHONE: dict[str, Any] = {"width": 390, "height": 780}


def main(folder: str) -> None:
    """Take all screenshots."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    browser = Browser()
    collector = Collector(8765, keep=20_000)

    def take(name: str, fragment: str = "", keys: str = "", **options: Any) -> None:
        browser.run(
            """
            await tools.open(args.url, args.options);
            await tools.page.waitForTimeout(1500);
            for (const key of args.keys) await tools.page.keyboard.press(key);
            await tools.page.waitForTimeout(300);
            await tools.page.screenshot({ path: args.path });
            """,
            url=f"{collector.url}/{fragment}",
            keys=list(keys),
            path=str(Path(folder, f"collector-{name}.png").absolute()),
            options=options,
        )

    try:
        take("empty", **WIDE)
        send(collector, track("Signup", properties={"plan": "pro", "seats": 3}))
        take("one", keys="j", **WIDE)
        send_mixed(collector)
        take("mixed", keys="jjj", **WIDE)
        take("dropped", "#tab=dropped", keys="j", scheme="dark", **WIDE)
        take("events", "#tab=events", **WIDE)
        take("phone", **PHONE)
        for start in range(0, 10_000, 1_000):
            send(collector, *[shop_call(start + number) for number in range(1_000)])
        take("10000", **WIDE)
    finally:
        collector.close()
        browser.close()


def send_mixed(collector: Collector) -> None:
    """Send calls of each type, some with mistakes."""
    send(
        collector,
        track(..., type="identify", userId="u-17", traits={"plan": "pro", "seats": 3}),
        track(..., type="page", userId=..., anonymousId="8f1c2d", name="Pricing"),
        track("Order Completed", userId="u-18", properties={"total": 129.5, "currency": "EUR"}),
        track("Order Completed", userId="u-19", properties={"total": "12,50", "currency": "EUR"}),
        track(..., type="group", userId="u-17", groupId="acme", traits={"name": "Acme"}),
        track("Search", userId="u-18", properties={"query": "shoes", "results": 42}),
        track("Signup", userId="zoe@example.com", properties={"plan": "free"}),
        track("Checkout Started", userId=..., properties={"items": [1, 2], "total": 99}),
        track("Invoice \u202efdp.exe", userId="u-20", properties={"text": "x" * 20_000}),
        track("Order Completed", userId=18, properties={"total": 20}),
        track("Search", userId="u-19", properties={"query": "socks", "results": 7}),
    )


def shop_call(number: int) -> dict[str, Any]:
    """Return one of many calls of a shop."""
    events = ("Product Viewed", "Search", "Product Added", "Order Completed", "Page Scrolled")
    properties = {"number": number, "plan": "pro", "city": "Zürich"}
    return track(events[number % 5], userId=f"u-{number % 97}", properties=properties)


if __name__ == "__main__":
    main(sys.argv[1])
