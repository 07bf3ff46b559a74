// Puts texts that strangers wrote into the page. Nothing here can make markup of a value.

// Characters that are invisible, or that change the order of what is beside them: controls, marks
// for the direction of writing, line separators, zero-width characters, lone surrogates and tags.
// A joiner is left alone between letters that are not ASCII, where emoji and scripts need it.
const HIDDEN = new RegExp(
  "[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f" +
  "\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb" +
  "\\u{e0000}-\\u{e0fff}\\p{Cs}]" +
  "|(?<=[\\u0000-\\u007f]|^)[\\u200c\\u200d]|[\\u200c\\u200d](?=[\\u0000-\\u007f]|$)", "gu");
const NAMES = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(character) {
  const code = character.codePointAt(0);
  return NAMES[character] ?? "\\u" +
    (code > 0xffff ? `{${code.toString(16)}}` : code.toString(16).padStart(4, "0"));
}

/** Append a text to an element, with hidden characters as marked escapes. */
export function put(element, text, keep = "") {
  let start = 0;
  for (const found of text.matchAll(HIDDEN)) {
    if (keep.includes(found[0])) continue;
    if (found.index > start) element.append(text.slice(start, found.index));
    element.append(make("span", "escape", escaped(found[0])));
    start = found.index + found[0].length;
  }
  if (start < text.length) element.append(text.slice(start));
  return element;
}

/** Replace the content of an element by a text, as `put` shows it. */
export function set(element, text) {
  if (text.search(HIDDEN) < 0) {
    element.textContent = text;
  } else {
    element.textContent = "";
    put(element, text);
  }
}

/** Return JSON in which hidden characters are escapes, so that a copy shows them as well. */
export function safeJson(text) {
  return text.replace(HIDDEN, (character) => "\n\r\t".includes(character) ? character :
    character.split("").map((unit) =>
      "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0")).join(""));
}

/** Return an element with a class and a text. The text must be the page's own. */
export function make(name, className = "", text = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** Return a button. */
export function button(text, action, className = "") {
  const element = make("button", className, text);
  element.type = "button";
  element.addEventListener("click", action);
  return element;
}

/** Copy a text, also where the page has no access to the clipboard, and show that on the button. */
export async function copy(text, pressed) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const label = pressed.textContent;
  pressed.textContent = "Copied";
  setTimeout(() => { pressed.textContent = label; }, 1200);
}

/** Return a time such as 2026-11-23T08:00:00.123Z as the time of day here. */
export function clock(time) {
  const date = new Date(time);
  const two = (number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.` +
    String(date.getMilliseconds()).padStart(3, "0");
}

/** Return a short reading of the properties or traits of a call. */
export function shortReading(message) {
  const fields = [message?.properties, message?.traits].find((one) =>
    one && typeof one === "object" && Object.keys(one).length);
  if (!fields) return "";
  let text = "";
  for (const [key, value] of Object.entries(fields)) {
    const shown = typeof value === "string" ? value.slice(0, 80) : brief(value);
    text += `${text ? "  " : ""}${key.slice(0, 40)}: ${shown}`;
    if (text.length > 160) break;
  }
  return text.slice(0, 200);
}

function brief(value) {
  if (Array.isArray(value)) return `[${value.length}]`;
  return value && typeof value === "object" ? "{…}" : String(value);
}
