"""Tests for what the collector's page shows."""

from __future__ import annotations

from segment_logging.collector import Collector

from .browser import PageTest, send, track


class TestMessages(PageTest):
    def test_empty(self) -> None:
        """The empty page shows how to connect, with the collector's own address."""
        self.open()
        texts = self.run_js("return page.locator('.way pre').allTextContents()")
        self.assertEqual(len(texts), 5)
        for text in texts:
            self.assertIn(self.collector.url, text)

    def test_live(self) -> None:
        """A message shows up without a reload, the newest first."""
        self.open()
        send(self.collector, track("First"))
        self.wait_for_names(["First"])
        send(self.collector, track("Second"))
        self.wait_for_names(["Second", "First"])
        self.assertEqual(self.run_js("return tools.problems"), [])

    def test_dropped_are_kept_apart(self) -> None:
        """A dropped message among thousands of good ones is alone in its own tab."""
        send(self.collector, track("Without a user", userId=...))
        for _ in range(3):
            send(self.collector, *[track("Good") for _ in range(1_000)])
        self.open()
        self.run_js("await page.click('[data-tab=dropped]')")
        self.wait_for_names(["Without a user"])
        self.run_js(
            "await page.locator('#count-all', {hasText: '3,001'}).waitFor();"
            "await page.locator('#count-dropped', {hasText: /^1$/}).waitFor();"
        )
        note = self.run_js("await page.keyboard.press('j'); return page.innerText('.note')")
        self.assertIn("no_user_anon_id", note)
        self.assertIn("must have a userId or an anonymousId", note)

    def test_warned_have_their_own_tab(self) -> None:
        """Messages with warnings are in a tab, and the panel shows the warning."""
        send(self.collector, track("Fine"), track("Mail", userId="a@example.com"))
        self.open("#tab=warned")
        self.wait_for_names(["Mail"])
        note = self.run_js("await page.keyboard.press('j'); return page.innerText('.note')")
        self.assertIn("e-mail address", note)

    def test_rows_never_grow(self) -> None:
        """Neither a long name nor a property of 30 KB makes a row or the page any higher."""
        send(self.collector, track("Short"), track("E" * 1_000, properties={"a": "x" * 29_000}))
        self.open()
        sizes = self.run_js(
            """
            await page.locator(".row").nth(1).waitFor();
            await page.keyboard.press("j");
            return page.evaluate(() => ({
              rows: [...new Set([...document.querySelectorAll(".row:not([hidden])")]
                .map((row) => row.getBoundingClientRect().height))],
              page: document.documentElement.scrollHeight - innerHeight,
              wide: document.documentElement.scrollWidth - innerWidth,
            }));
            """
        )
        self.assertEqual(sizes, {"rows": [32], "page": 0, "wide": 0})

    def test_only_visible_rows_have_elements(self) -> None:
        """With 10,000 rows, the document has elements only for the visible ones."""
        for _ in range(10):
            send(self.collector, *[track(f"E {number}") for number in range(1_000)])
        self.open()
        count = self.run_js(
            """
            await page.waitForFunction(() =>
              document.getElementById("rows").style.height === `${10_000 * 32}px`);
            await page.evaluate(() => { document.getElementById("list").scrollTop = 160_000; });
            await page.locator('[aria-posinset="5001"]').waitFor();
            return page.locator(".row").count();
            """
        )
        self.assertLess(count, 100)

    def test_reading_further_down(self) -> None:
        """What the reader looks at stays in its place when newer messages arrive."""
        send(self.collector, *[track(f"E {number}") for number in range(1_000)])
        self.open()
        offset = """
            return page.evaluate(() => {
              const rows = [...document.querySelectorAll(".row:not([hidden])")];
              const row = rows.find((one) => one.textContent.includes("E 500"));
              return row && row.getBoundingClientRect().top;
            });
        """
        self.run_js(
            """
            await page.locator(".row").nth(5).waitFor();
            await page.evaluate(() => {
              document.getElementById("list").scrollTop = (999 - 505) * 32;
            });
            await page.locator(".row", { hasText: "E 500" }).waitFor();
            """
        )
        before = self.run_js(offset)
        send(self.collector, *[track(f"N {number}") for number in range(100)])
        self.run_js("await page.waitForSelector('[aria-setsize=\"1100\"]')")
        self.assertEqual(self.run_js(offset), before)

    def test_json_is_exact(self) -> None:
        """The JSON has the numbers as they were sent."""
        call = track("Big", properties={"id": 12345678901234567890, "one": 1.0})
        send(self.collector, call)
        self.open()
        text = self.run_js(
            """
            await page.locator(".row").first().click();
            await page.click("button:text-is('JSON')");
            return page.innerText(".json");
            """
        )
        self.assertIn('"id": 12345678901234567890', text)
        self.assertIn('"one": 1.0', text)

    def test_events(self) -> None:
        """The events have their properties, and one with two types is pointed out."""
        send(self.collector, track("Order", properties={"total": 1, "id": "a"}))
        send(self.collector, track("Order", properties={"total": "1,50", "id": "b"}))
        self.open("#tab=events")
        chips = self.run_js(
            "await page.waitForSelector('.property');"
            "return page.locator('.property').allTextContents()"
        )
        self.assertEqual(chips, ["total: two types, number in 1 and string in 1", "id string"])

    def test_events_change(self) -> None:
        """The counts of events are updated, in their order, and the focus stays."""
        send(self.collector, track("Often"), track("Often"))
        send(self.collector, track("Seldom"))
        self.open("#tab=events")
        self.run_js("await page.locator('.link', { hasText: 'Seldom' }).focus()")
        send(self.collector, *[track("Seldom", properties={"a": 1}) for _ in range(5)])
        self.run_js("await page.locator('.property', { hasText: 'a number in 5' }).waitFor()")
        rows = self.run_js("return page.locator('.events tbody tr').allInnerTexts()")
        self.assertEqual(
            [row.split() for row in rows],
            [["Seldom", "track", "6", "a", "number", "in", "5"], ["Often", "track", "2"]],
        )
        self.assertEqual(
            self.run_js("return page.evaluate(() => document.activeElement.textContent)"), "Seldom"
        )
        self.run_js("await page.click('#clear')")
        self.run_js("await page.getByText('Nothing has arrived yet.').waitFor()")
        self.assertEqual(self.run_js("return page.locator('.events tbody tr').count()"), 0)

    def test_history(self) -> None:
        """A page that is opened late has all messages that are kept, in order."""
        for first in range(0, 10_000, 1_000):
            send(self.collector, *[track(f"E {first + index}") for index in range(1_000)])
        self.open()
        self.run_js("await page.locator('.row[aria-setsize=\"10000\"]').first().waitFor()")
        self.assertEqual(self.names()[:3], ["E 9999", "E 9998", "E 9997"])


