"""An audit's look at tiles: the tree is rebuilt from the entries, and every published hash tile is compared with it.

Entries, the hash tile over them and the tile above say the same thing three times. Where one says otherwise the other
two tell which; at the right edge, where nothing stands above, the signed checkpoint does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .auditfindings import Findings
from .errors import LogUnreadableError, TooLargeError
from .merkle import HASH_BYTES, Peaks, leaf_hash, node_hash
from .publishedlog import ENTRIES_PER_BUNDLE as WIDTH
from .publishedlog import MAX_BUNDLE_BYTES, Source, split_bundle, tile_number

HEIGHT = 8
_MAX_TILE_BYTES = WIDTH * HASH_BYTES


@dataclass(frozen=True, slots=True)
class Group:
    """256 entries, or those at the right edge.

    Attributes:
        start: the first one's index.
        entries: each, None where it is not there or is not the one that was logged.
        leaves: their leaf hashes; empty where nothing tells them.
        node: the root of their subtree where there are 256; None where nothing tells it, or there are fewer.
    """

    start: int
    entries: Sequence[bytes | None]
    leaves: Sequence[bytes]
    node: bytes | None


@dataclass(slots=True)
class Files:
    """Reads tiles and bundles of a log, and says what of them is missing or has the wrong length."""

    source: Source
    size: int
    findings: Findings

    def entries(self, number: int, width: int) -> tuple[str, list[bytes]]:
        """Give a bundle's path and entries; none where they cannot be told."""
        path, data = self._read(f"tile/entries/{tile_number(number)}", width, MAX_BUNDLE_BYTES)
        if data is None:
            return path, []
        try:
            entries = split_bundle(data, path)
        except LogUnreadableError:
            self.findings.add(path, "the entry bundle ends in the middle of an entry")
            return path, []
        held = width if _is_partial(path) else WIDTH
        if len(entries) != held:
            self.findings.add(path, f"the entry bundle has {len(entries)} entries instead of {held}", "count")
            return path, []
        return path, entries[:width]

    def hashes(self, level: int, number: int, width: int) -> tuple[str, list[bytes]]:
        """Give a hash tile's path and hashes; none where they cannot be told."""
        path, tile = self._read(f"tile/{level}/{tile_number(number)}", width, _MAX_TILE_BYTES)
        if tile is None:
            return path, []
        held = width if _is_partial(path) else WIDTH
        if len(tile) != held * HASH_BYTES:
            what = f"the hash tile has {len(tile)} bytes instead of {held * HASH_BYTES}"
            self.findings.add(path, what, "size")
            return path, []
        return path, _hashes(tile)[:width]

    def claimed(self, level: int, number: int) -> list[bytes]:
        """Give what a tile says, as it stands; nothing where it is not whole. Who compares it says what is wrong."""
        width = min(WIDTH, (self.size >> HEIGHT * level) - number * WIDTH)
        if width <= 0:
            return []
        quiet = Files(self.source, self.size, Findings())
        return quiet.hashes(level, number, width)[1]

    def _read(self, path: str, width: int, limit: int) -> tuple[str, bytes | None]:
        """Read a tile or bundle: a partial one may have gone once the full one is there."""
        name = path if width == WIDTH else f"{path}.p/{width}"
        try:
            data = self.source.read(name, limit)
            if data is None and width < WIDTH:
                data = self.source.read(path, limit)
                name = path if data is not None else name
        except TooLargeError:
            self.findings.add(name, "is larger than it can be")
            return name, None
        if data is None:
            self.findings.add(name, "is missing")
        return name, data


