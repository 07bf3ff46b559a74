// The panel with one message: what happened to it, its fields, and its JSON.

import { indented, jsonElement, valueElement } from "./json.js";
import { messageOf } from "./model.js";
import { button, clock, copy, make, put, safeJson } from "./text.js";

const MAX_FIELDS = 500;
const OBJECTS = ["properties", "traits", "context", "integrations"];
const KNOWN = new Set([...OBJECTS, "type", "event", "name", "userId", "anonymousId", "messageId",
  "timestamp"]);

export class Panel {
  #panel = document.getElementById("panel");
  #onClose;
  explanations = {};

  constructor(onClose) {
    this.#onClose = onClose;
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  /** Show a row. `isJson` tells whether to show the JSON instead of the fields. */
  show(row, isJson = false) {
    const message = messageOf(row);
    const title = put(make("h2"), row.name || row.type || "Request that cannot be read");
    const close = button("Close", () => this.#onClose(), "close");
    const form = button("Fields", () => this.show(row, false));
    const raw = button("JSON", () => this.show(row, true));
    form.setAttribute("aria-pressed", !isJson);
    raw.setAttribute("aria-pressed", isJson);
    const actions = make("div", "actions");
    if (row.raw !== "null") {
      const copied = button("Copy", () => copy(safeJson(indented(row.raw)), copied));
      actions.append(form, raw, copied);
    }
    actions.append(close);
    const top = make("div", "top");
    top.append(title, actions);
    const body = isJson ? [jsonElement(row.raw)] : this.#fields(row, message);
    this.#panel.replaceChildren(top, ...this.#notes(row), ...body);
    this.#panel.hidden = false;
    this.#panel.scrollTop = 0;
  }

  /** Say that a message of a link is not here. */
  showMissing() {
    const top = make("div", "top");
    top.append(make("h2", "", "This message is not here any more"),
      button("Close", () => this.#onClose()));
    this.#panel.replaceChildren(top, make("p", "",
      "The link is to a message that was cleared, is older than what the collector keeps, or " +
      "arrived before the collector was restarted."));
    this.#panel.hidden = false;
  }

  hide() {
    this.#panel.hidden = true;
    this.#panel.replaceChildren();
  }

  #notes(row) {
    const notes = [];
    if (row.outcome !== "accepted") {
      const note = make("div", "note dropped");
      const what = row.outcome === "dropped" ? "Segment would answer 200 and drop this call: " :
        "This was refused: ";
      note.append(put(make("p", "", what), row.reason ?? ""));
      const known = this.explanations[row.reason];
      if (known) note.append(make("p", "", known.rule), make("p", "", known.fix));
      notes.push(note);
    }
    for (const warning of row.warnings) notes.push(put(make("p", "note"), warning));
    return notes;
  }

  #fields(row, message) {
    const call = message && typeof message === "object" && !Array.isArray(message) ? message : {};
    const parts = [table([
      ["outcome", row.kind === "warned" ? "accepted, with a warning" : row.outcome],
      ["type", call.type], ["event", call.event], ["name", call.name], ["user id", call.userId],
      ["anonymous id", call.anonymousId], ["message id", call.messageId],
      ["timestamp", call.timestamp], ["arrived", clock(row.time)], ["source", row.source],
      ...Object.entries(call).filter(([key]) => !KNOWN.has(key)),
    ])];
    for (const key of OBJECTS) {
      const value = call[key];
      if (value === undefined || value === null) continue;
      const rows = typeof value === "object" ? Object.entries(value) : [[key, value]];
      parts.push(make("h3", "", key[0].toUpperCase() + key.slice(1)));
      parts.push(rows.length ? table(rows) : make("p", "", "none"));
    }
    parts.push(make("h3", "", "Request"), table([
      ["path", row.request.path], ["status", row.request.status ?? "closed without an answer"],
      ["size", `${row.request.body_bytes.toLocaleString("en")} bytes`],
      ["encoding", row.request.encoding], ["retry count", row.request.retry_count],
      ["user agent", row.request.user_agent],
    ]));
    return parts;
  }
}

function table(rows) {
  const made = make("table", "fields");
  const body = make("tbody");
  for (const [key, value] of rows.slice(0, MAX_FIELDS)) {
    if (value === undefined || value === null && key.includes(" ")) continue;
    const line = make("tr");
    const head = valueElement("th", "", key);
    head.scope = "row";
    const isText = typeof value === "string";
    const kind = isText ? "" : value === null ? "null" : typeof value;
    const text = isText ? value : typeof value === "object" ?
      indented(JSON.stringify(value)) : String(value);
    line.append(head, valueElement("td", kind, text, isText ? "" : "\n"));
    body.append(line);
  }
  if (rows.length > MAX_FIELDS) {
    const line = make("tr");
    const more = make("td", "", `and ${rows.length - MAX_FIELDS} more: see the JSON`);
    more.colSpan = 2;
    line.append(more);
    body.append(line);
  }
  made.append(body);
  return made;
}
