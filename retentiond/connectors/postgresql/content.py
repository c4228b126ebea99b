"""Content windows on rows of a PostgreSQL table: what stands there, what takes its place, and what is in the way.

JSON stands in columns of type jsonb and json, and as text (from PostgreSQL 16 on, which can tell whether a text is JSON
without an error for the whole statement). As elsewhere, a `json` in which a name of the path stands twice, or that no
text can hold, is unreadable; and so is a text that is no JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import psycopg

from retentiond.connectors.postgresql.catalog import ACTS, HELD, Column, Family, Table
from retentiond.connectors.postgresql.fields import literal
from retentiond.connectors.postgresql.jsons import READS_TEXT, UNSTORABLE, element, is_json
from retentiond.connectors.postgresql.layout import Layout, Source
from retentiond.connectors.postgresql.names import quoted, shown
from retentiond.connectors.postgresql.relations import refusal
from retentiond.connectors.postgresql.session import Transaction
from retentiond.domain.content import PSEUDONYM, PSEUDONYM_DIGITS, Change, Target
from retentiond.errors import DatasetRefused
from retentiond.ports.stores import Finding

_TEXTUAL = (Family.TEXT,)

_UNIQUE = """
SELECT i.indexrelid::regclass::text, i.indexprs IS NOT NULL
FROM pg_index AS i
WHERE i.indrelid = ANY(%(tree)s::oid[]) AND (i.indisunique OR i.indisexclusion)
  AND (i.indexprs IS NOT NULL OR EXISTS (
    SELECT FROM unnest(i.indkey::int2[]) AS k(number)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE a.attname = %(name)s::text
  ))
ORDER BY 1
"""
_FOREIGN = """
SELECT c.conname::text, c.conrelid::regclass::text, c.conrelid = ANY(%(tree)s::oid[]) AND EXISTS (
    SELECT FROM unnest(c.conkey) AS k(number)
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number WHERE a.attname = %(name)s::text)
FROM pg_constraint AS c
WHERE c.contype = 'f' AND (
    (c.conrelid = ANY(%(tree)s::oid[]) AND EXISTS (
        SELECT FROM unnest(c.conkey) AS k(number)
        JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number WHERE a.attname = %(name)s::text))
    OR (c.confrelid = ANY(%(tree)s::oid[]) AND EXISTS (
        SELECT FROM unnest(c.confkey) AS k(number)
        JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.number WHERE a.attname = %(name)s::text))
  )
ORDER BY 1, 2
"""
_PARTED = """
SELECT EXISTS (
    SELECT FROM pg_partitioned_table AS p
    WHERE p.partrelid = ANY(%(tree)s::oid[]) AND (p.partexprs IS NOT NULL OR EXISTS (
        SELECT FROM unnest(p.partattrs::int2[]) AS k(number)
        JOIN pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = k.number WHERE a.attname = %(name)s::text))
)
"""
_TRIGGERS = f"""
SELECT 'trigger ' || quote_literal(t.tgname), {HELD}, 'DROP TRIGGER ' || quote_ident(t.tgname) || ' ON ' || {HELD}
FROM pg_trigger AS t
WHERE t.tgrelid = ANY(%(tree)s::oid[]) AND {ACTS} AND t.tgtype & 16 > 0
UNION ALL
SELECT 'rule ' || quote_literal(r.rulename), r.ev_class::regclass::text,
    'DROP RULE ' || quote_ident(r.rulename) || ' ON ' || r.ev_class::regclass::text
