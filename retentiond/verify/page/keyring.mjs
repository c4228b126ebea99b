// The keys that the visitor trusts, told apart by what they are.

import { fromBase64, fromUtf8, isUtf8, join, sha256Hex, toHex } from "./bytes.mjs";
import { KEY_BYTES } from "./ed25519.mjs";
import { Misspelled, orElse, UsageError } from "./errors.mjs";
import { LOG_KEY, readKey, SPACES, WITNESS_KEY } from "./note.mjs";
import { quoted } from "./spelling.mjs";

const ISSUER_REMEDY = "give the issuer's public key (keys/issuer.pem)";
const LOG_REMEDY = "give the log's verifier key (keys/log.vkey)";
const WITNESS_REMEDY = "give a witness's verifier key (signature type 0x04)";
const PEM = /-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END PUBLIC KEY-----/;
const AROUND = new RegExp(`^[${SPACES}]+|[${SPACES}]+$`, "g");
// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, section 4).
const SPKI_PREFIX = Uint8Array.of(0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00);

/**
 * Tells the issuer's keys and the log's keys apart: {issuers (32 bytes each), logs}. There is one of each, or more where
 * a rotation put another in its place. UsageError where one is missing, given twice or unusable.
 */
export async function pin(contents) {
  const [issuers, logs] = [[], []];
  for (const text of contents.map(asText)) {
    if (text.includes("-----BEGIN")) issuers.push(readIssuer(text));
    else logs.push(await readNoteKey(text, LOG_KEY, "a log's verifier key", LOG_REMEDY));
  }
  requireSome(issuers.map(toHex), "issuer", ISSUER_REMEDY);
  requireSome(logs.map(({ name, key }) => `${name}+${toHex(key)}`), "log", LOG_REMEDY);
  return { issuers, logs };
}

/** Reads the verifier keys of witnesses (cosignature/v1); UsageError where one is unusable or given twice. */
export async function pinWitnesses(contents) {
  const keys = [];
  for (const text of contents.map(asText)) {
    keys.push(await readNoteKey(text, WITNESS_KEY, "a witness's verifier key", WITNESS_REMEDY));
  }
  if (new Set(keys.map((key) => toHex(key.key))).size !== keys.length) {
    throw new UsageError("a witness is given twice", "name each witness once");
  }
  return keys;
}

/** Reads an Ed25519 public key (SubjectPublicKeyInfo in PEM) as its raw 32 bytes. */
export function issuerKey(pem) {
  if (pem.split("-----BEGIN").length !== 2) throw new Misspelled("not exactly one public key in PEM");
  const found = PEM.exec(pem);
  const info = orElse(
    () => fromBase64((found?.[1] ?? "").replace(/\r?\n/g, "")),
    () => new Misspelled("not a public key in PEM"),
  );
  if (!info.length) throw new Misspelled("not a public key in PEM");
  const fits = SPKI_PREFIX.every((byte, at) => byte === info[at]);
  if (fits && info.length === SPKI_PREFIX.length + KEY_BYTES) return info.slice(SPKI_PREFIX.length);
  throw new Misspelled("a public key, but not Ed25519");
}

/** Gives the `keyid` of a raw Ed25519 key: lower-case hex SHA-256 of its SubjectPublicKeyInfo (DER). */
export function fingerprint(key) {
  return sha256Hex(join(SPKI_PREFIX, key));
}

function asText(content) {
  if (typeof content === "string") return content.replace(AROUND, "");
  if (isUtf8(content)) return fromUtf8(content).replace(AROUND, "");
  throw new UsageError("a key file is not text", `${ISSUER_REMEDY}, and ${LOG_REMEDY}`);
}

function readIssuer(text) {
  if (text.includes("PRIVATE KEY")) {
    throw new UsageError(
      "a private key was given; verifying needs the public one, and nobody else should have the private one",
      ISSUER_REMEDY,
    );
  }
  return orElse(
    () => issuerKey(text),
    (message) => new UsageError(`the issuer's key is unusable: it is ${message}`, ISSUER_REMEDY),
  );
}

async function readNoteKey(text, kind, whatItIs, remedy) {
  const key = await readKey(text).catch((error) => {
    if (!(error instanceof Misspelled)) throw error;
    throw new UsageError(`a key is neither a public key in PEM nor ${whatItIs}: ${error.message}`, remedy);
  });
  if (key.kind === kind) return key;
  throw new UsageError(
    `the key of ${quoted(key.name)} has signature type 0x0${key.kind}: it is not ${whatItIs}`,
    remedy,
  );
}

function requireSome(keys, role, remedy) {
  if (!keys.length) throw new UsageError(`0 keys for the role ${role}, where one is needed`, remedy);
  if (new Set(keys).size === keys.length) return;
  throw new UsageError(`a key for the role ${role} is given twice`, "name each key once");
}
