"""What PostgreSQL's catalogue says of tables: their columns, types and unique keys, and the partitions beneath."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from retentiond.connectors.postgresql.names import quoted, shown, table_candidates
from retentiond.connectors.postgresql.session import Row, Transaction


class Family(StrEnum):
    """Types that are worked with alike; domains count as what they are made of."""

    INTEGER = "integer"
    NUMERIC = "numeric"
    FLOAT = "float"
    TEXT = "text"
    UUID = "uuid"
    BYTES = "bytes"
    BOOLEAN = "boolean"
    ENUM = "enum"
    TIMESTAMPTZ = "timestamptz"
    TIMESTAMP = "timestamp"
    DATE = "date"
    JSON = "json"
    ARRAY = "array"
    OTHER = "other"


_FAMILIES = {
    "int2": Family.INTEGER,
    "int4": Family.INTEGER,
    "int8": Family.INTEGER,
    "numeric": Family.NUMERIC,
    "float4": Family.FLOAT,
    "float8": Family.FLOAT,
    "text": Family.TEXT,
    "varchar": Family.TEXT,
    "bpchar": Family.TEXT,
    "citext": Family.TEXT,
    "uuid": Family.UUID,
    "bytea": Family.BYTES,
    "bool": Family.BOOLEAN,
    "timestamptz": Family.TIMESTAMPTZ,
    "timestamp": Family.TIMESTAMP,
    "date": Family.DATE,
    "json": Family.JSON,
    "jsonb": Family.JSON,
    **dict.fromkeys(("_text", "_varchar", "_uuid", "_int2", "_int4", "_int8"), Family.ARRAY),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        type: The type without any domain, as it stands in a cast.
        schema: Schema of that type, for operators that only it has.
        plain: Whether `=` compares byte for byte; not so for citext and non-deterministic collations.
        stored: Whether a row brings its value along; computed ones follow from the others.
        size_bytes: Bytes of a value where all have as many; None where they vary.
    """

    name: str
    number: int
    type: str
    base: str
    schema: str
    family: Family
    plain: bool
    not_null: bool
    stored: bool
    size_bytes: int | None

    @property
    def of(self) -> str:
        """The column of row `t`, as it stands in SQL."""
        return f"t.{quoted(self.name)}"

    @property
    def is_citext(self) -> bool:
        """Whether it is of the extension's type without case, whose operators stand in the extension's schema."""
        return self.base == "citext"

    @property
    def ordered(self) -> str:
        """The column of row `t` in an order that its comparisons follow."""
        return f'({self.of}::text COLLATE "C")' if self.is_citext else self.of

    @property
    def order_type(self) -> str:
        """The type of `ordered`, as it stands in a cast."""
        return "text" if self.is_citext else self.type


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of a table to itself.

    Attributes:
        on_delete: As pg_constraint.confdeltype.
        pairs: Pairs of a column and the column that it refers to.
    """

    on_delete: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table, or a partitioned table with all that is beneath it.

    Attributes:
        kind: `r` for a table, `p` for a partitioned one, else as pg_class.relkind.
        tree: Object ids of the table and of all its partitions.
        unique: Columns of each index that keeps rows unique, in the index's order.
        refers: Its foreign keys to itself.
    """

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    tree: tuple[int, ...]
    unique: tuple[tuple[str, ...], ...]
    refers: tuple[Reference, ...] = ()

    @property
    def sql(self) -> str:
        """The table as it stands in a statement with parameters."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def only(self) -> str:
        """The table as rows are read from and changed in it: without what inherits from it, with its partitions."""
        return self.sql if self.kind == "p" else f"ONLY {self.sql}"

    @property
    def shown(self) -> str:
        """The table as a person types it."""
        return f"{shown(self.schema)}.{shown(self.name)}"

    @property
    def title(self) -> str:
        """The table as findings call it."""
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column | None:
        """Return the column of exactly this name."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns that a row brings along."""
        return tuple(column for column in self.columns if column.stored)

    @property
    def size(self) -> str:
        """An SQL expression for the bytes of a row `t`'s values, as they are stored."""
        fixed = sum(column.size_bytes or 0 for column in self.stored)
        varying = [column for column in self.stored if column.size_bytes is None]
        return " + ".join([str(fixed), *(f"coalesce(pg_column_size({column.of}), 0)" for column in varying)])

    def key_order(self, key: Sequence[str]) -> tuple[str, ...] | None:
        """Return columns that name a row uniquely, in the order of an index, all within a key; None without any."""
        return next((columns for columns in self.unique if set(columns) <= set(key)), None)


