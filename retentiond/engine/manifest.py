"""A receipt's manifest: every item's commitment, sorted, on disk; the trees are built from it with flat memory.

Two files: `<receipt>.items` holds fixed-size rows (account commitment, leaf hash, action, size, clock) in ascending
order; `<receipt>.leaves` the leaf hashes of the accounts tree, padding included, in ascending order. Of a large
tree the roots of its parts lie beside it, in `<receipt>.tops`; they can be made again.
With the receipt's key any account's part can be derived from them; without it they can be linked to nothing.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Self, TypeAlias

from retentiond.domain.record import moment
from retentiond.engine.sorting import ExternalSort
from retentiond.errors import ReceiptError
from retentiond.evidence.commitment import (
    AccountTotals,
    ActionCounts,
    ItemAction,
    account_leaf,
    pad_leaves,
    padded_size,
)
from retentiond.evidence.merkle import Frontier, leaf_hash, packed_tree, root_from_path

_ROW = struct.Struct(">32s32sBQq")
ROW_BYTES = _ROW.size
HASH_BYTES = 32
SUFFIXES = (".items", ".leaves", ".tops")
RETAINED = 0
PRESENT = 255
_NO_ITEM = frozenset((RETAINED, PRESENT))
_ROWS_AT_ONCE = 10_000
_BYTES_AT_ONCE = 8_192 * HASH_BYTES
_Row: TypeAlias = tuple[bytes, bytes, int, int, int]
NO_CLOCK = -(2**63)
_FIELDS = {
    ItemAction.PURGE: "purged",
    ItemAction.TOMBSTONE: "tombstoned",
    ItemAction.REDACT: "redacted",
    ItemAction.PSEUDONYMISE: "pseudonymised",
    ItemAction.KEY_DESTROYED: "key_destroyed",
    ItemAction.ALREADY_GONE: "already_gone",
}


@dataclass(frozen=True, slots=True)
class Tree:
    """The accounts tree."""

    size: int
    root: bytes


def pack(
    accounts: Iterable[bytes],
    leaves: Iterable[bytes],
    actions: Iterable[int],
    sizes: Iterable[int],
    clocks: Iterable[int | None],
) -> list[bytes]:
    """Return rows, given column by column: account commitments and leaf hashes of 32 bytes, actions, bytes, clocks.

    An action of RETAINED counts a record that a hold keeps; PRESENT names an account without counting anything.
    """
    known = (NO_CLOCK if clock is None else clock for clock in clocks)
    return list(map(_ROW.pack, accounts, leaves, actions, sizes, known))


def pack_unnamed(account: bytes, action: int) -> bytes:
    """Return a row that names no item: of a record that is RETAINED, or of an account that is PRESENT."""
    return _ROW.pack(account, bytes(HASH_BYTES), action, 0, NO_CLOCK)


def write_manifest(base: Path, key: bytes, pieces: Iterable[Sequence[bytes]]) -> Tree:
    """Sort rows into the manifest's files and return the accounts tree.

    Args:
        base: Path of the files without their suffix.
        key: The receipt's K.
        pieces: Rows in pieces of bounded size, in any order.
    """
    with gathering(base.parent) as items:
        for rows in pieces:
            items.extend(rows)
        return write_gathered(base, key, items)


def gathering(directory: Path) -> ExternalSort:
    """Return what takes a manifest's rows in any order, and spills them beside it."""
    directory.mkdir(parents=True, exist_ok=True)
    return ExternalSort(directory, ROW_BYTES)


def write_gathered(base: Path, key: bytes, items: ExternalSort) -> Tree:
    """Write the rows that were taken into the manifest's files, sorted, and return the accounts tree."""
    with ExternalSort(base.parent, HASH_BYTES) as leaves:
        with Replacing(base.with_name(base.name + ".items")) as file:
            for some in _batched(map(leaf_hash, _account_leaves(_written(items.pieces(), file)))):
                leaves.extend(some)
        accounts = leaves.count
        for some in _batched(map(leaf_hash, pad_leaves(key, accounts))):
            leaves.extend(some)
        with Replacing(base.with_name(base.name + ".leaves")) as file:
            for hashes in leaves.pieces():
                file.write(b"".join(hashes))
    return Tree(padded_size(accounts), _write_tops(base))


def _write_tops(base: Path) -> bytes:
    """Keep the roots of a large tree's parts, so that nobody's part needs all of it; return the tree's root."""
    with base.with_name(base.name + ".leaves").open("rb") as file:
        tops = _tops(file)
    kept = base.with_name(base.name + ".tops")
    kept.unlink(missing_ok=True)
    if len(tops) > HASH_BYTES:
        with Replacing(kept) as file:
            file.write(tops)
    return packed_tree(tops)[0]


def _tops(leaves: BinaryIO) -> bytes:
    """Hash the leaves part by part, from the beginning."""
    return b"".join(packed_tree(part)[0] for part in iter(partial(leaves.read, _BYTES_AT_ONCE), b""))


def _written(pieces: Iterable[Sequence[bytes]], file: Replacing) -> Iterator[Sequence[bytes]]:
    for rows in pieces:
        file.write(b"".join(rows))
        yield rows