FROM pg_rewrite AS r
WHERE r.ev_class = ANY(%(tree)s::oid[]) AND r.ev_enabled IN ('O', 'A') AND r.ev_type = '2'
ORDER BY 1, 2
"""


def stands_sql(source: Source, change: Change) -> str:
    """Return whether a row `t` holds something that a change would remove; NULL where that can't be read.

    Raises:
        DatasetRefused: The table has not the columns.
    """
    table = source.table
    lacking = [name for name in change.columns if table.column(name) is None]
    if lacking and (change.required or len(lacking) < len(change.columns)):
        raise DatasetRefused(
            f"{table.title!r} has no column {lacking[0]!r} to redact",
            where=source.dataset.name,
            remedy="correct the content window in policies.yaml, or add the column",
        )
    if lacking:
        return "FALSE"
    parts = [_stands(column, target) for target in change.targets if (column := table.column(target.column))]
    return f"(({' + '.join(f'({each})::int4' for each in parts)}) > 0)"  # NULL where any of them is


def _stands(column: Column, target: Target) -> str:
    if target.json is not None:
        return _stands_inside(column, target)
    if target.pseudonym and column.family is Family.UUID:
        return f"{column.of} IS NOT NULL AND substr({column.of}::text, 15, 1) <> '8'"
    if target.pseudonym:
        return f"{column.of} IS NOT NULL AND {_exact(column.of)} !~ '^{PSEUDONYM}[0-9a-f]{{{PSEUDONYM_DIGITS}}}$'"
    if target.constant is None:
        return f"{column.of} IS NOT NULL"
    return f"{column.of} IS NOT NULL AND {_exact(column.of)} <> {_exact(constant_sql(column, target))}"


def _exact(expression: str) -> str:
    return f'(({expression})::text COLLATE "C")'


def constant_sql(column: Column, target: Target) -> str:
    """Return the constant as a value of the column's type."""
    value = target.value
    if value is None or target.constant is None:
        return f"NULL::{column.type}"
    is_word = column.family is not Family.JSON and isinstance(value, str)
    return f"{literal(str(value) if is_word else target.constant)}::{column.type}"


def _stands_inside(column: Column, target: Target) -> str:
    """Look along a path, one step after the other: what each step leads to, and whether it could mean two things."""
    base = "json" if column.base != "jsonb" else "jsonb"
    value, doubts = "d.x", list[str]()
    for step in target.json.steps if target.json else ():
        if isinstance(step, int):
            value = element(base, value, step)
            continue
        if base == "json":
            members = f"json_each(CASE WHEN json_typeof({value}) = 'object' THEN {value} END) AS e"
            doubts.append(f"(SELECT count(*) > 1 FROM {members} WHERE e.key = {literal(step)})")
        value = f"({value} -> {literal(step)}::text)"
    there = f"coalesce({base}_typeof({value}) <> 'null', FALSE)"
    if target.constant is not None:
        there += f" AND {_exact(value)} <> {_exact(f'{literal(target.constant)}::{base}')}"
    doubtful = "".join(f"WHEN {doubt} THEN NULL " for doubt in doubts)
    said = f"CASE {doubtful}ELSE {there} END" if doubts else there
    sound = f"(SELECT {said} FROM (SELECT {column.of}::{base} AS x OFFSET 0) AS d)"
    if column.base == "jsonb":
        return sound
    unreadable = f"{column.of}::text ~ {literal(UNSTORABLE)}"
    if column.family in _TEXTUAL:
        unreadable = f"NOT coalesce({is_json(f'{column.of}::text')}, FALSE) OR {unreadable}"
    return f"CASE WHEN {column.of} IS NULL THEN FALSE WHEN {unreadable} THEN NULL ELSE {sound} END"


# --- what is in the way -------------------------------------------------------------------------------------------


def has_any(table: Table, change: Change) -> bool:
    """Tell whether a table has any of a change's columns."""
    return any(table.column(name) is not None for name in change.columns)


def vet_changes(tx: Transaction, layout: Layout, changes: Sequence[Change]) -> Iterator[Finding]:
    """Yield what makes it impossible or unsafe to change rows so."""
    for source in layout.sources:
        wanted = [change for change in changes if change.required or has_any(source.table, change)]
        for what, table, remedy in tx.rows(_TRIGGERS, {"tree": list(source.table.tree)}) if wanted else ():
            yield refusal(
                source.dataset,
                f"{what} acts on UPDATE of {table}, so nothing is redacted there",
                f"remove it: {remedy}; what it did must happen without it",
            )
        for change in wanted:
            for target in change.targets:
                yield from _vet(tx, source, target)


