// The list of rows. Only the visible ones have elements, which are used again for others.

import { clock, make, set, shortReading } from "./text.js";
import { messageOf } from "./model.js";

const SPARE = 6; // rows with elements above and below the visible ones
const CELLS = ["time", "type", "user", "name", "short", "meta", "chip"];

export class List {
  #model;
  #list = document.getElementById("list");
  #rows = document.getElementById("rows");
  #newer = document.getElementById("newer");
  #pool = new Map(); // elements by row
  #free = [];
  #narrow = matchMedia("(max-width: 720px)");
  #shownAdded = 0;
  #isDue = false;
  #ids = 0;
  chosen = null;

  /** `onChoose(row)` is called when the reader chooses a row. */
  constructor(model, onChoose) {
    this.#model = model;
    this.#list.addEventListener("scroll", () => this.render(), { passive: true });
    addEventListener("resize", () => this.render());
    this.#rows.addEventListener("click", (event) => {
      const row = event.target.closest(".row")?.row;
      if (row && row.kind !== "break") onChoose(row);
    });
    this.#newer.addEventListener("click", () => {
      this.#list.scrollTop = 0;
      this.#list.focus();
    });
  }

  get #height() {
    return this.#narrow.matches ? 54 : 32;
  }

  /** Draw the list before the next frame. */
  render() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#draw();
    });
  }

  /** Show the view from its top, because the filter has changed. */
  restart() {
    this.#shownAdded = this.#model.added;
    this.#list.scrollTop = 0;
    this.render();
  }

  #draw() {
    const { view, added } = this.#model;
    const height = this.#height;
    const total = view.length * height;
    if (this.#rows.style.height !== `${total}px`) this.#rows.style.height = `${total}px`;
    const isAtTop = this.#list.scrollTop < height;
    if (!isAtTop && added > this.#shownAdded) { // keep what the reader looks at in its place
      this.#list.scrollTop += (added - this.#shownAdded) * height;
    }
    this.#shownAdded = added;
    this.#newer.hidden = isAtTop || view.length === 0;
    const top = this.#list.scrollTop;
    const first = Math.max(0, Math.floor(top / height) - SPARE);
    const end = Math.min(view.length, Math.ceil((top + this.#list.clientHeight) / height) + SPARE);
    const wanted = new Set();
    for (let index = first; index < end; index++) wanted.add(view[view.length - 1 - index]);
    for (const [row, element] of this.#pool) {
      if (wanted.has(row)) continue;
      this.#pool.delete(row);
      this.#free.push(element);
    }
    for (let index = first; index < end; index++) {
      const row = view[view.length - 1 - index];
      let element = this.#pool.get(row);
      if (!element) {
        element = this.#free.pop() ?? this.#made();
        this.#fill(element, row);
        this.#pool.set(row, element);
      }
      element.style.transform = `translateY(${index * height}px)`;
      element.setAttribute("aria-posinset", index + 1);
      element.setAttribute("aria-setsize", view.length);
      const isChosen = row === this.chosen;
      element.setAttribute("aria-selected", isChosen);
      if (isChosen) this.#list.setAttribute("aria-activedescendant", element.id);
    }
    for (const element of this.#free.splice(20)) element.remove();
    for (const element of this.#free) element.hidden = true;
    if (!this.chosen) this.#list.removeAttribute("aria-activedescendant");
  }

  #made() {
    const element = make("div", "row");
    element.setAttribute("role", "option");
    element.id = `row-${this.#ids += 1}`;
    element.cells = Object.fromEntries(CELLS.map((name) => [name, make("span", name)]));
    element.append(...Object.values(element.cells));
    this.#rows.append(element);
    return element;
  }

  #fill(element, row) {
    element.row = row;
    element.hidden = false;
    const { time, type, user, name, short, meta, chip } = element.cells;
    element.className = row.kind === "break" ? "row break" : "row";
    if (row.kind === "break") {
      name.className = "name";
      set(name, row.text);
      return;
    }
    row.short ??= shortReading(messageOf(row));
    name.className = row.name ? "name" : "name unnamed"; // an identify call has no name
    set(name, row.name || row.short || row.reason || "–");
    set(time, clock(row.time));
    set(type, row.type);
    set(user, row.user);
    set(short, row.name ? row.short : "");
    set(meta, [clock(row.time), row.type, row.user].join("  "));
    const outcome = row.kind === "warned" ? "warned" : row.outcome;
    chip.className = `chip ${outcome}`;
    chip.textContent = outcome;
  }

  /** Return the row that is `step` rows further down than the chosen one. */
  beside(step) {
    const view = this.#model.view;
    let index = this.chosen ? view.lastIndexOf(this.chosen) : view.length;
    if (index < 0) index = view.length;
    do index -= step; while (view[index]?.kind === "break");
    return view[index];
  }

  /** Mark a row as chosen. */
  choose(row, isScrolled) {
    this.chosen = row;
    const place = this.#model.view.lastIndexOf(row);
    if (isScrolled && place >= 0) {
      const height = this.#height;
      const top = (this.#model.view.length - 1 - place) * height;
      const { scrollTop, clientHeight } = this.#list;
      this.#rows.style.height = `${this.#model.view.length * height}px`;
      if (top < scrollTop) this.#list.scrollTop = top;
      else if (top + height > scrollTop + clientHeight) {
        this.#list.scrollTop = top + height - clientHeight;
      }
    }
    this.render();
  }
}
