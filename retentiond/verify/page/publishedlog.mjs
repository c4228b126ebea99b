// A published log (c2sp.org/tlog-tiles), read by rebuilding its tree from its entries.
// The hash tiles are not read at all: a tile that was tampered with is then no way to be told a wrong root.

import { fromUtf8, isUtf8, same, utf8 } from "./bytes.mjs";
import { FailedStep, Misspelled } from "./errors.mjs";
import { leafHash, Tree } from "./merkle.mjs";
import { readCheckpoint, requireLog } from "./note.mjs";

const ENTRIES_PER_BUNDLE = 256;
const LENGTH_BYTES = 2;
const MAX_BUNDLE_BYTES = ENTRIES_PER_BUNDLE * (LENGTH_BYTES + 0xffff);
const MAX_CHECKPOINT_BYTES = 1 << 20;
const ENTRY = /^retentiond\/log-entry\/v1\n([^\n]+)\nsha256:([0-9a-f]{64})\n$/;
const OVER_RUNS = "receipt -";
const RECEIPT = /^receipt (0|[1-9][0-9]{0,17})$/;
const VOID = /^void (0|[1-9][0-9]{0,17}) ([^\n]+)$/;
const RETRACT = /^retract (0|[1-9][0-9]{0,17}) ([^\n]+)$/;

/** Gives the bytes of a log entry. */
export function logEntry(kindLine, sha256) {
  return utf8(`retentiond/log-entry/v1\n${kindLine}\nsha256:${sha256}\n`);
}

/**
 * What a whole log says: `tree`, the leaf hashes of all entries; `receipts`, plan index to the indexes of the receipts
 * that name it; `voids` and `retractions`, "index sha256" to the reason; `newestKeys`, the newest key history's digest;
 * `digests`, receipt index to its digest; `checkpoint`, the one that was read with it.
 */
class PublishedLog {
  receipts = new Map();
  voids = new Map();
  retractions = new Map();
  newestKeys = null;
  digests = new Map();

  constructor(checkpoint) {
    this.checkpoint = checkpoint;
  }

  /** Takes in what an entry says. One of an unknown kind counts for the tree and says nothing here. */
  add(data, index) {
    const found = ENTRY.exec(fromUtf8(data));
    if (!found) return;
    const [, kindLine, digest] = found;
    const [receipt, end, retract] = [RECEIPT.exec(kindLine), VOID.exec(kindLine), RETRACT.exec(kindLine)];
    if (kindLine === OVER_RUNS || receipt) this.digests.set(index, digest);
    if (kindLine === "key") this.newestKeys = digest;
    else if (receipt) this.receipts.set(receipt[1], [...(this.receipts.get(receipt[1]) ?? []), index]);
    else if (end) this.voids.set(`${end[1]} ${digest}`, end[2]);
    else if (retract) this.retractions.set(`${retract[1]} ${digest}`, retract[2]);
  }

  /** Says whether entry `index` is exactly this one. */
  async holds(index, data) {
    return this.tree.holds(index, await leafHash(data));
  }
}

/**
 * Reads a published log whole.
 * `source.read(path, limit)` promises a file's bytes (at most limit + 1), or null where it is known not to be there.
 * One of `keys`, the log's pinned keys, must have signed its checkpoint.
 */
export async function readLog(source, keys) {
  const checkpoint = await readHead(source, keys);
  const [log, hashes] = [new PublishedLog(checkpoint), []];
  for (let start = 0n; start < checkpoint.size; start += BigInt(ENTRIES_PER_BUNDLE)) {
    const entries = await readBundle(source, start, checkpoint.size);
    entries.forEach((data, offset) => log.add(data, hashes.length + offset));
    for (const hash of await Promise.all(entries.map(leafHash))) hashes.push(hash);
  }
  log.tree = await Tree.over(hashes);
  if (!same(await log.tree.root(checkpoint.size), checkpoint.root)) {
    throw new FailedStep("the log's entries do not give the root hash that its checkpoint signs");
  }
  return log;
}

async function readHead(source, keys) {
  const note = await bounded(source, "checkpoint", MAX_CHECKPOINT_BYTES);
  if (note === null) throw new FailedStep("the log has no checkpoint");
  try {
    if (!isUtf8(note)) throw new Misspelled("not UTF-8");
    const checkpoint = readCheckpoint(fromUtf8(note));
    await requireLog(checkpoint, keys);
    return checkpoint;
  } catch (error) {
    if (!(error instanceof Misspelled || error instanceof FailedStep)) throw error;
    throw new FailedStep(`the log's checkpoint is refused: ${error.message}`);
  }
}

/** Reads one entry bundle. A partial one may have gone once the full one is there, which then begins with it. */
async function readBundle(source, start, size) {
  const rest = size - start;
  const width = rest < ENTRIES_PER_BUNDLE ? Number(rest) : ENTRIES_PER_BUNDLE;
  const path = `tile/entries/${tileNumber(start / BigInt(ENTRIES_PER_BUNDLE))}`;
  let [data, held] = [null, width];
  if (width < ENTRIES_PER_BUNDLE) data = await bounded(source, `${path}.p/${width}`, MAX_BUNDLE_BYTES);
  if (data === null) [data, held] = [await bounded(source, path, MAX_BUNDLE_BYTES), ENTRIES_PER_BUNDLE];
  if (data === null) throw new FailedStep(`the log has no entry bundle ${path} of ${width} entries`);
  const entries = split(data, path);
  if (entries.length !== held) throw new FailedStep(`${path} holds ${entries.length} entries instead of ${held}`);
  return entries.slice(0, width);
}

function split(data, path) {
  const entries = [];
  for (let at = 0; at < data.length; ) {
    const start = at + LENGTH_BYTES;
    at = start + ((data[at] << 8) | (data[at + 1] ?? 0));
    if (at > data.length || start > data.length) throw new FailedStep(`${path} ends in the middle of an entry`);
    entries.push(data.subarray(start, at));
  }
  return entries;
}

/** Spells a tile's number in groups of three digits, all but the last with an x: 1234067 is x001/x234/067. */
function tileNumber(number) {
  const digits = String(number);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/.{3}/g);
  return groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join("/");
}

async function bounded(source, path, limit) {
  const data = await source.read(path, limit).catch((error) => {
    throw new FailedStep(`${path} could not be read (${error.message}), so nothing is known of it`);
  });
  if (data !== null && data.length > limit) throw new FailedStep(`${path} is larger than ${limit} bytes`);
  return data;
}
