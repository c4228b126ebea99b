// DSSE envelopes (github.com/secure-systems-lab/dsse, protocol 1.0).

import { fromBase64, join, utf8 } from "./bytes.mjs";
import { holds, isWeak } from "./ed25519.mjs";
import { FailedStep } from "./errors.mjs";

const MAX_DSSE_SIGNATURES = 16;

/** Gives the bytes that are signed: the pre-authentication encoding of type and body. */
export function pae(payloadType, body) {
  return join(utf8(`DSSEv1 ${utf8(payloadType).length} ${payloadType} ${body.length} `), body);
}

/** Demands one signature by the pinned key, in any position; `keyid` is a hint and not looked at. */
export async function requireSignature(envelope, signed, key, whose) {
  const signatures = envelope.get("signatures");
  if (signatures.length > MAX_DSSE_SIGNATURES) {
    throw new FailedStep(`${signatures.length} signatures; at most ${MAX_DSSE_SIGNATURES} are looked at`);
  }
  if (isWeak(key)) {
    throw new FailedStep(`the pinned ${whose} key is of small order: a signature under it proves nothing`);
  }
  for (const signature of signatures) if (await holds(key, fromBase64(signature.get("sig")), signed)) return;
  throw new FailedStep(`none of the ${signatures.length} signatures is by the pinned ${whose} key`);
}
