// Runs JavaScript against a page in a headless Chromium, for `browser.py`.
//
//     node tests/browser/driver.mjs FOLDER CHROMIUM
//
// FOLDER contains `node_modules` (see the Makefile). Each line of standard input is an object with
// `code`, the body of an async function, and `args`. The function is called with `page`, `args` and
// `tools`. Each line of output is an object with its `value`, or with an `error`.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const [folder, executablePath] = process.argv.slice(2);
const load = createRequire(`${resolve(folder)}/package.json`);
const { chromium } = load("playwright-core");
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--host-resolver-rules=MAP *.test 127.0.0.1"],
});
let context = null;

const tools = {
  problems: [], // errors of the page, and requests to other places than the collector
  dialogs: [],
  axe: () => readFileSync(load.resolve("axe-core/axe.min.js"), "utf-8"),
  async open(url, { width = 1280, height = 800, scheme = "light", bypassCSP = false } = {}) {
    await context?.close();
    context = await browser.newContext({
      viewport: { width, height }, colorScheme: scheme, bypassCSP, acceptDownloads: true,
      permissions: [], locale: "en-US", timezoneId: "UTC",
    });
    const page = await context.newPage();
    tools.problems = [];
    tools.dialogs = [];
    page.on("pageerror", (error) => tools.problems.push(`error: ${error.message}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) tools.problems.push(message.text());
    });
    page.on("request", (request) => {
      const other = new URL(request.url());
      if (!["blob:", "data:"].includes(other.protocol) && other.origin !== new URL(url).origin) {
        tools.problems.push(`request to ${request.url()}`);
      }
    });
    page.on("dialog", (dialog) => {
      tools.dialogs.push(dialog.message());
      dialog.dismiss();
    });
    tools.page = page;
    await page.goto(url);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { code, args } = JSON.parse(line);
  let reply;
  try {
    const call = new Function("page", "args", "tools", `return (async () => {${code}})()`);
    reply = { value: (await call(tools.page, args, tools)) ?? null };
  } catch (error) {
    reply = { error: String(error.stack) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
await browser.close();
