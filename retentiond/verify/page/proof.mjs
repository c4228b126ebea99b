// Proofs that an entry is in a log (c2sp.org/tlog-proof@v1).

import { fromBase64 } from "./bytes.mjs";
import { Misspelled } from "./errors.mjs";
import { HASH_BYTES } from "./merkle.mjs";
import { readCheckpoint, readDecimal } from "./note.mjs";

const HEADER = "c2sp.org/tlog-proof@v1";
const EXTRA = "extra ";
const INDEX = "index ";

/** Reads a proof: {index, path, checkpoint}. The `extra` line, which nothing authenticates, is dropped. */
export function readProof(text) {
  const end = text.indexOf("\n\n");
  const [header, ...lines] = (end < 0 ? text : text.slice(0, end)).split("\n");
  if (header !== HEADER) throw new Misspelled(`does not begin with ${HEADER}`);
  if (lines[0]?.startsWith(EXTRA)) fromBase64(lines.shift().slice(EXTRA.length));
  if (!lines[0]?.startsWith(INDEX)) throw new Misspelled("has no index line");
  const index = readDecimal(lines[0].slice(INDEX.length));
  const path = lines.slice(1).map(readHash);
  return { index, path, checkpoint: readCheckpoint(end < 0 ? "" : text.slice(end + 2)) };
}

function readHash(line) {
  const data = fromBase64(line);
  if (data.length !== HASH_BYTES) throw new Misspelled("has a hash that is not 32 bytes");
  return data;
}
