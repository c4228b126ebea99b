"""Looking at a table before it is planned: whatever would take more than the planned rows, or keep any of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from retentiond.connectors.going_first import first_remedy
from retentiond.connectors.sqlite.database import Database, primary_code, quoted
from retentiond.connectors.sqlite.following import is_cleared, pairs_of
from retentiond.connectors.sqlite.judging import Judge, load_batch
from retentiond.connectors.sqlite.layout import Layout, Source, create_unique, inspect, refusal
from retentiond.connectors.sqlite.schema import Child, children, has_index_on, text_indexes, triggers
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import named_cases
from retentiond.ports.stores import Finding, Survey

_FOLLOWING = frozenset(("CASCADE", "SET NULL", "SET DEFAULT"))
_LOOK = named_cases()


def survey(db: Database, dataset: Dataset) -> Survey:
    """Return all findings and notes of a dataset."""
    layout, problems = inspect(db, dataset)
    if layout is None:
        return Survey(tuple(problems))
    return Survey(tuple(dangers(db, layout)), tuple(_notes(db, layout)))


def dangers(db: Database, layout: Layout) -> Iterator[Finding]:
    """Yield what makes it unsafe to remove or hide rows of a dataset's tables."""
    for source in layout.sources:
        yield from _reactions(db, layout, source)
        yield from _children(db, source)
    yield from _statements(db, layout)


def _reactions(db: Database, layout: Layout, source: Source) -> Iterator[Finding]:
    events = {"DELETE"}
    if source is layout.live and source.tombstone:
        events.add("UPDATE")
    if source is layout.quarantine:
        events.add("INSERT")
    for name, event in triggers(db, source.table):
        if event in events:
            yield refusal(
                layout.dataset,
                f"trigger {name!r} acts on every {event} of {source.table.name!r}",
                f"remove it: DROP TRIGGER {quoted(name)}; what it did must happen without it",
            )


def insertions(db: Database, layout: Layout) -> Iterator[str]:
    """Yield what reacts to rows that are put into a dataset's own table, as only bringing hidden rows back does."""
    for name, event in triggers(db, layout.live.table):
        if event == "INSERT":
            yield f"trigger {name!r} acts on every INSERT of {layout.live.table.name!r}"


def _children(db: Database, source: Source) -> Iterator[Finding]:
    for child in children(db, source.table):
        itself = child.table.lower() == source.table.name.lower()
        cleared = child.on_delete == "SET NULL" and is_cleared(source, child)
        if child.on_delete in _FOLLOWING and not (itself or cleared or _goes_first(source, child)):
            columns = ", ".join(child.columns)
            yield refusal(
                source.dataset,
                f"deleting from {source.table.name!r} would {child.on_delete} rows of {child.table!r} ({columns})",
                first_remedy(source.dataset, child.table, pairs_of(child), child.on_delete),
            )


def _goes_first(source: Source, child: Child) -> bool:
    """Whether every row that a foreign key would follow to is one of a declared child, which keeps its parent.

    A link of fewer columns finds more rows than the key does; one of other columns finds others. SQLite knows no case.
    """
    same = [each for each in source.relations.children if each.live.name.lower() == child.table.lower()]
    here = [each for each in same if not each.child.where]
    key = {(mine.lower(), theirs.lower()) for mine, theirs in pairs_of(child)}
    return any({(mine.lower(), theirs.lower()) for mine, theirs in each.child.on} <= key for each in here)


def _statements(db: Database, layout: Layout) -> Iterator[Finding]:
    """Let SQLite compile what would be run: unknown functions and collations, and keys that no index finds."""
    try:
        load_batch(db, len(layout.dataset.key), [])
        for source in layout.sources:
            judge = Judge(db, source, _LOOK)
            db.rows(f"EXPLAIN DELETE FROM {source.table.sql} WHERE {judge.addressed(0)}")
            if any(step.startswith("SCAN t") or "AUTOMATIC" in step for step in judge.explain_batch()):
                what = f"no index finds rows of {source.table.name!r} by their key"
                yield refusal(layout.dataset, what, create_unique(source.table, layout.dataset.key))
    except sqlite3.OperationalError as error:
        if primary_code(error) != sqlite3.SQLITE_ERROR:
            raise
        remedy = "the table needs something of the application that SQLite alone does not have: remove that from it"
        yield refusal(layout.dataset, f"SQLite cannot prepare the statements: {error}", remedy)


def _notes(db: Database, layout: Layout) -> Iterator[str]:
    for name in text_indexes(db):
        yield f"full-text index {name!r} may keep copies of text after its rows are gone"
    clock, table = layout.dataset.clock.column, layout.live.table
    if clock and layout.dataset.clock.json is None and not has_index_on(db, table.name, (clock,)):
        yield (
            f"no index on the clock; the scan reads the whole table once: "
            f"CREATE INDEX {quoted(f'{table.name}_{clock}')} ON {quoted(table.name)} ({quoted(clock)})"
        )
    for child in children(db, table):
        if not has_index_on(db, child.table, child.columns):
            columns = ", ".join(quoted(name) for name in child.columns)
            yield (
                f"each deletion reads all of {child.table!r}: "
                f"CREATE INDEX {quoted('_'.join((child.table, *child.columns)))} ON {quoted(child.table)} ({columns})"
            )
