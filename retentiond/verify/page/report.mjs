// Says in plain words what was found.

import { fromBase64, fromUtf8, isUtf8, toHex } from "./bytes.mjs";
import { capital, code, foreign, grid, icon, list, make, terms } from "./dom.mjs";
import { ACTION_WORDS, ASKED, EVIDENCE_WORDS, inWords, KIND_WORDS, OUTCOME_WORDS } from "./words.mjs";
import { STEPS } from "./verifier.mjs";

const SHOWN_ROWS = 200;
const SHOWN_GRAVE = 5;
const RETRACTED = "the log retracts it: ";
// How the command line is to be asked, which a reader of the page cannot.
const OPTION = /(, |: give the log with )--[a-z]+$/;
// Beginnings of notes that a reader must not miss.
const GRAVE = [
  "the log retracts a run", "the log has no such receipt", "the issuer and the log have the same key",
  "the log names another, newer key history",
];
const STATES = { held: ["good", "holds"], failed: ["bad", "fails"], open: ["open", "not looked at"] };

/** Gives {title, elements} for a verdict on a receipt that was read, or could not be (null). */
export function report(verdict, receipt, { log, history }) {
  const [look, title, ...said] = headline(verdict, receipt);
  const steps = [make("h3", {}, "The steps"), stepList(verdict, receipt, log)];
  if (verdict.valid) said.push(...unchecked(log, history));
  const content = verdict.valid ? validContent(verdict, receipt) : [];
  return { title, elements: [banner(look, title, said), ...content, ...steps] };
}

/** Gives {title, elements} where nothing could be checked. */
export function problem(what, remedy) {
  const title = "Cannot be checked";
  const said = [["This says nothing about the receipt: ", foreign(what), "."], remedy ? `To do: ${remedy}.` : null];
  return { title, elements: [banner("warn", title, said.filter(Boolean))] };
}

function headline(verdict, receipt) {
  const number = STEPS.indexOf(verdict.step) + 1;
  if (!verdict.valid) {
    const retracted = verdict.step === "retracted" && verdict.reason.startsWith(RETRACTED);
    const why = retracted ? "The issuer took it back, says the log: " : `Step ${number} of ${STEPS.length}, ${verdict.step}: `;
    const reason = retracted ? verdict.reason.slice(RETRACTED.length) : verdict.reason;
    const title = retracted ? "Retracted" : "Not valid";
    return ["bad", title, [why, foreign(reason), "."], "Nothing that it says may be relied on."];
  }
  const genuine = "The receipt is what the issuer signed, stands in the log, and agrees with itself.";
  if (receipt.predicate.get("kind") === "tombstone") {
    return ["warn", "Valid: hidden, not deleted", genuine, "What it names can still be recovered, until it is purged."];
  }
  if (verdict.outcome === "partial") {
    return ["warn", "Valid, but partial", genuine, "Something that was due was not removed, and is left to a later run."];
  }
  const grave = verdict.notes.filter((note) => GRAVE.some((beginning) => note.startsWith(beginning)));
  if (grave.length) {
    return ["warn", "Valid, with a reservation", genuine, ...grave.slice(0, SHOWN_GRAVE).map((note) => foreign(capital(note)))];
  }
  return ["good", "Valid", genuine];
}

function unchecked(log, history) {
  const missing = [
    log ? null : "whether it was retracted (no log was given)",
    history ? null : "whether the issuer’s key was revoked (no key history was given)",
  ].filter(Boolean);
  return missing.length ? [`Not checked: ${missing.join("; ")}.`] : [];
}

function banner(look, title, said) {
  const text = [make("h2", { id: "verdict", tabindex: "-1" }, title), ...said.map((part) => make("p", {}, part))];
  return make("div", { class: `banner ${look}` }, icon(look), make("div", {}, text));
}

function validContent(verdict, receipt) {
  return [
    ...statementContent(receipt),
    ...accountContent(receipt),
    ...itemsContent(receipt.bundle.get("items")),
    ...figuresContent(receipt),
    ...list("Note", verdict.notes),
    ...list("Not proven", verdict.notProven.map((said) => said.replace(OPTION, ""))),
    ...list("Verified", verdict.proven),
  ];
}

function statementContent({ predicate }) {
  const [issuer, run, kind] = ["issuer", "run", "kind"].map((name) => predicate.get(name));
  return [
    make("h3", {}, "What it says"),
    terms(
      ["What happened", inWords(KIND_WORDS, kind)],
      ["Kind", kind],
      ["Outcome", predicate.get("outcome")],
      ["Evidence", inWords(EVIDENCE_WORDS, predicate.get("evidence"))],
      ["Issued", moment(predicate.get("issuedAt"))],
      ["By", [foreign(issuer.get("id")), ", instance ", foreign(issuer.get("instance"))]],
      ["Run", run && [moment(run.get("startedAt")), " to ", moment(run.get("finishedAt"))]],
      ["Begun by", run && foreign(run.get("trigger"))],
      ["Over runs", predicate.get("runs") ? number(predicate.get("runs").get("count")) : null],
      ["Policies", commas(predicate.get("policies").map((policy) => foreign(policy.get("id"))))],
      ["Receipt", code(predicate.get("receiptId"))],
    ),
  ];
}

