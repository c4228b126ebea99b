// JSON Canonicalization Scheme (RFC 8785), for the values that strictjson.mjs lets through.

import { utf8 } from "./bytes.mjs";

/** Gives the one canonical serialisation (RFC 8785, section 3.2) of a parsed value. */
export function canonical(value) {
  return utf8(written(value));
}

function written(value) {
  if (Array.isArray(value)) return `[${value.map(written).join(",")}]`;
  if (value instanceof Map) {
    // JavaScript orders texts by UTF-16 code units, as section 3.2.3 asks for.
    const names = [...value.keys()].sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${written(value.get(name))}`).join(",")}}`;
  }
  // RFC 8785 spells texts, integers, true, false and null as JavaScript does.
  return JSON.stringify(value);
}
