"""The look at a table inside the transaction that changes it: whatever came since the survey stops the chunk.

The table is locked against changes of its shape first (ROW EXCLUSIVE, as any DELETE takes it), so nothing can come
between the look and the statement. The look is taken anew only when the catalogue's rows have changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from retentiond.connectors.postgresql.dangers import dangers
from retentiond.connectors.postgresql.layout import Layout, inspect, lay_out
from retentiond.connectors.postgresql.session import Transaction
from retentiond.domain.dataset import Dataset

RESHAPED = "the table's shape changed since it was last looked at"

_FINGERPRINT = """
SELECT md5(string_agg(part, ',' ORDER BY part)) FROM (
    SELECT 'class ' || oid || ' ' || xmin FROM pg_class WHERE oid = ANY(%(tree)s::oid[])
  UNION ALL
    SELECT 'column ' || attrelid || '.' || attnum || ' ' || xmin FROM pg_attribute
    WHERE attrelid = ANY(%(tree)s::oid[]) AND attnum > 0
  UNION ALL
    SELECT 'trigger ' || oid || ' ' || xmin FROM pg_trigger WHERE tgrelid = ANY(%(tree)s::oid[])
  UNION ALL
    SELECT 'function ' || p.oid || ' ' || p.xmin FROM pg_proc AS p JOIN pg_trigger AS t ON t.tgfoid = p.oid
    WHERE t.tgrelid = ANY(%(tree)s::oid[]) AND NOT t.tgisinternal
  UNION ALL
    SELECT 'rule ' || oid || ' ' || xmin FROM pg_rewrite WHERE ev_class = ANY(%(tree)s::oid[])
  UNION ALL
    SELECT 'constraint ' || oid || ' ' || xmin FROM pg_constraint
    WHERE confrelid = ANY(%(tree)s::oid[]) OR conrelid = ANY(%(tree)s::oid[])
  UNION ALL
    SELECT 'index ' || indexrelid || ' ' || xmin FROM pg_index WHERE indrelid = ANY(%(tree)s::oid[])
  UNION ALL
    SELECT 'child ' || inhrelid || ' ' || xmin FROM pg_inherits WHERE inhparent = ANY(%(tree)s::oid[])
) AS parts(part)
"""


@dataclass(frozen=True, slots=True)
class _Seen:
    fingerprint: str
    layout: Layout
    danger: str | None = None


class Vetting:
    """What was last seen of each dataset's tables through one connection."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def layout(self, tx: Transaction, dataset: Dataset) -> Layout:
        """Return a dataset's tables; read anew only where the catalogue's rows have changed.

        Raises:
            DatasetRefused: A table or a column is not there, or not of the kind that can be worked on.
        """
        seen = self._seen.get(dataset.name)
        if seen is not None and seen.layout.dataset == dataset and shape_of(tx, seen.layout) == seen.fingerprint:
            return seen.layout
        layout = lay_out(tx, dataset)
        self._seen[dataset.name] = _Seen(shape_of(tx, layout), layout)
        return layout

    def still(self, tx: Transaction, layout: Layout) -> bool:
        """Tell whether the catalogue says what it said when a dataset's tables were last looked at."""
        seen = self._seen.get(layout.dataset.name)
        return seen is not None and seen.fingerprint == shape_of(tx, layout)

    def danger(self, tx: Transaction, layout: Layout) -> str:
        """Return why a dataset's tables may not be changed; empty when they may. Locks their shape."""
        for source in layout.sources:
            tx.run(f"LOCK TABLE {source.table.only} IN ROW EXCLUSIVE MODE")
        fingerprint = shape_of(tx, layout)
        seen = self._seen.get(layout.dataset.name)
        if seen is None or seen.danger is None or (seen.layout, seen.fingerprint) != (layout, fingerprint):
            seen = _Seen(fingerprint, layout, _look(tx, layout))
            self._seen[layout.dataset.name] = seen
        return seen.danger or ""


def shape_of(tx: Transaction, layout: Layout) -> str:
    """Return what changes whenever the shape of a dataset's tables does, or what reacts to changes of their rows."""
    relations = layout.live.relations
    tables = [*(source.table for source in layout.sources), *relations.tables, *(each for each, _ in relations.cleared)]
    tree = sorted({oid for table in tables for oid in table.tree})
    return str(tx.value(_FINGERPRINT, {"tree": tree}))


def _look(tx: Transaction, layout: Layout) -> str:
    fresh, problems = inspect(tx, layout.dataset)
    if fresh is None:
        return "; ".join(finding.what for finding in problems)
    return RESHAPED if fresh != layout else "; ".join(finding.what for finding in dangers(tx, layout))
