"""Whatever would take more than the planned rows, or keep any of them: triggers, rules, children, inheritance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from retentiond.connectors.going_first import first_remedy
from retentiond.connectors.postgresql.catalog import ACTS, HELD, Table, missing_indexes
from retentiond.connectors.postgresql.firing import let_triggers
from retentiond.connectors.postgresql.following import counts
from retentiond.connectors.postgresql.layout import Layout, Source
from retentiond.connectors.postgresql.names import shown
from retentiond.connectors.postgresql.relations import refusal
from retentiond.connectors.postgresql.session import Transaction
from retentiond.domain.dataset import Dataset
from retentiond.ports.stores import Finding

_EVENTS = {"INSERT": 4, "DELETE": 8, "UPDATE": 16}  # bits of pg_trigger.tgtype
_RULES = {"UPDATE": "2", "INSERT": "3", "DELETE": "4"}  # pg_rewrite.ev_type
_FOLLOWING = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}

_TRIGGERS = f"""
SELECT t.tgname::text, {HELD}, t.tgtype::int4, (
    SELECT array_agg(a.attname::text) FROM pg_attribute AS a
    WHERE a.attrelid = t.tgrelid AND a.attnum = ANY(t.tgattr::int2[])
)
FROM pg_trigger AS t
WHERE t.tgrelid = ANY(%(tree)s::oid[]) AND {ACTS}
ORDER BY 1, 2
"""
_REWRITES = """
SELECT r.rulename::text, r.ev_class::regclass::text, r.ev_type::text
FROM pg_rewrite AS r
WHERE r.ev_class = ANY(%(tree)s::oid[]) AND r.ev_enabled IN ('O', 'A') AND r.ev_type <> '1'
ORDER BY 1, 2
"""
_CHILDREN = """
SELECT DISTINCT c.conrelid::int8, c.conrelid::regclass::text, c.confdeltype::text, c.conname::text, (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM unnest(c.conkey) WITH ORDINALITY AS k(number, place)
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number
), (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM unnest(c.confkey) WITH ORDINALITY AS k(number, place)
    JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.number
)
FROM pg_constraint AS c
WHERE c.contype = 'f' AND c.confrelid = ANY(%(tree)s::oid[]) AND NOT EXISTS (
    SELECT FROM pg_constraint AS p WHERE p.oid = c.conparentid AND p.confrelid = ANY(%(tree)s::oid[])
)
ORDER BY 2, 4
"""
_HEIRS = """
SELECT i.inhrelid::regclass::text, i.inhparent::regclass::text, c.relkind::text, c.relispartition
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = ANY(%(tree)s::oid[]) OR (i.inhrelid = %(oid)s::oid AND NOT c.relispartition)
ORDER BY 1, 2
"""


def dangers(tx: Transaction, layout: Layout) -> Iterator[Finding]:
    """Yield what makes it unsafe to remove or hide rows of a dataset's tables."""
    yield from let_triggers(tx, layout)
    for source in layout.sources:
        events = _events(layout, source)
        yield from _triggers(tx, source, events)
        yield from _rules(tx, source, events)
        yield from _children(tx, source)
        yield from _inheritance(tx, source)
    for table, column in layout.live.relations.cleared:
        yield from _clearing(tx, layout.dataset, table, column)


def _events(layout: Layout, source: Source) -> Mapping[str, str]:
    """Return what is done to a table, and why a reaction to it matters."""
    events = {"DELETE": "acts on every DELETE"}
    if source is layout.live and source.tombstone:
        events["UPDATE"] = "acts on UPDATE"
    if source is layout.quarantine:
        events["INSERT"] = "acts on every INSERT"
    return events


def _triggers(tx: Transaction, source: Source, events: Mapping[str, str]) -> Iterator[Finding]:
    for name, table, kind, columns in tx.rows(_TRIGGERS, {"tree": list(source.table.tree)}):
        for event, what in events.items():
            if event == "DELETE" or not kind & _EVENTS[event]:
                continue
            if event == "UPDATE" and columns and source.tombstone and source.tombstone.name not in columns:
                continue
            yield refusal(
                source.dataset,
                f"trigger {name!r} {what} of {table}",
                f"remove it: DROP TRIGGER {shown(name)} ON {table}; what it did must happen without it",
            )