def _vet(tx: Transaction, source: Source, target: Target) -> Iterator[Finding]:
    table = source.table
    column = table.column(target.column)
    if column is None:
        near = [each.name for each in table.columns if each.name.lower() == target.column.lower()]
        remedy = f"write it as {near[0]!r}" if near else "correct the content window, or name its `datasets:`"
        yield refusal(source.dataset, f"{table.title!r} has no column {target.column!r} to redact", remedy)
        return
    for what, remedy in (*_shape(tx, column, target), *_uses(tx, table, column), *_right(tx, table, column)):
        yield refusal(source.dataset, f"column {column.name!r} of {table.title!r} {what}", remedy)


def _shape(tx: Transaction, column: Column, target: Target) -> Iterator[tuple[str, str]]:
    if not column.stored:
        yield "is computed", "redact the columns that it is computed from"
    if target.pseudonym and column.family not in (*_TEXTUAL, Family.UUID):
        yield f"is of type {column.type}, and a pseudonym is text or a uuid", "redact it, or make it text"
    if column.not_null and target.json is None and target.constant is None and not target.pseudonym:
        yield "is NOT NULL", f'give what stands there afterwards: redact: {{{column.name}: "[redacted]"}}'
    if target.json is None:
        return
    if column.family is not Family.JSON and column.family not in _TEXTUAL:
        yield f"is of type {column.type}, in which there is no JSON", "name the column itself"
    elif column.family in _TEXTUAL and int(tx.value("SELECT current_setting('server_version_num')")) < READS_TEXT:
        yield "is text, and only PostgreSQL 16 can tell whether it is JSON", "make it jsonb, or name the column itself"


def _uses(tx: Transaction, table: Table, column: Column) -> Iterator[tuple[str, str]]:
    leave = "leave it out of the content window"
    here = {"tree": list(table.tree), "name": column.name}
    for index, _ in tx.rows(_UNIQUE, here):
        yield f"is, or may be, in the unique index {index}", leave
    for name, other, own in tx.rows(_FOREIGN, here):
        yield (f"is in the foreign key {name}" if own else f"is what {name} of {other} refers to"), leave
    if tx.value(_PARTED, here):
        yield "is, or may be, in the partition key", leave


def _right(tx: Transaction, table: Table, column: Column) -> Iterator[tuple[str, str]]:
    ask = "SELECT has_column_privilege(%(oid)s::oid, %(number)s::int2, 'UPDATE'), current_user::text"
    may, role = tx.row(ask, {"oid": table.oid, "number": column.number})
    if not may:
        grant = f"GRANT UPDATE ({shown(column.name)}) ON TABLE {table.shown} TO {shown(role)}"
        yield f"may not be changed by role {role!r}", grant


def vet_constant(tx: Transaction, source: Source, target: Target) -> Iterator[Finding]:
    """Yield where a constant does not fit its column: in a transaction of its own, which an error ends."""
    column = source.table.column(target.column)
    if column is not None and target.pseudonym and column.family in _TEXTUAL:
        target = replace(target, constant=f'"{PSEUDONYM}{"0" * PSEUDONYM_DIGITS}"')
    if column is None or target.json is not None or target.constant is None:
        return
    try:
        kept = tx.value(f"SELECT ({constant_sql(column, target)})::text")
    except psycopg.Error:
        kept = None
    if kept is None or (column.family in _TEXTUAL and kept != str(target.value)):
        what = (
            f"column {column.name!r} of {source.table.title!r}, of type {column.type}, does not hold {target.constant}"
        )
        yield refusal(source.dataset, what, "give one that fits it")


def assignments(table: Table, change: Change) -> tuple[str, list[str]]:
    """Return what an UPDATE sets, each column once, and the columns whose values are handed to it as `d0.v` etc."""
    parts, handed = list[str](), list[str]()
    for name, targets in change.in_columns().items():
        column = table.column(name)
        if column is None:
            continue
        if targets[0].json is None and not targets[0].pseudonym:
            new = f"CASE WHEN {column.of} IS NOT NULL THEN {constant_sql(column, targets[0])} END"
        else:
            # a cast to varchar(n) would cut the value off, where an assignment fails
            kind = "text" if column.family in _TEXTUAL else column.type
            new = f"CASE WHEN {column.of} IS NOT NULL THEN d{len(handed)}.v::{kind} END"
            handed.append(name)
        parts.append(f"{quoted(name)} = {new}")
    return ", ".join(parts), handed
