"""The collector's web page: what arrived, what Segment would drop, and why. It updates itself.

Nothing in a message can run as code. Values are only inserted as text nodes, and the page's
Content-Security-Policy only allows its own script and style.
"""

from __future__ import annotations

import base64
import hashlib

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1d2433; background: #fff; }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; }
#summary { margin: 0 0 1rem; color: #566; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; }
th { border-bottom: 2px solid #ccd; font-weight: 600; }
td { border-bottom: 1px solid #e6e8ef; overflow-wrap: anywhere; }
td:nth-child(-n+2) { white-space: nowrap; overflow-wrap: normal; }
pre { margin: .25rem 0 0; white-space: pre-wrap; }
.dropped td, .refused td { background: #fdecea; }
.warned td { background: #fff8e1; }
@media (prefers-color-scheme: dark) {
  body { color: #e4e7ee; background: #14171f; }
  #summary { color: #9aa; }
  td { border-color: #2a2f3b; }
  .dropped td, .refused td { background: #4a1f1c; }
  .warned td { background: #423610; }
}
"""

_SCRIPT = """
"use strict";
const rows = document.getElementById("rows");
const summary = document.getElementById("summary");
let after = 0;

function cell(row, text) {
  const made = document.createElement("td");
  made.textContent = text === undefined || text === null ? "" : String(text);
  row.append(made);
  return made;
}

function show(arrival) {
  const object = arrival.message !== null && typeof arrival.message === "object";
  const message = object ? arrival.message : {};
  const row = document.createElement("tr");
  row.className = arrival.warnings.length ? "warned" : "";
  if (arrival.outcome !== "accepted") row.className = arrival.outcome;
  cell(row, arrival.number);
  cell(row, message.type);
  cell(row, message.userId || message.anonymousId);
  cell(row, message.event || message.name || message.groupId || message.previousId);
  const details = document.createElement("details");
  const short = document.createElement("summary");
  short.textContent = JSON.stringify(message.properties || message.traits || {});
  const whole = document.createElement("pre");
  whole.textContent = JSON.stringify(arrival.message, null, 2);
  details.append(short, whole);
  cell(row, "").append(details);
  cell(row, [arrival.outcome, arrival.reason, ...arrival.warnings].filter(Boolean).join("; "));
  rows.prepend(row);
  while (rows.childElementCount > 500) rows.lastElementChild.remove();
}

async function poll() {
  try {
    const answer = await fetch("/api/messages?after=" + after, { cache: "no-store" });
    const news = await answer.json();
    news.arrivals.forEach(show);
    after = news.next;
    const counts = news.counts;
    summary.textContent = counts.accepted + " accepted, " + counts.dropped +
      " would be dropped, " + counts.refused + " refused, in " + counts.requests +
      (counts.requests === 1 ? " request" : " requests");
  } catch (error) {
    summary.textContent = "The collector has stopped.";
  }
  setTimeout(poll, 1000);
}
poll();
"""

PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Segment collector</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Segment collector</h1>
<p id="summary" role="status">Nothing has arrived yet.</p>
<table>
<thead><tr><th>#</th><th>type</th><th>user</th><th>name</th><th>fields</th><th>outcome</th></tr>
</thead>
<tbody id="rows"></tbody>
</table>
<script>{_SCRIPT}</script>
</body>
</html>
""".encode()
"""The whole page. All that it loads is the JSON from `/api/messages`."""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy."""
