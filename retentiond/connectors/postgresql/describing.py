"""What the catalogue says of all tables: columns, keys, links, indexes and estimates; never a value of any row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from retentiond.connectors.postgresql.session import Row, Transaction
from retentiond.domain.tableshape import ColumnShape, Family, Link, TableShape

TABLES = """
SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, (
    SELECT sum(greatest(l.reltuples, 0))::int8
    FROM pg_class AS l
    WHERE l.relkind IN ('r', 'm') AND l.reltuples >= 0
      AND l.oid IN (SELECT c.oid UNION SELECT relid::oid FROM pg_partition_tree(c.oid::regclass))
)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'
ORDER BY 2, 3
"""
_COLUMNS = """
WITH RECURSIVE made AS (
    SELECT a.attrelid AS relation, a.attnum AS number, t.oid, t.typtype, t.typbasetype, a.atttypmod AS modifier,
        t.typnotnull AS not_null
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
    SELECT m.relation, m.number, b.oid, b.typtype, b.typbasetype,
        CASE WHEN m.modifier = -1 THEN d.typtypmod ELSE m.modifier END, m.not_null OR b.typnotnull
    FROM made AS m JOIN pg_type AS d ON d.oid = m.oid JOIN pg_type AS b ON b.oid = d.typbasetype
    WHERE m.typtype = 'd'
)
SELECT m.relation::int8, a.attname::text, format_type(t.oid, m.modifier),
    coalesce(e.typname, t.typname)::text, coalesce(e.typtype, t.typtype)::text, e.oid IS NOT NULL, m.modifier::int4,
    a.attnotnull OR m.not_null, a.attgenerated <> ''
FROM made AS m JOIN pg_type AS t ON t.oid = m.oid
LEFT JOIN pg_type AS e ON t.typcategory = 'A' AND e.oid = t.typelem
JOIN pg_attribute AS a ON a.attrelid = m.relation AND a.attnum = m.number
WHERE m.typtype <> 'd'
ORDER BY m.relation, a.attnum
"""
_INDEXES = """
SELECT i.indrelid::int8, i.indisunique AND i.indexprs IS NULL, (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE k.place <= i.indnkeyatts
)
FROM pg_index AS i
WHERE i.indrelid = ANY(%(oids)s::oid[]) AND i.indisvalid AND i.indpred IS NULL
ORDER BY i.indisprimary DESC, i.indexrelid
"""
_LINKS = """
SELECT c.conrelid::int8, n.nspname::text, r.relname::text, c.confdeltype::text,
    (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(c.conkey) WITH ORDINALITY AS k(number, place)
     JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number),
    (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(c.confkey) WITH ORDINALITY AS k(number, place)
     JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.number)
FROM pg_constraint AS c JOIN pg_class AS r ON r.oid = c.confrelid JOIN pg_namespace AS n ON n.oid = r.relnamespace
WHERE c.contype = 'f' AND c.conrelid = ANY(%(oids)s::oid[]) AND NOT r.relispartition
ORDER BY c.conrelid, c.conname
"""
_KINDS = {"r": "table", "p": "partitioned table", "m": "materialised view", "f": "foreign table"}
_DELETIONS = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}
_FAMILIES = {
    **dict.fromkeys(("text", "varchar", "bpchar", "citext", "name", "char", "xml"), Family.TEXT),
    **dict.fromkeys(("json", "jsonb", "hstore", "jsonpath"), Family.JSON),
    "bytea": Family.BYTES,
    **dict.fromkeys(("vector", "halfvec", "sparsevec"), Family.VECTOR),
    "tsvector": Family.SEARCH,
    **dict.fromkeys(("int2", "int4", "int8"), Family.INTEGER),
    **dict.fromkeys(("numeric", "float4", "float8", "money"), Family.NUMBER),
    "bool": Family.BOOLEAN,
    "uuid": Family.UUID,
    **dict.fromkeys(("inet", "cidr", "macaddr", "macaddr8"), Family.ADDRESS),
    "timestamptz": Family.TIME_WITH_ZONE,
    "timestamp": Family.TIME,
    "date": Family.DATE,
    **dict.fromkeys(("oid", "lo"), Family.LARGE_OBJECT),
}
_SIZED = ("varchar", "bpchar")
_HEADER = 4  # bytes that the modifier of a text type counts besides its characters


def describe(tx: Transaction) -> Iterator[TableShape]:
    """Yield every table of the database, partitions with their parents, and views and foreign tables that hold rows."""
    tables = tx.rows(TABLES)
    here = {"oids": [oid for oid, *_ in tables]}
    columns = _grouped(tx.rows(_COLUMNS, here))
    indexes = _grouped(tx.rows(_INDEXES, here))
    links = _grouped(tx.rows(_LINKS, here))
    for oid, schema, name, kind, rows in tables:
        named = [(unique, tuple(names)) for unique, names in indexes[oid] if names]
        yield TableShape(
            schema=schema,
            name=name,
            kind=_KINDS[kind],
            columns=tuple(_column(row) for row in columns[oid]),
            keys=tuple(dict.fromkeys(names for unique, names in named if unique)),
            links=tuple(_link(row) for row in links[oid]),
            indexes=tuple(dict.fromkeys(names for _, names in named)),
            rows=rows,
        )


def large_objects(tx: Transaction) -> bool:
    """Tell whether the database holds large objects: bytes that stand in no table, and that no row takes along."""
    return bool(tx.value("SELECT EXISTS (SELECT FROM pg_largeobject_metadata)"))


def databases_beside(tx: Transaction) -> list[str]:
    """Return the other databases of the server that take connections, templates left out."""
    rows = tx.rows(
        "SELECT datname::text FROM pg_database"
        " WHERE datallowconn AND NOT datistemplate AND datname <> current_database() ORDER BY 1"
    )
    return [name for (name,) in rows]


def _grouped(rows: Sequence[Row]) -> Mapping[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for oid, *rest in rows:
        found[oid].append(tuple(rest))
    return found


def _column(row: Row) -> ColumnShape:
    name, shown, base, kind, array, modifier, not_null, computed = row
    sized = base in _SIZED and modifier >= _HEADER and not array
    family = Family.ENUM if kind == "e" else _FAMILIES.get(base, Family.OTHER)
    return ColumnShape(name, shown, family, array, modifier - _HEADER if sized else None, not_null, computed)


def _link(row: Row) -> Link:
    schema, table, on_delete, columns, references = row
    return Link(tuple(columns), schema, table, tuple(references), _DELETIONS[on_delete])
