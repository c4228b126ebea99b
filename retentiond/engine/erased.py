"""Whose erasure was carried out: the ledger has only commitments, so each person that a store names is committed to.

As `engine.closed` for accounts that are closed: a pass over a dataset asks about each distinct person once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from retentiond.domain.condition import ALWAYS, USER, Missing, Not
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import OTHERS, Case, Cases, Disposition
from retentiond.domain.erasure import ErasureState, Person, persons_in
from retentiond.domain.record import micros
from retentiond.engine.context import Context
from retentiond.engine.erasures import person_commitments
from retentiond.engine.retractions import retractions_in
from retentiond.engine.scratch import Scratch
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ErasureRow

_SCHEMA = """
CREATE TABLE erased (commitment TEXT PRIMARY KEY, ended INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE seen (person TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE back (person TEXT PRIMARY KEY, ended INTEGER NOT NULL) WITHOUT ROWID;
"""
_ERASED = "INSERT INTO erased VALUES (?, ?) ON CONFLICT (commitment) DO UPDATE SET ended = max(ended, excluded.ended)"
_BACK = "INSERT INTO back VALUES (?, ?) ON CONFLICT (person) DO UPDATE SET ended = max(ended, excluded.ended)"


class Erased(Scratch):
    """People whose requests were carried out, by their commitments, and which of them were seen.

    Attributes:
        count: How many requests there are to look for.
    """

    def __init__(self, ctx: Context) -> None:
        super().__init__(_SCHEMA)
        self._ctx = ctx
        with ctx.ledger.begin() as tx:
            rows = [row for row in tx.erasures.in_state(ErasureState.DONE) if _stands(tx, row)]
        self._write(_ERASED, [(row.commitment, micros(row.ended_at)) for row in rows if row.ended_at])
        self.count = len(rows)

    def look_through(self, dataset: Dataset) -> None:
        """Look for such people in a dataset.

        Raises:
            ConnectorError: It could not be read completely.
        """
        if not self.count or not dataset.has_owner or dataset.follows:
            return
        cases = _told() if dataset.tells_users else Cases((Case(Disposition.PURGE, ALWAYS, OTHERS),))
        for window in self._ctx.connector(dataset).scan(dataset, cases, frozenset((0,))):
            self._see(person for found in window.found for person in persons_in(found.record))

    def _see(self, persons: Iterable[Person]) -> None:
        with self._transaction() as db:
            for person in dict.fromkeys(persons):
                if db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (person.text,)).rowcount:
                    self._match(person.text, person_commitments(self._ctx, person))

    def _match(self, text: str, commitments: Sequence[str]) -> None:
        for commitment in commitments:
            for (ended,) in self._db.execute("SELECT ended FROM erased WHERE commitment = ?", (commitment,)):
                self._db.execute(_BACK, (text, ended))

    def back(self, most: int) -> Iterator[dict[str, int]]:
        """Give the people that were seen, as `Person.text`, each with the end of the request; so many in a piece."""
        rows = self._db.execute("SELECT person, ended FROM back ORDER BY ended, person").fetchall()
        for start in range(0, len(rows), most):
            yield dict(rows[start : start + most])


def erased_among(ctx: Context, persons: Iterable[Person]) -> Mapping[str, int]:
    """Return whose requests were carried out of these people, each with its end, microseconds since the epoch."""
    found: dict[str, int] = {}
    for person in dict.fromkeys(persons):
        with ctx.ledger.begin() as tx:
            rows = [row for row in tx.erasures.of_person(*person_commitments(ctx, person)) if _stands(tx, row)]
        ends = [micros(row.ended_at) for row in rows if row.state is ErasureState.DONE and row.ended_at]
        if ends:
            found[person.text] = max(ends)
    return found


def _stands(tx: Transaction, row: ErasureRow) -> bool:
    """Tell whether a request's receipt was not taken back."""
    receipt = tx.receipts.get(row.receipt) if row.receipt else None
    return receipt is None or receipt.log_index not in retractions_in(tx)


def _told() -> Cases:
    """Return cases that have each record's users read."""
    return Cases(
        (
            Case(Disposition.PURGE, Not(Missing(USER)), OTHERS),
            Case(Disposition.KEEP, ALWAYS, OTHERS),
        )
    )
