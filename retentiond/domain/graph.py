"""The graph of an account's data: which datasets belong together, in which order they go, and how each finds its owner.

A link leads from what goes first to what goes after it: from a child to its parent, from the row that asks another
table for its owner to that table, from objects to the row that names them. Links that the data map declares can have no
circles; foreign keys that only the database knows are added as far as they make none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from retentiond.domain.dataset import DataMap, Dataset
from retentiond.domain.owner import OwnerSource


class Origin(StrEnum):
    """Where a link comes from: the data map, in words or as objects of rows, or the database alone."""

    DECLARED = "declared"
    BLOBS = "blobs"
    FOREIGN_KEY = "foreign-key"


@dataclass(frozen=True, slots=True)
class Link:
    """Records of `child` go before those of `parent`; `on`: pairs of a column of the child and one of the parent."""

    child: str
    parent: str
    on: tuple[tuple[str, str], ...]
    origin: Origin


_Column: TypeAlias = tuple[str, str, str, str]
"""A column of a store: store, schema, table, column."""


class Graph:
    """Datasets and their links.

    Args:
        keys: Links that the database knows; those that the data map declares, too, count as declared.
    """

    def __init__(self, datamap: DataMap, keys: Iterable[Link] = ()) -> None:
        self.datamap = datamap
        self.datasets: Mapping[str, Dataset] = datamap.datasets
        declared = tuple(_declared(datamap))
        known = {(link.child, link.parent, frozenset(link.on)) for link in declared}
        further = (key for key in dict.fromkeys(keys) if (key.child, key.parent, frozenset(key.on)) not in known)
        self.links = (*declared, *further)
        self._before: dict[str, dict[str, None]] = {name: {} for name in self.datasets}
        self.idle: tuple[Link, ...] = tuple(link for link in self.links if not self._takes(link))

    def _takes(self, link: Link) -> bool:
        """Let a link count for the order, unless it would close a circle."""
        if link.child == link.parent or link.parent in self._all_before(link.child):
            return False
        self._before[link.parent][link.child] = None
        return True

    def _all_before(self, name: str) -> frozenset[str]:
        """Return whatever goes before a dataset."""
        seen: set[str] = set()
        pending = [name]
        while pending:
            new = self._before[pending.pop()].keys() - seen
            seen |= new
            pending.extend(new)
        return frozenset(seen)

    def children_first(self) -> tuple[Dataset, ...]:
        """Return all datasets, each after those that go before it; else in the order of the data map."""
        done: dict[str, Dataset] = {}
        for name in self.datasets:
            self._place(name, done)
        return tuple(done.values())

    def _place(self, name: str, done: dict[str, Dataset]) -> None:
        for child in self._before[name]:
            if child not in done:
                self._place(child, done)
        done.setdefault(name, self.datasets[name])

    def circles(self) -> tuple[tuple[Link, tuple[str, ...]], ...]:
        """Return the links that have no effect on the order, each with the datasets of the circle that it closes."""
        return tuple((link, self._way(link.parent, link.child)) for link in self.idle if link.child != link.parent)

    def _way(self, start: str, end: str) -> tuple[str, ...]:
        """Return the shortest way from a dataset to one that goes after it."""
        after: dict[str, list[str]] = {name: [] for name in self.datasets}
        for parent, children in self._before.items():
            for child in children:
                after[child].append(parent)
        ways: list[tuple[str, ...]] = [(start,)]
        for way in ways:
            if way[-1] == end:
                return way
            ways.extend((*way, each) for each in after[way[-1]] if each not in way)
        return (start, end)

    def above(self, name: str) -> tuple[str, ...]:
        """Return what a dataset's records name: the datasets that links lead to, each once."""
        return tuple(dict.fromkeys(link.parent for link in self.links if link.child == name and link.parent != name))

    def has_owner(self, name: str) -> bool:
        """Whether it can be told whose the dataset's records are."""
        return self._leader(name).has_owner

    def _leader(self, name: str) -> Dataset:
        """Return the dataset that tells whose records are: that of the rows that name objects, or their own."""
        dataset = self.datasets[name]
        return self.datasets[dataset.follows] if dataset.follows else dataset

    def ownerless(self) -> Iterator[tuple[str, str]]:
        """Yield the datasets that know no owner, with one that has, and whose records theirs name; empty for none.

        Where accounts are told apart anywhere, a dataset without an owner is one that no closure looks at: it has to be
        said that it is nobody's. Where nothing has an owner, nobody is asked.
        """
        owned = {name for name in self.datasets if self.has_owner(name)}
        for name in self.datasets:
            if owned and name not in owned and not self._leader(name).nobody:
                yield name, next((each for each in self.above(name) if each in owned), "")

    def estranged(self) -> Iterator[tuple[str, Link]]:
        """Yield the datasets whose account is the name of a row that is itself another account's, with that link.

        A request says its project, and the project's row says its organisation: who closes the organisation would
        leave the requests, and nobody would be told, for these are some account's.
        """
        naming = {
            _column_of(self.datasets[link.child], link.on[0][0]): link for link in self.links if len(link.on) == 1
        }
        for name, dataset in self.datasets.items():
            place = _only_owner(dataset)
            link = naming.get(place) if place else None
            if link is None:
                continue
            there = self.datasets[link.parent]
            if there.owners and link.on[0][1] not in _columns(there):
                yield name, link


def _columns(dataset: Dataset) -> list[str]:
    """Return the columns of its own in which a dataset's owners stand."""
    return [each.column for each in dataset.owners if each.json is None]


def _only_owner(dataset: Dataset) -> _Column | None:
    """Return the column in which the one owner of a dataset stands, of whatever table; None where there are more."""
    if len(dataset.owners) != 1 or dataset.owners[0].json is not None:
        return None
    via = dataset.owners[0].via
    if via is None:
        return _column_of(dataset, dataset.owners[0].column)
    return (dataset.store, via.steps[-1].schema, via.steps[-1].table, via.take)


def _column_of(dataset: Dataset, column: str) -> _Column:
    return (dataset.store, dataset.schema, dataset.table, column)


def _declared(datamap: DataMap) -> Iterator[Link]:
    for name, dataset in datamap.datasets.items():
        for parent in dataset.parents:
            yield Link(name, parent.dataset, parent.on, Origin.DECLARED)
        if dataset.blobs is not None:
            yield Link(dataset.blobs.dataset, name, ((dataset.blobs.column, "key"),), Origin.BLOBS)


def reached(datamap: DataMap, dataset: Dataset) -> tuple[str, ...]:
    """Return how the owners of a dataset's records are found, in words; none where none is declared."""
    if dataset.follows:
        leader = datamap.datasets[dataset.follows]
        return tuple(f"{leader.name} names it, {each}" for each in reached(datamap, leader))
    if dataset.account_field:
        labelled = dataset.account_field.startswith(("tag:", "metadata:"))
        return (dataset.account_field if labelled else f"{{{dataset.account_field}}} in the key",)
    return tuple(_place(source) for source in dataset.owners)


def _place(source: OwnerSource) -> str:
    inside = f" {source.json.text}" if source.json else ""
    listed = " (a list)" if source.array else ""
    if source.via is None:
        return f"column {source.column}{inside}{listed}"
    steps = ", ".join(
        f"{step.table} by {' and '.join(f'{mine} = {theirs}' for mine, theirs in step.on)}" for step in source.via.steps
    )
    return f"via {steps}, column {source.via.take}{inside}{listed}"
