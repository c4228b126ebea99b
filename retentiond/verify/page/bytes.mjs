// The spellings that a receipt may use for bytes and times; each has exactly one.

import { Misspelled } from "./errors.mjs";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SEXTETS = new Uint8Array(128);
for (let value = 0; value < 64; value++) SEXTETS[ALPHABET.charCodeAt(value)] = value;
const TIME = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z$/;

/** Encodes text as UTF-8. */
export function utf8(text) {
  return new TextEncoder().encode(text);
}

/** Joins byte arrays. */
export function join(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Says whether two byte arrays are equal. */
export function same(left, right) {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

/** Gives the SHA-256 of bytes. */
export async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

/** Gives the SHA-256 of bytes as lower-case hex. */
export async function sha256Hex(data) {
  return toHex(await sha256(data));
}

/** Writes bytes as lower-case hex. */
export function toHex(data) {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Reads lower-case hex of exactly `size` bytes. */
export function fromHex(text, size) {
  if (text.length !== 2 * size || !/^[0-9a-f]*$/.test(text)) {
    throw new Misspelled(`not ${2 * size} lower-case hex digits`);
  }
  return Uint8Array.from({ length: size }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/** Reads standard, padded base64 (RFC 4648, section 4) whose pad bits are zero. */
export function fromBase64(text) {
  if (text.length % 4 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Misspelled("not standard padded base64");
  const pads = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const data = new Uint8Array((text.length / 4) * 3 - pads);
  let at = 0;
  for (let start = 0; start < text.length; start += 4) {
    const group = [0, 1, 2, 3].map((offset) => SEXTETS[text.charCodeAt(start + offset)]);
    const word = (group[0] << 18) | (group[1] << 12) | (group[2] << 6) | group[3];
    for (let shift = 16; shift >= 0 && at < data.length; shift -= 8) data[at++] = (word >> shift) & 255;
  }
  const last = SEXTETS[text.charCodeAt(text.length - pads - 1)];
  if (pads && last & (pads === 2 ? 15 : 3)) throw new Misspelled("base64 with pad bits that are not zero");
  return data;
}

/** Writes a number below 2^32 as four bytes, the highest first. */
export function uint32(value) {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

/** Demands `YYYY-MM-DDThh:mm:ssZ`, a date that exists, seconds up to 59. Such times compare as texts. */
export function requireTime(text) {
  const found = TIME.exec(text);
  if (!found) throw new Misspelled("not a time of the form YYYY-MM-DDThh:mm:ssZ");
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number);
  const days = [31, year % 4 || (year % 100 === 0 && year % 400) ? 28 : 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  const exists = year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
  if (!exists || hour > 23 || minute > 59 || second > 59) throw new Misspelled("a date or a time of day that does not exist");
}

/** Says whether bytes are UTF-8 (RFC 3629). */
export function isUtf8(data) {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(data);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** Decodes UTF-8 of which it is known that it is UTF-8; what is not becomes U+FFFD. */
export function fromUtf8(data) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(data);
}
