// The empty page: how to send to this collector from Python, Node.js, a browser and a shell.

import { button, copy, make } from "./text.js";

const WAYS = [
  ["Python, with segment-logging", (url) =>
    `export SEGMENT_HOST=${url} SEGMENT_WRITE_KEY=any-key\npython app.py`],
  ["Python, with segment-analytics-python", (url) =>
    `import segment.analytics as analytics\n\nanalytics.write_key = "any-key"\n` +
    `analytics.host = "${url}"\nanalytics.track("u-17", "Signup", {"plan": "pro"})`],
  ["Node.js, with @segment/analytics-node", (url) =>
    `import { Analytics } from "@segment/analytics-node";\n\nconst analytics = new Analytics({\n` +
    `  writeKey: "any-key",\n  host: "${url}",\n});\n` +
    `analytics.track({ userId: "u-17", event: "Signup" });`],
  ["Browser, with @segment/analytics-next", (url) =>
    `import { AnalyticsBrowser } from "@segment/analytics-next";\n\n` +
    `const analytics = AnalyticsBrowser.load({\n  writeKey: "any-key",\n  cdnURL: "${url}",\n});\n` +
    `analytics.track("Signup", { plan: "pro" });`],
  ["Shell, with curl", (url) =>
    `curl ${url}/v1/track -u any-key: \\\n  -H "Content-Type: application/json" \\\n` +
    `  -d '{"userId": "u-17", "event": "Signup"}'`],
];

/** Fill the empty page. */
export function fillWays(box) {
  const ways = make("div", "ways");
  for (const [title, codeOf] of WAYS) {
    const code = codeOf(location.origin);
    const way = make("section", "way");
    const top = make("div", "title");
    const copied = button("Copy", () => copy(code, copied));
    copied.setAttribute("aria-label", `Copy: ${title}`);
    top.append(make("h3", "", title), copied);
    way.append(top, make("pre", "", code));
    ways.append(way);
  }
  box.append(
    make("h2", "", "Waiting for the first message"),
    make("p", "", "Send to this collector instead of Segment. Any write key works, and nothing " +
      "leaves this machine. Messages show up here as they arrive."),
    ways,
  );
}
