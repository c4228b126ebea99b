// Ed25519 signatures (RFC 8032) under keys that can be trusted to mean one signer, verified by WebCrypto.

import { fromHex, toHex } from "./bytes.mjs";

export const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const FIELD_PRIME = 2n ** 255n - 19n;
const WITHOUT_SIGN = 2n ** 255n - 1n;
// The y coordinates of the eight points whose order divides 8.
const SMALL_ORDER_Y = [
  0n,
  1n,
  FIELD_PRIME - 1n,
  littleEndian(fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", KEY_BYTES)),
  littleEndian(fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", KEY_BYTES)),
];

/**
 * Says whether a 32-byte public key is of small order, or spelled in a way that RFC 8032 (5.1.3) does not decode.
 * Under a key of small order one signature fits many messages, so it proves nothing.
 */
export function isWeak(key) {
  const y = littleEndian(key) & WITHOUT_SIGN;
  return y >= FIELD_PRIME || SMALL_ORDER_Y.includes(y);
}

/** Says whether the signature (64 bytes) is this key's (32 bytes) over the message; never under a weak key. */
export async function holds(key, signature, message) {
  if (signature.length !== SIGNATURE_BYTES || isWeak(key)) return false;
  const imported = await importKey(key);
  return imported !== null && crypto.subtle.verify("Ed25519", imported, signature, message);
}

function littleEndian(bytes) {
  return BigInt(`0x${toHex(Uint8Array.from(bytes).reverse())}`);
}

/** Some engines refuse a key that is no point of the curve, others find no signature that fits it: the same answer. */
async function importKey(key) {
  try {
    return await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  } catch (error) {
    if (error.name === "DataError") return null;
    throw error;
  }
}