class TileAudit:
    """Reads a log of a certain size, tile by tile.

    Args:
        fits: tells whether these leaves at the right edge lead to the signed root.
    """

    def __init__(self, source: Source, size: int, findings: Findings, fits: Callable[[Sequence[bytes]], bool]) -> None:
        """Begin."""
        self._files = Files(source, size, findings)
        self._size = size
        self._findings = findings
        self._fits = fits
        self._complete = 0
        self._waiting: list[list[bytes | None]] = []
        self._claim: tuple[int, list[bytes]] = (-1, [])

    def groups(self) -> Iterator[Group]:
        """Give all entries in order, and compare the tiles on the way."""
        for number in range(-(-self._size // WIDTH)):
            group = self._group(number, min(WIDTH, self._size - number * WIDTH))
            yield group
            if len(group.entries) == WIDTH:
                self._complete += 1
                self._push(1, group.node)
        for level, nodes in enumerate(self._waiting, 1):
            if nodes:
                self._compare(level, (self._size >> HEIGHT * level) // WIDTH, nodes)

    def _group(self, number: int, width: int) -> Group:
        bundle, entries = self._files.entries(number, width)
        own = [leaf_hash(entry) for entry in entries]
        tile, told = self._files.hashes(0, number, width)
        if own and told and own != told:
            leaves = self._judged((bundle, own), (tile, told), number, width)
        else:
            leaves = own or told
        kept: list[bytes | None] = [None] * width
        if entries and leaves:
            kept = [each if leaf == right else None for each, leaf, right in zip(entries, own, leaves, strict=True)]
        node = None
        if width == WIDTH:
            node = subtree(leaves) if leaves else self._claimed(number)
        return Group(number * WIDTH, kept, leaves, node)

    def _judged(
        self, bundle: tuple[str, list[bytes]], tile: tuple[str, list[bytes]], number: int, width: int
    ) -> list[bytes]:
        """Tell which leaf hashes are the right ones, where entries and hash tile differ."""
        (path, own), (other, told) = bundle, tile
        differ = [number * WIDTH + at for at, pair in enumerate(zip(own, told, strict=True)) if pair[0] != pair[1]]
        more = f", nor of {len(differ) - 1} others" if len(differ) > 1 else ""
        if self._is_right(own, number, width):
            self._findings.add(other, f"the hash tile has not the hash of entry {differ[0]}{more}", "tile")
            return own
        if self._is_right(told, number, width):
            more = more.replace(" of", "")
            self._findings.add(path, f"entry {differ[0]} is not the one that was logged{more}", "entry")
            return told
        what = f"entry {differ[0]} and its hash in {other} contradict each other{more}, and the tree has neither"
        self._findings.add(path, what, "neither")
        return []

    def _is_right(self, leaves: list[bytes], number: int, width: int) -> bool:
        return subtree(leaves) == self._claimed(number) if width == WIDTH else self._fits(leaves)

    def _claimed(self, number: int) -> bytes | None:
        """Give what the tile above says of a complete tile; None where it does not tell."""
        above, at = divmod(number, WIDTH)
        if self._claim[0] != above:
            self._claim = above, self._files.claimed(1, above)
        return self._claim[1][at] if at < len(self._claim[1]) else None

    def _push(self, level: int, node: bytes | None) -> None:
        """Take in a node that stands in a tile of this level."""
        if len(self._waiting) < level:
            self._waiting.append([])
        nodes = self._waiting[level - 1]
        nodes.append(node)
        if len(nodes) < WIDTH:
            return
        number = (self._complete >> HEIGHT * level) - 1
        self._compare(level, number, nodes)
        whole = [each for each in nodes if each is not None]
        nodes.clear()
        if len(whole) == WIDTH:
            self._push(level + 1, subtree(whole))
            return
        above, at = divmod(number, WIDTH)
        claimed = self._files.claimed(level + 1, above)
        self._push(level + 1, claimed[at] if at < len(claimed) else None)

    def _compare(self, level: int, number: int, nodes: Sequence[bytes | None]) -> None:
        """Compare a published tile with the nodes that the tiles below give."""
        path, told = self._files.hashes(level, number, len(nodes))
        for at, (ours, theirs) in enumerate(zip(nodes, told, strict=False)):
            if ours is not None and ours != theirs:
                below = tile_number(number * WIDTH + at)
                self._findings.add(path, f"its hash {at} is not that of the tile tile/{level - 1}/{below}", "above")
                return


def subtree(leaves: Sequence[bytes]) -> bytes:
    """Give the root hash of a tree of these leaves."""
    nodes = list(leaves)
    if len(nodes) != WIDTH:
        return Peaks().with_leaves(nodes).root()
    while len(nodes) > 1:
        nodes = [node_hash(*pair) for pair in zip(nodes[::2], nodes[1::2], strict=True)]
    return nodes[0]


def _hashes(tile: bytes) -> list[bytes]:
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def _is_partial(path: str) -> bool:
    return ".p/" in path
