"""What a database's schema says of all tables: columns, keys, links and indexes; never a value of any row."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retentiond.connectors.sqlite.database import Database
from retentiond.connectors.sqlite.schema import index_columns, table_names, text_indexes
from retentiond.domain.tableshape import ColumnShape, Family, Link, TableShape

_KINDS = {"table": "table", "virtual": "virtual table"}
_SIZED = re.compile(r"CHAR\w*\s*\(\s*(\d+)\s*\)")
# The first word that a declared type has says what is meant; SQLite itself would keep anything anywhere.
_DECLARED = (
    (("JSON",), Family.JSON),
    (("F32_BLOB", "F16_BLOB", "F64_BLOB", "F8_BLOB", "F1BIT_BLOB", "VECTOR"), Family.VECTOR),
    (("UUID", "GUID"), Family.UUID),
    (("BOOL",), Family.BOOLEAN),
    (("DATETIME", "TIMESTAMP"), Family.TIME),
    (("DATE",), Family.DATE),
    (("INET", "CIDR"), Family.ADDRESS),
    (("INT",), Family.INTEGER),
    (("CHAR", "CLOB", "TEXT", "STRING"), Family.TEXT),
    (("BLOB", "BINARY", "BYTEA"), Family.BYTES),
    (("REAL", "FLOA", "DOUB", "NUMERIC", "DECIMAL", "NUMBER"), Family.NUMBER),
)


def names(db: Database) -> list[str]:
    """Return the names of everything that holds rows; what a virtual table keeps beneath it counts as its own."""
    return [name for name, kind in table_names(db) if kind in _KINDS]


def describe(db: Database) -> Iterator[TableShape]:
    """Yield every table, virtual ones included."""
    searched = set(text_indexes(db))
    for name, kind in table_names(db):
        if kind in _KINDS:
            yield _table(db, name, kind, is_index=name in searched)


def _table(db: Database, name: str, kind: str, *, is_index: bool) -> TableShape:
    here = {"name": name}
    rows = db.rows("SELECT name, type, pk, \"notnull\", hidden FROM pragma_table_xinfo(:name, 'main')", here)
    primary = tuple(row[0] for row in sorted((row for row in rows if row[2]), key=lambda row: row[2]))
    indexes = list(_indexes(db, name))
    uniques = [columns for columns, unique in indexes if unique]
    return TableShape(
        schema="",
        name=name,
        kind=_KINDS[kind],
        columns=tuple(_column(row, is_index=is_index) for row in rows if not (kind == "virtual" and row[4] == 1)),
        keys=tuple(dict.fromkeys([primary, *uniques] if primary else uniques)),
        links=tuple(_links(db, name)),
        indexes=tuple(dict.fromkeys([*([primary] if primary else []), *(columns for columns, _ in indexes)])),
    )


def _column(row: tuple[str, str, int, int, int], *, is_index: bool) -> ColumnShape:
    name, declared, primary, not_null, hidden = row
    family = Family.SEARCH if is_index else family_of(declared)
    sized = _SIZED.search(declared.upper()) if family is Family.TEXT else None
    return ColumnShape(
        name, declared, family, size=int(sized[1]) if sized else None, not_null=bool(not_null or primary),
        computed=hidden > 1,
    )  # fmt: skip


def family_of(declared: str) -> Family:
    """Return what a declared type means to people."""
    word = declared.upper()
    return next((family for parts, family in _DECLARED if any(part in word for part in parts)), Family.OTHER)


def _indexes(db: Database, table: str) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the columns of each index over all rows, up to the first expression, and whether it keeps rows unique."""
    here = {"name": table}
    for index, unique, partial in db.rows(
        "SELECT name, \"unique\", partial FROM pragma_index_list(:name, 'main')", here
    ):
        columns = index_columns(db, index)
        plain = tuple(column for column in columns if column is not None)
        if plain and not partial:
            whole = len(plain) == len(columns)
            yield plain if whole else plain[: columns.index(None)], bool(unique) and whole


def _links(db: Database, table: str) -> Iterator[Link]:
    rows = db.rows(
        'SELECT id, "table", "from", "to", on_delete FROM pragma_foreign_key_list(:name, \'main\') ORDER BY id, seq',
        {"name": table},
    )
    for number in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == number]
        references = tuple(row[3] for row in mine)
        there = references if None not in references else _primary(db, mine[0][1])
        yield Link(tuple(row[2] for row in mine), "", mine[0][1], there, mine[0][4].lower())


def _primary(db: Database, table: str) -> tuple[str, ...]:
    """Return the primary key of a table, which a foreign key means that names no columns."""
    rows = db.rows("SELECT name FROM pragma_table_xinfo(:name, 'main') WHERE pk > 0 ORDER BY pk", {"name": table})
    return tuple(name for (name,) in rows)
