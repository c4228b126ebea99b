// DSSE envelopes (github.com/secure-systems-lab/dsse, protocol 1.0).

import { fromBase64, join, utf8 } from "./bytes.mjs";
import { holds, isWeak } from "./ed25519.mjs";
import { FailedStep } from "./errors.mjs";

const MAX_DSSE_SIGNATURES = 16;

/** Gives the bytes that are signed: the pre-authentication encoding of type and body. */
export function pae(payloadType, body) {
  return join(utf8(`DSSEv1 ${utf8(payloadType).length} ${payloadType} ${body.length} `), body);
}

/**
 * Demands one signature by a pinned key, in any position; `keyid` is a hint and not looked at.
 * Gives those of the keys that signed.
 */
export async function requireSignature(envelope, signed, keys, whose) {
  const signatures = envelope.get("signatures");
  if (signatures.length > MAX_DSSE_SIGNATURES) {
    throw new FailedStep(`${signatures.length} signatures; at most ${MAX_DSSE_SIGNATURES} are looked at`);
  }
  if (keys.some(isWeak)) {
    throw new FailedStep(`the pinned ${whose} key is of small order: a signature under it proves nothing`);
  }
  const blobs = signatures.map((signature) => fromBase64(signature.get("sig")));
  const found = [];
  for (const key of keys) if (await isSigned(key, blobs, signed)) found.push(key);
  if (found.length) return found;
  const which = keys.length === 1 ? `the pinned ${whose} key` : `one of the ${keys.length} pinned ${whose} keys`;
  throw new FailedStep(`none of the ${signatures.length} signatures is by ${which}`);
}

async function isSigned(key, blobs, signed) {
  for (const blob of blobs) if (await holds(key, blob, signed)) return true;
  return false;
}
