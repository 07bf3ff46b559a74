// The connection to the collector: server-sent events, and a new connection when one is lost.

const RETRY_MS = 700;

/**
 * Connect, and stay connected.
 *
 * `on` has functions for `hello(data, isOther)`, `lines(lines, run)`, `counts(counts)`,
 * `skipped(count)`, `cleared(counts)` and `lost()`. `isOther` tells that the collector was
 * restarted since the last hello.
 */
export function connect(on) {
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
      on.hello(hello, isOther);
    });
    listen("arrivals", (data, event) => {
      last = Number(event.lastEventId);
      on.lines(data.split("\n"), run);
    });
    listen("counts", (data) => on.counts(JSON.parse(data)));
    listen("skipped", (data) => on.skipped(JSON.parse(data).count));
    listen("cleared", (data) => on.cleared(JSON.parse(data)));
    source.onerror = () => {
      source.close();
      on.lost();
      setTimeout(open, RETRY_MS);
    };
  }
  open();
}
