// What a receipt's words mean to somebody who has never seen one.

export const KIND_WORDS = {
  run: "Records whose retention period had ended were removed, in one run",
  tombstone: "Records were hidden; none of them is deleted yet",
  closure: "An account was closed, and its records were removed",
  erasure: "A request for erasure was carried out",
  attestation: "In a period, nothing was left that had to go",
  "hold-notice": "Records are kept under a legal hold",
};

export const EVIDENCE_WORDS = {
  hidden: "hidden: no longer shown to users, and still recoverable",
  deleted: "deleted: no query of the store finds it any more",
  "all-versions-deleted": "all versions deleted: no older version is left in the store",
  "absent-from-live-files": "absent from live files: not in the files that the store works with",
  "key-destroyed": "key destroyed: what is left cannot be decrypted any more",
};

export const OUTCOME_WORDS = {
  purged: "removed",
  tombstoned: "hidden",
  redacted: "redacted",
  pseudonymised: "pseudonymised",
  keyDestroyed: "key destroyed",
  alreadyGone: "already gone",
  changed: "changed since planned, left",
  held: "held, left",
  refused: "refused, left",
  carriedOver: "carried over to a later run",
};

export const ACTION_WORDS = {
  purge: "removed",
  tombstone: "hidden",
  redact: "redacted",
  pseudonymise: "pseudonymised",
  keyDestroyed: "key destroyed",
  alreadyGone: "already gone",
};

/** What each step asks. */
export const ASKED = {
  "well-formed": "The file can be read, in one way only",
  canonical: "The statement is written in its one canonical form",
  signature: "The issuer’s key that you trust has signed it",
  entry: "Its place in the log fits, after its plan",
  inclusion: "It is part of that log",
  checkpoint: "The log’s key that you trust has signed that log",
  statement: "Times and outcome agree with each other",
  annex: "The figures are those that were signed, and add up",
  account: "The account’s part belongs to it",
  items: "The disclosed records belong to that account",
  retracted: "It was not retracted, and its plan has no other end",
};

/** Gives the words for a code, or the code itself where it is a new one. */
export function inWords(words, code) {
  return Object.hasOwn(words, code) ? words[code] : code;
}