class TestConnection(PageTest):
    def test_restart(self) -> None:
        """A lost connection has a banner, and a restart is a clear break in the list."""
        self.open()
        send(self.collector, track("Before"))
        self.wait_for_names(["Before"])
        port = int(self.collector.url.rpartition(":")[2])
        self.collector.close()
        self.run_js("await page.locator('#banner', { hasText: 'lost' }).waitFor()")
        self.collector = Collector(port)
        send(self.collector, track("After"))
        self.run_js("await page.locator('.row', { hasText: 'After' }).waitFor()")
        first, second, third = self.names()
        self.assertEqual((first, third), ("After", "Before"))
        self.assertIn("The collector was restarted at", second)
        self.assertTrue(self.run_js("return page.locator('#banner').isHidden()"))

    def test_reconnect(self) -> None:
        """After a lost connection, the page continues where it was."""
        self.open()
        send(self.collector, track("One"))
        self.wait_for_names(["One"])
        self.run_js("await page.context().setOffline(true)")
        self.run_js("await page.context().setOffline(false)")
        send(self.collector, track("Two"))
        self.wait_for_names(["Two", "One"])

    def test_clear(self) -> None:
        """Clear empties the collector and the page."""
        send(self.collector, track("Old"))
        self.open()
        self.wait_for_names(["Old"])
        self.run_js("await page.click('#clear'); await page.waitForSelector('.way')")
        self.assertEqual(self.collector.arrivals, [])
        send(self.collector, track("New"))
        self.wait_for_names(["New"])
