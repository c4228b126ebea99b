"""What a database says of its tables: columns, keys, and whatever reacts when a row goes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from retentiond.connectors.sqlite.database import Database, quoted

ROW_NUMBERS = ("_rowid_", "rowid", "oid")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type as declared, its place in the primary key (from 1, else 0), and whether it is computed.

    Attributes:
        filled: Whether it is NOT NULL.
    """

    name: str
    declared: str
    primary: int
    computed: bool
    filled: bool = False

    @property
    def is_integer(self) -> bool:
        """Whether SQLite gives it integer affinity."""
        return "INT" in self.declared.upper()


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the main database.

    Attributes:
        kind: `table`, `view`, `virtual` or `shadow`, as SQLite calls it.
        address: Columns that SQLite itself finds a row by, quoted; empty where all names of the row number are taken.
    """

    name: str
    kind: str
    columns: tuple[Column, ...]
    address: tuple[str, ...]

    @property
    def sql(self) -> str:
        """The table as it stands in a statement."""
        return f"main.{quoted(self.name)}"

    def column(self, name: str) -> Column | None:
        """Return the column of exactly this name."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns that a row brings along; computed ones follow from them."""
        return tuple(column for column in self.columns if not column.computed)

    @property
    def size(self) -> str:
        """An SQL expression for the bytes of a row `t`'s values: an estimate, without SQLite's own headers."""
        lengths = [f"coalesce(length(CAST(t.{quoted(column.name)} AS BLOB)), 0)" for column in self.stored]
        return " + ".join(lengths)


@dataclass(frozen=True, slots=True)
class Child:
    """A foreign key of another table (or the same) that points here.

    Attributes:
        referred: The columns here that it points at; empty where it names none, and means the primary key.
    """

    table: str
    columns: tuple[str, ...]
    on_delete: str
    referred: tuple[str, ...] = ()


def table_names(db: Database) -> list[tuple[str, str]]:
    """Return name and kind of everything table-like, SQLite's own tables left out."""
    rows = db.rows("SELECT name, type FROM pragma_table_list WHERE schema = 'main' ORDER BY name")
    return [(name, kind) for name, kind in rows if not name.lower().startswith("sqlite_")]


def resolve(names: Sequence[str], written: str) -> str | None:
    """Return the name of the table that a data map means: exactly as written, or without a leading `main.`."""
    if written in names:
        return written
    bare = written.removeprefix("main.")
    return bare if bare in names else None


def read_table(db: Database, name: str) -> Table:
    """Return a table's shape."""
    kind, keyed = db.rows(
        "SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = :name", {"name": name}
    )[0]
    rows = db.rows(
        "SELECT name, type, pk, hidden > 0, \"notnull\" FROM pragma_table_xinfo(:name, 'main')", {"name": name}
    )
    columns = tuple(Column(name, kind, key, bool(computed), bool(filled)) for name, kind, key, computed, filled in rows)
    return Table(name, kind, columns, _key_columns(columns) if keyed else _row_number(columns))


def primary_key(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the names of a table's primary key, in its order."""
    keys = sorted((column for column in columns if column.primary), key=lambda column: column.primary)
    return tuple(column.name for column in keys)


def _key_columns(columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(map(quoted, primary_key(columns)))


def _row_number(columns: Sequence[Column]) -> tuple[str, ...]:
    taken = {column.name.lower() for column in columns}
    return tuple(name for name in ROW_NUMBERS if name not in taken)[:1]


def is_unique(db: Database, table: Table, key: Sequence[str]) -> bool:
    """Whether the database itself keeps two rows from having the same key."""
    indexes = db.rows("SELECT name, \"unique\", origin, partial FROM pragma_index_list(:name, 'main')", _of(table))
    for index, unique, _, partial in indexes:
        if unique and not partial and sorted(index_columns(db, index), key=str) == sorted(key):
            return True
    primary = [column for column in table.columns if column.primary]
    alias = len(primary) == 1 and primary[0].declared.upper() == "INTEGER"
    return alias and "pk" not in {origin for _, _, origin, _ in indexes} and list(key) == [primary[0].name]


def index_columns(db: Database, index: str) -> list[str | None]:
    """Return the columns of an index in order; None for an expression."""
    return [name for (name,) in db.rows("SELECT name FROM pragma_index_info(:name, 'main')", {"name": index})]


def has_index_on(db: Database, table: str, columns: Sequence[str]) -> bool:
    """Whether some whole index of a table begins with these columns, in any order."""
    names = {"name": table}
    for index, partial in db.rows("SELECT name, partial FROM pragma_index_list(:name, 'main')", names):
        if not partial and set(index_columns(db, index)[: len(columns)]) == set(columns):
            return True
    primary = _key_columns(read_table(db, table).columns)
    return {quoted(column) for column in columns} == set(primary[: len(columns)])


def children(db: Database, table: Table) -> Iterator[Child]:
    """Yield the foreign keys that point at a table."""
    primary = primary_key(table.columns)
    for name, kind in table_names(db):
        if kind != "table":
            continue
        rows = db.rows(
            'SELECT id, "from", on_delete, "to" FROM pragma_foreign_key_list(:child, \'main\')'
            ' WHERE "table" = :parent COLLATE NOCASE ORDER BY id, seq',
            {"child": name, "parent": table.name},
        )
        for number in sorted({row[0] for row in rows}):
            mine = [row for row in rows if row[0] == number]
            referred = tuple(row[3] for row in mine if row[3] is not None)
            yield Child(name, tuple(row[1] for row in mine), mine[0][2], referred or primary)


_NOT_CODE = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]", re.DOTALL
)
_EVENT = re.compile(r"\b(DELETE|INSERT|UPDATE)\b", re.IGNORECASE)


def triggers(db: Database, table: Table) -> Iterator[tuple[str, str]]:
    """Yield name and event (`DELETE`, `INSERT`, `UPDATE`) of a table's triggers."""
    rows = db.rows(
        "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = :name COLLATE NOCASE"
        " ORDER BY name",
        _of(table),
    )
    for name, sql in rows:
        event = _EVENT.search(_NOT_CODE.sub("x", sql))
        yield name, event.group().upper() if event else "DELETE"


def text_indexes(db: Database) -> list[str]:
    """Return the names of full-text indexes, which keep copies of text in tables of their own."""
    rows = db.rows("SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL%'")
    return [name for name, sql in rows if re.search(r"\bUSING\s+[\"'`\[]?fts\d", sql, re.IGNORECASE)]


def _of(table: Table) -> dict[str, object]:
    return {"name": table.name}
