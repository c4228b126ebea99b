"""Who is closed or erased: the ledger has only commitments, so each owner that a store names is committed to.

A pass over a dataset asks about each distinct owner once; owners and commitments lie in a scratch database meanwhile,
so that memory stays flat however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from retentiond.domain.account import Leaver
from retentiond.domain.condition import ACCOUNT, ALWAYS, USER, And, AnyOf, Missing, Not
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Case, Cases, Disposition, named_cases
from retentiond.domain.erasure import Person
from retentiond.domain.plan import Part
from retentiond.domain.record import Record, micros
from retentiond.domain.replay import replay_cases
from retentiond.engine.accounts import account_commitments
from retentiond.engine.context import Context
from retentiond.engine.scratch import Scratch
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ClosedRow, ErasedRow, PlanRow
from retentiond.ports.stores import Owning

ENDS = 200  # ends of closures that one plan asks about: its statements name each
_AT_ONCE = 500
_ERASURE = "erasure"  # the label under which people are remembered whose data was erased
_SCHEMA = """
CREATE TABLE closed (commitment TEXT PRIMARY KEY, ended INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE erased (commitment TEXT PRIMARY KEY, ended INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE erased_in (commitment TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE seen (account BLOB, user BLOB, PRIMARY KEY (account, user)) WITHOUT ROWID;
CREATE TABLE suspects (account BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE piece (account BLOB, user BLOB, PRIMARY KEY (account, user)) WITHOUT ROWID;
CREATE TABLE made (commitment TEXT PRIMARY KEY, account BLOB, user BLOB) WITHOUT ROWID;
CREATE TABLE back (account BLOB, user BLOB, ended INTEGER NOT NULL, PRIMARY KEY (account, user)) WITHOUT ROWID;
"""
_ENDED = "INSERT INTO {} VALUES (?, ?) ON CONFLICT (commitment) DO UPDATE SET ended = max(ended, excluded.ended)"
_FOUND = "SELECT made.account, made.user, known.ended FROM made JOIN {} AS known USING (commitment)"
_BACK = "INSERT INTO back VALUES (?, ?, ?) ON CONFLICT (account, user) DO UPDATE SET ended = max(ended, excluded.ended)"


class Closed(Scratch):
    """Closed accounts and erased people by their commitments, and which of them were seen.

    Attributes:
        count: How many closures there are to look for.
        erasures: How many requests for erasure.
    """

    def __init__(self, ctx: Context) -> None:
        super().__init__(_SCHEMA)
        self._ctx = ctx
        self.count = self.erasures = 0
        for closures in _pages(ctx, lambda tx, after: tx.closures.closed(after, _AT_ONCE)):
            self._write(_ENDED.format("closed"), [(row.commitment, micros(row.ended_at)) for row in closures])
            self.count += len(closures)
        for erasures in _pages(ctx, lambda tx, after: tx.erasures.erased(after, _AT_ONCE)):
            self._write(_ENDED.format("erased"), [(row.commitment, micros(row.ended_at)) for row in erasures])
            self._write("INSERT OR IGNORE INTO erased_in VALUES (?)", [(row.of_account,) for row in erasures])
            self.erasures += len(erasures)

    def look_through(self, dataset: Dataset, windows: int | None = None) -> bool:
        """Look for closed accounts among the owners of a dataset; return whether that were all.

        Args:
            windows: As many pieces of it are looked through at most; None for all.

        Raises:
            ConnectorError: It could not be read completely.
        """
        if (self.count or self.erasures) and dataset.has_owner:
            for number, owners in enumerate(owners_of(self._ctx, dataset)):
                if number == windows:
                    return False
                self._see(owners)
        return True

    def look_for_users(self, dataset: Dataset, windows: int | None = None) -> None:
        """Look for erased users among those of the accounts in which some were erased, as far as these were seen.

        Args:
            windows: As `look_through`.

        Raises:
            ConnectorError: It could not be read completely.
        """
        suspects = {_read(account) for (account,) in self._db.execute("SELECT account FROM suspects")}
        if not suspects or not dataset.tells_users:
            return
        asked = And((AnyOf(ACCOUNT, tuple(sorted(suspects))), Not(Missing(USER))))
        cases = Cases((Case(Disposition.UNDETERMINED, asked, "suspect"), Case(Disposition.KEEP, ALWAYS, "others")))
        for window in islice(self._ctx.connector(dataset).scan(dataset, cases, frozenset((0,))), windows):
            people = {person for record, _ in window.found for person in _people(record) if person.user}
            with self._transaction():
                self._match(self._new([person for person in people if person.account in suspects]))

    def _see(self, owners: Iterable[str]) -> None:
        """Compare accounts that were not seen before: some statements for all of them, as there may be millions."""
        with self._transaction():
            new = self._new([Person(owner) for owner in owners])
            made = ((each, who) for who in new for each in account_commitments(self._ctx, who.account))
            self._ask([(each, *_written(who)) for each, who in made], "closed")
            suspects = "SELECT made.account FROM made JOIN erased_in USING (commitment)"
            self._db.execute(f"INSERT OR IGNORE INTO suspects {suspects}")
            found = {_read(account) for (account,) in self._db.execute(suspects)}
            self._match([who for who in new if who.account in found])

    def _new(self, people: Sequence[Person]) -> list[Person]:
        """Return those who were not seen before, and take them for seen."""
        self._db.execute("DELETE FROM piece")
        self._db.executemany("INSERT OR IGNORE INTO piece VALUES (?, ?)", map(_written, people))
        rows = self._db.execute("SELECT * FROM piece EXCEPT SELECT * FROM seen").fetchall()
        self._db.executemany("INSERT INTO seen VALUES (?, ?)", rows)
        return [Person(_read(account), _read(user)) for account, user in rows]

    def _match(self, people: Iterable[Person]) -> None:
        """Compare people with those whose data was erased."""
        commit = self._ctx.replay.commitments
        self._ask([(each, *_written(who)) for who in people for each in commit(_ERASURE, who.text)], "erased")

    def _ask(self, commitments: Iterable[tuple[str, bytes, bytes]], among: str) -> None:
        """Take whose commitments are in a table for people that are back."""
        self._db.execute("DELETE FROM made")
        self._db.executemany("INSERT OR IGNORE INTO made VALUES (?, ?, ?)", commitments)
        for each in self._db.execute(_FOUND.format(among)).fetchall():
            self._db.execute(_BACK, each)

    def back(self, ends: int) -> Iterator[dict[Person, int]]:
        """Give whom was seen, each with the end of the closure or request; in each piece at most so many ends."""
        times = [ended for (ended,) in self._db.execute("SELECT DISTINCT ended FROM back ORDER BY ended")]
        for start in range(0, len(times), ends):
            some = times[start : start + ends]
            rows = self._db.execute("SELECT * FROM back WHERE ended BETWEEN ? AND ?", (some[0], some[-1]))
            yield {Person(_read(account), _read(user)): ended for account, user, ended in rows}

    def seen_back(self, *, users: bool) -> int:
        """Return how many closed accounts were seen, or how many erased users."""
        (count,) = self._db.execute("SELECT COUNT(*) FROM back WHERE (length(user) > 0) = ?", (users,)).fetchone()
        return int(count)


_Row = TypeVar("_Row", ClosedRow, ErasedRow)


def _pages(ctx: Context, ask: Callable[[Transaction, int], Sequence[_Row]]) -> Iterator[Sequence[_Row]]:
    """Give rows that have a number, some hundred at a time, each in a transaction of its own."""
    after = 0
    while True:
        with ctx.ledger.begin() as tx:
            rows = ask(tx, after)
        if rows:
            yield rows
            after = rows[-1].sequence
        if len(rows) < _AT_ONCE:
            return


def _written(person: Person) -> tuple[bytes, bytes]:
    return person.account.encode(errors="surrogatepass"), person.user.encode(errors="surrogatepass")


def _read(name: bytes) -> str:
    return bytes(name).decode(errors="surrogatepass")


def _people(record: Record) -> Iterator[Person]:
    """Give whose a record is: its accounts, and their users as far as the record says them."""
    for account in record.accounts:
        yield Person(account)
        yield from (Person(account, user) for user in record.ties.users or ())


def owners_of(ctx: Context, dataset: Dataset) -> Iterator[Collection[str]]:
    """Yield each owner that a record of a dataset has, at least once; also of those of which not all can be read."""
    connector = ctx.connector(dataset)
    if isinstance(connector, Owning):
        yield from connector.owners(dataset)
        return
    for window in connector.scan(dataset, named_cases(), frozenset((0,))):
        yield {owner for found in window.found for owner in found.record.accounts or found.record.ties.named}


def gone_among(ctx: Context, people: Iterable[Person]) -> Mapping[Person, int]:
    """Return who of these is closed or erased, each with the end of that, microseconds since the epoch."""
    found = dict[Person, int]()
    for person, row in _ended_among(ctx, people):
        found[person] = max(micros(row.ended_at), found.get(person, 0))
    return found


def known_among(ctx: Context, people: Iterable[Person]) -> Mapping[Person, Leaver]:
    """Return what the closures and requests of these said, where anything of it matters.

    Of who left more than once, or whose data was erased, too: the latest time, and no jurisdiction where they differ.
    """
    if not any(policy.kept for policy in ctx.policies.policies.values()):
        return {}
    found = dict[Person, Leaver]()
    for person, row in _ended_among(ctx, people):
        one = Leaver(row.jurisdiction, row.requested_at)
        found[person] = _both(one, found.get(person, one))
    return found


def _both(one: Leaver, other: Leaver) -> Leaver:
    times = [each.requested_at for each in (one, other) if each.requested_at is not None]
    return Leaver(one.jurisdiction if one.jurisdiction == other.jurisdiction else "", max(times, default=None))


def _ended_among(ctx: Context, people: Iterable[Person]) -> Iterator[tuple[Person, ClosedRow | ErasedRow]]:
    asked = list(dict.fromkeys(people))
    accounts = {
        each: person for person in asked if not person.user for each in account_commitments(ctx, person.account)
    }
    erased = {each: person for person in asked for each in ctx.replay.commitments(_ERASURE, person.text)}
    for names, ask in ((accounts, _closed_of), (erased, _erased_of)):
        commitments = list(names)
        for start in range(0, len(commitments), _AT_ONCE):
            with ctx.ledger.begin() as tx:
                rows = ask(tx, commitments[start : start + _AT_ONCE])
            yield from ((names[row.commitment], row) for row in rows)


def _closed_of(tx: Transaction, commitments: Sequence[str]) -> Sequence[ClosedRow | ErasedRow]:
    return tx.closures.closed_of(commitments)


def _erased_of(tx: Transaction, commitments: Sequence[str]) -> Sequence[ClosedRow | ErasedRow]:
    return tx.erasures.erased_of(commitments)


def cases_of_replay(ctx: Context, plan: PlanRow, part: Part, records: Iterable[Record]) -> Cases:
    """Return the cases of a part of a replay for some records: who is closed or erased is asked once more."""
    gone = gone_among(ctx, (person for record in records for person in _people(record)))
    dataset = ctx.datamap.datasets[part.dataset]
    policy, known = ctx.policies.of_class(dataset.data_class), known_among(ctx, gone)
    return replay_cases(gone, dataset, plan.reference_time, policy, known)
