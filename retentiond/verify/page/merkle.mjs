// Merkle trees of RFC 9162, section 2.1, over SHA-256.

import { join, same, sha256 } from "./bytes.mjs";

export const HASH_BYTES = 32;
const LEAF_PREFIX = Uint8Array.of(0);
const NODE_PREFIX = Uint8Array.of(1);

/** Hashes one leaf's data: SHA-256(0x00 || data). */
export function leafHash(data) {
  return sha256(join(LEAF_PREFIX, data));
}

/** Hashes two subtrees: SHA-256(0x01 || left || right). */
export function nodeHash(left, right) {
  return sha256(join(NODE_PREFIX, left, right));
}

/** Verifies an inclusion proof (RFC 9162, section 2.1.3.2); `index` and `size` may be larger than 2^53. */
export async function isIncluded(leaf, index, size, path, root) {
  let [node, position, last] = [leaf, BigInt(index), BigInt(size) - 1n];
  if (position > last) return false;
  for (const sibling of path) {
    if (last === 0n) return false;
    if (position & 1n || position === last) {
      node = await nodeHash(sibling, node);
      while (position && !(position & 1n)) [position, last] = [position >> 1n, last >> 1n];
    } else {
      node = await nodeHash(node, sibling);
    }
    [position, last] = [position >> 1n, last >> 1n];
  }
  return last === 0n && same(node, root);
}

/** A tree of leaf hashes, which knows the root hash of every size up to its own. */
export class Tree {
  /** Builds it: each level holds the subtrees that are whole. */
  static async over(leaves) {
    const tree = new Tree();
    tree.levels = [leaves];
    for (let level = leaves; level.length > 1; tree.levels.push(level)) {
      const below = level;
      level = await allOf(below.length >> 1, (at) => nodeHash(below[2 * at], below[2 * at + 1]));
    }
    return tree;
  }

  get size() {
    return this.levels[0].length;
  }

  /** Says whether leaf `index` has this hash. */
  holds(index, hash) {
    return index < this.size && same(this.levels[0][Number(index)], hash);
  }

  /** Gives the root hash of the first `size` leaves, null where there are fewer. */
  async root(size) {
    if (size > this.size) return null;
    let root = null;
    for (let height = 0, rest = Number(size); rest > 0; height++, rest >>>= 1) {
      if (!(rest & 1)) continue;
      const node = this.levels[height][rest - 1];
      root = root ? await nodeHash(node, root) : node;
    }
    return root ?? sha256(new Uint8Array());
  }
}

/** Calls an asynchronous function for 0 … count-1, many at a time, and gives the answers in order. */
async function allOf(count, ask) {
  const answers = [];
  for (let start = 0; start < count; start += 4096) {
    const length = Math.min(4096, count - start);
    answers.push(...(await Promise.all(Array.from({ length }, (_, offset) => ask(start + offset)))));
  }
  return answers;
}
