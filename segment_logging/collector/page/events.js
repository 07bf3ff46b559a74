// The counts of each event, and the properties that were seen in it.

import { button, make, put, set } from "./text.js";

const MAX_EVENTS = 200;
const MAX_PROPERTIES = 40;
const REFRESH_MS = 1_000;

export class Events {
  #box = document.getElementById("events");
  #onChoose;
  #isAsking = false;
  #isOutdated = false;

  /** `onChoose(item)` is called when the reader chooses an event. */
  constructor(onChoose) {
    this.#onChoose = onChoose;
  }

  /** Show the present counts, unless they are hidden or were shown a moment ago. */
  async refresh() {
    this.#isOutdated = true;
    if (this.#isAsking || this.#box.hidden) return;
    this.#isAsking = true;
    this.#isOutdated = false;
    try {
      const answer = await fetch("api/counts", { cache: "no-store" });
      this.#show((await answer.json()).events);
    } catch {
      // The banner tells that the connection is lost.
    }
    setTimeout(() => {
      this.#isAsking = false;
      if (this.#isOutdated) this.refresh();
    }, REFRESH_MS);
  }

  #show(items) {
    const table = make("table");
    const head = make("tr");
    for (const title of ["event", "type", "count", "not accepted", "warnings", "properties"]) {
      const cell = make("th", "", title);
      cell.scope = "col";
      head.append(cell);
    }
    const body = make("tbody");
    for (const item of items.slice(0, MAX_EVENTS)) body.append(this.#line(item));
    const top = make("thead");
    top.append(head);
    table.append(top, body);
    const focused = this.#box.contains(document.activeElement) ?
      document.activeElement.textContent : null;
    this.#box.replaceChildren(items.length ? table : make("p", "", "Nothing has arrived yet."));
    if (items.length > MAX_EVENTS) {
      this.#box.append(make("p", "", `and ${items.length - MAX_EVENTS} more events`));
    }
    if (focused) {
      [...this.#box.querySelectorAll("button")].find((one) => one.textContent === focused)?.focus();
    }
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
    const properties = make("td");
    for (const property of item.properties.slice(0, MAX_PROPERTIES)) {
      properties.append(chip(property, item.count), " ");
    }
    if (item.properties.length > MAX_PROPERTIES) {
      properties.append(`and ${item.properties.length - MAX_PROPERTIES} more`);
    }
    line.append(name, put(make("td"), item.type ?? ""), number(item.count),
      number(item.dropped + item.refused, "some-dropped"), number(item.warned, "some-warned"),
      properties);
    return line;
  }
}

function number(value, className = "") {
  const cell = make("td", "number");
  cell.append(value ? make("span", className, value.toLocaleString("en")) : "");
  return cell;
}

function chip(property, count) {
  const types = Object.entries(property.types);
  const made = put(make("span", property.mixed ? "property mixed" : "property"), property.name);
  const some = (number) => number === count ? "" : ` in ${number.toLocaleString("en")}`;
  made.append(property.mixed ?
    `: ${types.length === 2 ? "two" : "several"} types, ` +
    types.map(([type, number]) => `${type}${some(number)}`).join(" and ") :
    ` ${types.map(([type]) => type).join(" or ")}${some(property.count)}`);
  return made;
}
