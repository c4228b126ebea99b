"""Where the record of a path stands by now, at its place or elsewhere, and whether it is still due."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from retentiond.connectors.files.layout import LIVE, MARK, Layout, Parts, Place, stamp_of
from retentiond.connectors.files.reading import Reader
from retentiond.connectors.files.tree import Tree, look, trouble
from retentiond.connectors.files.walking import hidden_places, located
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.ports.stores import Order

_OPEN_DIRECTORIES = 64


@dataclass(frozen=True, slots=True)
class Trace:
    """Something that stands where a record may stand, and the record that it is if it is a regular file."""

    place: Place
    status: os.stat_result
    record: Record

    @property
    def regular(self) -> bool:
        """Whether it is a regular file; nothing else is a record."""
        return stat.S_ISREG(self.status.st_mode)


class Search:
    """Looks for the records of paths. Directories stay open for a while, so that neighbours cost one call each.

    Raises:
        ConnectorError: The dataset's directory is not there, or its quarantine cannot be listed.
    """

    def __init__(self, tree: Tree, layout: Layout, reader: Reader) -> None:
        try:
            with tree.directory(layout.base):
                self.homes = (LIVE, *hidden_places(tree, layout))
        except OSError as error:
            raise trouble(error, "the dataset cannot be entered", located(tree, layout.base)) from error
        self._tree = tree
        self._reader = reader
        self._open: OrderedDict[Parts, int] = OrderedDict()
        self._absent: set[Parts] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _what: BaseException | None, _: TracebackType | None) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def at(self, place: Place, path: Parts) -> Iterator[Trace]:
        """Yield what stands at a place, or was set aside there on its way out.

        Raises:
            OSError: There is no complete answer: as `tree.enter` and `tree.look`.
        """
        for each in (place,) if place.leaving else (place, place.on_its_way_out()):
            status = self._look(each.directory(path), path[-1])
            if status is not None:
                yield Trace(each, status, self._reader.record(path, each, status))

    def in_foreign_quarantine(self, path: Parts) -> bool:
        """Tell whether a path leads through a directory that is marked as a quarantine."""
        return any(self._look(path[:depth], MARK) is not None for depth in range(len(path)))

    def _look(self, directory: Parts, name: bytes) -> os.stat_result | None:
        if directory in self._absent:
            return None
        try:
            return look(self._directory(directory), name)
        except FileNotFoundError:
            self._absent.add(directory)
            return None

    def _directory(self, parts: Parts) -> int:
        if parts in self._open:
            self._open.move_to_end(parts)
            return self._open[parts]
        if len(self._open) >= _OPEN_DIRECTORIES:
            os.close(self._open.popitem(last=False)[1])
        self._open[parts] = fd = self._tree.open(parts)
        return fd


class Judge:
    """Tells of the records of one order where they stand and whether the order's case still wins for them."""

    def __init__(self, search: Search, layout: Layout, reader: Reader, order: Order) -> None:
        self._search = search
        self._reader = reader
        self._winner = order.cases.python()
        self._case = order.case
        self._now = layout.hidden(stamp_of(order.at)) if order.action is Action.TOMBSTONE else None

    def due(self, path: Parts, place: Place, status: os.stat_result) -> bool:
        """Return whether the case wins for what stands at a place."""
        return self.wins(Trace(place, status, self._reader.record(path, place, status)))

    def wins(self, trace: Trace) -> bool:
        """Return whether the case wins for a trace; it never does for anything but a regular file."""
        return trace.regular and self._winner(trace.record) == self._case

    def here(self, place: Place, path: Parts) -> list[Trace]:
        """Return what stands at a record's own place; as `Search.at`."""
        return list(self._search.at(place, path))

    def hidden(self, path: Parts) -> list[Trace]:
        """Return the files of a path that are hidden, oldest first, those on their way out among them.

        Raises:
            OSError: There is no complete answer.
        """
        homes = (home for home in self._search.homes if home.hidden_at is not None)
        return [trace for home in homes for trace in self._search.at(home, path) if trace.regular]

    def moved(self, record: Record, place: Place, path: Parts) -> list[Trace]:
        """Return files of a record's path at other places which are the record itself, hidden or brought back.

        Another file of the same path (re-created after the first was hidden) has another clock or size; what stands
        under the very time of a tombstone order is what that order hid.

        Raises:
            OSError: There is no complete answer.
        """
        others = [home for home in self._search.homes if home != place]
        found = [(home, trace) for home in others for trace in self._search.at(home, path) if trace.place != place]
        return [trace for home, trace in found if trace.regular and (home == self._now or alike(trace.record, record))]


def alike(found: Record, planned: Record) -> bool:
    """Tell whether a file is the one that was planned, as far as its clock and size say."""
    return (found.clock, found.size_bytes) == (planned.clock, planned.size_bytes)
