"""The log's tree in tiles: appending at its right edge, and reading any of its hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import sha256

from retentiond.errors import LogIntegrityError
from retentiond.evidence.merkle import HASH_BYTES, NODE_PREFIX, Frontier, Range, complete_subtrees, leaf_hash, root_hash
from retentiond.tlog.store import TileStore
from retentiond.tlog.tiles import HEIGHT, TILE_WIDTH, bundle_path, encode_bundle, tile_path

_TILES_KEPT = 128

Sink = Callable[[str, bytes], None]
"""Takes path and content of each tile and bundle."""

_REMEDY = "move the log's directory away; the next command that publishes writes it again from the ledger"


class Edge:
    """The right edge of a growing log: the incomplete tile of each level and the incomplete entry bundle.

    Complete tiles and bundles go to the sink as they fill up; no more than 256 entries are held.

    Args:
        sink: Where tiles and bundles go.
        size: Number of entries so far; a multiple of 256, so that no entries are missing.
        upper: Hashes of the incomplete tiles from level 1 up.
    """

    def __init__(self, sink: Sink, size: int = 0, upper: tuple[list[bytes], ...] = ()) -> None:
        self._sink = sink
        self._size = size
        self._levels: list[list[bytes]] = [[], *upper]
        self._entries: list[bytes] = []

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._size

    def append(self, entry: bytes) -> None:
        """Add one entry."""
        self._size += 1
        self._entries.append(entry)
        if len(self._entries) == TILE_WIDTH:
            self._sink(bundle_path(self._number(0) - 1), encode_bundle(self._entries))
            self._entries.clear()
        self._push(leaf_hash(entry))

    def root(self) -> bytes:
        """Return the root hash of the whole log."""
        peaks: list[bytes] = []
        for tile in reversed(self._levels):
            part = Frontier()
            part.extend(tile)
            peaks += part.peaks
        return Frontier(self._size, peaks).root()

    def flush_partials(self) -> None:
        """Give the incomplete tiles and the incomplete bundle to the sink."""
        if self._entries:
            self._sink(bundle_path(self._number(0), len(self._entries)), encode_bundle(self._entries))
        for level, tile in enumerate(self._levels):
            if tile:
                self._sink(tile_path(level, self._number(level), len(tile)), b"".join(tile))

    def _push(self, node: bytes) -> None:
        for level, tile in enumerate(self._levels):
            tile.append(node)
            if len(tile) < TILE_WIDTH:
                return
            self._sink(tile_path(level, self._number(level) - 1), b"".join(tile))
            node = root_hash(tile)
            tile.clear()
        self._levels.append([node])

    def _number(self, level: int) -> int:
        """Return how many tiles of a level are complete."""
        return self._size >> HEIGHT * (level + 1)


class TileReader:
    """Reads hashes of a published tree of a certain size.

    Raises (all methods):
        LogIntegrityError: A tile is missing or cut off.
        RetentiondError: It cannot be read.
    """

    def __init__(self, store: TileStore, size: int) -> None:
        self._store = store
        self._size = size
        self._tile = lru_cache(_TILES_KEPT)(self._read)
        self._subtrees = lru_cache(_TILES_KEPT)(self._grow)

    def edge(self, sink: Sink) -> Edge:
        """Return the right edge of the tree, short of the entries of its incomplete bundle."""
        upper = []
        level = 1
        while self._size >> HEIGHT * level:
            number, width = divmod(self._size >> HEIGHT * level, TILE_WIDTH)
            upper.append(list(_hashes(self._tile(level, number))) if width else [])
            level += 1
        return Edge(sink, self._size // TILE_WIDTH * TILE_WIDTH, tuple(upper))

    def range_hash(self, span: Range) -> bytes:
        """Return the hash of a range of leaves that is a subtree of the tree."""
        return Frontier(span[1] - span[0], map(self._complete, complete_subtrees(span))).root()

    def _complete(self, span: Range) -> bytes:
        level, height = divmod((span[1] - span[0]).bit_length() - 1, HEIGHT)
        number, first = divmod(span[0] >> HEIGHT * level, TILE_WIDTH)
        return self._subtrees(level, number)[height][first >> height]

    def _grow(self, level: int, number: int) -> list[list[bytes]]:
        """Return the roots of all complete subtrees of a tile, by their height: proofs need many of them."""
        rows = [list(_hashes(self._tile(level, number)))]
        while len(rows[-1]) > 1:
            pairs = zip(rows[-1][::2], rows[-1][1::2], strict=False)
            rows.append([sha256(NODE_PREFIX + left + right).digest() for left, right in pairs])
        return rows

    def _read(self, level: int, number: int) -> bytes:
        width = min(TILE_WIDTH, (self._size >> HEIGHT * level) - number * TILE_WIDTH)
        path = tile_path(level, number, width)
        data = self._store.read(path)
        if data is None:
            data = (self._store.read(tile_path(level, number)) or b"")[: width * HASH_BYTES]
        if len(data) != width * HASH_BYTES:
            what = "a published tile is missing or cut off"
            raise LogIntegrityError(what, where=path, remedy=_REMEDY)
        return data


def _hashes(tile: bytes) -> Iterator[bytes]:
    return (tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES))
