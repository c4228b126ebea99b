// Steps 7 and 8: `statement` and `annex`. What the receipt claims must agree with itself.

import { same, sha256Hex } from "./bytes.mjs";
import { FailedStep } from "./errors.mjs";
import { EVIDENCE_LEVELS } from "./formats.mjs";
import { canonical } from "./jcs.mjs";
import { quoted } from "./spelling.mjs";

const WEAKEST = EVIDENCE_LEVELS[0];
const OUTCOMES = [
  "purged", "tombstoned", "redacted", "pseudonymised", "keyDestroyed", "alreadyGone", "changed", "held", "refused",
  "carriedOver",
];

/** Demands that times follow each other and that outcome and evidence are ones that the kind allows. */
export function requireStatement({ receipt: { predicate, isOverRuns } }) {
  const [kind, outcome, run] = ["kind", "outcome", "run"].map((name) => predicate.get(name));
  if (isOverRuns) {
    if (run !== null) throw new FailedStep(`kind ${kind} is over runs, and yet names one run`);
    if (outcome !== "complete") throw new FailedStep(`kind ${kind} is never ${outcome}`);
    return;
  }
  const [started, finished, issued] = [run.get("startedAt"), run.get("finishedAt"), predicate.get("issuedAt")];
  if (!(started <= finished && finished <= issued)) {
    throw new FailedStep(`not in order: started ${started}, finished ${finished}, issued ${issued}`);
  }
  if (kind === "tombstone" && predicate.get("evidence") !== WEAKEST) {
    throw new FailedStep(`kind tombstone only hides, and yet claims the evidence ${predicate.get("evidence")}`);
  }
}

/** Demands, where the annex is handed out, that it is the one that was signed and that its figures agree. */
export async function requireAnnex({ receipt: { statement, predicate, isOverRuns, annex, annexBytes } }) {
  if (annex === null) return;
  const [subject] = statement.get("subject");
  if ((await sha256Hex(annexBytes)) !== subject.get("digest").get("sha256")) {
    throw new FailedStep("it is not the annex that was signed: its digest is another");
  }
  if (!same(canonical(annex), annexBytes)) throw new FailedStep("it is not in the canonical form of RFC 8785");
  if (isOverRuns) await requireRuns(annex, predicate.get("runs"));
  else requireFigures(annex, predicate);
}

/** Adds numbers up exactly: a sum may exceed what a double holds. */
export function sum(numbers) {
  return [...numbers].reduce((total, number) => total + BigInt(number), 0n);
}

/** Adds up one outcome over all parts of an annex. */
export function total(annex, outcome) {
  return sum(annex.get("parts").map((part) => part.get("outcomes").get(outcome)));
}

/** Says whether an object has exactly these members. */
export function hasExactly(table, names) {
  return table.size === names.length && names.every((name) => table.has(name));
}

async function requireRuns(annex, stated) {
  const runs = annex.get("runs");
  if (runs === undefined) throw new FailedStep("it does not list the runs");
  if (runs.length !== stated.get("count")) {
    throw new FailedStep(`it lists ${runs.length} runs, the statement counts ${stated.get("count")}`);
  }
  if ((await sha256Hex(canonical(runs))) !== stated.get("sha256")) {
    throw new FailedStep("it lists other runs than the statement's digest says");
  }
}

function requireFigures(annex, predicate) {
  annex.get("parts").forEach((part, number) => requireSum(part, `part ${number}`));
  requireList(annex, "held");
  requireList(annex, "carriedOver");
  const carried = total(annex, "carriedOver");
  const outcome = predicate.get("outcome");
  if ((outcome === "complete") !== (carried === 0n)) {
    throw new FailedStep(`${carried} records were carried over, and yet the outcome is ${outcome}`);
  }
  requireResidue(annex);
  requireEvidence(annex, predicate);
}

function requireSum(part, where) {
  const [outcomes, due, examined] = ["outcomes", "due", "examined"].map((name) => part.get(name));
  if (!hasExactly(outcomes, OUTCOMES)) {
    throw new FailedStep(`the outcomes of ${where} are not exactly the ten there are`);
  }
  const added = sum(outcomes.values());
  if (added !== BigInt(due)) throw new FailedStep(`the outcomes of ${where} add up to ${added}, ${due} were due`);
  if (examined !== null && examined < due) {
    throw new FailedStep(`${examined} records examined in ${where}, and yet ${due} due`);
  }
}

function requireList(annex, outcome) {
  const [listed, counted] = [sum(annex.get(outcome).map((item) => item.get("count"))), total(annex, outcome)];
  if (listed !== counted) throw new FailedStep(`${outcome}: ${counted} in the parts, ${listed} in the list`);
}

function requireResidue(annex) {
  const residue = annex.get("residue");
  const purges = annex.get("parts").some((part) => part.get("action") === "purge");
  if (!purges && residue !== null) throw new FailedStep("it states a residue where nothing was purged");
  if (purges && residue === null) throw new FailedStep("it states no residue for a purge");
  if (residue === null) return;
  const [result, found] = [residue.get("result"), residue.get("found")];
  if (result !== "clean" || found !== 0) {
    throw new FailedStep(`the residue is ${quoted(result)} with ${found} found, and not clean with none`);
  }
}

function requireEvidence(annex, predicate) {
  const removing = annex.get("parts").filter((part) => part.get("action") !== "tombstone" && part.get("due") > 0);
  if (predicate.get("kind") === "tombstone" && removing.length) {
    throw new FailedStep("kind tombstone removes nothing, and yet a part does");
  }
  const levels = removing.map((part) => EVIDENCE_LEVELS.indexOf(part.get("evidence")));
  const weakest = EVIDENCE_LEVELS[levels.length ? Math.min(...levels) : 0];
  const claimed = predicate.get("evidence");
  if (claimed !== weakest) {
    throw new FailedStep(`the statement claims the evidence ${claimed}, the parts that remove have ${weakest}`);
  }
}
