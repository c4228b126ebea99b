// The shapes of every document in a receipt: which members, of which types, with which words.

import {
  anything, base64Bytes, flag, hashHex, integer, listOf, nullable, oneOf, pair, record, table, tableOf, text, time,
} from "./shape.mjs";

const BUNDLE_TYPE = "application/vnd.retentiond.receipt-bundle.v1+json";
const STATEMENT_MEDIA_TYPE = "application/vnd.in-toto+json";
export const KEYS_MEDIA_TYPE = "application/vnd.retentiond.keys.v1+json";
export const MAX_STATEMENT_BYTES = 3499;
const MIN_ACCOUNTS_TREE = 16;

const KINDS_OF_ONE_RUN = ["run", "tombstone"];
export const KINDS_OVER_RUNS = ["closure", "erasure", "attestation", "hold-notice"];
// From the weakest to the strongest.
export const EVIDENCE_LEVELS = ["hidden", "deleted", "all-versions-deleted", "absent-from-live-files", "key-destroyed"];
export const ACTION_BYTES = new Map([
  ["purge", 1], ["tombstone", 2], ["redact", 3], ["pseudonymise", 4], ["keyDestroyed", 5], ["alreadyGone", 6],
]);

const evidence = oneOf(...EVIDENCE_LEVELS);
const hashPath = listOf(hashHex);

function accountsSize(value, place) {
  integer(value, place);
  if (value < MIN_ACCOUNTS_TREE || (BigInt(value) & (BigInt(value) - 1n)) !== 0n) {
    place.refuse(`is not a power of two of at least ${MIN_ACCOUNTS_TREE}`);
  }
}

function oneSubject(value, place) {
  if (!Array.isArray(value) || value.length !== 1) place.refuse("is not an array of exactly one subject");
  subject(value[0], place.inside(0));
}

/** Gives the shape of a DSSE envelope with this payload type. */
function envelope(mediaType) {
  const signature = record({ sig: base64Bytes }, { keyid: nullable(text) });
  return record({ payload: base64Bytes, payloadType: oneOf(mediaType), signatures: listOf(signature) });
}

const accountShape = record({
  id: nullable(text), salt: nullable(hashHex), leaf: base64Bytes, index: integer, path: hashPath,
});
const itemShape = record({
  dataset: text, key: base64Bytes, version: base64Bytes, action: oneOf(...ACTION_BYTES.keys()), salt: hashHex,
  index: integer, path: hashPath,
});
export const BUNDLE = record({
  mediaType: oneOf(BUNDLE_TYPE),
  dsseEnvelope: envelope(STATEMENT_MEDIA_TYPE),
  tlogProof: text,
  annex: nullable(base64Bytes),
  account: nullable(accountShape),
  items: listOf(itemShape),
  keys: table,
});

const subject = record({ name: oneOf("annex"), digest: record({ sha256: hashHex }) });
const runShape = record({
  id: text,
  trigger: text,
  referenceTime: time,
  startedAt: time,
  finishedAt: time,
  planEntry: record({ index: integer, sha256: hashHex }),
  approvals: nullable(record({ sha256: hashHex })),
});
const PREDICATE = {
  kind: oneOf(...KINDS_OF_ONE_RUN, ...KINDS_OVER_RUNS),
  receiptId: text,
  issuedAt: time,
  issuer: record({ id: text, instance: text, software: record({ name: text, version: text }) }),
  policies: listOf(record({ id: text, sha256: hashHex })),
  outcome: oneOf("complete", "partial"),
  evidence,
  accounts: record({ tree: oneOf("rfc9162-sha256"), size: accountsSize, root: hashHex }),
  notCovered: listOf(record({ what: text, until: nullable(time) })),
};
const predicateOfOneRun = record({ ...PREDICATE, run: runShape }, { purgeDue: time });
// That `run` is null over runs is asked in the step `statement`.
const predicateOverRuns = record({ ...PREDICATE, run: anything, runs: record({ count: integer, sha256: hashHex }) });

function predicateShape(value, place) {
  const overRuns = value instanceof Map && KINDS_OVER_RUNS.includes(value.get("kind"));
  (overRuns ? predicateOverRuns : predicateOfOneRun)(value, place);
}

export const STATEMENT = record({
  _type: oneOf("https://in-toto.io/Statement/v1"),
  subject: oneSubject,
  predicateType: oneOf("urn:retentiond:deletion-receipt:v1"),
  predicate: predicateShape,
});

const partShape = record({
  dataset: text,
  store: text,
  kind: text,
  policy: text,
  rule: nullable(integer),
  action: text,
  keep: nullable(text),
  clock: nullable(text),
  cutoff: nullable(time),
  examined: nullable(integer),
  due: integer,
  outcomes: tableOf(integer),
  bytes: nullable(integer),
  evidence,
  verifiedBy: nullable(text),
  verifiedAs: nullable(text),
  verifiedAt: nullable(time),
  position: anything,
  tombstonedBetween: anything,
}, { purgeDue: time });
const ANNEX_HEAD = { annex: oneOf("retentiond/annex/v1"), nonce: hashHex };
export const ANNEX_OF_ONE_RUN = record({
  ...ANNEX_HEAD,
  parts: listOf(partShape),
  carriedOver: listOf(record({ dataset: text, reason: text, count: integer, until: nullable(time) })),
  residue: nullable(record({ result: text, method: text, checkedAt: time, found: integer })),
  notCovered: listOf(record({ what: text, store: nullable(text), reason: text, until: nullable(time) })),
  held: listOf(record({ matterCommitment: hashHex, count: integer })),
  singleOperator: flag,
});
// That the list of runs is there is asked in the step `annex`.
export const ANNEX_OVER_RUNS = record(ANNEX_HEAD, { runs: listOf(pair(integer, hashHex)) });

export const LEAF = record({
  account: hashHex,
  records: integer,
  bytes: integer,
  actions: tableOf(integer),
  retained: integer,
  oldest: nullable(time),
  newest: nullable(time),
  items: record({ size: integer, root: hashHex }),
});
export const HISTORY_ENVELOPE = envelope(KEYS_MEDIA_TYPE);
export const HISTORY = record({
  keys: listOf(
    record({
      role: text, key: text, validFrom: time, validUntil: nullable(time), revokedAt: nullable(time),
      reason: nullable(text),
    }),
  ),
});
