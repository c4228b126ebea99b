// How values are spelled in reasons: in ASCII, so that no name steers what it stands in, and as other verifiers do.

/** Spells a text as JSON in ASCII. */
export function asJson(text) {
  return JSON.stringify(text).replace(/[\x7f-\uffff]/g, (unit) => `\\u${hex(unit.charCodeAt(0), 4)}`);
}

/** Spells any parsed value as JSON in ASCII, and stops after `limit` characters. */
export function shown(value, limit) {
  let text = "";
  const add = (more) => {
    text += more;
    return text.length < limit;
  };
  write(value, add);
  return text.slice(0, limit);
}

/** Writes a value piece by piece; gives false once `add` wants no more. */
function write(value, add) {
  if (typeof value === "string") return add(asJson(value));
  if (Array.isArray(value)) return series(value, "[", "]", add, (inner) => write(inner, add));
  if (value instanceof Map) {
    return series(value, "{", "}", add, ([name, inner]) => add(`${asJson(name)}: `) && write(inner, add));
  }
  return add(String(value));
}

function series(values, open, close, add, each) {
  let separator = open;
  for (const value of values) {
    if (!add(separator) || !each(value)) return false;
    separator = ", ";
  }
  return add(separator === open ? open + close : close);
}

/** Quotes a text in ASCII, as Python's ascii() does. */
export function quoted(text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  return quote + Array.from(text, (char) => quotedCharacter(char, quote)).join("") + quote;
}

function quotedCharacter(char, quote) {
  const code = char.codePointAt(0);
  const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", [quote]: `\\${quote}` }[char];
  if (short) return short;
  if (code >= 32 && code < 127) return char;
  if (code < 256) return `\\x${hex(code, 2)}`;
  return code < 65536 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

function hex(code, digits) {
  return code.toString(16).padStart(digits, "0");
}
