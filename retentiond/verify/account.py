"""Steps 9 and 10: `account` and `items`. What is disclosed must be what the roots commit to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from . import jcs, merkle
from .case import Case
from .encoding import from_base64, sha256_hex
from .errors import FailedStepError
from .formats import ACTION_BYTES
from .shape import Json

_ACTIONS = frozenset({"purged", "tombstoned", "redacted", "pseudonymised", "keyDestroyed", "alreadyGone"})
_ACCOUNT_PREFIX = b"retentiond/account/v1\x00"
_ITEM_PREFIX = b"retentiond/item/v1\x00"


def account(case: Case) -> None:
    """Demand, where an account is disclosed, that its leaf stands in the accounts tree and agrees with itself."""
    disclosed, leaf = case.receipt.bundle["account"], case.receipt.leaf
    if leaf is None or case.receipt.leaf_bytes is None:
        return
    if jcs.canonical(leaf) != case.receipt.leaf_bytes:
        raise FailedStepError("its leaf is not in the canonical form of RFC 8785")
    _require_counts(leaf)
    _require_owner(disclosed, leaf)
    _require_place(disclosed, case.receipt.leaf_bytes, case.receipt.predicate["accounts"], "the account")


def items(case: Case) -> None:
    """Demand that every disclosed item stands in the tree of the disclosed account."""
    disclosed, leaf = case.receipt.bundle["items"], case.receipt.leaf
    if not disclosed:
        return
    if leaf is None:
        raise FailedStepError(f"{len(disclosed)} items are disclosed without the account that they belong to")
    for number, item in enumerate(disclosed):
        _require_place(item, _item_leaf(item), leaf["items"], f"item {number}")


def _require_counts(leaf: Json) -> None:
    if leaf["actions"].keys() != _ACTIONS:
        raise FailedStepError("its actions are not exactly the six there are")
    if sum(leaf["actions"].values()) != leaf["records"]:
        raise FailedStepError(
            f"its actions add up to {sum(leaf['actions'].values())}, it counts {leaf['records']} records"
        )
    if leaf["items"]["size"] != leaf["records"]:
        raise FailedStepError(f"it commits to {leaf['items']['size']} items and counts {leaf['records']} records")
    if leaf["records"] == 0 and (leaf["oldest"] is not None or leaf["newest"] is not None):
        raise FailedStepError("it has no records, and yet an oldest or newest one")


def _require_owner(disclosed: Json, leaf: Json) -> None:
    name, salt = disclosed["id"], disclosed["salt"]
    if (name is None) != (salt is None):
        raise FailedStepError("id and salt are not both there or both missing")
    if name is None:
        return
    if sha256_hex(_ACCOUNT_PREFIX + bytes.fromhex(salt) + name.encode()) != leaf["account"]:
        raise FailedStepError("its leaf is not the one of this id and salt")


def _require_place(disclosed: Json, leaf_data: bytes, tree: Json, what: str) -> None:
    index, size = disclosed["index"], tree["size"]
    if index >= size:
        raise FailedStepError(f"{what} has the index {index} in a tree of {size}")
    path = _hashes(disclosed["path"])
    if not merkle.is_included(merkle.leaf_hash(leaf_data), index, size, path, bytes.fromhex(tree["root"])):
        raise FailedStepError(f"{what} is not at index {index} of the tree that was committed to")


def _item_leaf(item: Json) -> bytes:
    fields = (item["dataset"].encode(), from_base64(item["key"]), from_base64(item["version"]))
    name = b"".join(len(value).to_bytes(4, "big") + value for value in fields)
    digest = hashlib.sha256(_ITEM_PREFIX + bytes.fromhex(item["salt"]) + name).digest()
    return digest + bytes([ACTION_BYTES[item["action"]]])


def _hashes(path: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(step) for step in path]
