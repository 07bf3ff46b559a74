"""Tests for the controls of the collector's page: filters, links, the keyboard, buttons."""

from __future__ import annotations

import json

from .browser import PageTest, send, track


class TestFilters(PageTest):
    def send_some(self) -> None:
        """Send calls that differ in everything that there are filters for."""
        send(
            self.collector,
            track("Signup", userId="u-17", properties={"city": "Zürich"}),
            track("Order", userId="u-18", context={"library": {"name": "other"}}),
            track("Order", userId=18),
            track("Mail", userId="a@example.com"),
            track(..., type="identify", userId="u-18", traits={"plan": "pro"}),
        )

    def test_each(self) -> None:
        """Each filter selects by its field, and the address has the filter."""
        self.send_some()
        self.open()
        self.run_js("await page.waitForSelector('[aria-setsize=\"5\"]')")
        for name, value, wanted in (
            ("type", "identify", ["plan: pro"]),
            ("event", "sign", ["Signup"]),
            ("user", "u-17", ["Signup"]),
            ("outcome", "dropped", ["Order"]),
            ("outcome", "warned", ["Mail"]),
            ("source", "other", ["Order"]),
            ("q", "zürich", ["Signup"]),
        ):
            with self.subTest(name=name, value=value):
                self.run_js(
                    """
                    if (await page.isVisible("#reset")) await page.click("#reset");
                    const isChoice = ["type", "outcome", "source"].includes(args.name);
                    await page[isChoice ? "selectOption" : "fill"]("#" + args.name, args.value);
                    """,
                    name=name,
                    value=value,
                )
                self.wait_for_names(wanted)
                self.assertIn(f"{name}=", self.run_js("return page.evaluate('location.hash')"))

    def test_no_match(self) -> None:
        """If nothing matches, the page says so."""
        self.send_some()
        self.open("#q=nothing-has-this")
        self.run_js("await page.locator('#nothing', { hasText: 'No message' }).waitFor()")

    def test_link_to_filter(self) -> None:
        """A link opens the page with its filter."""
        self.send_some()
        self.open("#event=Order&outcome=accepted")
        self.wait_for_names(["Order"])
        self.assertEqual(self.run_js("return page.inputValue('#event')"), "Order")

    def test_link_to_message(self) -> None:
        """A link opens the page with its message, and says when that is gone."""
        self.send_some()
        self.open()
        link = self.run_js(
            """
            await page.locator(".row", { hasText: "Signup" }).click();
            return page.evaluate("location.hash");
            """
        )
        self.open(link)
        self.run_js("await page.locator('#panel h2', { hasText: 'Signup' }).waitFor()")
        self.open("#message=00000000-1")
        self.run_js("await page.locator('#panel h2', { hasText: 'not here' }).waitFor()")

    def test_new_messages_are_filtered(self) -> None:
        """What arrives later is filtered as well."""
        self.open("#event=order")
        send(self.collector, track("Signup"), track("Order"))
        self.wait_for_names(["Order"])


class TestKeyboard(PageTest):
    def test_keys(self) -> None:
        """j and k go through the messages, / searches, Esc closes, ? shows the help."""
        send(self.collector, track("A"), track("B"), track("C"))
        self.open()
        self.wait_for_names(["C", "B", "A"])
        for key, wanted in (("j", "C"), ("j", "B"), ("j", "A"), ("j", "A"), ("k", "B")):
            title = self.run_js(
                "await page.keyboard.press(args.key); return page.innerText('#panel h2')", key=key
            )
            self.assertEqual(title, wanted)
        # The list is drawn with the next frame, which may come after the panel's text.
        self.run_js("await page.locator('[aria-selected=true] .name', { hasText: 'B' }).waitFor()")
        state = self.run_js(
            """
            const states = [];
            await page.keyboard.press("Escape");
            states.push(await page.isVisible("#panel"));
            await page.keyboard.press("/");
            states.push(await page.evaluate("document.activeElement.id"));
            await page.keyboard.type("jk?p");
            states.push(await page.inputValue("#q"));
            await page.keyboard.press("Escape");
            states.push(await page.evaluate("document.activeElement.tagName"));
            await page.keyboard.press("?");
            states.push(await page.isVisible("#dialog"));
            await page.keyboard.press("Escape");
            states.push(await page.isVisible("#dialog"));
            return states;
            """
        )
        self.assertEqual(state, [False, "q", "jk?p", "BODY", True, False])

    def test_arrows_in_the_list(self) -> None:
        """The arrows move the choice when the list has the focus."""
        send(self.collector, track("A"), track("B"))
        self.open()
        self.wait_for_names(["B", "A"])
        title = self.run_js(
            """
            await page.focus("#list");
            await page.keyboard.press("ArrowDown");
            await page.keyboard.press("ArrowDown");
            return page.innerText("#panel h2");
            """
        )
        self.assertEqual(title, "A")


class TestButtons(PageTest):
    def test_pause(self) -> None:
        """While the page is paused, nothing moves. Then everything shows up."""
        send(self.collector, track("A"))
        self.open()
        self.wait_for_names(["A"])
        self.run_js("await page.keyboard.press('p')")
        send(self.collector, track("B"))
        self.run_js("await page.locator('#pause', { hasText: 'Resume (1)' }).waitFor()")
        self.assertEqual(self.names(), ["A"])
        self.run_js("await page.click('#pause')")
        self.wait_for_names(["B", "A"])

    def test_pause_in_a_burst(self) -> None:
        """Good messages that arrive during a pause do not push out one that was dropped."""
        self.open()
        send(self.collector, track("A"))
        self.wait_for_names(["A"])
        self.run_js("await page.keyboard.press('p')")
        send(self.collector, track("Dropped", userId=...))
        for number in range(42):
            send(self.collector, *(track(f"Good {number}") for _ in range(500)))
        self.run_js("await page.locator('#count-all', { hasText: '21,002' }).waitFor()")
        self.run_js("await page.click('#pause')")
        self.run_js("await page.click('[data-tab=dropped]')")
        self.wait_for_names(["Dropped"])

    def test_export(self) -> None:
        """Export saves the selected calls as JSON lines, the oldest first."""
        calls = [track("A"), track("B"), track("C", userId=...)]
        send(self.collector, *calls)
        self.open("#outcome=accepted")
        self.wait_for_names(["B", "A"])
        saved = self.run_js(
            """
            const [download] = await Promise.all([
              page.waitForEvent("download"), page.click("#export")]);
            const chunks = [];
            for await (const chunk of await download.createReadStream()) chunks.push(chunk);
            return Buffer.concat(chunks).toString();
            """
        )
        self.assertEqual([json.loads(line) for line in saved.splitlines()], calls[:2])