function accountContent({ bundle, leaf }) {
  if (leaf === null) return [];
  const id = bundle.get("account").get("id");
  const [oldest, newest] = [leaf.get("oldest"), leaf.get("newest")];
  return [
    make("h3", {}, "The account"),
    terms(
      ["Account", id === null ? "not named" : foreign(id)],
      ["Records", [number(leaf.get("records")), counted(leaf.get("actions"))]],
      ["Size", `${number(leaf.get("bytes"))} bytes`],
      ["From", oldest && [moment(oldest), " to ", newest ? moment(newest) : "(not said)"]],
      ["Retained", leaf.get("retained") ? `${number(leaf.get("retained"))} under a legal obligation` : "none"],
    ),
  ];
}

function itemsContent(items) {
  if (!items.length) return [];
  const rows = items.slice(0, SHOWN_ROWS).map((item) => [
    foreign(item.get("dataset")),
    code(readable(item.get("key"))),
    item.get("version") ? code(readable(item.get("version"))) : "",
    inWords(ACTION_WORDS, item.get("action")),
  ]);
  const columns = [["Dataset", "wide"], ["Record", "wide"], ["Version", ""], ["What happened", ""]];
  return [make("h3", {}, "Disclosed records"), grid(counting("record", items.length), columns, rows)];
}

function figuresContent({ annex, isOverRuns }) {
  if (annex === null || isOverRuns) return [];
  const parts = annex.get("parts");
  const rows = parts.slice(0, SHOWN_ROWS).map((part) => [
    [foreign(part.get("dataset")), " in ", foreign(part.get("store"))],
    [foreign(part.get("action")), part.get("cutoff") ? [", before ", moment(part.get("cutoff"))] : []].flat(),
    number(part.get("due")),
    listed(part.get("outcomes")) || "nothing was due",
    inWords(EVIDENCE_WORDS, part.get("evidence")),
  ]);
  const columns = [["Dataset", "wide"], ["Action", "wide"], ["Due", "count"], ["What happened", "wide"], ["Evidence", "wide"]];
  return [make("h3", {}, "Figures"), grid(counting("part", parts.length), columns, rows)];
}

function stepList(verdict, receipt, log) {
  const failed = STEPS.indexOf(verdict.step);
  const without = verdict.valid ? notAsked(receipt, log) : {};
  const items = STEPS.map((step, at) => {
    const asked = !verdict.valid && at > failed ? "open" : at === failed ? "failed" : "held";
    const state = Object.hasOwn(without, step) ? "open" : asked;
    const said = Object.hasOwn(without, step) ? without[step] : STATES[state][1];
    return make("li", { class: state }, icon(STATES[state][0]), `${ASKED[step]} (${step})`, make("span", {}, said));
  });
  return make("ol", { class: "steps" }, items);
}

function notAsked({ annex, leaf, bundle }, log) {
  return {
    ...(annex === null ? { annex: "no figures in this file" } : {}),
    ...(leaf === null ? { account: "none in this file" } : {}),
    ...(bundle.get("items").length ? {} : { items: "none in this file" }),
    ...(log ? {} : { retracted: "no log was given" }),
  };
}

/** Lists the counts that are not zero, in words. */
function listed(counts) {
  const given = [...counts].filter(([, count]) => count);
  return given.map(([name, count]) => `${inWords(OUTCOME_WORDS, name)}: ${number(count)}`).join("; ");
}

function counted(counts) {
  const said = listed(counts);
  return said ? ` (${said})` : "";
}

function counting(what, count) {
  const all = `${number(count)} ${what}${count === 1 ? "" : "s"}`;
  return count > SHOWN_ROWS ? `The first ${SHOWN_ROWS} of ${all}` : all;
}

/** Shows bytes as text where they are text, else as hex. */
function readable(encoded) {
  const data = fromBase64(encoded);
  return isUtf8(data) ? fromUtf8(data) : `0x${toHex(data)}`;
}

function number(count) {
  return count.toLocaleString("en");
}

function moment(time) {
  return make("time", { datetime: time }, time.replace("T", " ").replace("Z", " UTC"));
}

function commas(parts) {
  return parts.flatMap((part, at) => (at ? [", ", part] : [part]));
}
