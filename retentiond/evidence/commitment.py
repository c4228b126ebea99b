"""Keyed commitments to items and accounts (RECEIPTS.md, Items and accounts).

K is 32 random bytes of one receipt. With K a commitment can be opened; without it nothing can be linked to anything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from retentiond.errors import ReceiptError
from retentiond.evidence.canonical import MAX_INTEGER, canonical_json, optional_rfc3339
from retentiond.evidence.merkle import EMPTY_ROOT, LEAF_PREFIX

SMALLEST_ACCOUNTS_TREE = 16
_ITEM_SALT = b"retentiond/item-salt/v1\x00"
_ITEM = b"retentiond/item/v1\x00"
_ACCOUNT_SALT = b"retentiond/account-salt/v1\x00"
_ACCOUNT = b"retentiond/account/v1\x00"
_PAD = b"retentiond/pad/v1\x00"
_DEFECT = "this is a defect of retentiond; nothing was signed"


class ItemAction(IntEnum):
    """What was done to an item; the value is the last byte of its leaf."""

    PURGE = 1
    TOMBSTONE = 2
    REDACT = 3
    PSEUDONYMISE = 4
    KEY_DESTROYED = 5
    ALREADY_GONE = 6

    @property
    def wire(self) -> str:
        """The action's name in a bundle, such as `purge` or `alreadyGone`."""
        return _WIRE[self]


_WIRE = {
    ItemAction.PURGE: "purge",
    ItemAction.TOMBSTONE: "tombstone",
    ItemAction.REDACT: "redact",
    ItemAction.PSEUDONYMISE: "pseudonymise",
    ItemAction.KEY_DESTROYED: "keyDestroyed",
    ItemAction.ALREADY_GONE: "alreadyGone",
}
_LAST_BYTE = {int(action): bytes([action]) for action in ItemAction}


def encode_item(dataset: str, key: bytes, version: bytes = b"") -> bytes:
    """Return an item's name as bytes: three texts, each with its length before it as 32 bits, big-endian."""
    name = dataset.encode()
    return b"".join((_length(name), name, _length(key), key, _length(version), version))


def encode_items(dataset: str, keys: Sequence[bytes], versions: Sequence[bytes]) -> list[bytes]:
    """Return the names of many items of one dataset; as encode_item(), and faster."""
    name = dataset.encode()
    prefix = _length(name) + name
    if not any(versions):
        nothing = _length(b"")
        heads = {size: prefix + size.to_bytes(4) for size in {*map(len, keys)}}
        return [heads[len(key)] + key + nothing for key in keys]
    return [
        b"%b%b%b%b%b" % (prefix, len(key).to_bytes(4), key, len(version).to_bytes(4), version)
        for key, version in zip(keys, versions, strict=True)
    ]


def item_salt(k: bytes, item: bytes) -> bytes:
    """Return the salt (32 bytes) of one item; to disclose it discloses that item only."""
    return _keyed(k, _ITEM_SALT + item)


def item_leaf(k: bytes, item: bytes, action: ItemAction) -> bytes:
    """Return an item's leaf data: its commitment (32 bytes) and the action's byte."""
    return hashlib.sha256(_ITEM + item_salt(k, item) + item).digest() + _LAST_BYTE[action]


def item_hashes(k: bytes, items: Iterable[bytes], actions: Iterable[int]) -> list[bytes]:
    """Return the leaf hashes of many items; as leaf_hash(item_leaf()), and faster.

    Raises:
        ReceiptError: An action is none of ItemAction.
    """
    # The hash states behind the constant labels are copied: this runs once per record, millions of times.
    salting = hashlib.blake2b(_ITEM_SALT, key=k, digest_size=32).copy
    label, prefix, sha256 = _ITEM, LEAF_PREFIX, hashlib.sha256
    hashes = []
    try:
        for item, last in zip(items, map(_LAST_BYTE.__getitem__, actions), strict=True):
            salt = salting()
            salt.update(item)
            hashes.append(sha256(prefix + sha256(label + salt.digest() + item).digest() + last).digest())
    except KeyError as error:
        raise ReceiptError(f"an item has an action that does not exist: {error}", remedy=_DEFECT) from error
    return hashes


def account_salt(k: bytes, account: bytes) -> bytes:
    """Return the salt (32 bytes) of one account; records without an account stand under the account of no bytes."""
    return _keyed(k, _ACCOUNT_SALT + account)


def account_commitment(salt: bytes, account: bytes) -> str:
    """Return the commitment to an account under its salt, as lower-case hex."""
    return hashlib.sha256(_ACCOUNT + salt + account).hexdigest()


