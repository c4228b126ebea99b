// Builds elements. Whatever comes from a file becomes text and nothing else.

const SVG = "http://www.w3.org/2000/svg";
const LONGEST = 2000;
const ICONS = {
  good: ["M5 25 18 38 43 10"],
  bad: ["M10 10 38 38", "M38 10 10 38"],
  warn: ["M24 6v24", "M24 38v4"],
  open: ["M10 24h28"],
};

/** Makes an element with attributes, and texts or elements inside. */
export function make(name, attributes = {}, ...inside) {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...inside.flat().filter((part) => part !== null));
  return element;
}

/** Makes a picture that says nothing which does not stand beside it in words. */
export function icon(name) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 48 48");
  picture.setAttribute("aria-hidden", "true");
  for (const line of ICONS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", line);
    picture.append(path);
  }
  return picture;
}

/** Shows a text from a file: apart from what is around it, invisible characters spelled out, cut to a length. */
export function foreign(text) {
  const whole = text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${text.length} characters)` : text;
  return make("bdi", {}, whole.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, spelledOut) || "(empty)");
}

/** Shows a text from a file in the type of a terminal. */
export function code(text) {
  return make("span", { class: "mono" }, foreign(text));
}

/** Makes a list of terms, each with its description; those without one are left out. */
export function terms(...pairs) {
  const given = pairs.filter(([, description]) => description !== null);
  return make("dl", {}, given.flatMap(([term, description]) => [make("dt", {}, term), make("dd", {}, description)]));
}

/** Makes a list with a title; nothing where there are no sentences. */
export function list(title, sentences) {
  if (!sentences.length) return [];
  return [make("h3", {}, title), make("ul", { class: "plain" }, sentences.map((said) => make("li", {}, foreign(capital(said)))))];
}

/** Makes a table that scrolls by itself; columns are [title, class]. */
export function grid(caption, columns, rows) {
  const head = columns.map(([title, kind]) => make("th", { scope: "col", class: kind }, title));
  const body = rows.map((cells) => make("tr", {}, cells.map((cell, at) => make("td", { class: columns[at][1] }, cell))));
  const inside = [make("caption", {}, caption), make("thead", {}, make("tr", {}, head)), make("tbody", {}, body)];
  return make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": caption }, make("table", {}, inside));
}

/** Begins a sentence with a capital letter. */
export function capital(sentence) {
  return sentence.slice(0, 1).toUpperCase() + sentence.slice(1);
}

function spelledOut(char) {
  const digits = char.codePointAt(0).toString(16);
  return `\\u{${digits}}`;
}
