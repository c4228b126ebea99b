"""Triggers that the data map lets act on deletions: that they are what was approved, and do no more than that.

A trigger is let where its own definition and its function's have exactly the digest that the data map names. What they
did is read off the database's counts of the transaction, table by table, and off its locks: rows of other tables than
those that the data map names undo all of it. A function may be replaced without any lock on the table, so that the
catalogue is looked at once more at the end of the transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from retentiond.connectors.postgresql.catalog import ACTS, HELD
from retentiond.connectors.postgresql.following import counts
from retentiond.connectors.postgresql.layout import Layout, Source
from retentiond.connectors.postgresql.names import shown
from retentiond.connectors.postgresql.relations import refusal
from retentiond.connectors.postgresql.session import Transaction
from retentiond.ports.stores import Finding

_NOT_AFTER = 2 | 64  # BEFORE and INSTEAD OF in pg_trigger.tgtype
_DEFINED = f"""
SELECT t.tgname::text, {HELD}, t.tgtype::int4, t.tgfoid::regprocedure::text,
    EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search_path=%%'),
    encode(sha256(convert_to(
        pg_get_triggerdef(t.oid) || E'\n' || t.tgenabled::text || E'\n' || pg_get_functiondef(t.tgfoid), 'UTF8'
    )), 'hex')
FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
WHERE t.tgrelid = ANY(%(tree)s::oid[]) AND {ACTS} AND t.tgtype::int4 & 8 > 0
ORDER BY 1, 2
"""
_COUNTED = """
SELECT relid::int8, schemaname || '.' || relname, n_tup_ins::int8, n_tup_upd::int8, n_tup_del::int8
FROM pg_stat_xact_all_tables WHERE schemaname !~ '^pg_toast'
"""
_LOCKED = """
SELECT c.oid::regclass::text FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND c.relkind IN ('r', 'p', 'f', 'm')
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND (l.mode = 'AccessExclusiveLock' OR (c.relkind = 'f' AND l.mode = 'RowExclusiveLock'))
ORDER BY 1
"""

_Counts: TypeAlias = Mapping[int, tuple[str, int, int, int]]


class Reaching(Exception):
    """Triggers did what the data map does not let them; the transaction is undone."""


def let_triggers(tx: Transaction, layout: Layout) -> Iterator[Finding]:
    """Yield what keeps triggers on deletions from being let, those on which nothing was said included."""
    dataset = layout.dataset
    named = {each.name: each.digest for each in dataset.triggers}
    seen = set[str]()
    for source in layout.sources:
        for name, table, kind, function, pinned, digest in tx.rows(_DEFINED, {"tree": list(source.table.tree)}):
            seen.add(name)
            drop = f"remove it: DROP TRIGGER {shown(name)} ON {table}; what it did must happen without it"
            line = f"`triggers: {{{shown(name)}: {{digest: {digest}, writes: [TABLES]}}}}`"
            if kind & _NOT_AFTER:
                yield refusal(dataset, f"trigger {name!r} acts on every DELETE of {table}", drop)
            elif name not in named:
                what = f"trigger {name!r} acts on every DELETE of {table}"
                yield refusal(dataset, what, f"{drop}; or read it and its function, and let it be: {line}")
            elif named[name] != digest:
                what = f"trigger {name!r} of {table} is not the one that the data map lets"
                yield refusal(dataset, what, f"read it and its function again, and write {line}; or {drop}")
            elif not pinned:
                what = f"trigger {name!r} of {table} has a function that means other tables to other callers"
                yield refusal(dataset, what, f"ALTER FUNCTION {function} SET search_path = pg_catalog, public")
    for name in named.keys() - seen:
        what = f"the data map lets trigger {name!r}, which does not act on deletions from {layout.live.table.title!r}"
        yield refusal(dataset, what, "remove it from `triggers:`, or create or enable it again")
    if named and not counts(tx):
        yield refusal(dataset, "nobody can tell what triggers do: the server does not count", "set track_counts = on")


@contextmanager
def watched(tx: Transaction, layout: Layout, source: Source, beside: bool) -> Iterator[list[int]]:  # noqa: FBT001
    """Have triggers do no more than the data map lets them.

    Whoever runs the statement puts the number of its rows into the list that it is given.

    Args:
        beside: Whether as many rows are added to the dataset's other table.

    Raises:
        Reaching: They did more.
    """
    done: list[int] = []
    if not layout.dataset.triggers:
        yield done
        return
    before = _counted(tx)
    yield done
    tx.run("SET CONSTRAINTS ALL IMMEDIATE")  # what waits for the commit acts now
    locked = [str(name) for (name,) in tx.rows(_LOCKED)]
    if locked:
        raise Reaching(f"triggers would take {', '.join(locked)} as a whole")
    own = set(source.table.tree)
    others = {oid for each in layout.sources for oid in each.table.tree} - own
    expected = (sum(done), sum(done) if beside else 0)
    touched = {oid: _grown(before.get(oid), now) for oid, now in _counted(tx).items()}
    here = tuple(sum(sum(each[1:]) for oid, each in touched.items() if oid in some) for some in (own, others))
    if here != expected:
        raise Reaching(f"triggers would touch further rows of {source.table.title!r}")
    _vet(layout, {oid: each for oid, each in touched.items() if oid not in own | others})


def _vet(layout: Layout, touched: _Counts) -> None:
    relations = layout.live.relations
    free = {oid for table, mapped in relations.written if not mapped for oid in table.tree}
    adds = {oid for table, mapped in relations.written if mapped for oid in table.tree}
    cleared = {oid for table, _ in relations.cleared for oid in table.tree}
    for oid, (title, added, changed, removed) in touched.items():
        if oid in free or not (added or changed or removed):
            continue
        if (added and oid not in adds) or removed or (changed and oid not in cleared):
            what = "add rows to" if added and oid not in adds else "change or remove rows of"
            raise Reaching(f"triggers would {what} {title}, which the data map does not let them")


def _counted(tx: Transaction) -> _Counts:
    return {oid: (title, *numbers) for oid, title, *numbers in tx.rows(_COUNTED)}


def _grown(before: tuple[str, int, int, int] | None, now: tuple[str, int, int, int]) -> tuple[str, int, int, int]:
    _, added, changed, removed = before or ("", 0, 0, 0)
    return now[0], now[1] - added, now[2] - changed, now[3] - removed
