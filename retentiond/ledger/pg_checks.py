"""What can be wrong with a ledger's database, apart from what stands in its tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from sqlalchemy import ForeignKeyConstraint

from retentiond.ledger.pg_locks import quoted
from retentiond.ledger.schema import GUARDS, TRUNCATE_GUARDS, metadata

_SETTINGS = ("fsync", "full_page_writes")
_STATEMENT_LIMIT = "SELECT set_config('statement_timeout', '0', true)"
_OF_SCHEMA = "to_regnamespace(%s)"
_TRIGGERS = f"""SELECT tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = {_OF_SCHEMA} AND NOT tgisinternal AND tgenabled IN ('O', 'A')"""
_SLEEPING = f"""SELECT c.relname, k.conname FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
    WHERE c.relnamespace = {_OF_SCHEMA} AND contype = 'f' AND (NOT convalidated OR EXISTS (
        SELECT 1 FROM pg_trigger WHERE tgconstraint = k.oid AND tgenabled NOT IN ('O', 'A'))) ORDER BY 1, 2"""
_UNLOGGED = f"""SELECT relname FROM pg_class
    WHERE relnamespace = {_OF_SCHEMA} AND relkind = 'r' AND relpersistence <> 'p' ORDER BY 1"""
_TABLES = f"SELECT relname FROM pg_class WHERE relnamespace = {_OF_SCHEMA} AND relkind = 'r'"


def findings(raw: psycopg.Connection[Any], schema: str) -> Iterator[str]:
    """Yield what is wrong.

    Args:
        schema: The ledger's, as SQL spells it.
    """
    raw.execute(_STATEMENT_LIMIT)  # a check reads everything
    for name in _SETTINGS:
        if _column(raw, "SELECT current_setting(%s)", name) != ["on"]:
            yield f"the database's setting {name} is not on: after a crash it may forget what was committed"
    missing = sorted(set(metadata.tables) - set(_column(raw, _TABLES, schema)))
    yield from (f"the table {name} is gone" for name in missing)
    for table in _column(raw, _UNLOGGED, schema):
        yield f"the table {table} is unlogged: a crash empties it"
    for name in sorted((GUARDS | TRUNCATE_GUARDS) - set(_column(raw, _TRIGGERS, schema))):
        yield f"the trigger {name}, which keeps history from being changed, is gone"
    for table, name in raw.execute(_SLEEPING.encode(), [schema]):
        yield f"the foreign key {name} of {table} is not enforced"
    for table in metadata.tables.values() if not missing else ():
        for constraint in sorted(table.foreign_key_constraints, key=lambda each: str(each.column_keys)):
            yield from _dangling(raw, table.name, constraint)


def _dangling(raw: psycopg.Connection[Any], table: str, constraint: ForeignKeyConstraint) -> Iterator[str]:
    target = constraint.referred_table.name
    pairs = [(element.parent.name, element.column.name) for element in constraint.elements]
    same = " AND ".join(f"t.{quoted(theirs)} = r.{quoted(ours)}" for ours, theirs in pairs)
    given = " AND ".join(f"r.{quoted(ours)} IS NOT NULL" for ours, _ in pairs)
    query = f"SELECT count(*) FROM {table} AS r WHERE {given} AND NOT EXISTS (SELECT 1 FROM {target} AS t WHERE {same})"
    (count,) = _column(raw, query)
    if count:
        yield f"{count} rows of {table} name rows of {target} that are not there"


def _column(raw: psycopg.Connection[Any], query: str, *values: str) -> list[Any]:
    return [row[0] for row in raw.execute(query.encode(), values)]
