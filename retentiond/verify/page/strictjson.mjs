// A strict reading of JSON: what two parsers could understand differently is refused.
// Objects become maps, so that no name has a meaning of its own; numbers are integers that doubles hold exactly.

import { fromUtf8, isUtf8 } from "./bytes.mjs";
import { Misspelled } from "./errors.mjs";
import { asJson } from "./spelling.mjs";

export const MAX_BYTES = 16 * 1024 * 1024;
const MAX_OPEN_BRACKETS = 64;
const MAX_DIGITS = 16;
const NUMBER = /-?(?:0|[1-9][0-9]*)((?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)/y;
const PLAIN = /[^"\\\x00-\x1f]*/y;
const SPACE = /[ \t\n\r]*/y;
const CONSTANTS = ["NaN", "Infinity", "-Infinity"];
const WORDS = new Map([
  ["true", true],
  ["false", false],
  ["null", null],
]);
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/**
 * Parses one JSON document (UTF-8 without byte order mark, at most MAX_BYTES).
 * Throws Misspelled for what is not JSON, and for a name twice in one object, a number that is no integer from 0 to
 * 2^53 - 1, a lone surrogate, more than 64 brackets open at once.
 */
export function parse(data) {
  if (data.length > MAX_BYTES) throw new Misspelled(`longer than ${MAX_BYTES} bytes`);
  if (data[0] === 0xef && data[1] === 0xbb && data[2] === 0xbf) {
    throw new Misspelled("begins with a byte order mark");
  }
  if (!isUtf8(data)) throw new Misspelled("not UTF-8");
  const text = fromUtf8(data);
  refuseDepth(text);
  const value = new Reader(text).document();
  if (text.includes("\\u")) refuseSurrogates(value);
  return value;
}

/** Refuses too many open brackets, also in what may not be JSON: so the reader may call itself for each. */
function refuseDepth(text) {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') at = endOfText(text, at);
    else if (char === "[" || char === "{") depth++;
    else if (char === "]" || char === "}") depth--;
    if (depth > MAX_OPEN_BRACKETS) throw new Misspelled(`more than ${MAX_OPEN_BRACKETS} brackets are open at once`);
  }
}

function endOfText(text, start) {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}

/** Refuses lone surrogates, level by level: of several, every verifier names the same. */
function refuseSurrogates(root) {
  let level = [root];
  while (level.length) {
    const wrong = level.find((value) => typeof value === "string" && !value.isWellFormed());
    if (wrong !== undefined) throw new Misspelled(`the text ${asJson(wrong).slice(0, 80)} has a lone surrogate`);
    const containers = level.filter((value) => value instanceof Map || Array.isArray(value));
    level = containers.flatMap((inner) => (inner instanceof Map ? [...inner.keys(), ...inner.values()] : inner));
  }
}

/** Reads JSON (RFC 8259) from the left to the right. */
class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  document() {
    this.skipSpace();
    const value = this.value();
    this.skipSpace();
    if (this.at < this.text.length) throw notJson();
    return value;
  }

  value() {
    switch (this.text[this.at]) {
      case "{":
        return this.object();
      case "[":
        return this.array();
      case '"':
        return this.string();
    }
    for (const [word, value] of WORDS) if (this.takes(word)) return value;
    for (const word of CONSTANTS) if (this.takes(word)) throw noInteger(word);
    return this.number();
  }

  object() {
    const members = new Map();
    const names = [];
    this.series("}", () => {
      if (this.text[this.at] !== '"') throw notJson();
      const name = this.string();
      this.skipSpace();
      this.expect(":");
      this.skipSpace();
      members.set(name, this.value());
      names.push(name);
    });
    if (members.size < names.length) throw new Misspelled(`the name ${mostFrequent(names)} stands twice in one object`);
    return members;
  }

  array() {
    const elements = [];
    this.series("]", () => elements.push(this.value()));
    return elements;
  }

  /** Reads what stands between two brackets, separated by commas. */
  series(close, readOne) {
    this.at++;
    this.skipSpace();
    if (this.takes(close)) return;
    for (;;) {
      readOne();
      this.skipSpace();
      if (this.takes(close)) return;
      this.expect(",");
      this.skipSpace();
    }
  }

  string() {
    this.at++;
    let value = "";
    for (;;) {
      value += this.match(PLAIN);
      if (this.takes('"')) return value;
      this.expect("\\");
      value += this.escaped();
    }
  }

  escaped() {
    const char = this.text[this.at++];
    if (Object.hasOwn(ESCAPES, char ?? "")) return ESCAPES[char];
    const digits = this.text.slice(this.at, this.at + 4);
    if (char !== "u" || !/^[0-9A-Fa-f]{4}$/.test(digits)) throw notJson();
    this.at += 4;
    return String.fromCharCode(parseInt(digits, 16));
  }

  number() {
    NUMBER.lastIndex = this.at;
    const found = NUMBER.exec(this.text);
    if (!found) throw notJson();
    const [digits, fraction] = found;
    this.at += digits.length;
    if (fraction) throw noInteger(digits);
    if (digits.startsWith("-") || digits.length > MAX_DIGITS || Number(digits) > Number.MAX_SAFE_INTEGER) {
      throw new Misspelled(`the number ${digits.slice(0, 40)} is not between 0 and 2^53 - 1`);
    }
    return Number(digits);
  }

  skipSpace() {
    this.match(SPACE);
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const [found] = pattern.exec(this.text);
    this.at += found.length;
    return found;
  }

  takes(word) {
    const there = this.text.startsWith(word, this.at);
    if (there) this.at += word.length;
    return there;
  }

  expect(char) {
    if (!this.takes(char)) throw notJson();
  }
}

function notJson() {
  return new Misspelled("not JSON");
}

function noInteger(literal) {
  return new Misspelled(`the number ${literal.slice(0, 40)} is not an integer without point or exponent`);
}

/** Spells the name that stands most often among these, the first of them where several do. */
function mostFrequent(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const most = names.reduce((best, name) => (counts.get(name) > counts.get(best) ? name : best));
  return asJson(most).slice(0, 80);
}
