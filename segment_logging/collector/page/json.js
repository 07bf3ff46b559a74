// Shows JSON with indentation and highlighting. The text of numbers stays as it was sent.

import { button, make, put } from "./text.js";

const TOKEN = /"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null|[{}[\],:]/g;
const MAX_TOKENS = 4_000; // with a color; the rest is plain
const MAX_STRING = 500; // characters of a text before it is cut
const MAX_DEPTH = 40; // levels of indentation

/** Return the tokens of a JSON text with the white space before each: [space, token, kind]. */
function* tokensOf(text) {
  let depth = 0;
  let before = "";
  const breakLine = () => "\n" + "  ".repeat(Math.min(depth, MAX_DEPTH));
  const found = [...text.matchAll(TOKEN)];
  for (let index = 0; index < found.length; index++) {
    const token = found[index][0];
    const next = found[index + 1]?.[0];
    if (token === "}" || token === "]") {
      depth -= 1;
      yield [before === "{" || before === "[" ? "" : breakLine(), token, ""];
    } else {
      const isFirst = before === "{" || before === "[";
      const space = isFirst || before === "," ? breakLine() : before === ":" ? " " : "";
      yield [token === "," || token === ":" ? "" : space, token, kindOf(token, next)];
    }
    if (token === "{" || token === "[") depth += 1;
    before = token;
  }
}

function kindOf(token, next) {
  if (token[0] === '"') return next === ":" ? "key" : "string";
  if (token === "true" || token === "false") return "boolean";
  if (token === "null") return "null";
  return /[{}[\],:]/.test(token) ? "" : "number";
}

/** Return a JSON text with indentation. */
export function indented(text) {
  let whole = "";
  for (const [space, token] of tokensOf(text)) whole += space + token;
  return whole;
}

/** Return an element that shows a JSON text. */
export function jsonElement(text) {
  const box = make("pre", "json");
  box.tabIndex = 0;
  box.setAttribute("aria-label", "JSON of the message");
  let count = 0;
  let plain = "";
  for (const [space, token, kind] of tokensOf(text)) {
    count += 1;
    if (!kind || count > MAX_TOKENS) {
      plain += space + token;
      continue;
    }
    put(box, plain + space, "\n");
    plain = "";
    box.append(valueElement("span", kind, token));
  }
  put(box, plain, "\n");
  return box;
}

/** Return an element with a text, which is cut if it is long, and a button to show the rest. */
export function valueElement(name, className, text, keep = "") {
  const element = make(name, className);
  if (text.length <= MAX_STRING + 200) return put(element, text, keep);
  put(element, text.slice(0, MAX_STRING), keep);
  const rest = (text.length - MAX_STRING).toLocaleString("en");
  const more = button(`… ${rest} more characters`, () => {
    more.remove();
    put(element, text.slice(MAX_STRING), keep);
  }, "more");
  element.append(more);
  return element;
}
