"""Which tables name rows of which others, as the database's foreign keys have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retentiond.connectors.postgresql.catalog import find_tables
from retentiond.connectors.postgresql.session import Transaction
from retentiond.domain.dataset import Dataset
from retentiond.ports.stores import ForeignKey

# A key that only some partitions have is theirs; one that all have from their parent is told once, of the parent.
_KEYS = """
SELECT DISTINCT child.oid::int8, child.title, parent.oid::int8, parent.title, c.oid::int8, (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM unnest(c.conkey) WITH ORDINALITY AS k(number, place)
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number
), (
    SELECT array_agg(a.attname::text ORDER BY k.place)
    FROM unnest(c.confkey) WITH ORDINALITY AS k(number, place)
    JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.number
)
FROM pg_constraint AS c
CROSS JOIN LATERAL (
    SELECT t.oid, n.nspname::text || '.' || t.relname::text FROM pg_class AS t
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE t.oid = coalesce(pg_partition_root(c.conrelid::regclass)::oid, c.conrelid)
) AS child(oid, title)
CROSS JOIN LATERAL (
    SELECT t.oid, n.nspname::text || '.' || t.relname::text FROM pg_class AS t
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE t.oid = coalesce(pg_partition_root(c.confrelid::regclass)::oid, c.confrelid)
) AS parent(oid, title)
WHERE c.contype = 'f' AND c.conparentid = 0 AND parent.oid = ANY(%(tables)s::oid[])
ORDER BY 4, 2, 5
"""


def foreign_keys(tx: Transaction, datasets: Sequence[Dataset]) -> Iterator[ForeignKey]:
    """Yield the foreign keys that lead to tables of the datasets; quarantine tables count as their dataset's."""
    owners: dict[int, str] = {}
    for dataset in datasets:
        written = [(dataset.table, dataset.schema)]
        if dataset.tombstone and dataset.tombstone.table:
            written.append((dataset.tombstone.table, dataset.tombstone.schema))
        for oid in (oid for each in written for oid, *_ in find_tables(tx, *each)):
            owners.setdefault(oid, dataset.name)
    for oid, child, to, parent, _, mine, theirs in tx.rows(_KEYS, {"tables": list(owners)}):
        pairs = tuple(sorted(zip(mine, theirs, strict=True)))
        yield ForeignKey(owners.get(oid, ""), owners[to], child, parent, pairs)
