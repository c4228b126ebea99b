// Says which members a JSON object must have, and finds the ones that nobody announced.

import { fromBase64, fromHex, requireTime } from "./bytes.mjs";
import { FailedStep, orElse } from "./errors.mjs";
import { HASH_BYTES } from "./merkle.mjs";
import { asJson, shown } from "./spelling.mjs";

const SHOWN_UNKNOWN = 20;
const SHOWN_CHARACTERS = 80;

/** The members that no shape names: accepted, counted, and the first of them kept to be shown. */
export class Unknown {
  shown = [];
  total = 0;

  add(path, name, value) {
    this.total++;
    if (this.shown.length >= SHOWN_UNKNOWN) return;
    this.shown.push(`${path}: ${asJson(name).slice(0, SHOWN_CHARACTERS)} = ${shown(value, SHOWN_CHARACTERS)}`);
  }
}

/** Where in a document a check stands, for the message it may have to write. */
export class Place {
  constructor(path, unknown) {
    this.path = path;
    this.unknown = unknown;
  }

  inside(name) {
    return new Place(typeof name === "number" ? `${this.path}[${name}]` : `${this.path}.${name}`, this.unknown);
  }

  refuse(why) {
    throw new FailedStep(`${this.path} ${why}`);
  }
}

/** Asks for an object with these members; others are accepted and remembered as unknown. */
export function record(required, optional = {}) {
  return (value, place) => {
    if (!(value instanceof Map)) place.refuse("is not an object");
    for (const [name, shape] of Object.entries(required)) {
      if (!value.has(name)) place.refuse(`has no member '${name}'`);
      shape(value.get(name), place.inside(name));
    }
    for (const [name, inner] of value) {
      if (Object.hasOwn(optional, name)) optional[name](inner, place.inside(name));
      else if (!Object.hasOwn(required, name)) place.unknown.add(place.path, name, inner);
    }
  };
}

/** Asks for an object with any names, each value of one shape. */
export function tableOf(shape) {
  return (value, place) => {
    table(value, place);
    for (const inner of value.values()) shape(inner, place);
  };
}

/** Asks for an array whose elements all have one shape. */
export function listOf(shape) {
  return (value, place) => {
    if (!Array.isArray(value)) place.refuse("is not an array");
    value.forEach((element, index) => shape(element, place.inside(index)));
  };
}

/** Asks for an array of exactly two elements. */
export function pair(first, second) {
  return (value, place) => {
    if (!Array.isArray(value) || value.length !== 2) place.refuse("is not an array of two");
    first(value[0], place.inside(0));
    second(value[1], place.inside(1));
  };
}

/** Asks for null or the shape. */
export function nullable(shape) {
  return (value, place) => {
    if (value !== null) shape(value, place);
  };
}

/** Asks for one of these texts. */
export function oneOf(...words) {
  return (value, place) => {
    if (!words.includes(value)) place.refuse(`is ${shown(value, SHOWN_CHARACTERS)}, not ${words.join(" or ")}`);
  };
}

function ofType(is, name) {
  return (value, place) => {
    if (!is(value)) place.refuse(`is not ${name}`);
  };
}

function spelled(read) {
  return (value, place) => {
    text(value, place);
    orElse(
      () => read(value),
      (message) => new FailedStep(`${place.path} is ${message}`),
    );
  };
}

export const text = ofType((value) => typeof value === "string", "text");
export const integer = ofType((value) => typeof value === "number", "an integer");
export const flag = ofType((value) => typeof value === "boolean", "true or false");
export const table = ofType((value) => value instanceof Map, "an object");
export const time = spelled(requireTime);
export const base64Bytes = spelled(fromBase64);
export const hashHex = spelled((value) => fromHex(value, HASH_BYTES));

/** Accepts every value. */
export function anything() {}