_FIND = """
SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (n.nspname::text, c.relname::text) IN (SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[]))
  AND c.relkind NOT IN ('i', 'I', 't', 'c')
ORDER BY 2, 3
"""
_NEAR = """
SELECT n.nspname::text || '.' || c.relname::text
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE lower(c.relname::text) = ANY(%(names)s::text[]) AND c.relkind IN ('r', 'p')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1 LIMIT 3
"""
_COLUMNS = """
WITH RECURSIVE made AS (
    SELECT a.attnum AS number, t.oid, t.typtype, t.typbasetype, a.atttypmod AS modifier, t.typnotnull AS not_null
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = %(oid)s::oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
    SELECT m.number, b.oid, b.typtype, b.typbasetype, CASE WHEN m.modifier = -1 THEN d.typtypmod ELSE m.modifier END,
        m.not_null OR b.typnotnull
    FROM made AS m JOIN pg_type AS d ON d.oid = m.oid JOIN pg_type AS b ON b.oid = d.typbasetype
    WHERE m.typtype = 'd'
)
SELECT a.attname::text, a.attnum::int4, format_type(t.oid, m.modifier), t.typname::text, n.nspname::text,
    t.typtype::text, coalesce(c.collisdeterministic, true), a.attnotnull OR m.not_null, a.attgenerated = '',
    t.typlen::int4
FROM made AS m JOIN pg_type AS t ON t.oid = m.oid JOIN pg_namespace AS n ON n.oid = t.typnamespace
JOIN pg_attribute AS a ON a.attrelid = %(oid)s::oid AND a.attnum = m.number
LEFT JOIN pg_collation AS c ON c.oid = a.attcollation
WHERE m.typtype <> 'd'
ORDER BY a.attnum
"""
_UNIQUE = """
SELECT array_agg(a.attname::text ORDER BY k.place)
FROM pg_index AS i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = %(oid)s::oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
  AND k.place <= i.indnkeyatts
GROUP BY i.indexrelid, i.indisprimary
ORDER BY i.indisprimary DESC, i.indexrelid
"""


ACTS = """
NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND NOT EXISTS (
    SELECT FROM pg_trigger AS p
    WHERE p.oid = t.tgparentid AND p.tgrelid = ANY(%(tree)s::oid[]) AND p.tgenabled IN ('O', 'A')
)
"""
"""The condition that a trigger `t` acts, and is none that a partition has from a table of the tree that tells it."""
HELD = """(
    WITH RECURSIVE up AS (
        SELECT t.tgparentid AS above, t.tgrelid AS held
      UNION ALL
        SELECT p.tgparentid, p.tgrelid FROM up JOIN pg_trigger AS p ON p.oid = up.above
    )
    SELECT held::regclass::text FROM up WHERE above = 0
)"""
"""The table that a trigger `t` was made on: a partition may have it from there, and only there it can be removed."""


_ITSELF = """
SELECT c.confdeltype::text, (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM unnest(c.conkey) WITH ORDINALITY AS k(number, place)
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number
), (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM unnest(c.confkey) WITH ORDINALITY AS k(number, place)
    JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.number
)
FROM pg_constraint AS c
WHERE c.contype = 'f' AND c.conrelid = ANY(%(tree)s::oid[]) AND c.confrelid = ANY(%(tree)s::oid[])
ORDER BY c.oid
"""


