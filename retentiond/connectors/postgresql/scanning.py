"""Reading a dataset: all of it in windows, the objects that its rows name, and single records by their key.

A window is a range of an index: from where the last one ended to the n-th row from there, in the order of the clock
and then the key, where an index begins with the clock, else of the key alone. Rows whose clock is NULL come last. A
window's end is looked up first, so the window itself needs no sorting; each window is a transaction of its own. Where a
window held nothing that is wanted, the next ones are larger and only counted, until a count says that there is
something after all: then the same rows are looked at again, and handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from retentiond.connectors.postgresql.catalog import Column, lacking_index
from retentiond.connectors.postgresql.failures import explained
from retentiond.connectors.postgresql.fields import Kind
from retentiond.connectors.postgresql.judging import Judge
from retentiond.connectors.postgresql.keys import typed_keys
from retentiond.connectors.postgresql.layout import Layout, Source
from retentiond.connectors.postgresql.names import quoted
from retentiond.connectors.postgresql.session import Session, Transaction
from retentiond.domain.condition import ACCOUNT, NAMED
from retentiond.domain.decision import Cases
from retentiond.domain.record import Record
from retentiond.domain.records import Records
from retentiond.errors import ConnectorError
from retentiond.ports.stores import UNNAMEABLE, Grouped, Window

Edge = tuple[str, ...]
"""Values of the first of a walk's columns: of all, or of the clock alone, which stands for all rows with that clock."""
_GROWTH, _MOST_COUNTED = 5, 500_000  # rows that are counted together hold a snapshot for half a second


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk through rows in the order of an index.

    Attributes:
        where: Which rows; empty for all.
        columns: The order; together unique.
    """

    where: str
    columns: tuple[Column, ...]

    def range(self, judge: Judge, after: Edge | None, until: Edge | None) -> str:
        """Return the condition of the rows between two edges, the first left out, the second taken in."""
        parts = [self.where] if self.where else []
        for edge, beyond, first in ((after, ">", ">="), (until, "<=", "<=")):
            if edge is not None:
                parts.append(self._beside(judge, edge, beyond, first))
        return " AND ".join(parts) or "TRUE"

    def _beside(self, judge: Judge, edge: Edge, beyond: str, first: str) -> str:
        values = [
            f"{judge.parameters.bind(value)}::{column.order_type}"
            for value, column in zip(edge, self.columns, strict=False)
        ]
        if len(edge) < len(self.columns):
            return f"{self.columns[0].ordered} {beyond} {values[0]}"
        whole = f"({self.order}) {beyond} ({', '.join(values)})"
        # The first column by itself lets an index serve that has only this one.
        return f"{self.columns[0].ordered} {first} {values[0]} AND {whole}" if len(values) > 1 else whole

    @property
    def order(self) -> str:
        """The columns, as they stand behind ORDER BY."""
        return ", ".join(column.ordered for column in self.columns)

    def end(self, tx: Transaction, source: Source, after: Edge | None, size: int) -> Edge | None:
        """Return where a window of so many rows ends, or of up to twice as many; None where fewer are left."""
        if len(self.columns) > 1:
            clock, is_apart = self._next_clock(tx, source, after, size)
            if is_apart:
                return (clock,) if clock is not None else None
        return self._exact_end(tx, source, after, size)

    def _next_clock(self, tx: Transaction, source: Source, after: Edge | None, size: int) -> tuple[str | None, bool]:
        """Return the clock of the n-th row, and whether rows with this clock end before the 2n-th.

        The index alone answers this, where the key of the n-th row must be looked up in the table and sorted.
        """
        judge, clock = Judge(source, None), self.columns[0].ordered
        rows = f"SELECT {clock} FROM {source.table.only} AS t WHERE {self.range(judge, after, None)} ORDER BY {clock}"
        nth = ", ".join(
            f"({rows} OFFSET {number} LIMIT 1) AS {name}" for number, name in ((size - 1, "a"), (2 * size - 1, "b"))
        )
        found, is_apart = tx.row(
            f"SELECT e.a::text, e.b IS NULL OR e.a < e.b FROM (SELECT {nth}) AS e", judge.parameters.values
        )
        return found, is_apart

    def _exact_end(self, tx: Transaction, source: Source, after: Edge | None, size: int) -> Edge | None:
        judge = Judge(source, None)
        condition = self.range(judge, after, None)
        texts = ", ".join(f"{column.ordered}::text" for column in self.columns)
        rows = tx.rows(
            f"SELECT {texts} FROM {source.table.only} AS t WHERE {condition}"
            f" ORDER BY {self.order} OFFSET {size - 1} LIMIT 1",
            judge.parameters.values,
        )
        return tuple(rows[0]) if rows else None


def walks(tx: Transaction, source: Source) -> Iterator[Walk]:
    """Yield the walks that together see each row once."""
    clock = source.table.column(source.dataset.clock.column)
    if clock is None or lacking_index(tx, source.table.oid, [clock.name]):
        yield Walk("", source.order)
        return
    rest = tuple(column for column in source.order if column != clock)
    yield Walk("" if clock.not_null else f"{clock.of} IS NOT NULL", (clock, *rest))
    if not clock.not_null:
        yield Walk(f"{clock.of} IS NULL", source.order)


def windows(session: Session, source: Source, cases: Cases, wanted: frozenset[int], size: int) -> Iterator[Window]:
    """Yield everything in one table, judged, `size` rows at a time or some more; no lock is held in between."""
    stride = _Stride(size)

    def look(tx: Transaction, judge: Judge, rows: str) -> Window | None:
        if stride.rows > size:
            tallies = judge.count(tx, f"{rows}{source.mine}")
            if not wanted.isdisjoint(tallies):
                stride.fall_back(size)
                return None
            found: list[tuple[int, Records]] = []
        else:
            found, tallies = judge.examine(tx, rows, sorted(wanted))
        stride.go_on(size, sum(tally.count for tally in tallies.values()), is_empty=not found)
        return Window(Grouped(found), tallies)

    yield from _steps(session, source, cases, stride, look)


def owners(session: Session, source: Source, size: int) -> Iterator[Sequence[str]]:
    """Yield the owners of `size` rows at a time, each once; of rows of which not all can be read, those that can."""
    known = [source.fields[name] for name in (ACCOUNT, NAMED) if name in source.fields]
    texts = " UNION ALL ".join(
        f"SELECT unnest({field.sql}) AS said" if field.kind is Kind.TEXTS else f"SELECT {field.sql} AS said"
        for field in known
    )

    def name_owners(tx: Transaction, judge: Judge, rows: str) -> Sequence[str]:
        own = f"(SELECT t.* FROM {rows}{source.mine}) AS t"
        names = tx.value(
            f'SELECT array_agg(DISTINCT o.said COLLATE "C") FROM {own} CROSS JOIN LATERAL ({texts}) AS o'
            f" WHERE o.said IS NOT NULL",
            judge.parameters.values,
        )
        return names or ()

    if known:
        yield from _steps(session, source, None, _Stride(size), name_owners)


def references(session: Session, source: Source, column: str, size: int) -> Iterator[Sequence[str]]:
    """Yield what each row of a table names in its `blobs` column."""
    name = f"t.{quoted(column)}::text"

    def name_objects(tx: Transaction, judge: Judge, rows: str) -> Sequence[str]:
        own = f"{rows} AND {name} <> ''{source.mine}"
        names = tx.value(f"SELECT array_agg({name}) FROM {own}", judge.parameters.values)
        return names or ()

    for names in _steps(session, source, None, _Stride(size), name_objects):
        yield from ((each,) for each in names)


_Seen = TypeVar("_Seen")


@dataclass(slots=True)
class _Stride:
    """How many rows the next window of a walk has, or somewhat more.

    Attributes:
        ahead: How many rows are to be handed out in small windows first, since they were counted in vain.
    """

    rows: int
    ahead: int = 0

    def fall_back(self, size: int) -> None:
        """Go back to small windows, up to where the large one would have ended: no row is counted a third time."""
        self.rows, self.ahead = size, self.rows

    def go_on(self, size: int, seen: int, *, is_empty: bool) -> None:
        """Let the next window be larger where the last one held nothing that is wanted."""
        self.ahead -= seen
        grows = is_empty and self.ahead <= 0
        self.rows = min(self.rows * _GROWTH, max(size, _MOST_COUNTED)) if grows else size


def _steps(
    session: Session,
    source: Source,
    cases: Cases | None,
    stride: _Stride,
    look: Callable[[Transaction, Judge, str], _Seen | None],
) -> Iterator[_Seen]:
    """Look at each window of a table in a transaction of its own, ended before the next one is asked for.

    Args:
        look: Returns None where the same rows are to be looked at again, in smaller windows.
    """
    name = source.dataset.name
    with explained(name), session.reading() as tx:
        steps = list(walks(tx, source))
    for walk in steps:
        after: Edge | None = None
        while True:
            with explained(name), session.reading() as tx:
                until = walk.end(tx, source, after, stride.rows)
                judge = Judge(source, cases)
                seen = look(tx, judge, f"{source.table.only} AS t WHERE {walk.range(judge, after, until)}")
            if seen is None:
                continue
            yield seen
            if until is None:
                break
            after = until


def find(session: Session, layout: Layout, typed: str) -> Sequence[Record]:
    """Return the records of a key as an operator types it, from the quarantine too.

    Raises:
        UsageError: The key has several columns, and this is no JSON array of as many.
        ConnectorError: A row has the key, and a tombstone that cannot be read.
    """
    keys = typed_keys(typed, layout.dataset, layout.live.key)
    if not keys:
        return []
    found: list[Record] = []
    name = layout.dataset.name
    with explained(name), session.reading() as tx:
        for source in layout.sources:
            judge = Judge(source, None)
            rows = f"{judge.batch(keys)} JOIN {source.table.only} AS t ON {judge.matches()} WHERE TRUE"
            records, tallies = judge.examine(tx, rows, [0])
            if UNNAMEABLE in tallies:
                raise ConnectorError(
                    f"a row of {source.table.title!r} has a tombstone that cannot be read",
                    where=name,
                    remedy="correct that row; until then it is kept, and counted as undetermined",
                )
            found.extend(record for _, some in records for record in some)
    return found