def _clearing(tx: Transaction, dataset: Dataset, table: Table, column: str) -> Iterator[Finding]:
    """Refuse what would react when the database empties a column: nobody counts what that does."""
    here = {"tree": list(table.tree)}
    for name, held, kind, columns in tx.rows(_TRIGGERS, here):
        if kind & _EVENTS["UPDATE"] and (not columns or column in columns):
            remedy = f"remove it: DROP TRIGGER {shown(name)} ON {held}; or make it on UPDATE OF other columns"
            yield refusal(dataset, f"trigger {name!r} of {held} acts when {column!r} is emptied", remedy)
    for name, held, kind in tx.rows(_REWRITES, here):
        if kind == _RULES["UPDATE"]:
            remedy = f"remove it: DROP RULE {shown(name)} ON {held}"
            yield refusal(dataset, f"rule {name!r} of {held} acts when {column!r} is emptied", remedy)


def insertions(tx: Transaction, layout: Layout) -> Iterator[str]:
    """Yield what reacts to rows that are put into a dataset's own table, as only bringing hidden rows back does."""
    tree = {"tree": list(layout.live.table.tree)}
    for name, table, kind, _ in tx.rows(_TRIGGERS, tree):
        if kind & _EVENTS["INSERT"]:
            yield f"trigger {name!r} acts on every INSERT of {table}"
    for name, table, kind in tx.rows(_REWRITES, tree):
        if kind == _RULES["INSERT"]:
            yield f"rule {name!r} acts on every INSERT of {table}"


def _rules(tx: Transaction, source: Source, events: Mapping[str, str]) -> Iterator[Finding]:
    for name, table, kind in tx.rows(_REWRITES, {"tree": list(source.table.tree)}):
        for event, what in events.items():
            if kind == _RULES[event]:
                remedy = f"remove it: DROP RULE {shown(name)} ON {table}; what it did must happen without it"
                yield refusal(source.dataset, f"rule {name!r} {what} of {table}", remedy)


def _children(tx: Transaction, source: Source) -> Iterator[Finding]:
    for oid, child, on_delete, _, columns, referred in tx.rows(_CHILDREN, {"tree": list(source.table.tree)}):
        listed = ", ".join(map(shown, columns))
        pairs = tuple(zip(columns, referred, strict=True))
        itself = oid in source.table.tree
        safe = itself or _goes_first(source, oid, pairs) or (on_delete == "n" and _clears(source, oid, columns))
        if on_delete in _FOLLOWING and not safe:
            yield refusal(
                source.dataset,
                f"deleting from {source.table.title!r} would {_FOLLOWING[on_delete]} rows of {child} ({listed})",
                first_remedy(source.dataset, child, pairs, _FOLLOWING[on_delete]),
            )
        elif on_delete in _FOLLOWING and not counts(tx):
            what = f"nobody can tell what {_FOLLOWING[on_delete]} takes of {child}: the server does not count"
            yield refusal(source.dataset, what, "set track_counts = on")
        for bare, remedy in missing_indexes(tx, oid, columns):
            what = f"each deletion from {source.table.title!r} would read all of {bare}: no index on ({listed})"
            yield refusal(source.dataset, what, remedy)


def _goes_first(source: Source, oid: int, pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether every row that a foreign key would follow to is one of a declared child, which keeps its parent.

    A link of fewer columns finds more rows than the key does; one of other columns finds others.
    """
    here = [each for each in source.relations.children if oid in each.live.tree and not each.child.where]
    return any(set(each.child.on) <= set(pairs) for each in here)


def _clears(source: Source, oid: int, columns: Sequence[str]) -> bool:
    """Whether the data map says that the database may empty these columns."""
    return any(oid in table.tree and [column] == list(columns) for table, column in source.relations.cleared)


def _inheritance(tx: Transaction, source: Source) -> Iterator[Finding]:
    here = {"tree": list(source.table.tree), "oid": source.table.oid}
    for child, parent, kind, is_partition in tx.rows(_HEIRS, here):
        if not is_partition:
            what = f"{child} inherits from {parent}"
            yield refusal(source.dataset, what, f"ALTER TABLE {child} NO INHERIT {parent}, or use partitions")
        elif kind == "f":
            what = f"partition {child} of {parent} is a foreign table"
            yield refusal(source.dataset, what, f"ALTER TABLE {parent} DETACH PARTITION {child}")
