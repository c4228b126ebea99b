"""The port to stores as somebody sees them who only looks: catalogues, names, and what stands beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class Visit:
    """What was seen of a store of which nothing was known but its URL.

    Attributes:
        name: What people may call it.
        options: As the data map has them; no secret among them.
        secret_option: The option that names the environment variable with the URL, which is a secret; empty for none.
        tables: For stores of tables.
        prefixes: For others, what the keys or paths of each part begin with; one at least.
        overwrites: Whether nothing protects an object that is written again under its key.
        notes: What a person should know of it.
    """

    name: str
    options: Mapping[str, str]
    secret_option: str = ""
    tables: Sequence[TableShape] = ()
    prefixes: Sequence[str] = ()
    overwrites: bool = False
    notes: tuple[str, ...] = ()


@runtime_checkable
class Visiting(Protocol):
    """A kind of connector that can look at a store before any data map names it."""

    def takes(self, url: str) -> bool:
        """Tell whether a URL, or a path, is of this kind."""
        ...

    def visit(self, url: str, given: Mapping[str, str]) -> Visit:
        """Look at a store, and change nothing in it; nothing of any row or object is read.

        Args:
            given: Options that a URL has no place for, such as `endpoint`; those of other kinds are passed over.

        Raises:
            ConnectorError: It can't be reached, or may not be looked at. No secret stands in its text.
        """
        ...
