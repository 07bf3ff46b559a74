// The collector's page. This file connects its parts: stream, model, list, panel and controls.

import { Chart } from "./chart.js";
import { Events } from "./events.js";
import { onKeys } from "./keys.js";
import { List } from "./list.js";
import { FILTERS, Model, rowOf } from "./model.js";
import { Panel } from "./panel.js";
import { connect } from "./stream.js";
import { clock, make } from "./text.js";
import { fillWays } from "./ways.js";

const STATUS_MS = 5_000;

const $ = (id) => document.getElementById(id);
const model = new Model();
const chart = new Chart();
const panel = new Panel(closePanel);
const list = new List(model, (row) => choose(row));
const events = new Events((item) => {
  setFilter({ tab: "all", type: item.type, event: item.name });
});
const tabs = [...document.querySelectorAll("[data-tab]")];
let counts = { accepted: 0, dropped: 0, refused: 0, warned: 0, requests: 0 };
let held = null; // how many messages have arrived while the page is paused
let linked = null; // the message of a link, until it has arrived

// What arrives. ----------------------------------------------------------------------------------

connect({
  hello(hello, isOther) {
    if (isOther) {
      model.add({ kind: "break", raw: "", warnings: [],
        text: `The collector was restarted at ${clock(hello.started).slice(0, 8)}` });
    }
    panel.explanations = hello.explanations;
    showBanner("");
    setCounts(hello.counts, isOther);
    if (hello.last === 0) setTimeout(findLinked, 0);
    list.render();
  },
  lines(lines, run) {
    if (held !== null) {
      held += lines.length;
      $("pause").textContent = `Resume (${held.toLocaleString("en")})`;
    }
    take(lines, run);
  },
  counts: (now) => setCounts(now),
  skipped(count) {
    model.add({ kind: "break", raw: "", warnings: [],
      text: `${count.toLocaleString("en")} messages came too fast to be shown` });
    list.render();
  },
  cleared(now) {
    model.clear();
    if (held !== null) held = 0;
    closePanel();
    setCounts(now, true);
    showParts();
    list.restart();
  },
  lost: () => showBanner("The connection to the collector is lost. Trying to connect again …"),
});

function take(lines, run) {
  const before = model.sources.size;
  for (const line of lines) model.add(rowOf(line, run));
  if (model.sources.size !== before) fillSources();
  if (linked) findLinked();
  showParts();
  list.render();
}

function setCounts(now, isOther = false) {
  counts = now;
  chart.note(now, isOther);
  const shown = { all: now.accepted + now.dropped + now.refused, warned: now.warned,
    dropped: now.dropped + now.refused };
  for (const [tab, count] of Object.entries(shown)) {
    $(`count-${tab}`).textContent = count.toLocaleString("en");
  }
  $("count-dropped").classList.toggle("some-dropped", shown.dropped > 0);
  $("count-warned").classList.toggle("some-warned", shown.warned > 0);
  document.title = shown.dropped ? `(${shown.dropped} not accepted) Segment collector` :
    "Segment collector";
  events.refresh();
}

function showBanner(text) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
}

setInterval(() => {
  const text = `${counts.accepted} accepted, ${counts.dropped} dropped, ` +
    `${counts.refused} refused, ${counts.warned} with warnings`;
  if ($("status").textContent !== text) $("status").textContent = text;
}, STATUS_MS);

// What is shown. ---------------------------------------------------------------------------------

function showParts() {
  const isEvents = model.tab === "events";
  const isEmpty = model.rows.length === 0;
  const isFiltered = !isEmpty && !model.view.some((row) => row.kind !== "break");
  $("events").hidden = !isEvents;
  $("head").hidden = isEvents || isEmpty;
  $("connect").hidden = isEvents || !isEmpty;
  $("nothing").hidden = isEvents || !isFiltered;
  $("list").hidden = isEvents || isEmpty || isFiltered;
  $("filters").hidden = isEvents;
}