def _batched(rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    rows = iter(rows)
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        yield some


class Replacing:
    """A file that appears under its name only when it is whole and on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._file = self._part.open("wb")

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._file.write(data)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Put the file into its place, unless the block raised."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if kind is None:
            self._part.replace(self._path)


@dataclass(slots=True)
class _Account:
    """An account's rows as they pass by in order."""

    commitment: bytes
    tree: Frontier = field(default_factory=Frontier)
    actions: Counter[int] = field(default_factory=Counter)
    size_bytes: int = 0
    oldest: int | None = None
    newest: int | None = None

    def take(self, rows: Iterable[_Row]) -> None:
        _, leaves, actions, sizes, clocks = zip(*rows, strict=True)
        self.actions.update(actions)
        if not _NO_ITEM.isdisjoint(actions):  # such rows bear no size and no clock
            leaves = tuple(leaf for leaf, action in zip(leaves, actions, strict=True) if action not in _NO_ITEM)
        self.tree.extend(leaves)
        self.size_bytes += sum(sizes)
        if NO_CLOCK in clocks:
            clocks = tuple(clock for clock in clocks if clock != NO_CLOCK)
        if clocks:
            oldest, newest = min(clocks), max(clocks)
            self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)
            self.newest = newest if self.newest is None else max(self.newest, newest)

    def leaf(self) -> bytes:
        counts = {name: self.actions[action] for action, name in _FIELDS.items()}
        return account_leaf(
            AccountTotals(
                account=self.commitment.hex(),
                actions=ActionCounts(**counts),
                size_bytes=self.size_bytes,
                retained=self.actions[RETAINED],
                oldest=None if self.oldest is None else moment(self.oldest),
                newest=None if self.newest is None else moment(self.newest),
                items_size=self.tree.size,
                items_root=self.tree.root(),
            )
        )


def by_account(pieces: Iterable[Sequence[bytes]]) -> Iterator[tuple[bytes, Iterator[list[bytes]]]]:
    """Give sorted rows account by account: each commitment, and its rows in pieces, to be read before the next."""
    rows = (row for piece in pieces for row in piece)
    return ((commitment, _batched(own)) for commitment, own in groupby(rows, itemgetter(slice(HASH_BYTES))))


def _account_leaves(pieces: Iterable[Sequence[bytes]]) -> Iterator[bytes]:
    account: _Account | None = None
    for rows in pieces:
        for commitment, own in groupby(_ROW.iter_unpack(b"".join(rows)), itemgetter(0)):
            if account is None or account.commitment != commitment:
                if account is not None:
                    yield account.leaf()
                account = _Account(commitment)
            account.take(own)
    if account is not None:
        yield account.leaf()


@dataclass(frozen=True, slots=True)
class Derived:
    """One account's leaf, and its place in the accounts tree."""

    leaf: bytes
    index: int
    path: list[bytes]

    @property
    def tree(self) -> Tree:
        """The accounts tree that it leads to."""
        size = 1 << len(self.path)
        return Tree(size, root_from_path(leaf_hash(self.leaf), self.index, size, self.path))


def derive_account(base: Path, commitment: bytes) -> Derived | None:
    """Derive an account's part of a receipt; None when the receipt is not about it.

    Raises:
        ReceiptError: The manifest is missing or damaged.
    """
    items, leaves = base.with_name(base.name + ".items"), base.with_name(base.name + ".leaves")
    if not items.is_file() or not leaves.is_file():
        raise ReceiptError(
            "the receipt's manifest is missing", where=str(items), remedy="restore it from a backup of the receipts"
        )
    found = list(_account_leaves(_batched(_rows_of(items, commitment))))
    if not found:
        return None
    hashed = leaf_hash(found[0])
    with leaves.open("rb") as file:
        index = _bisect(file, HASH_BYTES, hashed)
        file.seek(index * HASH_BYTES)
        if file.read(HASH_BYTES) != hashed:
            raise _damaged(leaves)
        return Derived(found[0], index, _path(base, file, index))


def _path(base: Path, leaves: BinaryIO, index: int) -> list[bytes]:
    """Give a leaf's path: inside its part of the tree, and on above the parts."""
    part, inside = divmod(index, _BYTES_AT_ONCE // HASH_BYTES)
    leaves.seek(part * _BYTES_AT_ONCE)
    _, path = packed_tree(leaves.read(_BYTES_AT_ONCE), inside)
    kept = base.with_name(base.name + ".tops")
    leaves.seek(0)
    tops = kept.read_bytes() if kept.is_file() else _tops(leaves)
    return path + packed_tree(tops, part)[1]


def _damaged(file: Path) -> ReceiptError:
    return ReceiptError("the receipt's manifest is damaged", where=str(file), remedy="restore it from a backup")


def _rows_of(path: Path, commitment: bytes) -> Iterator[bytes]:
    """Give the rows of one account, whose first bytes are its commitment."""
    with path.open("rb") as file:
        file.seek(_bisect(file, ROW_BYTES, commitment) * ROW_BYTES)
        while (row := file.read(ROW_BYTES)) and row.startswith(commitment):
            yield row


def _bisect(file: BinaryIO, row_bytes: int, wanted: bytes) -> int:
    """Return the number of the first row of a sorted file whose first bytes are not below the wanted ones."""
    low, high = 0, file.seek(0, os.SEEK_END) // row_bytes
    while low < high:
        middle = (low + high) // 2
        file.seek(middle * row_bytes)
        if file.read(len(wanted)) < wanted:
            low = middle + 1
        else:
            high = middle
    return low
