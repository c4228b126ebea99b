"""The port to stores as somebody sees them who only looks: catalogues, names, and what stands beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from retentiond.domain.dataset import Dataset
from retentiond.domain.tableshape import TableShape


@runtime_checkable
class Describing(Protocol):
    """A connector to tables, whose catalogue says what they are made of; nothing of any row is read for it."""

    def tables(self) -> Sequence[TableShape]:
        """Return everything that holds rows, whoever's it is; titles are the names that `unmapped` gives."""
        ...

    def tables_of(self, dataset: Dataset) -> frozenset[str]:
        """Return the titles of the tables in which a dataset's records stand, quarantine included."""
        ...


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What stands beside a store: the other buckets of its account, the other databases of its server.

    Attributes:
        what: What each of them is, such as `bucket`.
        separate: Whether it is another world, which a store's neighbour says nothing of.
        unseen: Why nothing could be listed; empty where it could.
    """

    what: str
    names: tuple[str, ...] = ()
    separate: bool = False
    unseen: str = ""


@runtime_checkable
class Neighbouring(Protocol):
    """A connector that can see what stands beside its store."""

    def neighbours(self) -> Neighbours:
        """Return what stands beside the store; that it may not be listed is said, and no error."""
        ...
