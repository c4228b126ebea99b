// What a verification found, and how far that goes.

import { same, sha256Hex } from "./bytes.mjs";
import { fingerprint } from "./keyring.mjs";
import { issuerOf } from "./logsteps.mjs";
import { isWitnessed } from "./note.mjs";
import { quoted } from "./spelling.mjs";
import { total } from "./statement.mjs";

/** Gives the verdict on a receipt that failed at `step`. */
export function refusal(step, reason, receipt) {
  return { valid: false, outcome: "invalid", step, reason, receipt, notes: [], proven: [], notProven: [] };
}

/** Gives the verdict on a receipt for which every step held. */
export async function acceptance(given) {
  const { predicate } = given.receipt;
  return {
    valid: true,
    outcome: predicate.get("outcome"),
    step: null,
    reason: null,
    receipt: predicate.get("receiptId"),
    notes: await notes(given),
    proven: await proven(given),
    notProven: await notProven(given),
  };
}

async function notes({ receipt, keys, history, log }) {
  const { predicate, annex, leaf } = receipt;
  const found = [];
  if (predicate.get("outcome") === "partial") {
    found.push("partial: something that was due was carried over to a successor run");
  }
  if (predicate.get("kind") === "tombstone") {
    found.push("hidden only: what this receipt names is not deleted yet; the purge has a receipt of its own");
  }
  if (annex === null) found.push("figures not shown: the annex is not in this bundle");
  else if (!receipt.isOverRuns) found.push(...figures(annex));
  else if (log) found.push(...standsOn(annex.get("runs"), log));
  if (leaf?.get("retained")) {
    found.push(`retained under a legal obligation, records of this account: ${leaf.get("retained")}`);
  }
  if (keys.logs.some((log) => keys.issuers.some((issuer) => same(issuer, log.key)))) {
    found.push("the issuer and the log have the same key: whoever holds it can say and log anything");
  }
  if (history && log && log.newestKeys !== null && log.newestKeys !== (await sha256Hex(history.data))) {
    found.push("the log names another, newer key history than the one given");
  }
  return [...found, ...unknownMembers(receipt.unknown)];
}

function figures(annex) {
  const found = [];
  const [held, gone] = [total(annex, "held"), total(annex, "alreadyGone")];
  if (held) found.push(`held and not removed, records that were due: ${held}`);
  if (gone) found.push(`already gone, so absent but not removed by this run: ${gone}`);
  if (annex.get("singleOperator")) {
    found.push("single operator: no second person had to approve (singleOperator)");
  }
  return found;
}

/** Says which runs, of those that a statement over runs names, the log does not bear out. */
function standsOn(runs, log) {
  const retracted = runs.filter(([index, digest]) => log.retractions.has(`${index} ${digest}`));
  const unknown = runs.filter(([index, digest]) => log.digests.get(index) !== digest);
  return [
    ...retracted.map(([index]) => `the log retracts a run that this stands on: entry ${index}`),
    ...unknown.map(([index]) => `the log has no such receipt of a run that this stands on: entry ${index}`),
  ];
}

function unknownMembers(unknown) {
  const found = unknown.shown.map((member) => `unknown member, accepted and not understood: ${member}`);
  const more = unknown.total - unknown.shown.length;
  return more ? [...found, `${more} further unknown members`] : found;
}

async function proven(given) {
  const { receipt, witnesses, history, log } = given;
  const { proof, predicate } = receipt;
  const [run, issuedAt] = [predicate.get("run"), predicate.get("issuedAt")];
  const issuer = (await fingerprint(await issuerOf(given))).slice(0, 16);
  const found = [
    `the issuer's pinned key (${issuer}...) signed it, issued at ${issuedAt}`,
    `it is entry ${proof.index} of ${proof.checkpoint.size} that the pinned key of ${proof.checkpoint.origin} signed for`,
  ];
  if (log) found.push(`it stands in the log given (${log.tree.size} entries), which does not retract it`);
  if (log && run) {
    const index = run.get("planEntry").get("index");
    found.push(`its plan was in the log before it, as entry ${index}, and has no other end`);
  }
  found.push(...witnesses.map((witness) => `the witness ${witness.name} saw that checkpoint`));
  if (history) found.push("the issuer's key was in force when the statement was issued, says the key history");
  if (receipt.annex !== null) {
    found.push("the annex is the one that was signed, and its figures agree with the statement");
  }
  return [...found, ...disclosed(receipt)];
}

function disclosed({ bundle, leaf }) {
  if (leaf === null) return [];
  const [id, items] = [bundle.get("account").get("id"), bundle.get("items")];
  const whose = id === null ? "an account that is not named" : `the account ${quoted(id)}`;
  const found = [`${whose} is in it, records: ${leaf.get("records")}`];
  if (items.length) found.push(`the disclosed items are among these records: ${items.length}`);
  return found;
}

async function notProven({ receipt: { predicate }, witnesses, history, log }) {
  const evidence = predicate.get("evidence");
  const missing = [`no cryptography proves deletion: this says what was looked at, and how (evidence: ${evidence})`];
  for (const item of predicate.get("notCovered")) {
    const until = item.get("until") ? ` until ${item.get("until")}` : "";
    missing.push(`${quoted(item.get("what"))} is not covered${until}`);
  }
  if (log) missing.push(...(await beyond(log, witnesses)));
  else missing.push("that it was not retracted since, and that its plan is in the log: give the log with --log");
  if (!witnesses.length) missing.push("that the log shows everybody the same: that takes a witness, --witness");
  if (!history) {
    missing.push("that the issuer's key was not revoked: that takes the key history, --history");
  }
  return missing;
}

/** Says what a log that was given leaves open: what comes after it, and who else sees it. */
async function beyond(log, witnesses) {
  const missing = [`what the log says after its ${log.tree.size} entries: a newer log may retract it`];
  for (const witness of witnesses) {
    if (await isWitnessed(log.checkpoint, witness)) continue;
    const who = quoted(witness.name);
    missing.push(`that others see the log that was given: the witness ${who} did not cosign its checkpoint`);
  }
  return missing;
}
