// Signed notes and their verifier keys (c2sp.org/signed-note), checkpoints (c2sp.org/tlog-checkpoint), cosignatures.

import { fromBase64, join, same, sha256, toHex, utf8 } from "./bytes.mjs";
import { holds, isWeak, KEY_BYTES } from "./ed25519.mjs";
import { FailedStep, Misspelled, orElse } from "./errors.mjs";
import { HASH_BYTES } from "./merkle.mjs";
import { quoted } from "./spelling.mjs";

export const LOG_KEY = 1;
export const WITNESS_KEY = 4;
// White space as Unicode has it, whatever the engine takes for it.
export const SPACES = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const MAX_NOTE_SIGNATURES = 64;
const ID_BYTES = 4;
const TIME_BYTES = 8;
const LATEST_TIME = 2n ** 63n - 1n;
const BODY_LINES = 3;
const VKEY = new RegExp(`^([^+${SPACES}]+)\\+([0-9a-f]{8})\\+([A-Za-z0-9+/=]+)$`);
const SIGNER = new RegExp(`^[^+${SPACES}]+$`);

/** Reads a number without leading zeros, below 10^18. */
export function readDecimal(text) {
  if (!/^(0|[1-9][0-9]{0,17})$/.test(text)) throw new Misspelled("not a decimal number without leading zeros");
  return BigInt(text);
}

/** Reads a verifier key `name+hex+base64`: {name, keyId, kind, key}. */
export async function readKey(text) {
  const found = VKEY.exec(text);
  if (!found) throw new Misspelled("not of the form name+hex+base64");
  const [, name, keyId, encoded] = found;
  const material = fromBase64(encoded);
  const [kind, key] = [material[0], material.slice(1)];
  if ((kind !== LOG_KEY && kind !== WITNESS_KEY) || key.length !== KEY_BYTES) {
    const type = kind.toString(16).padStart(2, "0");
    throw new Misspelled(`a key of signature type 0x${type}, not Ed25519 (0x01) or cosignature/v1 (0x04)`);
  }
  const digest = await sha256(join(utf8(`${name}\n`), material));
  if (toHex(digest.slice(0, ID_BYTES)) !== keyId) throw new Misspelled("its key id is not that of its name and key");
  return { name, keyId: digest.slice(0, ID_BYTES), kind, key };
}

/** Reads a checkpoint's lines: {origin, size, root, extensions, body, signatureLines}; signatures are for later. */
export function readCheckpoint(text) {
  if (/[\x00-\x09\x0b-\x1f]/.test(text)) throw new Misspelled("a note with a control character");
  const end = text.lastIndexOf("\n\n");
  const body = text.slice(0, Math.max(end, 0));
  const lines = body.split("\n");
  if (end < 0 || lines.length < BODY_LINES || !lines[0]) {
    throw new Misspelled("not a note of at least three lines, a blank line, and signatures");
  }
  const root = fromBase64(lines[2]);
  if (root.length !== HASH_BYTES) throw new Misspelled("a root hash that is not 32 bytes");
  return {
    origin: lines[0], size: readDecimal(lines[1]), root, extensions: lines.slice(BODY_LINES), body: `${body}\n`,
    signatureLines: text.slice(end + 2),
  };
}

/**
 * Demands that a pinned key of the log signed this checkpoint, under its own name, without extension lines.
 * Gives those of the pinned keys that signed.
 */
export async function requireLog(checkpoint, pinnedKeys) {
  const origin = quoted(checkpoint.origin);
  const keys = pinnedKeys.filter((key) => key.name === checkpoint.origin);
  if (!keys.length) {
    const names = [...new Set(pinnedKeys.map((key) => quoted(key.name)))].join(", ");
    throw new FailedStep(`its origin is ${origin}, the pinned log key's name is ${names}`);
  }
  if (checkpoint.extensions.length) throw new FailedStep("it has extension lines, which nobody audits");
  if (keys.some((key) => isWeak(key.key))) {
    throw new FailedStep("the pinned log key is of small order: a signature under it proves nothing");
  }
  const signatures = noteSignatures(checkpoint);
  const found = signatures.flatMap((each) => keys.filter((key) => isBy(each, key)).map((key) => ({ key, blob: each.blob })));
  if (!found.length) throw new FailedStep(`the pinned log key of ${origin} did not sign it`);
  for (const { key, blob } of found) {
    if (await holds(key.key, blob, utf8(checkpoint.body))) continue;
    throw new FailedStep("a signature under the pinned log key's name and id is wrong");
  }
  return found.map(({ key }) => key);
}

/**
 * Gives the times (POSIX seconds) at which this witness says that it saw the checkpoint; none when it says nothing.
 * Source: c2sp.org/tlog-cosignature, Ed25519 (cosignature/v1).
 */
export async function witnessTimes(checkpoint, key) {
  const times = [];
  for (const { blob } of noteSignatures(checkpoint).filter((each) => isBy(each, key))) {
    const seconds = BigInt(`0x${toHex(blob.slice(0, TIME_BYTES)) || "0"}`);
    const message = utf8(`cosignature/v1\ntime ${seconds}\n${checkpoint.body}`);
    if (seconds > LATEST_TIME || !(await holds(key.key, blob.slice(TIME_BYTES), message))) {
      throw new FailedStep(`the cosignature of the witness ${quoted(key.name)} is wrong`);
    }
    times.push(seconds);
  }
  return times;
}

/** Says whether this witness vouches for the checkpoint; a wrong cosignature is none. */
export async function isWitnessed(checkpoint, key) {
  try {
    return (await witnessTimes(checkpoint, key)).length > 0;
  } catch (error) {
    if (error instanceof FailedStep) return false;
    throw error;
  }
}

/** What the signature lines hold. That they are by whom they name remains to be verified. */
function noteSignatures(checkpoint) {
  const lines = checkpoint.signatureLines.split("\n");
  if (lines.pop() || !lines.length || lines.length > MAX_NOTE_SIGNATURES) {
    throw new FailedStep(`it does not end with 1 to ${MAX_NOTE_SIGNATURES} signature lines`);
  }
  return lines.map(readSignature);
}

function isBy(signature, key) {
  return signature.name === key.name && same(signature.keyId, key.keyId);
}

function readSignature(line) {
  const [dash, rest] = cut(line);
  const [name, encoded] = cut(rest);
  const blob = orElse(
    () => fromBase64(encoded),
    (message) => new FailedStep(`a signature line is ${message}`),
  );
  if (dash !== "\u2014" || !SIGNER.test(name) || blob.length <= ID_BYTES) {
    throw new FailedStep("a signature line is not of the form em dash, name, base64");
  }
  return { name, keyId: blob.slice(0, ID_BYTES), blob: blob.slice(ID_BYTES) };
}

/** Cuts a line in two at its first space. */
function cut(line) {
  const at = line.indexOf(" ");
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
}
