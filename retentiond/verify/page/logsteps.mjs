// Steps 2 to 6: `canonical`, `signature`, `entry`, `inclusion`, `checkpoint`; and the last one, `retracted`.
// They bind the statement to its signer and to its place in the log.

import { same } from "./bytes.mjs";
import { pae, requireSignature } from "./dsse.mjs";
import { FailedStep, Misspelled } from "./errors.mjs";
import { KEYS_MEDIA_TYPE } from "./formats.mjs";
import { canonical } from "./jcs.mjs";
import { issuerKey } from "./keyring.mjs";
import { isIncluded, leafHash } from "./merkle.mjs";
import { readKey, requireLog, witnessTimes } from "./note.mjs";
import { logEntry } from "./publishedlog.mjs";
import { quoted } from "./spelling.mjs";

/** Demands that the statement is its own JCS (RFC 8785). */
export function requireCanonical({ receipt }) {
  if (!same(canonical(receipt.statement), receipt.body)) {
    throw new FailedStep("the statement is not in the canonical form of RFC 8785");
  }
}

/** Demands the issuer's signature and, where a key history is given, that the key was in force. */
export async function requireIssuer(given) {
  await issuerOf(given);
}

/** Gives the pinned key of the issuer that signed the statement and, where a key history is given, was in force. */
export async function issuerOf(given) {
  const signers = await requireSignature(given.receipt.envelope, given.signed, given.keys.issuers, "issuer");
  if (!given.history) return signers[0];
  await requireHistory(given);
  const refused = [];
  for (const key of signers) {
    try {
      await requireKeyInForce(given, key);
      return key;
    } catch (error) {
      if (!(error instanceof FailedStep)) throw error;
      refused.push(error);
    }
  }
  throw refused[0];
}

/** Demands that the plan was logged before the receipt; with a log, that both entries stand where they should. */
export async function requireEntry({ receipt, log, kindLine, entry }) {
  const { index } = receipt.proof;
  if (!receipt.isOverRuns) await requirePlanBefore(receipt, log);
  if (log && !(await log.holds(index, entry))) {
    throw new FailedStep(`entry ${index} of the log is not \`${kindLine}\` with this receipt's digest`);
  }
}

/** Demands that the proof leads from the receipt's entry to the checkpoint's root hash. */
export async function requireInclusion({ receipt, entry }) {
  const { index, path, checkpoint } = receipt.proof;
  if (!(await isIncluded(await leafHash(entry), index, checkpoint.size, path, checkpoint.root))) {
    throw new FailedStep(`the proof does not show this receipt as entry ${index} of ${checkpoint.size}`);
  }
}

/** Demands the log's signature, every pinned witness's cosignature, and agreement with the log where one is given. */
export async function requireCheckpoint(given) {
  const { receipt, keys, witnesses, history, log } = given;
  const { checkpoint } = receipt.proof;
  const signers = await requireLog(checkpoint, keys.logs);
  if (history) await requireLogKeyInForce(given, signers);
  for (const witness of witnesses) {
    if ((await witnessTimes(checkpoint, witness)).length) continue;
    throw new FailedStep(`the pinned witness ${quoted(witness.name)} did not cosign it`);
  }
  if (!log) return;
  const { size } = checkpoint;
  const root = await log.tree.root(size);
  if (root === null) {
    throw new FailedStep(`the log given has ${log.tree.size} entries, the receipt's checkpoint ${size}: it is older`);
  }
  if (!same(root, checkpoint.root)) {
    throw new FailedStep(`the log given has another root hash at ${size} entries: the log shows two histories`);
  }
}

/** Demands, where a log is given, that the receipt was not retracted and that nothing else ends its plan. */
export function requireNotRetracted({ receipt, log, digest }) {
  if (!log) return;
  const { index } = receipt.proof;
  const reason = log.retractions.get(`${index} ${digest}`);
  if (reason !== undefined) throw new FailedStep(`the log retracts it: ${quoted(reason)}`);
  if (receipt.isOverRuns) return;
  const plan = receipt.predicate.get("run").get("planEntry");
  const number = plan.get("index");
  const other = (log.receipts.get(String(number)) ?? []).find((candidate) => BigInt(candidate) !== index);
  if (other !== undefined) throw new FailedStep(`its plan (entry ${number}) has another receipt: entry ${other}`);
  const end = log.voids.get(`${number} ${plan.get("sha256")}`);
  if (end !== undefined) throw new FailedStep(`its plan (entry ${number}) was voided: ${quoted(end)}`);
}

