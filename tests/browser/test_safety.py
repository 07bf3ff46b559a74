"""Tests that content is only data, and that everybody but foreign pages can use the page."""

from __future__ import annotations

import contextlib
import http.server
import json
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from typing_extensions import override

from ..collector.serving import captured_reports
from .browser import PageTest, send, track

HOSTILE = (
    "<script>window.pwned = 1</script><img src=x onerror=window.pwned=1>"
    "\"><svg onload=window.pwned=1>'javascript:window.pwned=1 ${window.pwned=1} {{1}}"
)
HIDDEN = "pay\u202efdp.exe\u202c\x1b[2J\u200b\u2066\r\n\x00end"


class TestHostile(PageTest):
    def test_nothing_runs(self) -> None:
        """Names, values, keys, ids and reasons with markup are shown as text and never run."""
        fields = {
            "properties": {HOSTILE: HOSTILE, "__proto__": {"polluted": 1}, "constructor": 1},
            "context": {"library": {"name": HOSTILE}, HOSTILE: [HOSTILE]},
        }
        send(
            self.collector,
            track(HOSTILE, userId=HOSTILE, messageId=HOSTILE, **fields),
            track(HOSTILE, type=HOSTILE, **fields),
            [HOSTILE],
        )
        for fragment in ("", "#tab=events", f"#event={HOSTILE}&message={HOSTILE}"):
            self.open(fragment)
            state = self.run_js(
                """
                await page.waitForTimeout(1300);
                for (let step = 0; step < 3; step++) {
                  await page.keyboard.press("j");
                  const json = page.getByRole("button", { name: "JSON" });
                  if (await json.isVisible()) await json.click();
                }
                return page.evaluate(() => [window.pwned ?? null, ({}).polluted ?? null,
                  document.scripts.length, document.images.length,
                  document.querySelectorAll("svg").length]);
                """
            )
            self.assertEqual(state, [None, None, 1, 0, 1])
            self.assertEqual(self.run_js("return [tools.dialogs, tools.problems]"), [[], []])

    def test_hidden_characters_are_shown(self) -> None:
        """Marks for the direction of writing and control characters show as escapes."""
        send(self.collector, track(HIDDEN, userId=HIDDEN, properties={HIDDEN: HIDDEN}))
        self.open()
        self.run_js("await page.keyboard.press('j')")
        for place in (".row .name", ".row .user", ".row .short", "#panel h2", "#panel"):
            with self.subTest(place=place):
                text = self.run_js(
                    "await page.waitForSelector('.row');"
                    "return page.evaluate((place) => document.querySelector(place).textContent,"
                    " args.place)",
                    place=place,
                )
                self.assertIn(r"\u202efdp.exe\u202c\u001b[2J\u200b\u2066\r\n\u0000end", text)
                self.assertNotRegex(text, "[\u202e\u202c\x1b\u200b\u2066]")

    def test_emoji_stay(self) -> None:
        """The joiners inside of emoji and scripts are left alone."""
        family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
        send(self.collector, track(f"Family {family}"))
        self.open()
        self.wait_for_names([f"Family {family}"])


class TestOddMessages(PageTest):
    def test_none_stops_the_page(self) -> None:
        """Whatever the collector accepts, the page shows it, and shows what comes after it."""
        deep = '{"a":' * 800 + "1" + "}" * 800
        bodies = [
            r'{"userId":"\ud800","event":"\udfff lone","properties":{"\ud800":"\ud800"}}',
            f'{{"userId":"u","event":"Deep","properties":{deep}}}',
            f'{{"userId":"u","event":"Huge","properties":{{"n":1{"0" * 400}}}}}',
            f'{{"userId":"u","event":"List","properties":{{"a":[{",".join("1" * 9_000)}]}}}}',
            '{"userId":{"a":1},"event":[1],"properties":"x","traits":7,"context":3}',
            '{"batch":[null,1,"x",[],{}]}',
            '{"batch":3}',
        ]
        self.open()
        for body in bodies:
            path = "batch" if body.startswith('{"batch') else "track"
            request = Request(f"{self.collector.url}/v1/{path}", body.encode())
            with contextlib.suppress(HTTPError):
                urlopen(request, timeout=10).close()
        send(self.collector, track("After them"))
        self.run_js("await page.locator('.row', { hasText: 'After them' }).waitFor()")
        for _ in range(len(self.collector.arrivals)):
            self.run_js(
                """
                await page.keyboard.press("j");
                const json = page.getByRole("button", { name: "JSON" });
                if (await json.isVisible()) await json.click();
                """
            )
        self.assertEqual(self.run_js("return tools.problems"), [])


