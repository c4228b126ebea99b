"""Redacting: parts of rows become empty, or a constant, and nothing else of the row changes.

Rows that are due are locked and read whole, in the transaction that changes them: one that says elsewhere what is to go
is refused. JSON is rewritten here and not by the server, so that the rest of a `json` or text stays byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence

from retentiond.connectors.postgresql.acting import CHANGED_SINCE, KEPT, REPLY_LOST, Acting, Pace, Said
from retentiond.connectors.postgresql.bulk import array_text
from retentiond.connectors.postgresql.catalog import Family
from retentiond.connectors.postgresql.content import assignments, vet_changes
from retentiond.connectors.postgresql.following import Spread
from retentiond.connectors.postgresql.judging import Judge
from retentiond.connectors.postgresql.layout import Layout, Source
from retentiond.connectors.postgresql.session import LOCK_MILLISECONDS, Session, Transaction
from retentiond.connectors.postgresql.vetting import Vetting, shape_of
from retentiond.connectors.redacting import NOTHING_ASKED, traces_of
from retentiond.domain.content import Change, Target, as_uuid, rewritten
from retentiond.domain.plan import Outcome
from retentiond.domain.record import Key
from retentiond.ports.stores import Acted, Order

FIRST_ROWS = 200


class Redacting(Acting):
    """One order to change parts of rows."""

    def __init__(self, session: Session, layout: Layout, order: Order, change: Change, vetting: Vetting) -> None:
        super().__init__(session, layout, order, vetting, Pace(FIRST_ROWS))
        self._what = change
        self._traces: dict[tuple[str, Key], frozenset[str]] = {}
        self._left: dict[tuple[str, Key], str] = {}
        self._looked: tuple[str, str] | None = None

    def run(self) -> Acted:
        """Carry out the order; the texts that went are told in samples, for the look after it."""
        acted = super().run()
        named = ((number, (record.place, record.key)) for number, record in enumerate(self._order.records))
        traces = {number: self._traces[name] for number, name in named if name in self._traces}
        return Acted(acted.outcomes, acted.reasons, traces=traces)

    def _part(self, place: str, indexes: Sequence[int]) -> None:
        source = self._layout.at(place)
        if source is None:
            self._say(indexes, Outcome.REFUSED, f"the data map declares no table {place!r} for it any more")
        else:
            self._all(source, indexes, lock_ms=LOCK_MILLISECONDS)
            self._once_more(source)

    def _danger(self, tx: Transaction) -> str:
        """Return why the tables may not be changed; looked at anew where the catalogue's rows have changed."""
        danger = super()._danger(tx)
        seen = shape_of(tx, self._layout)
        if self._looked is None or self._looked[0] != seen:
            found = vet_changes(tx, self._layout, (self._what,))
            self._looked = (seen, "; ".join(dict.fromkeys(finding.what for finding in found)))
        return danger or self._looked[1]

    def _change(self, tx: Transaction, source: Source, keys: Sequence[Key]) -> set[int]:
        columns, rows = self._due(tx, source, keys)
        traces, refused = traces_of(self._what, columns, list(rows.items()), self._order.pseudonyms)
        self._traces |= {(source.place, keys[n]): found for n, found in traces.items()}
        self._left |= {(source.place, keys[n]): reason for n, reason in refused.items()}
        wanted = sorted(rows.keys() - refused.keys())
        if not wanted:
            return set()
        self._order.fence()
        new = [dict(zip(columns, rows[n], strict=True)) for n in wanted]
        done = self._update(tx, source, [keys[n] for n in wanted], new)
        if done != len(wanted):
            raise Spread(f"the statement would change {done} rows for {len(wanted)} records")
        return set(wanted)

    def _due(
        self, tx: Transaction, source: Source, keys: Sequence[Key]
    ) -> tuple[list[str], dict[int, Sequence[object]]]:
        """Lock and read the rows for which the order's case wins, by their place in the list."""
        judge = Judge(source, self._order.cases)
        located = judge.locate(keys)
        using = f", {located.using}" if located.using else ""
        found = tx.rows(
            f"SELECT {located.place}, {row_sql(source, computed=False)} FROM {source.table.only} AS t{using}"
            f" WHERE {located.where} AND {judge.verdict} = {self._order.case} FOR UPDATE OF t",
            judge.parameters.values,
        )
        numbers = located.numbers(place for place, *_ in found)
        return [column.name for column in source.table.stored], dict(
            zip(numbers, (row[1:] for row in found), strict=True)
        )

    def _update(self, tx: Transaction, source: Source, keys: Sequence[Key], rows: Sequence[dict[str, object]]) -> int:
        judge = Judge(source, self._order.cases)
        batch = judge.batch(keys)
        sets, handed = assignments(source.table, self._what)
        inside = self._what.in_columns()
        beside, same = "", ""
        for number, name in enumerate(handed):
            texts = (self._new(source, inside[name], row[name]) for row in rows)
            array = judge.parameters.bind(array_text(texts))
            beside += f", unnest({array}::text[]) WITH ORDINALITY AS d{number}(v, n)"
            same += f" AND d{number}.n = b.n"
        (count,) = tx.row(
            f"WITH changed AS (UPDATE {source.table.only} AS t SET {sets} FROM {batch}{beside}"
            f" WHERE {judge.matches()}{same} AND {judge.verdict} = {self._order.case} RETURNING 1)"
            " SELECT count(*)::int8 FROM changed",
            judge.parameters.values,
        )
        return int(count)

    def _new(self, source: Source, targets: Sequence[Target], value: object) -> str:
        """Return what takes a value's place; anything where nothing stands there."""
        if not value:
            return ""
        if not targets[0].pseudonym:
            return rewritten(str(value), targets)
        column, found = source.table.column(targets[0].column), self._order.pseudonyms[str(value)]
        return as_uuid(found) if column is not None and column.family is Family.UUID else found

    def _others(
        self,
        tx: Transaction,
        source: Source,
        indexes: Sequence[int],
        keys: Sequence[Key],
        done: set[int],
    ) -> Said:
        """Say what became of the rows that the statement did not touch."""
        rest = [n for n in range(len(keys)) if n not in done]
        some = [keys[n] for n in rest]
        here = Judge(source, self._order.cases, self._what).judge(tx, some)
        others = (each for each in self._layout.sources if each is not source)
        elsewhere = {n for other in others for n in Judge(other, self._order.cases).judge(tx, some)}
        due = {n for n, row in here.items() if row.case == self._order.case}
        gone = {n for n, row in here.items() if row.stands is False} - due
        gone |= set(range(len(rest))) - here.keys() - elsewhere
        doubtful = {n for n in gone if indexes[rest[n]] in self._state.doubtful}
        changed = set(range(len(rest))) - due - gone
        said = [
            *((Outcome.REFUSED, self._left.get((source.place, some[n]), KEPT), {n}) for n in due),
            (Outcome.CHANGED, CHANGED_SINCE, changed),
            (Outcome.ALREADY_GONE, "", gone - doubtful),
            (Outcome.UNKNOWN, REPLY_LOST, doubtful),
        ]
        return [(outcome, reason, [indexes[rest[n]] for n in sorted(some)]) for outcome, reason, some in said]


def act(session: Session, layout: Layout, order: Order, vetting: Vetting) -> Acted:
    """Carry out an order to redact; one that does not say what is refused."""
    if order.change is None:
        everything = range(len(order.records))
        return Acted(tuple(Outcome.REFUSED for _ in everything), dict.fromkeys(everything, NOTHING_ASKED))
    return Redacting(session, layout, order, order.change, vetting).run()


def row_sql(source: Source, *, computed: bool) -> str:
    """Return the columns of row `t`, all or the stored ones, as they are searched: bytes as they are, else text."""
    columns = source.table.columns if computed else source.table.stored
    return ", ".join(each.of if each.family is Family.BYTES else f"{each.of}::text" for each in columns)
