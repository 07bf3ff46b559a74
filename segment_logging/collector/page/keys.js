// The keyboard.

/** Call `on.step(by)`, `search`, `pause`, `leave` and `help` for their keys. */
export function onKeys(on) {
  const actions = {
    j: () => on.step(1),
    k: () => on.step(-1),
    "/": on.search,
    p: on.pause,
    "?": on.help,
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return; // it has keys of its own
    if (event.key === "Escape") {
      on.leave();
      return;
    }
    if (event.target.closest?.("input, select, textarea")) return;
    let action = actions[event.key];
    if (event.target.id === "list") {
      if (event.key === "ArrowDown") action = actions.j;
      if (event.key === "ArrowUp") action = actions.k;
    }
    if (!action) return;
    event.preventDefault();
    action();
  });
}
