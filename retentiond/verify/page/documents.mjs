// Step 1, `well-formed`: every document that a receipt consists of, read strictly, before anything is believed.

import { fromBase64 } from "./bytes.mjs";
import { FailedStep, orElse } from "./errors.mjs";
import {
  ANNEX_OF_ONE_RUN, ANNEX_OVER_RUNS, BUNDLE, HISTORY, HISTORY_ENVELOPE, KINDS_OVER_RUNS, LEAF, MAX_STATEMENT_BYTES,
  STATEMENT,
} from "./formats.mjs";
import { readProof } from "./proof.mjs";
import { Place, Unknown } from "./shape.mjs";
import { parse } from "./strictjson.mjs";

/**
 * Reads a bundle and all that stands in it; throws FailedStep for what is not well-formed.
 * Gives {bundle, envelope, body, statement, predicate, isOverRuns, proof, annexBytes, annex, leafBytes, leaf, unknown};
 * nothing of it is verified yet.
 */
export function readReceipt(data) {
  const unknown = new Unknown();
  const bundle = readDocument(data, BUNDLE, "bundle", unknown);
  const envelope = bundle.get("dsseEnvelope");
  const body = fromBase64(envelope.get("payload"));
  if (body.length > MAX_STATEMENT_BYTES) {
    throw new FailedStep(`the statement has ${body.length} bytes; it stays below ${MAX_STATEMENT_BYTES + 1}`);
  }
  const statement = readDocument(body, STATEMENT, "statement", unknown);
  const predicate = statement.get("predicate");
  const isOverRuns = KINDS_OVER_RUNS.includes(predicate.get("kind"));
  const annexShape = isOverRuns ? ANNEX_OVER_RUNS : ANNEX_OF_ONE_RUN;
  const [annexBytes, annex] = enclosed(bundle.get("annex"), annexShape, "annex", unknown);
  const [leafBytes, leaf] = enclosed(bundle.get("account")?.get("leaf") ?? null, LEAF, "leaf", unknown);
  const proof = orElse(
    () => readProof(bundle.get("tlogProof")),
    (message) => new FailedStep(`the log proof: ${message}`),
  );
  return {
    bundle, envelope, body, statement, predicate, isOverRuns, proof, annexBytes, annex, leafBytes, leaf, unknown,
  };
}

/** Reads a key history: {data, envelope, body, document}. Its signature is not verified here. */
export function readHistory(data) {
  const envelope = readDocument(data, HISTORY_ENVELOPE, "history", new Unknown());
  const body = fromBase64(envelope.get("payload"));
  return { data, envelope, body, document: readDocument(body, HISTORY, "history", new Unknown()) };
}

function readDocument(data, shape, name, unknown) {
  const value = orElse(
    () => parse(data),
    (message) => new FailedStep(`the ${name}: ${message}`),
  );
  shape(value, new Place(name, unknown));
  return value;
}

function enclosed(text, shape, name, unknown) {
  if (text === null) return [null, null];
  const data = fromBase64(text);
  return [data, readDocument(data, shape, name, unknown)];
}