function choose(row, isScrolled = false) {
  list.choose(row, isScrolled);
  panel.show(row);
  $("main").classList.add("narrow");
  writeHash();
}

function closePanel() {
  const hadFocus = $("panel").contains(document.activeElement);
  panel.hide();
  $("main").classList.remove("narrow");
  list.choose(null);
  linked = null;
  if (hadFocus) $("list").focus();
  writeHash();
}

// Filters, which are also in the address. --------------------------------------------------------

function readFilter() {
  model.filter = Object.fromEntries(FILTERS.map((name) => [name, $(name).value.trim()]));
  const isSet = Object.values(model.filter).some(Boolean);
  $("reset").hidden = !isSet;
}

function setFilter(values) {
  model.tab = tabs.some((one) => one.dataset.tab === values.tab) ? values.tab : "all";
  for (const name of FILTERS) {
    const value = values[name] ?? "";
    if (name === "source" && value) model.sources.add(value);
    if (name === "source") fillSources();
    $(name).value = value;
  }
  select();
}

function select() {
  readFilter();
  for (const one of tabs) {
    if (one.dataset.tab === model.tab) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }
  writeHash();
  model.select(() => {
    showParts();
    list.restart();
    events.refresh();
  });
  showParts();
}

function fillSources() {
  const chosen = $("source").value;
  const options = [...model.sources].sort().slice(0, 100).map((source) => {
    const option = make("option", "", source);
    option.value = source;
    return option;
  });
  $("source").replaceChildren($("source").options[0], ...options);
  $("source").value = chosen;
}

function writeHash() {
  const parts = new URLSearchParams();
  if (model.tab !== "all") parts.set("tab", model.tab);
  for (const name of FILTERS) if (model.filter[name]) parts.set(name, model.filter[name]);
  const key = list.chosen?.key ?? linked;
  if (key) parts.set("message", key);
  const hash = parts.toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname);
}

function readHash() {
  const values = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  linked = values.message ?? null;
  setFilter(values);
  setTimeout(findLinked, 1_000);
}

function findLinked() {
  if (!linked) return;
  const row = model.find(linked);
  if (row) {
    linked = null;
    choose(row, true);
  } else if (!panel.isOpen) {
    panel.showMissing();
  }
}

// Controls. --------------------------------------------------------------------------------------

function pause() {
  const isPaused = held === null;
  held = isPaused ? 0 : null;
  $("pause").textContent = isPaused ? "Resume" : "Pause";
  $("pause").setAttribute("aria-pressed", isPaused);
  if (isPaused) {
    model.pause();
  } else {
    model.resume();
    showParts();
    list.render();
  }
}

function exportRows() {
  const rows = model.view.filter((row) => row.raw.startsWith("{"));
  const lines = rows.map((row) => `${row.raw}\n`);
  const link = make("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  link.download = "messages.jsonl";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

$("address").textContent = location.origin;
fillWays($("connect"));
for (const one of tabs) {
  one.addEventListener("click", () => {
    model.tab = one.dataset.tab;
    select();
  });
}
$("filters").addEventListener("input", select);
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("reset", () => setTimeout(select));
$("pause").addEventListener("click", pause);
$("export").addEventListener("click", exportRows);
$("clear").addEventListener("click", () => fetch("api/messages", { method: "DELETE" }));
$("help").addEventListener("click", () => $("dialog").showModal());
addEventListener("hashchange", readHash);
onKeys({
  step(by) {
    const row = list.beside(by);
    if (row) choose(row, true);
  },
  search() {
    if (model.tab === "events") setFilter({ tab: "all" });
    $("q").focus();
    $("q").select();
  },
  pause,
  leave() {
    if (document.activeElement?.matches("input, select")) document.activeElement.blur();
    else if (panel.isOpen) closePanel();
  },
  help: () => $("dialog").showModal(),
});
readHash();
