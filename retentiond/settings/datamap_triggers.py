"""Triggers that a data map lets act on deletions, and the tables that they write into."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from retentiond.domain.dataset import LetTrigger, Written
from retentiond.settings.datamap_links import same_table
from retentiond.settings.datamap_model import DataMapFile, DatasetModel
from retentiond.settings.document import Trail
from retentiond.settings.problems import Problem
from retentiond.settings.tables import TableName


def triggers(model: DataMapFile, dataset: DatasetModel) -> tuple[LetTrigger, ...]:
    """Return the triggers that a dataset lets."""
    return tuple(
        LetTrigger(name, each.digest, tuple(_written(model, dataset, table) for table in each.writes))
        for name, each in (dataset.triggers or {}).items()
    )


def trigger_problems(model: DataMapFile, path: Trail, dataset: DatasetModel) -> Iterator[Problem]:
    """Yield tables that a trigger writes into and of which the data map says nothing: its copies would stay there."""
    kind = _kind(model, dataset)
    if dataset.triggers and kind == "sqlite":
        remedy = "remove the trigger from the database: what it did must happen without it"
        yield Problem((*path, "triggers"), "a store of the kind sqlite lets no trigger act", remedy, key=True)
    for name, each in (dataset.triggers or {}).items():
        for number, table in enumerate(each.writes):
            where = (*path, "triggers", name, "writes", number)
            if dataset.table is not None and same_table(table, kind) == same_table(dataset.table, kind):
                yield Problem(where, "a trigger may not write into the table that it acts on", "remove the trigger")
            elif not _is_mapped(model, dataset, table) and not _is_ignored(model, dataset, table):
                what = f"the trigger writes into {table.name!r}, which no dataset has and nothing ignores"
                remedy = "map it: what it copies of a row stays there; or give a reason to ignore it under `ignore:`"
                yield Problem(where, what, remedy)


def _written(model: DataMapFile, dataset: DatasetModel, table: TableName) -> Written:
    return Written(table.name, table.schema_name, _is_mapped(model, dataset, table))


def _kind(model: DataMapFile, dataset: DatasetModel) -> str:
    store = model.stores.get(dataset.store)
    return store.kind if store else ""


def _is_mapped(model: DataMapFile, dataset: DatasetModel, table: TableName) -> bool:
    kind = _kind(model, dataset)
    there = [each for each in model.datasets.values() if each.store == dataset.store]
    own = [each.table for each in there] + [each.tombstone.table for each in there if each.tombstone]
    return same_table(table, kind) in [same_table(each, kind) for each in own if each is not None]


def _is_ignored(model: DataMapFile, dataset: DatasetModel, table: TableName) -> bool:
    title = ".".join(part for part in same_table(table, _kind(model, dataset)) if part)
    return any(each.store == dataset.store and fnmatchcase(title, each.pattern) for each in model.ignore)