async function requirePlanBefore({ proof, predicate }, log) {
  const plan = predicate.get("run").get("planEntry");
  const [index, digest] = [plan.get("index"), plan.get("sha256")];
  if (index >= proof.index) {
    throw new FailedStep(`its plan is entry ${index}, which is not before the receipt's own, ${proof.index}`);
  }
  if (log && !(await log.holds(index, logEntry("plan", digest)))) {
    throw new FailedStep(`entry ${index} of the log is not a plan with the digest ${digest}`);
  }
}

async function requireHistory({ keys, history }) {
  if (!same(canonical(history.document), history.body)) {
    throw new FailedStep("the key history is not in the canonical form of RFC 8785");
  }
  const logKeys = keys.logs.map((log) => log.key);
  await requireSignature(history.envelope, pae(KEYS_MEDIA_TYPE, history.body), logKeys, "log");
}

async function requireKeyInForce({ receipt, witnesses, history }, issuer) {
  const listed = history.document
    .get("keys")
    .filter((key) => key.get("role") === "issuer" && isKey(key.get("key"), issuer));
  if (listed.length !== 1) {
    throw new FailedStep(`the pinned issuer key stands ${listed.length} times in the key history, not once`);
  }
  const [validFrom, validUntil, revokedAt] = ["validFrom", "validUntil", "revokedAt"].map((name) => listed[0].get(name));
  const issuedAt = receipt.predicate.get("issuedAt");
  if (issuedAt < validFrom) throw new FailedStep(`issued at ${issuedAt}, before the key was valid (${validFrom})`);
  if (validUntil !== null && issuedAt >= validUntil) {
    throw new FailedStep(`issued at ${issuedAt}, when the key was no longer valid (${validUntil})`);
  }
  if (revokedAt !== null) await requireBeforeRevocation(receipt, witnesses, revokedAt);
}

/** A key of a make that this verifier does not know is somebody else's. */
function isKey(pem, key) {
  try {
    return same(issuerKey(pem), key);
  } catch (error) {
    if (error instanceof Misspelled) return false;
    throw error;
  }
}

/** Demands that a pinned witness saw it in time: a thief of the key can date a receipt back, but not that. */
async function requireBeforeRevocation({ predicate, proof }, witnesses, revokedAt) {
  const issuedAt = predicate.get("issuedAt");
  if (issuedAt >= revokedAt) throw new FailedStep(`issued at ${issuedAt}, after the key was revoked (${revokedAt})`);
  if (!(await isWitnessedBefore(proof.checkpoint, witnesses, revokedAt))) {
    throw new FailedStep(`the key was revoked (${revokedAt}) and no pinned witness saw the receipt before`);
  }
}

async function isWitnessedBefore(checkpoint, witnesses, moment) {
  const end = BigInt(Date.parse(moment)) / 1000n;
  const times = [];
  for (const witness of witnesses) times.push(...(await witnessTimes(checkpoint, witness)));
  return times.some((seconds) => seconds < end);
}

/** Demands that one of the log's keys that signed was not revoked, or that a pinned witness saw it before that. */
async function requireLogKeyInForce({ receipt, witnesses, history }, signers) {
  const firsts = [];
  for (const key of signers) firsts.push(await firstRevocation(history, key));
  if (firsts.includes(null)) return;
  for (const moment of firsts) {
    if (await isWitnessedBefore(receipt.proof.checkpoint, witnesses, moment)) return;
  }
  throw new FailedStep(`the log's key was revoked (${firsts[0]}) and no pinned witness saw the checkpoint before`);
}

/** Gives when the history revokes this key of the log, the earliest time of several, or null. */
async function firstRevocation(history, key) {
  const moments = [];
  for (const listed of history.document.get("keys")) {
    const revokedAt = listed.get("revokedAt");
    if (listed.get("role") !== "log" || revokedAt === null) continue;
    if (await isNoteKey(listed.get("key"), key)) moments.push(revokedAt);
  }
  return moments.sort()[0] ?? null;
}

/** A key of a make that this verifier does not know is another one. */
async function isNoteKey(text, key) {
  try {
    const listed = await readKey(text);
    return listed.name === key.name && listed.kind === key.kind && same(listed.key, key.key);
  } catch (error) {
    if (error instanceof Misspelled) return false;
    throw error;
  }
}
