"""Bringing hidden files back: out of the quarantine to their path, without overwriting what stands there by now.

Only retentiond writes to a quarantine, so the file that was looked at there is the one that is moved. The move is one
step that fails where the name is taken; where the file system has no such step, a second name is made first and the
hidden one taken away after, and an undo that was killed in between is finished by the next one.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence

from retentiond.connectors.files.acting import DONE, GONE, Item, Result, at_work, failed, words
from retentiond.connectors.files.judging import Judge, Trace, alike
from retentiond.connectors.files.layout import LIVE, Layout, Parts
from retentiond.connectors.files.reading import Reader
from retentiond.connectors.files.tree import Tree, give_back, look
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.record import Record
from retentiond.ports.stores import Acted, Order

THERE: Result = (Outcome.ALREADY_THERE, "")
TAKEN: Result = (Outcome.CHANGED, "another file stands under its path")
NOT_THAT: Result = (Outcome.CHANGED, "it is not hidden as it was, its grace is over, or its purge has begun")
NO_WAY_BACK: Result = (Outcome.REFUSED, "the directory that it stood in is not there any more: make it, and ask again")


def bring_back(opened: Tree, layout: Layout, reader: Reader, order: Order) -> Acted:
    """Carry out an order to bring files back; as `ports.stores.Connector.act`.

    Raises:
        ConnectorError: The root or the dataset's directory is not there, or another one than was opened.
    """
    with at_work(opened, layout, reader, order) as (tree, judge):
        return _Return(tree, layout, judge, order).carry_out()


def sighting_of(judge: Judge, record: Record, path: Parts) -> Sighting:
    """Return what is seen of a file that was to be brought back.

    Raises:
        OSError: There is no complete answer.
    """
    hidden, visible = judge.hidden(path), _visible(judge, path)
    if _wanted(judge, record, hidden) is not None:
        return Sighting.CHANGED if visible else Sighting.DUE
    if any(trace.regular for trace in visible):
        return Sighting.VISIBLE
    return Sighting.CHANGED if hidden or visible else Sighting.ABSENT


def _visible(judge: Judge, path: Parts) -> list[Trace]:
    return [trace for trace in judge.here(LIVE, path) if not trace.place.leaving]


def _wanted(judge: Judge, record: Record, hidden: Sequence[Trace]) -> Trace | None:
    """Return the hidden file that the order means; of several the one like the record, else the newest."""
    found = [trace for trace in hidden if not trace.place.leaving and judge.wins(trace)]
    same = [trace for trace in found if alike(trace.record, record)]
    return (same or found)[-1] if found else None


class _Return:
    """One order under way."""

    def __init__(self, tree: Tree, layout: Layout, judge: Judge, order: Order) -> None:
        self._tree = tree
        self._layout = layout
        self._judge = judge
        self._order = order
        self._results: list[Result] = [(Outcome.UNKNOWN, "not reached")] * len(order.records)

    def carry_out(self) -> Acted:
        """Act on every record, directory by directory."""
        directories: dict[tuple[Parts, Parts], list[Item]] = defaultdict(list)
        for index, record in enumerate(self._order.records):
            found = self._find(index, record)
            if isinstance(found, Item):
                directories[found.place.directory(found.path), found.path[:-1]].append(found)
            else:
                self._results[index] = found
        for (hidden, live), items in directories.items():
            self._visit(hidden, live, items)
        reasons = {index: reason for index, (_, reason) in enumerate(self._results) if reason}
        return Acted([outcome for outcome, _ in self._results], reasons)

    def _find(self, index: int, record: Record) -> Item | Result:
        """Return where a record is hidden, or what is to be said of one that cannot be brought back."""
        if self._layout.quarantine is None:
            return Outcome.REFUSED, "the dataset declares no quarantine directory"
        try:
            _, path = self._layout.locate(record)
            hidden, visible = self._judge.hidden(path), _visible(self._judge, path)
        except ValueError as error:
            return Outcome.REFUSED, f"{error}"
        except OSError as error:
            return failed(error)
        wanted = _wanted(self._judge, record, hidden)
        if wanted is not None:
            half_done = any(os.path.samestat(trace.status, wanted.status) for trace in visible)
            return TAKEN if visible and not half_done else Item(index, wanted.place, path)
        if visible:
            return THERE if any(trace.regular for trace in visible) else TAKEN
        return NOT_THAT if hidden else GONE

    def _visit(self, hidden: Parts, live: Parts, items: Sequence[Item]) -> None:
        """Bring back the records of one directory that were hidden at one time."""
        try:
            with self._tree.directory(hidden) as source, self._tree.directory(live) as target:
                for item in items:
                    self._results[item.index] = self._one(source, target, item)
                os.fsync(target)
                os.fsync(source)
        except OSError as error:
            self._all_failed(error, items)
        self._tree.prune(hidden, len(self._layout.quarantine or ()))

    def _all_failed(self, error: OSError, items: Sequence[Item]) -> None:
        for item in items:
            if self._results[item.index] == DONE:
                self._results[item.index] = (
                    Outcome.UNKNOWN,
                    f"it may be hidden again after a power cut: {words(error)}",
                )
            else:
                self._results[item.index] = NO_WAY_BACK if isinstance(error, FileNotFoundError) else failed(error)

    def _one(self, source: int, target: int, item: Item) -> Result:
        name = item.path[-1]
        try:
            status = look(source, name)
            if status is None:
                return Outcome.UNKNOWN, "it vanished from the quarantine meanwhile"
            if not self._judge.due(item.path, item.place, status):
                return NOT_THAT
            self._order.fence()
            there = look(target, name)
            if there is not None and os.path.samestat(there, status):
                os.unlink(name, dir_fd=source)
            else:
                give_back(source, name, target)
        except FileExistsError:
            return TAKEN
        except OSError as error:
            return failed(error)
        return DONE
