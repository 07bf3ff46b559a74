// What the page knows: the rows, the filter, and the rows that the filter selects.

const MAX_ROWS = 20_000; // of each kind, as in the collector
const MAX_TEXT = 48_000_000; // characters of each kind
const SLICE_MS = 8; // so that filtering many rows never blocks the page
const MARK = ',"message":'; // cannot be in a JSON string, where quotes have backslashes

export const FILTERS = ["q", "type", "event", "user", "outcome", "source"];

/** Return a row from the JSON of an arrival. The message itself stays text until it is needed. */
export function rowOf(line, run) {
  const at = line.indexOf(MARK);
  const row = JSON.parse(line.slice(0, at) + "}");
  row.raw = line.slice(at + MARK.length, -1);
  row.kind = row.outcome !== "accepted" ? "dropped" : row.warnings.length ? "warned" : "good";
  row.key = `${run.slice(0, 8)}-${row.number}`;
  return row;
}

/** Return the message of a row, or null. */
export function messageOf(row) {
  try {
    return JSON.parse(row.raw);
  } catch {
    return null;
  }
}

export class Model {
  rows = []; // the oldest first
  view = []; // those that the filter selects
  added = 0; // rows that were added to the view, ever
  tab = "all";
  filter = {};
  sources = new Set();
  #sizes = { good: [0, 0], warned: [0, 0], dropped: [0, 0] };
  #test = () => true;
  #job = 0;
  #later = null; // rows of the view that are shown only after a pause, while it lasts

  /** Add a row, the newest of all. */
  add(row) {
    this.rows.push(row);
    if (row.source) this.sources.add(row.source);
    if (this.#test(row)) this.#show(row);
    const size = this.#sizes[row.kind];
    if (!size) return;
    size[0] += 1;
    size[1] += row.raw.length;
    if (size[0] > MAX_ROWS + 500 || size[1] > MAX_TEXT) this.#trim(row.kind, size);
  }

  #show(row) {
    if (this.#later) {
      this.#later.push(row);
    } else {
      this.view.push(row);
      this.added += 1;
    }
  }

  /** Keep the view as it is until `resume`. What arrives is kept, within the usual limits. */
  pause() {
    this.#later = [];
  }

  resume() {
    const later = this.#later;
    this.#later = null;
    for (const row of later) this.#show(row);
  }

  #trim(kind, size) {
    for (const row of this.rows) {
      if (size[0] <= MAX_ROWS && size[1] <= MAX_TEXT * 0.98) break;
      if (row.kind !== kind) continue;
      row.gone = true;
      size[0] -= 1;
      size[1] -= row.raw.length;
    }
    this.rows = this.rows.filter((row) => !row.gone);
    this.view = this.view.filter((row) => !row.gone);
    if (this.#later) this.#later = this.#later.filter((row) => !row.gone);
  }

  /** Remove all rows. */
  clear() {
    this.#job += 1;
    this.rows = [];
    this.view = [];
    if (this.#later) this.#later = [];
    for (const kind in this.#sizes) this.#sizes[kind] = [0, 0];
  }

  /** Return the row with this key, or undefined. */
  find(key) {
    return this.rows.findLast((row) => row.key === key);
  }

  /** Select rows anew, in slices of time, and call `done` when the view is complete. */
  async select(done) {
    const job = this.#job += 1;
    const test = this.#test = testOf(this.tab, this.filter);
    const view = [];
    const rows = this.rows.slice();
    let began = performance.now();
    for (let index = 0; index < rows.length; index++) {
      if (test(rows[index])) view.push(rows[index]);
      if (index % 64 === 0 && performance.now() - began > SLICE_MS) {
        await new Promise((resume) => setTimeout(resume));
        if (job !== this.#job) return;
        began = performance.now();
      }
    }
    const last = rows.at(-1);
    for (let index = this.rows.lastIndexOf(last) + 1; index < this.rows.length; index++) {
      if (test(this.rows[index])) view.push(this.rows[index]);
    }
    this.view = view.filter((row) => !row.gone);
    if (this.#later) this.#later = []; // a new filter shows everything that has arrived
    done();
  }
}

/** Return a function that tells whether a row is selected. */
function testOf(tab, filter) {
  const has = (text, part) => !part || text.toLowerCase().includes(part.toLowerCase());
  const search = searchOf(filter.q);
  return (row) => row.kind === "break" || (
    (tab === "all" || tab === "events" || row.kind === tab) &&
    (!filter.type || row.type === filter.type) &&
    (!filter.source || row.source === filter.source) &&
    (!filter.outcome || row.outcome === filter.outcome ||
      (filter.outcome === "warned" && row.kind === "warned")) &&
    has(row.name, filter.event) && has(row.user, filter.user) && search(row));
}

function searchOf(query) {
  if (!query) return () => true;
  const text = query.toLowerCase();
  const isAscii = /^[\0-\x7f]*$/.test(text);
  return (row) => {
    // Many libraries send other letters as escapes, and the text of a message is as it was sent.
    const raw = isAscii || !row.raw.includes("\\u") ? row.raw : JSON.stringify(messageOf(row));
    return raw.toLowerCase().includes(text) ||
      `${row.name} ${row.user} ${row.reason ?? ""} ${row.warnings.join(" ")}`
        .toLowerCase().includes(text);
  };
}
