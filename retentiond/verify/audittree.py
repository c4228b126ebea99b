"""An audit's tree: grown from the entries as they are read, and compared with every signed checkpoint on the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from .auditfindings import Audited
from .audittiles import HEIGHT, Group
from .merkle import Peaks
from .note import Checkpoint

_KNOWN = "SELECT size, root, whose FROM known ORDER BY size, rowid"
_RECEIPTS = "SELECT entry, leaf, whose FROM receipts ORDER BY entry, rowid"


class TreeAudit:
    """Takes in group after group.

    Args:
        scratch: has the tables `known`, of checkpoints, and `receipts`, of what must stand where.
        checkpoint: the newest.
    """

    def __init__(self, scratch: sqlite3.Connection, checkpoint: Checkpoint, audited: Audited) -> None:
        """Begin with an empty tree."""
        self._checkpoint = checkpoint
        self._audited = audited
        self._findings = audited.findings
        self._tree: Peaks | None = Peaks()
        self._agreed = 0
        self._known = _Ahead(scratch, _KNOWN)
        self._receipts = _Ahead(scratch, _RECEIPTS)

    def fits(self, leaves: Sequence[bytes]) -> bool:
        """Tell whether these leaves, as the last ones, lead to the signed root."""
        return self._tree is not None and self._tree.with_leaves(leaves).root() == self._checkpoint.root

    def take(self, group: Group) -> None:
        """Take in the next entries."""
        end = group.start + len(group.entries)
        self._find_receipts(group, end)
        edge = self._tree.with_leaves(()) if self._tree else None
        for size, root, whose in self._known.up_to(end - (group.node is not None)):
            if edge is None or (size > group.start and not group.leaves):
                self._cannot(f"{whose}, of {size} entries: not all of them are known")
                continue
            for leaf in group.leaves[edge.size - group.start : size - group.start]:
                edge.append(leaf)
            self._compare(size, root, whose, edge)
        if self._tree is not None and group.node is not None:
            self._tree.append(group.node, HEIGHT)
        elif self._tree is not None and group.leaves:
            self._tree = self._tree.with_leaves(group.leaves)
        else:
            self._tree = None

    def finish(self) -> None:
        """Compare the whole tree with the newest checkpoint."""
        for size, root, whose in self._known.up_to(self._checkpoint.size):
            self._compare(size, root, whose, self._tree)
        if self._tree is None:
            self._cannot("the root hash: not all entries are known")
            return
        root = self._tree.root()
        self._audited.root = root.hex()
        self._audited.checkpoints += 1
        if root != self._checkpoint.root:
            self._findings.add(
                "checkpoint",
                f"the {self._tree.size} entries do not give the root hash that it signs{self._since()}",
            )

    def _compare(self, size: int, root: bytes, whose: str, tree: Peaks | None) -> None:
        if tree is None:
            self._cannot(f"{whose}, of {size} entries: not all of them are known")
            return
        self._audited.checkpoints += 1
        if tree.root() == root:
            self._agreed = size
        else:
            what = f"a signed checkpoint of {size} entries, and the entries of the log give another root hash"
            self._findings.add(whose, f"{what}: the log has two histories{self._since()}", "fork")

    def _since(self) -> str:
        return f"; the first {self._agreed} entries are those of an older signed checkpoint" if self._agreed else ""

    def _find_receipts(self, group: Group, end: int) -> None:
        for index, leaf, whose in self._receipts.up_to(end - 1):
            if group.leaves and group.leaves[index - group.start] != leaf:
                self._findings.add(whose, f"entry {index} of the log is not that of this receipt", "place")

    def _cannot(self, what: str) -> None:
        if what not in self._audited.unchecked:
            self._audited.unchecked.append(what)


class _Ahead:
    """Rows in order, of which the next one is known."""

    def __init__(self, scratch: sqlite3.Connection, query: str) -> None:
        self._rows = scratch.execute(query)
        self._next = self._rows.fetchone()

    def up_to(self, number: int) -> Iterator[tuple[int, bytes, str]]:
        """Give the rows whose number is not beyond this one."""
        while self._next is not None and self._next[0] <= number:
            yield self._next
            self._next = self._rows.fetchone()
