"""Merkle trees of RFC 9162, section 2.1, over SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32


def leaf_hash(data: bytes) -> bytes:
    """Hash one leaf's data: SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Verify an inclusion proof (RFC 9162, section 2.1.3.2).

    Args:
        leaf: the leaf's hash.
        index: its place, from 0.
        size: how many leaves the tree has.
        path: sibling hashes, from the leaf to the root.
        root: the tree's root hash.
    """
    if not 0 <= index < size:
        return False
    node, position, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and node == root


class Peaks:
    """The right edge of a tree that only grows: its root hash needs no more memory than the tree is high."""

    def __init__(self) -> None:
        """Start with no leaves."""
        self.size = 0
        self._nodes: list[bytes] = []

    def append(self, node: bytes, height: int = 0) -> None:
        """Append a leaf's hash, or the root of a whole subtree of that height where one fits."""
        count = self.size >> height
        self.size += 1 << height
        while count & 1:
            node = node_hash(self._nodes.pop(), node)
            count >>= 1
        self._nodes.append(node)

    def root(self) -> bytes:
        """Give the root hash."""
        if not self._nodes:
            return hashlib.sha256().digest()
        *left, root = self._nodes
        for node in reversed(left):
            root = node_hash(node, root)
        return root

    def with_leaves(self, leaves: Sequence[bytes]) -> Peaks:
        """Give another tree, which has these leaves more."""
        other = Peaks()
        other.size, other._nodes = self.size, list(self._nodes)
        for leaf in leaves:
            other.append(leaf)
        return other


class GrowingTree:
    """A tree to which leaf hashes are appended, and which still knows the root hash of every earlier size."""

    def __init__(self) -> None:
        """Start with no leaves."""
        self._levels: list[bytearray] = [bytearray()]

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0]) // HASH_BYTES

    def append(self, leaf: bytes) -> None:
        """Append a leaf's hash, and every subtree that it makes whole."""
        node = leaf
        for height, level in enumerate(self._levels):
            level.extend(node)
            if len(level) // HASH_BYTES % 2:
                return
            node = node_hash(self._node(height, -2), self._node(height, -1))
        self._levels.append(bytearray(node))

    def leaf(self, index: int) -> bytes | None:
        """Give the hash of leaf `index`, None beyond the end."""
        return self._node(0, index) if 0 <= index < self.size else None

    def root(self, size: int) -> bytes | None:
        """Give the root hash of the first `size` leaves, None where there are fewer."""
        if size > self.size:
            return None
        root = b""
        for height in range(size.bit_length()):
            if size >> height & 1:
                node = self._node(height, (size >> height) - 1)
                root = node_hash(node, root) if root else node
        return root or hashlib.sha256().digest()

    def _node(self, height: int, index: int) -> bytes:
        level = self._levels[height]
        start = index * HASH_BYTES % max(len(level), 1)
        return bytes(level[start : start + HASH_BYTES])
