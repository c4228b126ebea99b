"""Purge and tombstone of files: never the wrong file, never a file that is lost sight of.

The kernel has no call that removes a file only if it is the one that was looked at. So a file is looked at, then moved
by its name, without overwriting, into a directory that only retentiond writes to, then looked at again there: if it is
another one, or has changed, it is put back, without overwriting, and reported as changed; else it is removed there (or,
for a tombstone, stays: the quarantine is that directory). No application loses a file in a race this way.

For a purge that directory is `.retentiond-leaving`, beside the file and on the same file system by construction, with
the file's own name in it: after a crash between move and removal, the path is still known without any index. Then the
same batch, carried out again, removes what stands there; a new scan lists it under its path, at a place of its own;
and verification calls it due as long as it is there.

A file that has other names (hard links) would stay readable under them: it is refused unless the order takes them all.
"""

from __future__ import annotations

import errno
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from retentiond.connectors.files.judging import Judge, Search
from retentiond.connectors.files.layout import LEAVING, Layout, Parts, Place
from retentiond.connectors.files.leaving import InPlace, Quarantine, Target, WayOut
from retentiond.connectors.files.reading import Reader
from retentiond.connectors.files.tree import Tree, look
from retentiond.domain.plan import Outcome
from retentiond.domain.policy import Action
from retentiond.ports.stores import Acted, Order

Result: TypeAlias = tuple[Outcome, str]

_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY}
_IMPOSSIBLE = {errno.ELOOP, errno.EXDEV, errno.EEXIST, errno.ENOSPC, errno.EDQUOT}
_REFUSALS = frozenset(_DENIED | _IMPOSSIBLE)
_SEVERITY = (Outcome.ALREADY_GONE, Outcome.DONE, Outcome.CHANGED, Outcome.REFUSED, Outcome.UNKNOWN)
_TRIES = 3

DONE: Result = (Outcome.DONE, "")
GONE: Result = (Outcome.ALREADY_GONE, "")


@dataclass(frozen=True, slots=True)
class Item:
    """A record of the order: its index there, its place and its path."""

    index: int
    place: Place
    path: Parts


def act(opened: Tree, layout: Layout, reader: Reader, order: Order) -> Acted:
    """Carry out an order; as `ports.stores.Connector.act`.

    Raises:
        ConnectorError: The root or the dataset's directory is not there, or another one than was opened.
    """
    with at_work(opened, layout, reader, order) as (tree, judge):
        return _Batch(tree, layout, judge, order).carry_out()


@contextmanager
def at_work(opened: Tree, layout: Layout, reader: Reader, order: Order) -> Iterator[tuple[Tree, Judge]]:
    """Give the tree as it is by now, and a judge of its files.

    Raises:
        ConnectorError: The root or the dataset's directory is not there, or another one than was opened.
    """
    tree = opened.again()
    try:
        with Search(tree, layout, reader) as search:
            yield tree, Judge(search, layout, reader, order)
    finally:
        tree.close()