class _Foreign(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>another page</title>")

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


class TestOtherPages(PageTest):
    """Pages of other origins, which are served by another server on this machine."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Foreign)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def outcomes(self, host: str) -> dict[str, bool]:
        """Return what a page of this host can do with the collector."""
        found: dict[str, bool] = self.run_js(
            """
            await tools.open(args.page);
            return tools.page.evaluate(async ({ url, body }) => {
              const works = (path, options) =>
                fetch(url + path, options).then((answer) => answer.ok, () => false);
              const json = { "Content-Type": "application/json" };
              return {
                send: await works("/v1/t", { method: "POST", body }),
                preflight: await works("/v1/t", { method: "POST", body, headers: json }),
                blind: await works("/v1/t", { method: "POST", body, mode: "no-cors" }) || true,
                beacon: navigator.sendBeacon(url + "/v1/t", body),
                read: await works("/api/messages"),
                clear: await works("/api/messages", { method: "DELETE" }),
              };
            }, args);
            """,
            page=f"http://{host}:{self.server.server_address[1]}/",
            url=self.collector.url,
            body=json.dumps({"userId": "u", "event": "From a page", "writeKey": "k"}),
        )
        return found

    def test_page_of_this_machine(self) -> None:
        """A page of localhost can send, also by sendBeacon, and cannot read what arrived."""
        found = self.outcomes("localhost")
        self.assertEqual((found["send"], found["preflight"]), (True, True))
        self.assertEqual((found["read"], found["clear"]), (False, False))
        self.assertTrue(self.collector.wait_for(4))

    def test_foreign_page(self) -> None:
        """A foreign page can neither send nor read, not even blindly."""
        with captured_reports():
            found = self.outcomes("app.test")
        self.assertEqual((found["send"], found["preflight"]), (False, False))
        self.assertEqual((found["read"], found["clear"]), (False, False))
        self.assertEqual(self.collector.requests, [])


class TestAccessibility(PageTest):
    def test_checker(self) -> None:
        """The checker finds nothing, in any state, color scheme and width."""
        for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390)):
            self.collector.clear()
            self.open(scheme=scheme, width=width, bypassCSP=True)
            self.check(f"empty {scheme} {width}")
            send(self.collector, track("Good", properties={"a": 1, "b": None, "c": True}))
            send(self.collector, track("Mail", userId="a@example.com"), track("No", userId=...))
            self.wait_for_names(["No", "Mail", "Good"])
            self.check(f"list {scheme} {width}")
            self.run_js("await page.keyboard.press('j')")
            self.check(f"panel {scheme} {width}")
            self.run_js("await page.getByRole('button', { name: 'JSON' }).click()")
            self.check(f"json {scheme} {width}")
            self.run_js(
                "await page.keyboard.press('Escape'); await page.click('[data-tab=events]')"
            )
            self.run_js("await page.waitForSelector('.events table')")
            self.check(f"events {scheme} {width}")
            self.run_js("await page.keyboard.press('?')")
            self.check(f"help {scheme} {width}")

    def check(self, state: str) -> None:
        """Run the checker on the page as it is."""
        with self.subTest(state):
            found = self.run_js(
                """
                await page.evaluate(tools.axe());
                const result = await page.evaluate("axe.run()");
                return result.violations.map((one) =>
                  `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 150)).join(" | ")}`);
                """
            )
            self.assertEqual(found, [])

    def test_phone(self) -> None:
        """At the width of a phone, there is one column, and nothing is wider than the screen."""
        send(self.collector, track("A long name of an event " * 5, userId="u" * 200))
        self.open(width=390, height=844)
        self.run_js("await page.waitForSelector('.row')")
        sizes = self.run_js(
            """
            return page.evaluate(() => [document.documentElement.scrollWidth,
              document.querySelector(".row").getBoundingClientRect().height,
              document.querySelector(".row .name").getBoundingClientRect().width > 200]);
            """
        )
        self.assertEqual(sizes, [390, 54, True])
        self.run_js("await page.click('.row')")
        self.assertEqual(
            self.run_js("return page.evaluate('document.documentElement.scrollWidth')"), 390
        )
