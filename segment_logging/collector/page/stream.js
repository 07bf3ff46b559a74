// The connection to the collector: server-sent events, and a new connection when one is lost.

const RETRY_MS = 700;
const SLICE_MS = 8; // so that reading many messages never blocks the page
const MAX_WAITING = 200; // events; if there are more, they are handled without a pause

/**
 * Connect, and stay connected.
 *
 * `on` has functions for `hello(data, isOther)`, `lines(lines, run)`, `counts(counts)`,
 * `skipped(count)`, `cleared(counts)` and `lost()`. `isOther` tells that the collector was
 * restarted since the last hello.
 */
export function connect(on) {
  const later = inSlices();
  let run = "";
  let last = 0;

  function open() {
    const source = new EventSource(`api/stream?after=${last}&run=${run}`);
    const listen = (name, action) =>
      source.addEventListener(name, (event) => action(event.data, event));
    listen("hello", (data) => {
      const hello = JSON.parse(data);
      const isOther = run !== "" && run !== hello.run;
      if (isOther) last = 0;
      run = hello.run;
      later(() => on.hello(hello, isOther));
    });
    listen("arrivals", (data, event) => {
      const from = run;
      last = Number(event.lastEventId);
      later(() => on.lines(data.split("\n"), from));
    });
    listen("counts", (data) => later(() => on.counts(JSON.parse(data))));
    listen("skipped", (data) => later(() => on.skipped(JSON.parse(data).count)));
    listen("cleared", (data) => later(() => on.cleared(JSON.parse(data))));
    source.onerror = () => {
      source.close();
      later(on.lost);
      setTimeout(open, RETRY_MS);
    };
  }
  open();
}

/** Return a function that runs functions in order, in tasks that are short. */
function inSlices() {
  const waiting = [];
  const channel = new MessageChannel(); // unlike a timer, it is not slow in a hidden page
  let isDue = false;
  const ask = () => {
    if (!isDue && waiting.length) channel.port2.postMessage(null);
    isDue = waiting.length > 0;
  };
  channel.port1.onmessage = () => {
    isDue = false;
    const end = performance.now() + SLICE_MS;
    try {
      while (waiting.length && performance.now() < end) waiting.shift()();
    } finally {
      ask();
    }
  };
  return (action) => {
    waiting.push(action);
    if (waiting.length > MAX_WAITING) waiting.shift()();
    ask();
  };
}
