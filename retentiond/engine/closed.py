"""Whose account is closed: the ledger has only commitments, so each owner that a store names is committed to.

A pass over a dataset asks about each distinct owner once; owners and commitments lie in a scratch database meanwhile,
so that memory stays flat however many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Cases, named_cases
from retentiond.domain.plan import Part
from retentiond.domain.record import Record, micros
from retentiond.domain.replay import replay_cases
from retentiond.engine.accounts import account_commitments
from retentiond.engine.context import Context
from retentiond.engine.scratch import Scratch
from retentiond.ports.rows import PlanRow
from retentiond.ports.stores import Owning

ENDS = 200  # ends of closures that one plan asks about: its statements name each
_AT_ONCE = 500
_SCHEMA = """
CREATE TABLE closed (commitment TEXT PRIMARY KEY, ended INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE seen (owner BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE back (owner BLOB PRIMARY KEY, ended INTEGER NOT NULL) WITHOUT ROWID;
"""
_CLOSED = "INSERT INTO closed VALUES (?, ?) ON CONFLICT (commitment) DO UPDATE SET ended = max(ended, excluded.ended)"
_BACK = "INSERT INTO back VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET ended = max(ended, excluded.ended)"


class Closed(Scratch):
    """Closed accounts by their commitments, and which of them were seen.

    Attributes:
        count: How many closures there are to look for.
    """

    def __init__(self, ctx: Context) -> None:
        super().__init__(_SCHEMA)
        self._ctx = ctx
        self.count = 0
        after = 0
        while True:
            with ctx.ledger.begin() as tx:
                rows = tx.closures.closed(after, _AT_ONCE)
            self._write(_CLOSED, [(row.commitment, micros(row.ended_at)) for row in rows])
            self.count += len(rows)
            if len(rows) < _AT_ONCE:
                return
            after = rows[-1].sequence

    def look_through(self, dataset: Dataset, windows: int | None = None) -> bool:
        """Look for closed accounts among the owners of a dataset; return whether that were all.

        Args:
            windows: As many pieces of it are looked through at most; None for all.

        Raises:
            ConnectorError: It could not be read completely.
        """
        if self.count and dataset.has_owner:
            for number, owners in enumerate(owners_of(self._ctx, dataset)):
                if number == windows:
                    return False
                self._see(owners)
        return True

    def _see(self, owners: Iterable[str]) -> None:
        with self._transaction() as db:
            for owner in dict.fromkeys(owners):
                name = owner.encode(errors="surrogatepass")
                if db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (name,)).rowcount:
                    self._match(name, account_commitments(self._ctx, owner))

    def _match(self, name: bytes, commitments: Sequence[str]) -> None:
        for commitment in commitments:
            for (ended,) in self._db.execute("SELECT ended FROM closed WHERE commitment = ?", (commitment,)):
                self._db.execute(_BACK, (name, ended))

    def back(self, ends: int) -> Iterator[dict[str, int]]:
        """Give the accounts that were seen, each with the end of its closure; in each piece at most so many ends."""
        times = [ended for (ended,) in self._db.execute("SELECT DISTINCT ended FROM back ORDER BY ended")]
        for start in range(0, len(times), ends):
            some = times[start : start + ends]
            rows = self._db.execute("SELECT owner, ended FROM back WHERE ended BETWEEN ? AND ?", (some[0], some[-1]))
            yield {bytes(owner).decode(errors="surrogatepass"): ended for owner, ended in rows}

    @property
    def seen_back(self) -> int:
        """How many closed accounts were seen."""
        (count,) = self._db.execute("SELECT COUNT(*) FROM back").fetchone()
        return int(count)


def owners_of(ctx: Context, dataset: Dataset) -> Iterator[Collection[str]]:
    """Yield each owner that a record of a dataset has, at least once; also of those of which not all can be read."""
    connector = ctx.connector(dataset)
    if isinstance(connector, Owning):
        yield from connector.owners(dataset)
        return
    for window in connector.scan(dataset, named_cases(), frozenset((0,))):
        yield {owner for found in window.found for owner in found.record.accounts or found.record.ties.named}


def closed_among(ctx: Context, owners: Iterable[str]) -> Mapping[str, int]:
    """Return which of these accounts are closed, each with the end of its closure, microseconds since the epoch."""
    names = {each: owner for owner in dict.fromkeys(owners) for each in account_commitments(ctx, owner)}
    asked, found = list(names), dict[str, int]()
    for start in range(0, len(asked), _AT_ONCE):
        with ctx.ledger.begin() as tx:
            rows = tx.closures.closed_of(asked[start : start + _AT_ONCE])
        for row in rows:
            owner = names[row.commitment]
            found[owner] = max(micros(row.ended_at), found.get(owner, 0))
    return found


def cases_of_replay(ctx: Context, plan: PlanRow, part: Part, records: Iterable[Record]) -> Cases:
    """Return the cases of a part of a replay for some records: whose accounts are closed is asked once more."""
    closed = closed_among(ctx, (owner for record in records for owner in record.accounts))
    dataset = ctx.datamap.datasets[part.dataset]
    return replay_cases(closed, dataset, plan.reference_time, ctx.policies.of_class(dataset.data_class))
