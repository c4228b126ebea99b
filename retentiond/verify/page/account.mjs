// Steps 9 and 10: `account` and `items`. What is disclosed must be what the roots commit to.

import { fromBase64, fromHex, join, same, sha256, sha256Hex, uint32, utf8 } from "./bytes.mjs";
import { FailedStep } from "./errors.mjs";
import { ACTION_BYTES } from "./formats.mjs";
import { canonical } from "./jcs.mjs";
import { HASH_BYTES, isIncluded, leafHash } from "./merkle.mjs";
import { hasExactly, sum } from "./statement.mjs";

const ACTIONS = ["purged", "tombstoned", "redacted", "pseudonymised", "keyDestroyed", "alreadyGone"];
const ACCOUNT_PREFIX = utf8("retentiond/account/v1\0");
const ITEM_PREFIX = utf8("retentiond/item/v1\0");

/** Demands, where an account is disclosed, that its leaf stands in the accounts tree and agrees with itself. */
export async function requireAccount({ receipt: { bundle, leaf, leafBytes, predicate } }) {
  if (leaf === null) return;
  if (!same(canonical(leaf), leafBytes)) throw new FailedStep("its leaf is not in the canonical form of RFC 8785");
  requireCounts(leaf);
  await requireOwner(bundle.get("account"), leaf);
  await requirePlace(bundle.get("account"), leafBytes, predicate.get("accounts"), "the account");
}

/** Demands that every disclosed item stands in the tree of the disclosed account. */
export async function requireItems({ receipt: { bundle, leaf } }) {
  const items = bundle.get("items");
  if (!items.length) return;
  if (leaf === null) {
    throw new FailedStep(`${items.length} items are disclosed without the account that they belong to`);
  }
  for (const [number, item] of items.entries()) {
    await requirePlace(item, await itemLeaf(item), leaf.get("items"), `item ${number}`);
  }
}

function requireCounts(leaf) {
  const [actions, records] = [leaf.get("actions"), leaf.get("records")];
  if (!hasExactly(actions, ACTIONS)) throw new FailedStep("its actions are not exactly the six there are");
  const added = sum(actions.values());
  if (added !== BigInt(records)) throw new FailedStep(`its actions add up to ${added}, it counts ${records} records`);
  const size = leaf.get("items").get("size");
  if (size !== records) throw new FailedStep(`it commits to ${size} items and counts ${records} records`);
  if (records === 0 && (leaf.get("oldest") !== null || leaf.get("newest") !== null)) {
    throw new FailedStep("it has no records, and yet an oldest or newest one");
  }
}

async function requireOwner(disclosed, leaf) {
  const [name, salt] = [disclosed.get("id"), disclosed.get("salt")];
  if ((name === null) !== (salt === null)) throw new FailedStep("id and salt are not both there or both missing");
  if (name === null) return;
  const commitment = await sha256Hex(join(ACCOUNT_PREFIX, fromHex(salt, HASH_BYTES), utf8(name)));
  if (commitment !== leaf.get("account")) throw new FailedStep("its leaf is not the one of this id and salt");
}

async function requirePlace(disclosed, leafData, tree, what) {
  const [index, size] = [disclosed.get("index"), tree.get("size")];
  if (index >= size) throw new FailedStep(`${what} has the index ${index} in a tree of ${size}`);
  const path = disclosed.get("path").map((step) => fromHex(step, HASH_BYTES));
  const root = fromHex(tree.get("root"), HASH_BYTES);
  if (await isIncluded(await leafHash(leafData), index, size, path, root)) return;
  throw new FailedStep(`${what} is not at index ${index} of the tree that was committed to`);
}

async function itemLeaf(item) {
  const fields = [utf8(item.get("dataset")), fromBase64(item.get("key")), fromBase64(item.get("version"))];
  const named = fields.flatMap((field) => [uint32(field.length), field]);
  const digest = await sha256(join(ITEM_PREFIX, fromHex(item.get("salt"), HASH_BYTES), ...named));
  return join(digest, Uint8Array.of(ACTION_BYTES.get(item.get("action"))));
}
