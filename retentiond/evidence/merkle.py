"""Merkle trees as in RFC 9162, section 2.1 (SHA-256), for receipts and for the log.

Trees are handled through their leaf hashes, in streams: no function here needs more memory than the height of the tree,
except those that are given a whole sequence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter

from retentiond.errors import ReceiptError

HASH_BYTES = 32
LEAF_PREFIX, NODE_PREFIX = b"\x00", b"\x01"
EMPTY_ROOT = hashlib.sha256(b"").digest()
_DAMAGE = "the proof or the tree it belongs to is damaged; derive it again"

_AT_ONCE = 4_096

Range = tuple[int, int]
"""Leaves from the first number up to, and without, the second."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one leaf's data (0x00 prefix)."""
    return hashlib.sha256(LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (0x01 prefix)."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


class Frontier:
    """The right edge of a growing tree: enough to append leaf hashes and to know the root.

    Args:
        size: Number of leaves so far.
        peaks: Roots of the complete subtrees that `size` falls into, largest first (see `complete_subtrees`).

    Raises:
        ReceiptError: The number of peaks does not fit the size.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self._size = size
        self._peaks = list(peaks)
        if len(self._peaks) != size.bit_count():
            what = f"{len(self._peaks)} subtree hashes do not make a tree of {size} leaves"
            raise ReceiptError(what, remedy=_DAMAGE)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """Roots of the complete subtrees, largest first."""
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash at the right."""
        size, peaks = self._size, self._peaks
        while size & 1:
            leaf = node_hash(peaks.pop(), leaf)
            size >>= 1
        peaks.append(leaf)
        self._size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes at the right, in their order: level by level, which takes half as long as one by one."""
        stream = iter(leaves)
        while nodes := list(islice(stream, _AT_ONCE)):
            self._extend(nodes)

    def _extend(self, nodes: list[bytes]) -> None:
        size = self._size
        self._size += len(nodes)
        peaks, sha256, smallest_first = self._peaks, hashlib.sha256, []
        while nodes:
            if size & 1:
                nodes.insert(0, peaks.pop())
            if len(nodes) & 1:
                smallest_first.append(nodes.pop())
            pairs = zip(nodes[::2], nodes[1::2], strict=True)
            nodes = [sha256(NODE_PREFIX + left + right).digest() for left, right in pairs]
            size >>= 1
        peaks.extend(reversed(smallest_first))

    def root(self) -> bytes:
        """Return the root hash; SHA-256 of nothing for the empty tree."""
        if not self._peaks:
            return EMPTY_ROOT
        *left, root = self._peaks
        for peak in reversed(left):
            root = node_hash(peak, root)
        return root


def root_hash(leaves: Iterable[bytes]) -> bytes:
    """Return the root hash of a tree of leaf hashes."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def complete_subtrees(span: Range) -> Iterator[Range]:
    """Split a range that is a subtree of some tree into complete subtrees (powers of two), largest first."""
    start, end = span
    while start < end:
        width = 1 << (end - start).bit_length() - 1
        yield start, start + width
        start += width


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return the ranges whose roots are the inclusion path of a leaf, from leaf to root (RFC 9162, 2.1.3.1).

    Raises:
        ReceiptError: The tree has no such leaf.
    """
    if not 0 <= index < size:
        what = f"a tree of {size} leaves has no leaf {index}"
        raise ReceiptError(what, remedy=_DAMAGE)
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def inclusion_path(leaves: Iterable[bytes], index: int, size: int) -> list[bytes]:
    """Return the inclusion path of a leaf, from leaf to root, reading the tree's leaf hashes once.

    Raises:
        ReceiptError: The tree has no such leaf, or is not of that size.
    """
    ranges = inclusion_ranges(index, size)
    parts = {span: Frontier() for span in (*ranges, (index, index + 1))}
    stream = iter(leaves)
    for span in sorted(parts):
        parts[span].extend(islice(stream, span[1] - span[0]))
    found = sum(part.size for part in parts.values()) + sum(1 for _ in stream)
    if found != size:
        what = f"a tree of {size} leaves has {found}"
        raise ReceiptError(what, remedy=_DAMAGE)
    return [parts[span].root() for span in ranges]


def packed_tree(leaves: bytes, index: int = 0) -> tuple[bytes, list[bytes]]:
    """Return the root hash of 2^n leaf hashes that lie one after another, and the inclusion path of one of them.

    Faster than `inclusion_path`, since no hash is taken apart from its neighbour. Larger trees are made of such: the
    roots of equal parts are the leaves of what is above them.

    Raises:
        ReceiptError: They are not 2^n hashes, or there is no such leaf.
    """
    size, rest = divmod(len(leaves), HASH_BYTES)
    if rest or not size or size & (size - 1):
        raise ReceiptError(f"{len(leaves)} bytes are no tree whose size is a power of two", remedy=_DAMAGE)
    inclusion_ranges(index, size)  # refuses an index that is not there
    sha256, path, nodes = hashlib.sha256, [], leaves
    while len(nodes) > HASH_BYTES:
        sibling = (index ^ 1) * HASH_BYTES
        path.append(nodes[sibling : sibling + HASH_BYTES])
        pairs = range(0, len(nodes), 2 * HASH_BYTES)
        nodes = b"".join([sha256(NODE_PREFIX + nodes[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
        index >>= 1
    return nodes, path


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion path leads to from a leaf hash (RFC 9162, 2.1.3.2).

    Raises:
        ReceiptError: The tree has no such leaf, or its path has another length.
    """
    ranges = inclusion_ranges(index, size)
    if len(path) != len(ranges):
        what = f"an inclusion path has {len(path)} hashes where leaf {index} of {size} needs {len(ranges)}"
        raise ReceiptError(what, remedy=_DAMAGE)
    for (start, _end), sibling in zip(ranges, path, strict=True):
        leaf = node_hash(leaf, sibling) if start > index else node_hash(sibling, leaf)
    return leaf


def consistency_ranges(old_size: int, new_size: int) -> list[Range]:
    """Return the ranges whose roots prove that a tree extends a smaller one (RFC 9162, 2.1.4.1).

    Raises:
        ReceiptError: The old tree is empty or larger than the new one; there is no proof then.
    """
    if not 0 < old_size <= new_size:
        what = f"there is no consistency proof from {old_size} to {new_size} leaves"
        raise ReceiptError(what, remedy=_DAMAGE)
    ranges: list[Range] = []
    start, end = 0, new_size
    while old_size < end:
        middle = start + _split(end - start)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return ranges[::-1]


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return the proof that the tree of these leaf hashes extends the tree of the first `old_size` of them.

    Raises:
        ReceiptError: There is no such proof (see `consistency_ranges`).
    """
    return [root_hash(leaves[start:end]) for start, end in consistency_ranges(old_size, len(leaves))]


def is_consistent(old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that a tree extends another; each is given as (size, root) (RFC 9162, 2.1.4.2)."""
    (old_size, old_root), (new_size, new_root) = old, new
    if not 0 < old_size <= new_size or len(proof) != len(consistency_ranges(old_size, new_size)):
        return False
    if old_size == new_size:
        return old_root == new_root
    first, *rest = proof if old_size & (old_size - 1) else (old_root, *proof)
    was, is_now = _roots_from_proof(old_size, new_size, first, rest)
    return was == old_root and is_now == new_root


def _roots_from_proof(old_size: int, new_size: int, first: bytes, rest: Sequence[bytes]) -> tuple[bytes, bytes]:
    old_node, new_node = old_size - 1, new_size - 1
    while old_node & 1:
        old_node, new_node = old_node >> 1, new_node >> 1
    was = is_now = first
    for sibling in rest:
        if old_node & 1 or old_node == new_node:
            was, is_now = node_hash(sibling, was), node_hash(sibling, is_now)
            while old_node and not old_node & 1:
                old_node, new_node = old_node >> 1, new_node >> 1
        else:
            is_now = node_hash(is_now, sibling)
        old_node, new_node = old_node >> 1, new_node >> 1
    return was, is_now


def account_trees(rows: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, int, bytes]]:
    """Build the items tree of each account from rows sorted by (account, leaf hash), one account at a time.

    Args:
        rows: Account (any text that sorts, such as its commitment) and leaf hash of each item.

    Yields:
        Account, number of items, root hash.

    Raises:
        ReceiptError: The rows are not sorted, or hold the same item twice.
    """
    for account, leaves in groupby(_ascending(rows), key=itemgetter(0)):
        frontier = Frontier()
        frontier.extend(leaf for _, leaf in leaves)
        yield account, frontier.size, frontier.root()


def _ascending(rows: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    last = ("", b"")
    for row in rows:
        if row <= last:
            what = "the items of a receipt are not sorted, or one stands there twice"
            raise ReceiptError(what, remedy="the receipt's manifest is damaged; derive it again from the ledger")
        last = row
        yield row


def _split(size: int) -> int:
    """Return the largest power of two below a size (RFC 9162, 2.1.1)."""
    return 1 << (size - 1).bit_length() - 1
