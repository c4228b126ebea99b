// The order of the steps. The first one that fails is reported, and nothing after it is looked at.

import { requireAccount, requireItems } from "./account.mjs";
import { sha256Hex } from "./bytes.mjs";
import { readHistory, readReceipt } from "./documents.mjs";
import { pae } from "./dsse.mjs";
import { FailedStep } from "./errors.mjs";
import {
  requireCanonical, requireCheckpoint, requireEntry, requireInclusion, requireIssuer, requireNotRetracted,
} from "./logsteps.mjs";
import { logEntry, readLog } from "./publishedlog.mjs";
import { requireAnnex, requireStatement } from "./statement.mjs";
import { acceptance, refusal } from "./verdict.mjs";

export const WELL_FORMED = "well-formed";
const READ_LOG = "log";
const TAKEN = [
  ["canonical", requireCanonical],
  ["signature", requireIssuer],
  [READ_LOG, null],
  ["entry", requireEntry],
  ["inclusion", requireInclusion],
  ["checkpoint", requireCheckpoint],
  ["statement", requireStatement],
  ["annex", requireAnnex],
  ["account", requireAccount],
  ["items", requireItems],
  ["retracted", requireNotRetracted],
];
/** The names of the steps, in their order. */
export const STEPS = [WELL_FORMED, ...TAKEN.map(([name]) => name).filter((name) => name !== READ_LOG)];

/**
 * Verifies one receipt bundle.
 *   bundle: its bytes
 *   keys, witnesses: as pin and pinWitnesses give them
 *   history: the bytes of the issuer's key history, null without
 *   log: where the published log's files come from (see readLog), null without
 * Gives {verdict, receipt}: receipt is null where the bundle could not be read, else what readReceipt gives.
 */
export async function verify(bundle, { keys, witnesses = [], history = null, log = null }) {
  let [step, receipt] = [WELL_FORMED, null];
  try {
    receipt = readReceipt(bundle);
    const given = await gather(receipt, { keys, witnesses, history: history && readHistory(history) });
    for (const [name, require] of TAKEN) {
      // Where the log cannot be read, the first step that asks it cannot be answered; unknown is not "it holds".
      step = name === READ_LOG ? "entry" : name;
      if (name !== READ_LOG) await require(given);
      else if (log) given.log = await readLog(log, keys.logs);
    }
    return { verdict: await acceptance(given), receipt };
  } catch (error) {
    if (!(error instanceof FailedStep)) throw error;
    const claimed = step === WELL_FORMED ? null : receipt.predicate.get("receiptId");
    return { verdict: refusal(step, error.message, claimed), receipt };
  }
}

/** Puts together what one verification has before it. */
async function gather(receipt, trusted) {
  const { envelope, body, predicate, isOverRuns } = receipt;
  const signed = pae(envelope.get("payloadType"), body);
  const digest = await sha256Hex(signed);
  const kindLine = isOverRuns ? "receipt -" : `receipt ${predicate.get("run").get("planEntry").get("index")}`;
  return { receipt, ...trusted, log: null, signed, digest, kindLine, entry: logEntry(kindLine, digest) };
}
