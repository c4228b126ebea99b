"""Content windows on rows of a SQLite table: what stands there, what takes its place, and what is in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from retentiond.connectors.sqlite.database import Database, quoted
from retentiond.connectors.sqlite.layout import Layout, Source, refusal
from retentiond.connectors.sqlite.schema import Column, Table, children, index_columns, triggers
from retentiond.domain.content import PSEUDONYM, PSEUDONYM_DIGITS, Change, Target, rewritten
from retentiond.errors import DatasetRefused
from retentiond.ports.stores import Finding

_IS_PSEUDONYM = PSEUDONYM + "[0-9a-f]" * PSEUDONYM_DIGITS


def stands_sql(db: Database, source: Source, change: Change) -> str:
    """Return whether a row `t` holds something that a change would remove: 1 or 0, NULL where that can't be read.

    Raises:
        DatasetRefused: The table has not the columns.
    """
    lacking = [name for name in change.columns if source.table.column(name) is None]
    if lacking and (change.required or len(lacking) < len(change.columns)):
        raise DatasetRefused(
            f"{source.table.name!r} has no column {lacking[0]!r} to redact",
            where=source.dataset.name,
            remedy="correct the content window in policies.yaml, or add the column",
        )
    if lacking:
        return "0"
    return f"(({' + '.join(_stands(db, target) for target in change.targets)}) > 0)"


def _stands(db: Database, target: Target) -> str:
    column = f"t.{quoted(target.column)}"
    if target.pseudonym:
        return f"({column} IS NOT NULL AND NOT (typeof({column}) = 'text' AND {column} GLOB '{_IS_PSEUDONYM}'))"
    if target.json is None:
        same = f" AND {column} <> {_literal(target)} COLLATE BINARY" if target.constant is not None else ""
        return f"({column} IS NOT NULL{same})"
    read = db.teach(("stands", target), 1, _reader(target, db.encoding))
    return f"(CASE typeof({column}) WHEN 'text' THEN {read}(CAST({column} AS BLOB)) WHEN 'blob' THEN NULL ELSE 0 END)"


def _reader(target: Target, encoding: str) -> Callable[[bytes], int | None]:
    def read(raw: bytes) -> int | None:
        try:
            return target.stands_in(raw.decode(encoding))
        except UnicodeDecodeError:
            return None

    return read


def _literal(target: Target) -> str:
    value = target.value
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(int(value)) if value is not None else "NULL"


def assignments(db: Database, change: Change) -> str:
    """Return what an UPDATE sets; each column once."""
    return ", ".join(f"{quoted(name)} = {_new(db, name, targets)}" for name, targets in change.in_columns().items())


def _new(db: Database, name: str, targets: Sequence[Target]) -> str:
    column = quoted(name)
    if targets[0].pseudonym:
        return f"{db.teach('pseudonym', 1, lambda account: db.pseudonyms[account])}(CAST({column} AS TEXT))"
    if targets[0].json is None:
        return f"CASE WHEN {column} IS NULL THEN NULL ELSE {_literal(targets[0])} END"
    write = db.teach(("write", *targets), 1, _writer(targets, db.encoding))
    return f"CASE typeof({column}) WHEN 'text' THEN {write}(CAST({column} AS BLOB)) ELSE {column} END"


def _writer(targets: Sequence[Target], encoding: str) -> Callable[[bytes], str]:
    return lambda raw: rewritten(raw.decode(encoding), targets)


# --- what is in the way -------------------------------------------------------------------------------------------


def vet_changes(db: Database, layout: Layout, changes: Sequence[Change]) -> Iterator[Finding]:
    """Yield what makes it impossible or unsafe to change rows so."""
    for source in layout.sources:
        wanted = [change for change in changes if has_any(source.table, change)]
        for name, event in triggers(db, source.table) if wanted else ():
            if event == "UPDATE":
                yield refusal(
                    layout.dataset,
                    f"trigger {name!r} acts on every UPDATE of {source.table.name!r}, so nothing is redacted there",
                    f"remove it: DROP TRIGGER {quoted(name)}; what it did must happen without it",
                )
        for change in changes:
            if change.required or has_any(source.table, change):
                for target in change.targets:
                    yield from _vet(db, layout, source.table, target)


def has_any(table: Table, change: Change) -> bool:
    """Tell whether a table has any of a change's columns."""
    return any(table.column(name) is not None for name in change.columns)


def _vet(db: Database, layout: Layout, table: Table, target: Target) -> Iterator[Finding]:
    column = table.column(target.column)
    if column is None:
        near = [each.name for each in table.columns if each.name.lower() == target.column.lower()]
        remedy = f"write it as {near[0]!r}" if near else "correct the content window, or name its `datasets:`"
        yield refusal(layout.dataset, f"{table.name!r} has no column {target.column!r} to redact", remedy)
        return
    for what, remedy in _obstacles(db, table, column, target):
        yield refusal(layout.dataset, f"column {column.name!r} of {table.name!r} {what}", remedy)


def _obstacles(db: Database, table: Table, column: Column, target: Target) -> Iterator[tuple[str, str]]:
    leave = "leave it out of the content window"
    if target.pseudonym and column.is_integer:
        yield f"is declared {column.declared}, and a pseudonym is text", "declare it TEXT, or redact it"
    if column.computed:
        yield "is computed", "redact the columns that it is computed from"
    if column.filled and target.json is None and target.constant is None and not target.pseudonym:
        yield "is NOT NULL", f'give what stands there afterwards: redact: {{{column.name}: "[redacted]"}}'
    if column.primary:
        yield "is part of the primary key", leave
    indexes = db.rows("SELECT name, \"unique\" FROM pragma_index_list(:name, 'main')", {"name": table.name})
    for index, unique in indexes:
        named = index_columns(db, index)
        if unique and (column.name in named or None in named):
            yield f"is, or may be, in the unique index {index!r}", leave
    foreign = db.rows("SELECT \"from\" FROM pragma_foreign_key_list(:name, 'main')", {"name": table.name})
    if any(name.lower() == column.name.lower() for (name,) in foreign):
        yield "is a foreign key", leave
    for child in children(db, table):
        if any(name.lower() == column.name.lower() for name in child.referred):
            yield f"is what {child.table!r} refers to", leave
