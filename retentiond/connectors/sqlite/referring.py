"""Which tables name rows of which others, as the database's foreign keys have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retentiond.connectors.sqlite.database import Database
from retentiond.connectors.sqlite.schema import children, read_table, resolve, table_names
from retentiond.domain.dataset import Dataset
from retentiond.ports.stores import ForeignKey


def foreign_keys(db: Database, datasets: Sequence[Dataset]) -> Iterator[ForeignKey]:
    """Yield the foreign keys that lead to tables of the datasets; quarantine tables count as their dataset's."""
    names = [name for name, kind in table_names(db) if kind == "table"]
    owners: dict[str, str] = {}
    for dataset in datasets:
        hidden = dataset.tombstone.table if dataset.tombstone else ""
        for written in filter(None, (dataset.table, hidden)):
            found = resolve(names, written)
            if found is not None:
                owners.setdefault(found, dataset.name)
    for name, dataset_name in owners.items():
        for child in children(db, read_table(db, name)):
            pairs = tuple(sorted(zip(child.columns, child.referred, strict=False)))
            yield ForeignKey(owners.get(child.table, ""), dataset_name, child.table, name, pairs)
