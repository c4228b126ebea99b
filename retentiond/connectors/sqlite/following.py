"""Rows that SQLite itself changes when others go: those of the same table, and columns that the data map lets it empty.

Both are looked for before the statement, under the lock that keeps every other writer out.
"""

from __future__ import annotations

from retentiond.connectors.sqlite.database import Database, quoted
from retentiond.connectors.sqlite.judging import Judge
from retentiond.connectors.sqlite.layout import Source
from retentiond.connectors.sqlite.schema import Child, children


def pairs_of(child: Child) -> tuple[tuple[str, str], ...]:
    """Return pairs of a column of a child and the column that it refers to."""
    return tuple(zip(child.columns, child.referred, strict=False))


def is_cleared(source: Source, child: Child) -> bool:
    """Whether the data map says that the database may empty a foreign key's column."""
    named = {(each.table.removeprefix("main.").lower(), each.column.lower()) for each in source.dataset.clears}
    return len(child.columns) == 1 and (child.table.lower(), child.columns[0].lower()) in named


def leave_stuck(db: Database, source: Source, judge: Judge, case: int) -> set[int]:
    """Take rows of the batch to which rows of their table refer that do not go with them from those the case won for.

    Returns:
        Their places in the batch.
    """
    own = _own(db, source)
    held: set[int] = set()
    while own:
        left = " OR ".join(f"EXISTS (SELECT 1 {_stays(source, judge, child, case)})" for child in own)
        rows = db.rows(
            f"SELECT j.n FROM temp.judged AS j CROSS JOIN {source.table.sql} AS t ON {judge.matches('j')}"
            f" WHERE j.c = {case} AND ({left})"
        )
        if not rows:
            break
        judge.leave({number for (number,) in rows})
        held |= {number for (number,) in rows}
    return held


def _stays(source: Source, judge: Judge, child: Child, case: int) -> str:
    return f"FROM {source.table.sql} AS c WHERE {_refers(child)} AND NOT ({judge.addressed(case, 'c')})"


def remove(db: Database, source: Source, judge: Judge, case: int) -> int:
    """Remove the rows that the case won for; return how many rows changed, less the columns that may become empty.

    SQLite looks at RESTRICT and SET NULL row by row, in an order of its own: rows that others of their table refer to
    go after these, in one transaction.
    """
    further = _emptied(db, source, judge, case)
    delete = f"DELETE FROM {source.table.sql} AS t WHERE {judge.addressed(case, 't')}"
    own = [child for child in _own(db, source) if child.on_delete not in _AT_THE_END]
    left = " OR ".join(f"EXISTS (SELECT 1 FROM {source.table.sql} AS c WHERE {_refers(each)})" for each in own)
    changed = layer = db.run(f"{delete} AND NOT ({left})" if own else delete)
    while own and layer:
        layer = db.run(f"{delete} AND NOT ({left})")
        changed += layer
    return changed - further


_AT_THE_END = frozenset(("NO ACTION", "CASCADE"))


def _own(db: Database, source: Source) -> list[Child]:
    return [child for child in children(db, source.table) if child.table.lower() == source.table.name.lower()]


def _refers(child: Child) -> str:
    return " AND ".join(f"c.{quoted(mine)} = +t.{quoted(theirs)}" for mine, theirs in pairs_of(child))


def _emptied(db: Database, source: Source, judge: Judge, case: int) -> int:
    """Return how many columns of other tables the database empties when the rows go that the case won for."""
    emptied = 0
    for child in children(db, source.table):
        if child.on_delete == "SET NULL" and is_cleared(source, child):
            ((mine, theirs),) = pairs_of(child)
            there = f"SELECT t.{quoted(theirs)} FROM {source.table.sql} AS t WHERE {judge.addressed(case, 't')}"
            rows = f"SELECT COUNT(*) FROM main.{quoted(child.table)} AS c WHERE c.{quoted(mine)} IN ({there})"
            emptied += int(str(db.value(rows)))
    return emptied