# The canonical form of an account's leaf, spelled out: a receipt has one for each account, and building it of parts
# takes ten times as long. Nothing in it needs an escape.
_LEAF = (
    '{"account":"%s","actions":{"alreadyGone":%d,"keyDestroyed":%d,"pseudonymised":%d,"purged":%d,"redacted":%d,'
    '"tombstoned":%d},"bytes":%d,"items":{"root":"%s","size":%d},"newest":%s,"oldest":%s,"records":%d,"retained":%d}'
)
_COMMITMENT = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ActionCounts:
    """How many records of an account each action removed, hid, changed, or found gone."""

    purged: int = 0
    tombstoned: int = 0
    redacted: int = 0
    pseudonymised: int = 0
    key_destroyed: int = 0
    already_gone: int = 0

    @property
    def total(self) -> int:
        """Sum over all actions."""
        return sum(self.by_wire_name().values())

    def by_wire_name(self) -> dict[str, int]:
        """Return the counts under the names that they have in an account's leaf."""
        return {
            "purged": self.purged,
            "tombstoned": self.tombstoned,
            "redacted": self.redacted,
            "pseudonymised": self.pseudonymised,
            "keyDestroyed": self.key_destroyed,
            "alreadyGone": self.already_gone,
        }


@dataclass(frozen=True, slots=True)
class AccountTotals:
    """What a receipt says of one account.

    Attributes:
        account: The account's commitment, lower-case hex.
        size_bytes: Size of the records that were acted on.
        retained: Records kept under a legal obligation.
        oldest, newest: First and last start of a clock among the records acted on; None where there are none.
        items_size, items_root: The account's items tree.

    Raises:
        ReceiptError: The tree does not hold one item per record, or the times do not fit the number of records.
    """

    account: str
    actions: ActionCounts = field(default_factory=ActionCounts)
    size_bytes: int = 0
    retained: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    items_size: int = 0
    items_root: bytes = EMPTY_ROOT

    def __post_init__(self) -> None:
        if self.items_size != self.records:
            what = f"an account of {self.records} records has a tree of {self.items_size} items"
            raise ReceiptError(what, remedy=_DEFECT)
        if (self.oldest is None) != (self.newest is None) or (self.records == 0 and self.oldest is not None):
            what = f"the oldest and newest of an account's {self.records} records are not given together"
            raise ReceiptError(what, remedy=_DEFECT)

    @property
    def records(self) -> int:
        """Number of records acted on."""
        return self.actions.total


def account_leaf(totals: AccountTotals) -> bytes:
    """Return an account's leaf data in the accounts tree.

    Raises:
        ReceiptError: A number lies outside 0 to 2^53-1.
    """
    counts, oldest, newest = totals.actions, optional_rfc3339(totals.oldest), optional_rfc3339(totals.newest)
    numbers = (
        counts.already_gone,
        counts.key_destroyed,
        counts.pseudonymised,
        counts.purged,
        counts.redacted,
        counts.tombstoned,
        totals.size_bytes,
        totals.records,
        totals.retained,
    )
    if min(numbers) < 0 or max(numbers) > MAX_INTEGER or not _COMMITMENT.fullmatch(totals.account):
        return _checked_leaf(totals)
    *actions, size, records, retained = numbers
    times = [f'"{time}"' if time else "null" for time in (newest, oldest)]
    tree = (totals.items_root.hex(), totals.items_size)
    return (_LEAF % (totals.account, *actions, size, *tree, *times, records, retained)).encode()


def _checked_leaf(totals: AccountTotals) -> bytes:
    return canonical_json(
        {
            "account": totals.account,
            "records": totals.records,
            "bytes": totals.size_bytes,
            "actions": totals.actions.by_wire_name(),
            "retained": totals.retained,
            "oldest": optional_rfc3339(totals.oldest),
            "newest": optional_rfc3339(totals.newest),
            "items": {"size": totals.items_size, "root": totals.items_root.hex()},
        }
    )


def padded_size(accounts: int) -> int:
    """Return the size of an accounts tree: a power of two, at least 16, which hides how many accounts there are."""
    return max(SMALLEST_ACCOUNTS_TREE, 1 << max(accounts - 1, 0).bit_length())


def pad_leaf(k: bytes, index: int) -> bytes:
    """Return the leaf data of one padding leaf, numbered from 0."""
    return _keyed(k, _PAD + index.to_bytes(4))


def pad_leaves(k: bytes, accounts: int) -> Iterator[bytes]:
    """Return the leaf data of the padding for so many accounts; accounts and padding are then sorted by leaf hash."""
    return (pad_leaf(k, index) for index in range(padded_size(accounts) - accounts))


class PlanDigest:
    """The digest over every planned item in the plan's order, without keeping the items.

    Args:
        nonce: 32 random bytes, so that the digest tells nothing of the items.
    """

    __slots__ = ("_hash", "_items")

    def __init__(self, nonce: bytes) -> None:
        self._hash = hashlib.sha256(nonce)
        self._items = 0

    @property
    def count(self) -> int:
        """Number of items so far."""
        return self._items

    def extend(self, items: Iterable[bytes]) -> None:
        """Add items as encode_item() names them."""
        batch = list(items)
        self._hash.update(b"".join(batch))
        self._items += len(batch)

    def copy(self) -> PlanDigest:
        """Return a digest of the same items so far that goes on by itself."""
        twin = PlanDigest(b"")
        twin._hash, twin._items = self._hash.copy(), self._items
        return twin

    def hexdigest(self) -> str:
        """Return SHA-256(nonce and items) as lower-case hex."""
        return self._hash.hexdigest()


def _keyed(k: bytes, message: bytes) -> bytes:
    return hashlib.blake2b(message, key=k, digest_size=32).digest()


def _length(text: bytes) -> bytes:
    return len(text).to_bytes(4)