def find_tables(tx: Transaction, written: str, schema: str = "") -> list[tuple[int, str, str, str]]:
    """Return object id, schema, name and kind of everything table-like that the data map may mean.

    Args:
        schema: Its schema, where that is declared apart from the name; else the name says it.
    """
    pairs = [(schema, written)] if schema else table_candidates(written)
    rows = tx.rows(_FIND, {"schemas": [schema for schema, _ in pairs], "names": [name for _, name in pairs]})
    return [(oid, place, name, kind) for oid, place, name, kind in rows]


def near_tables(tx: Transaction, written: str) -> list[str]:
    """Return tables whose name differs by case or schema only."""
    names = sorted({name.lower() for _, name in table_candidates(written)})
    return [name for (name,) in tx.rows(_NEAR, {"names": names})]


def read_table(tx: Transaction, found: tuple[int, str, str, str]) -> Table:
    """Return a table's shape."""
    oid, schema, name, kind = found
    here = {"oid": oid}
    columns = tuple(_column(row) for row in tx.rows(_COLUMNS, here))
    tree = [each for (each,) in tx.rows("SELECT relid::oid::int8 FROM pg_partition_tree(%(oid)s::oid::regclass)", here)]
    unique = tuple(tuple(names) for (names,) in tx.rows(_UNIQUE, here))
    whole = tuple(sorted({oid, *tree}))
    refers = dict.fromkeys(
        Reference(how, tuple(zip(mine, theirs, strict=True)))
        for how, mine, theirs in tx.rows(_ITSELF, {"tree": list(whole)})
    )
    return Table(oid, schema, name, kind, columns, whole, unique, tuple(refers))


def _column(row: Row) -> Column:
    name, number, type_, base, schema, kind, deterministic, not_null, stored, length = row
    known = schema == "pg_catalog" or base == "citext"
    family = _FAMILIES.get(base, Family.OTHER) if known else Family.OTHER
    return Column(
        name=name,
        number=number,
        type=type_.replace("%", "%%"),
        base=base,
        schema=schema,
        family=Family.ENUM if kind == "e" else family,
        plain=deterministic and base != "citext",
        not_null=not_null,
        stored=stored,
        size_bytes=length if length > 0 else None,
    )


def lacking_index(tx: Transaction, oid: int, columns: Sequence[str]) -> list[str]:
    """Return the tables, among a table and all partitions beneath it that hold rows, without an index on columns.

    An index counts when it is valid, covers all rows, and begins with these columns, in any order.
    """
    return [name for (name,) in tx.rows(_LACKING, {"oid": oid, "columns": list(columns), "count": len(columns)})]


def missing_indexes(tx: Transaction, oid: int, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the same tables, each with what gives it the index: a partition's whole gives one to those to come, too."""
    listed = ", ".join(map(shown, columns))
    asked = "SELECT oid::regclass::text FROM pg_class WHERE oid = %(oid)s AND relkind = 'p'"
    whole = tx.value(asked, {"oid": oid})
    then = f"; after all partitions CREATE INDEX ON {whole} ({listed}), which new ones get as well" if whole else ""
    for bare in lacking_index(tx, oid, columns):
        yield bare, f"CREATE INDEX CONCURRENTLY ON {bare} ({listed}){then}"


_LACKING = """
SELECT c.oid::regclass::text
FROM pg_class AS c
WHERE c.oid IN (SELECT %(oid)s::oid UNION SELECT relid::oid FROM pg_partition_tree(%(oid)s::oid::regclass))
  AND c.relkind = 'r' AND NOT EXISTS (
    SELECT FROM pg_index AS i
    WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND (
        SELECT count(DISTINCT a.attname)
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.number
        WHERE k.place <= %(count)s AND k.place <= i.indnkeyatts AND a.attname::text = ANY(%(columns)s::text[])
    ) = %(count)s
  )
ORDER BY 1
"""
