// The counts of each event, and the properties that were seen in it.

import { button, make, put, set } from "./text.js";

const MAX_EVENTS = 200;
const MAX_PROPERTIES = 40;
const REFRESH_MS = 1_000;
const SLICE = 20; // lines that are made before the page draws them
const FRAME_MS = 16;

export class Events {
  #box = document.getElementById("events");
  #onChoose;
  #isAsking = false;
  #isOutdated = false;
  #table = make("table");
  #body = make("tbody");
  #nothing = make("p", "", "Nothing has arrived yet.");
  #more = make("p");
  #lines = new Map(); // by the type and name of their events

  /** `onChoose(item)` is called when the reader chooses an event. */
  constructor(onChoose) {
    this.#onChoose = onChoose;
    const head = make("tr");
    for (const title of ["event", "type", "count", "not accepted", "warnings", "properties"]) {
      const cell = make("th", "", title);
      cell.scope = "col";
      head.append(cell);
    }
    const top = make("thead");
    top.append(head);
    this.#table.append(top, this.#body);
    for (const part of [this.#table, this.#nothing, this.#more]) part.hidden = true;
    this.#box.append(this.#table, this.#nothing, this.#more);
  }

  /** Show the present counts, unless they are hidden or were shown a moment ago. */
  async refresh() {
    this.#isOutdated = true;
    if (this.#isAsking || this.#box.hidden) return;
    this.#isAsking = true;
    this.#isOutdated = false;
    try {
      const answer = await fetch("api/counts", { cache: "no-store" });
      await this.#show((await answer.json()).events);
    } catch {
      // The banner tells that the connection is lost.
    }
    setTimeout(() => {
      this.#isAsking = false;
      if (this.#isOutdated) this.refresh();
    }, REFRESH_MS);
  }

  /** Update the table in slices. Only the parts that have changed are rebuilt. */
  async #show(items) {
    const known = this.#lines;
    this.#lines = new Map();
    this.#nothing.hidden = items.length > 0;
    this.#table.hidden = items.length === 0;
    let index = 0;
    for (const item of items.slice(0, MAX_EVENTS)) {
      const key = JSON.stringify([item.type, item.name]);
      const line = known.get(key) ?? this.#line(item);
      known.delete(key);
      this.#lines.set(key, line);
      update(line, item);
      this.#place(line, index);
      index += 1;
      if (index % SLICE === 0) await new Promise((resume) => setTimeout(resume, FRAME_MS));
    }
    for (const line of known.values()) line.remove();
    const more = items.length - MAX_EVENTS;
    this.#more.hidden = more <= 0;
    this.#more.textContent = `and ${more} more events`;
  }

  #place(line, index) {
    const there = this.#body.children[index];
    if (there === line) return;
    const focused = document.activeElement;
    this.#body.insertBefore(line, there ?? null);
    if (line.contains(focused)) focused.focus(); // a move takes the focus away
  }

  #line(item) {
    const line = make("tr");
    const name = make("th");
    name.scope = "row";
    if (item.name === null) {
      name.textContent = "other events";
    } else {
      const chosen = button("", () => this.#onChoose(item), "link");
      set(chosen, item.name || "(no name)");
      name.append(chosen);
    }
    line.append(name, put(make("td"), item.type ?? ""), make("td", "number"),
      make("td", "number"), make("td", "number"), make("td"));
    return line;
  }
}

/** Show the counts and the properties of an event in its line. */
function update(line, item) {
  const [, , count, bad, warned, properties] = line.children;
  showNumber(count, item.count);
  showNumber(bad, item.dropped + item.refused, "some-dropped");
  showNumber(warned, item.warned, "some-warned");
  const shown = item.properties.slice(0, MAX_PROPERTIES);
  const texts = shown.map((property) => chipText(property, item.count));
  const more = item.properties.length - MAX_PROPERTIES;
  if (more > 0) texts.push(`and ${more} more`);
  const all = JSON.stringify([shown.map((property) => property.name), texts]);
  if (line.shown === all) return;
  line.shown = all;
  const parts = shown.flatMap((property, index) => [chip(property, texts[index]), " "]);
  if (more > 0) parts.push(texts.at(-1));
  properties.replaceChildren(...parts);
}

function showNumber(cell, value, className = "") {
  const text = value ? value.toLocaleString("en") : "";
  if (cell.textContent === text) return;
  cell.replaceChildren(...(text ? [make("span", className, text)] : []));
}

function chip(property, text) {
  const made = put(make("span", property.mixed ? "property mixed" : "property"), property.name);
  made.append(text);
  return made;
}

function chipText(property, count) {
  const types = Object.entries(property.types);
  const some = (number) => number === count ? "" : ` in ${number.toLocaleString("en")}`;
  return property.mixed ?
    `: ${types.length === 2 ? "two" : "several"} types, ` +
    types.map(([type, number]) => `${type}${some(number)}`).join(" and ") :
    ` ${types.map(([type]) => type).join(" or ")}${some(property.count)}`;
}
