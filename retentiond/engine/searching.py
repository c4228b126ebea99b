"""Finding records in a receipt's manifest, by what they are called: with their account by bisection, else in all of it.

A manifest's rows are sorted by account, and of one account by leaf hash; rows that name no item come first of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from retentiond.engine.manifest import HASH_BYTES, ROW_BYTES
from retentiond.errors import ReceiptError
from retentiond.evidence.merkle import inclusion_path

_ROWS_AT_ONCE = 50_000
_BOTH = 2 * HASH_BYTES
_NO_LEAF = bytes(HASH_BYTES)


class ManifestItems:
    """The items of a receipt, open for looking one up; nothing but a few thousand rows is ever in memory.

    Raises:
        ReceiptError: The manifest is missing.
    """

    def __init__(self, base: Path) -> None:
        path = base.with_name(base.name + ".items")
        try:
            self._file = path.open("rb")
            self._rows = path.stat().st_size // ROW_BYTES
        except OSError as error:
            raise ReceiptError(
                "the receipt's manifest is missing", where=str(path), remedy="restore it from a backup of the receipts"
            ) from error

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the file."""
        self._file.close()

    def owners(self, leaves: Sequence[bytes]) -> Mapping[bytes, frozenset[bytes]]:
        """Return the commitments of the accounts that items stand under, by leaf hash; those without are left out."""
        found: defaultdict[bytes, set[bytes]] = defaultdict(set)
        for block in self._blocks(0, self._rows):
            for leaf in leaves:
                for start in _rows_with(block, leaf):
                    found[leaf].add(block[start : start + HASH_BYTES])
        return {leaf: frozenset(owners) for leaf, owners in found.items()}

    def has(self, commitment: bytes, leaf: bytes) -> bool:
        """Tell whether an item stands under an account."""
        row = self._first(commitment + leaf)
        return row < self._rows and self._head(row, _BOTH) == commitment + leaf

    def place(self, commitment: bytes, leaf: bytes) -> tuple[int, list[bytes]]:
        """Return the index of an item in its account's tree, and its path from leaf to root."""
        start, end = self._first(commitment + _NO_LEAF, after=True), self._first(commitment, after=True)
        index = self._first(commitment + leaf) - start
        return index, inclusion_path(self._leaves(start, end), index, end - start)

    def _leaves(self, start: int, end: int) -> Iterator[bytes]:
        for block in self._blocks(start, end):
            yield from (block[at : at + HASH_BYTES] for at in range(HASH_BYTES, len(block), ROW_BYTES))

    def _blocks(self, start: int, end: int) -> Iterator[bytes]:
        for row in range(start, end, _ROWS_AT_ONCE):
            self._file.seek(row * ROW_BYTES)
            yield self._file.read(min(_ROWS_AT_ONCE, end - row) * ROW_BYTES)

    def _first(self, head: bytes, *, after: bool = False) -> int:
        """Return the first row that begins with these bytes or comes after them; `after`: only one that comes after."""
        low, high = 0, self._rows
        while low < high:
            middle = (low + high) // 2
            found = self._head(middle, len(head))
            if found < head or (after and found == head):
                low = middle + 1
            else:
                high = middle
        return low

    def _head(self, row: int, length: int) -> bytes:
        self._file.seek(row * ROW_BYTES)
        return self._file.read(length)


def _rows_with(block: bytes, leaf: bytes) -> Iterator[int]:
    """Give where the rows of a leaf hash begin in a block of whole rows."""
    at = block.find(leaf)
    while at >= 0:
        if at % ROW_BYTES == HASH_BYTES:
            yield at - HASH_BYTES
        at = block.find(leaf, at + 1)