class _Batch:
    """One order under way."""

    def __init__(self, tree: Tree, layout: Layout, judge: Judge, order: Order) -> None:
        self._tree = tree
        self._layout = layout
        self._judge = judge
        self._order = order
        self._results: list[Result] = [(Outcome.UNKNOWN, "not reached")] * len(order.records)
        self._names: Counter[tuple[int, int]] = Counter()

    def carry_out(self) -> Acted:
        """Act on every record, directory by directory."""
        directories = self._by_directory()
        for item in chain.from_iterable(directories.values()):
            self._count_names(item)
        for directory, items in directories.items():
            self._visit(directory, items)
        reasons = {index: reason for index, (_, reason) in enumerate(self._results) if reason}
        return Acted([outcome for outcome, _ in self._results], reasons)

    def _by_directory(self) -> dict[Parts, list[Item]]:
        directories: dict[Parts, list[Item]] = defaultdict(list)
        for index, record in enumerate(self._order.records):
            try:
                place, path = self._layout.locate(record)
            except ValueError as error:
                self._results[index] = (Outcome.REFUSED, f"{error}")
                continue
            refusal = self._beyond(place)
            if refusal:
                self._results[index] = refusal
            else:
                directories[place.directory(path)].append(Item(index, place, path))
        return directories

    def _beyond(self, place: Place) -> Result | None:
        """Return why the order's action cannot be done at a place; None where it can."""
        match self._order.action:
            case Action.PURGE:
                return None
            case Action.TOMBSTONE if self._layout.quarantine is None:
                return Outcome.REFUSED, "the dataset declares no quarantine directory"
            case Action.TOMBSTONE:
                return None if place.hidden_at is None else (Outcome.CHANGED, "it is hidden already")
            case action:
                return Outcome.REFUSED, f"the action {action} is not for files"

    def _count_names(self, item: Item) -> None:
        """Count, of a file with more than one name, the names that this order takes."""
        try:
            traces = self._judge.here(item.place, item.path)
        except OSError:  # what is not counted only makes other names refused; the visit reports the trouble
            traces = []
        for trace in traces:
            if trace.status.st_nlink > 1 and self._judge.wins(trace):
                self._names[_inode(trace.status)] += 1

    def _visit(self, directory: Parts, items: Sequence[Item]) -> None:
        """Act on the records of one directory, which all stand at one place."""
        try:
            fd = self._tree.open(directory)
        except OSError as error:
            gone = isinstance(error, FileNotFoundError)
            for item in items:
                self._results[item.index] = self._absent(item) if gone else failed(error)
            return
        target = self._target(fd, items[0])
        try:
            for item in items:
                self._results[item.index] = self._one(fd, target, item)
            self._make_durable(fd, target, items)
        finally:
            target.close()
            os.close(fd)
        self._tidy(directory, items[0].place)

    def _target(self, fd: int, item: Item) -> Target:
        if self._order.action is Action.PURGE:
            return InPlace(fd) if item.place.leaving else WayOut(fd)
        return Quarantine(self._tree, self._layout.quarantine or (), self._order.at, item.path[:-1])

    def _one(self, fd: int, target: Target, item: Item) -> Result:
        left = self._finish(target, item)
        here = self._look(fd, item)
        if isinstance(here, os.stat_result):
            self._order.fence()
            here = self._take(fd, target, item, here)
        return max(left, here, key=lambda result: _SEVERITY.index(result[0]))

    def _finish(self, target: Target, item: Item) -> Result:
        """Remove what an earlier run set aside of a record and was killed before it removed."""
        try:
            aside = target.left_behind()
            if aside is None or look(aside, item.path[-1]) is None:
                return GONE
        except OSError as error:
            return failed(error)
        left = Item(item.index, item.place.on_its_way_out(), item.path)
        here = self._look(aside, left)
        if isinstance(here, os.stat_result):
            self._order.fence()
            here = self._let_go(target, left, here)
        return here

    def _look(self, fd: int, item: Item) -> os.stat_result | Result:
        """Return the status of a record that may be acted on, else what is to be said of it."""
        try:
            status = look(fd, item.path[-1])
        except OSError as error:
            return failed(error)
        if status is None:
            return self._absent(item)
        if not self._judge.due(item.path, item.place, status):
            return Outcome.CHANGED, "it is not what the plan selected any more"
        others = status.st_nlink - self._taken_names(status)
        if others > 0:
            return Outcome.REFUSED, f"it has {others} other name{'s' * (others > 1)} (hard links)"
        return status

    def _absent(self, item: Item) -> Result:
        """Return what to say of a record that is not at its place."""
        try:
            moved = self._judge.moved(self._order.records[item.index], item.place, item.path)
        except OSError as error:
            return failed(error)
        return (Outcome.CHANGED, "it was hidden or brought back since the plan") if moved else GONE

    def _take(self, fd: int, target: Target, item: Item, looked: os.stat_result) -> Result:
        """Move a file that was looked at into the target, and end the move there if it is still that file."""
        try:
            for _ in range(_TRIES):
                try:
                    target.take(fd, item.path[-1])
                except FileNotFoundError:
                    if look(fd, item.path[-1]) is None:
                        return self._absent(item)
                    target.forget()  # another worker found the target empty and removed it
                else:
                    return self._arrived(fd, target, item, looked)
        except OSError as error:
            return failed(error)
        return Outcome.UNKNOWN, "the directory to move it to vanished each time"

    def _arrived(self, fd: int, target: Target, item: Item, looked: os.stat_result) -> Result:
        """Say of a file that was moved whether it was the right one; put a wrong one back."""
        name = item.path[-1]
        arrived = look(target.open(), name)
        if arrived is not None and _same(looked, arrived) and arrived.st_nlink <= self._taken_names(arrived):
            return self._let_go(target, item, arrived)
        try:
            target.give_back(name, fd)
        except OSError as error:
            said = f"another file stood in its place, was moved and could not be put back ({words(error)})"
            return Outcome.UNKNOWN, f"{said}: it stands in {LEAVING.decode()} or the quarantine under its path"
        return Outcome.CHANGED, "it changed while it was being taken, and was put back"

    def _let_go(self, target: Target, item: Item, status: os.stat_result) -> Result:
        try:
            target.let_go(item.path[-1])
        except FileNotFoundError:
            return Outcome.UNKNOWN, "somebody else removed it while it was on its way out"
        except OSError as error:
            return Outcome.UNKNOWN, f"it was set aside and could not be removed: {words(error)}"
        if self._order.action is Action.PURGE and status.st_nlink > 1:
            self._names[_inode(status)] -= 1
        return DONE

    def _taken_names(self, status: os.stat_result) -> int:
        """Return how many names of a file this order still takes, itself included."""
        return max(1, self._names[_inode(status)])

    def _make_durable(self, fd: int, target: Target, items: Sequence[Item]) -> None:
        done = [item.index for item in items if self._results[item.index][0] is Outcome.DONE]
        if not done:
            return
        try:
            target.sync()
            os.fsync(fd)
        except OSError as error:
            for index in done:
                self._results[index] = (Outcome.UNKNOWN, f"it may come back after a power cut: {words(error)}")

    def _tidy(self, directory: Parts, place: Place) -> None:
        """Remove retentiond's own directories that are empty by now; never one of the application's."""
        if self._order.action is Action.PURGE and place.hidden_at is not None:
            self._tree.prune(directory, len(self._layout.quarantine or ()))
        elif self._order.action is Action.PURGE and place.leaving:
            self._tree.prune(directory, len(directory) - 1)


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _same(looked: os.stat_result, arrived: os.stat_result) -> bool:
    """Tell whether a file is the one that was looked at, unchanged; a move changes nothing that is compared."""
    return (*_inode(looked), looked.st_mtime_ns, looked.st_size) == (
        *_inode(arrived),
        arrived.st_mtime_ns,
        arrived.st_size,
    )


def failed(error: OSError) -> Result:
    """Return what to say of a record of which the file system said this."""
    return Outcome.REFUSED if error.errno in _REFUSALS else Outcome.UNKNOWN, words(error)


def words(error: OSError) -> str:
    """Return what the file system said."""
    return (error.strerror or str(error)).lower()
