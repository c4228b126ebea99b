"""What is held of an account: every dataset looked at once, nothing changed, and no more in memory than one window.

Rows of an account tell which objects are its own, too: their names wait in a scratch database until the objects are
listed. What holds keep is asked of each record, as a plan would ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from retentiond.domain.account import KeptPart, Leaver
from retentiond.domain.condition import ACCOUNT, ALWAYS, NAMED, AnyOf, Missing
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import OTHERS, Case, Cases, Disposition, named_cases
from retentiond.domain.erasure import Person, Persons, erasure_cases
from retentiond.domain.graph import reached
from retentiond.domain.hold import Hold, HoldIndex
from retentiond.domain.obligation import Keeping
from retentiond.domain.record import Record, key_bytes
from retentiond.engine.context import Context
from retentiond.engine.docket import holds_in_force
from retentiond.engine.scratch import Scratch
from retentiond.errors import ConnectorError
from retentiond.ports.stores import UNNAMEABLE, Tally

_SCHEMA = """
CREATE TABLE named (
    name BLOB PRIMARY KEY,
    held INTEGER NOT NULL,
    reason TEXT NOT NULL,
    until TEXT NOT NULL
) WITHOUT ROWID;
"""
_ADD = """
INSERT INTO named VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET held = max(held, excluded.held), until = max(until, excluded.until),
    reason = iif(excluded.until > until, excluded.reason, reason)
"""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a dataset holds of an account.

    Attributes:
        reached: How it is known whose a record is; none where that is not declared, and nothing is looked for then.
        records: Those that certainly are the account's; `size_bytes` as their stores tell it.
        oldest, newest: Of their clocks, microseconds since the epoch; None for none.
        held: How many of them a legal hold keeps.
        undetermined: Records that name the account, and perhaps others that cannot be read.
        unowned: Records of which nobody can tell whose they are.
        kept: Of one that leaves: what has to be kept longer of those that no hold keeps.
        trouble: Why it could not be looked at; empty where it was.
    """

    dataset: str
    store: str
    data_class: str
    reached: tuple[str, ...]
    records: int = 0
    size_bytes: int = 0
    oldest: int | None = None
    newest: int | None = None
    held: int = 0
    undetermined: int = 0
    unowned: int = 0
    trouble: str = ""
    kept: tuple[KeptPart, ...] = ()

    def plus(self, record: Record, *, held: bool, date: tuple[str, datetime] | None = None) -> Holding:
        """Return this with one more record of the account's.

        Args:
            date: Why it has to be kept, and until when; None where it has not.
        """
        clocks = [clock for clock in (self.oldest, self.newest, record.clock) if clock is not None]
        return replace(
            self,
            records=self.records + 1,
            size_bytes=self.size_bytes + record.size_bytes,
            oldest=min(clocks, default=None),
            newest=max(clocks, default=None),
            held=self.held + held,
            kept=self._with(*date) if date and not held else self.kept,
        )

    def _with(self, reason: str, until: datetime) -> tuple[KeptPart, ...]:
        part = KeptPart(self.dataset, self.data_class, reason, 1, until, until)
        same = next((each for each in self.kept if each.reason == reason), None)
        return (*(each for each in self.kept if each is not same), part.plus(same) if same else part)


def holdings(ctx: Context, account: str, leaver: Leaver | None = None) -> list[Holding]:
    """Return what each dataset holds of an account, in the order of the data map.

    A store that cannot be looked at keeps none of the others from being.

    Args:
        leaver: What is known of an account that leaves; None for one that stays.
    """
    return _holdings(ctx, _Sought(account, {account: leaver} if leaver else None))


def holdings_of(ctx: Context, persons: Persons) -> list[Holding]:
    """Return what each dataset holds of a person who asked for erasure, the only one of these; likewise."""
    (account,) = {Person.read(text).account for text in persons}
    return _holdings(ctx, _Sought(account, persons))


def _holdings(ctx: Context, sought: _Sought) -> list[Holding]:
    with ctx.ledger.begin() as tx:
        holds = holds_in_force(ctx, tx)
    found: dict[str, Holding] = {}
    for dataset in ctx.datamap.datasets.values():
        if not dataset.follows:
            for each in _Look(ctx, sought, holds, dataset).run():
                found[each.dataset] = each
    return [found[name] for name in ctx.datamap.datasets]


@dataclass(frozen=True, slots=True)
class _Sought:
    """Whose records are looked for.

    Attributes:
        leaving: What is known of the account that leaves, or the person who asked; None for an account that stays.
    """

    account: str
    leaving: Mapping[str, Leaver] | Persons | None

    def cases(self, dataset: Dataset) -> Cases:
        """Return the cases of a dataset; in the one that is due a record certainly is theirs."""
        return erasure_cases(self.leaving, dataset) if isinstance(self.leaving, Persons) else _cases(self.account)

    def owns(self, record: Record) -> bool:
        """Whether a record, such as an object, says itself that it is theirs."""
        if isinstance(self.leaving, Persons):
            return bool(self.leaving.of_record(record))
        return self.account in record.accounts


class _Look:
    """One look at a dataset, and at the one that its rows name objects of."""

    def __init__(self, ctx: Context, sought: _Sought, holds: Sequence[Hold], dataset: Dataset) -> None:
        self._ctx = ctx
        self._sought = sought
        self._dataset = dataset
        self._follower = ctx.datamap.datasets[dataset.blobs.dataset] if dataset.blobs else None
        self._holds = HoldIndex(holds, dataset.name)
        self._object_holds = HoldIndex(holds, self._follower.name if self._follower else "")
        self._now = ctx.now()
        policy = ctx.policies.of_class(dataset.data_class)
        self._keeping = Keeping(sought.leaving, policy) if sought.leaving else None

    def run(self) -> Iterator[Holding]:
        with _Names() as names:
            row = self._tried(self._rows, self._empty(self._dataset), names)
            yield row
            if self._follower is None:
                return
            empty = self._empty(self._follower)
            if row.trouble:
                yield replace(empty, trouble=f"{row.dataset} tells whose these are: {row.trouble}")
            else:
                yield self._tried(self._objects, empty, names)

    def _empty(self, dataset: Dataset) -> Holding:
        return Holding(dataset.name, dataset.store, dataset.data_class, reached(self._ctx.datamap, dataset))

    @staticmethod
    def _tried(look: Callable[[Holding, _Names], Holding], empty: Holding, names: _Names) -> Holding:
        try:
            return look(empty, names) if empty.reached else empty
        except ConnectorError as error:
            return replace(empty, trouble=str(error))

    def _rows(self, found: Holding, names: _Names) -> Holding:
        unsure = unowned = 0
        cases = self._sought.cases(self._dataset)
        doubts = {at: each for at, each in enumerate(cases.cases) if each.disposition is Disposition.UNDETERMINED}
        nobodys = [UNNAMEABLE, *(at for at, each in doubts.items() if each.when == Missing(ACCOUNT))]
        for window in self._ctx.connector(self._dataset).scan(self._dataset, cases, frozenset(cases.due)):
            own = [(record, self._is_held(record), self._date(record)) for record, _ in window.found]
            for record, held, date in own:
                found = found.plus(record, held=held, date=date)
            names.add((name, held, date) for record, held, date in own for name in record.blobs)
            unsure += sum(window.tallies.get(each, Tally()).count for each in doubts if each not in nobodys)
            unowned += sum(window.tallies.get(each, Tally()).count for each in nobodys)
        return replace(found, undetermined=unsure, unowned=unowned)

    def _date(self, record: Record) -> tuple[str, datetime] | None:
        return self._keeping.until(record, self._now) if self._keeping else None

    def _is_held(self, record: Record) -> bool:
        if self._holds and self._holds.ids(record):
            return True
        objects = (record._replace(key=(name,)) for name in record.blobs if self._object_holds)
        return any(self._object_holds.ids(each) for each in objects)

    def _objects(self, found: Holding, names: _Names) -> Holding:
        follower = self._follower
        if follower is None:
            return found
        unowned = 0
        for window in self._ctx.connector(follower).scan(follower, named_cases(), frozenset((0,))):
            for record, _ in window.found:
                named = names.of(record)
                if named is None and not self._sought.owns(record):
                    continue
                held, date = named or (False, self._date(record))
                own = record._replace(account=self._sought.account)
                found = found.plus(record, held=held or bool(self._object_holds.ids(own)), date=date)
            unowned += window.tallies.get(UNNAMEABLE, Tally()).count
        return replace(found, unowned=unowned)


class _Names(Scratch):
    """The names of objects that rows of the account name, and what keeps such a row: a hold, or an obligation."""

    def __init__(self) -> None:
        super().__init__(_SCHEMA)

    def add(self, names: Iterator[tuple[str, bool, tuple[str, datetime] | None]]) -> None:
        rows = (
            (name.encode(), held, date[0] if date else "", date[1].isoformat() if date else "")
            for name, held, date in names
        )
        self._write(_ADD, rows)

    def of(self, record: Record) -> tuple[bool, tuple[str, datetime] | None] | None:
        query = "SELECT held, reason, until FROM named WHERE name = ?"
        found = self._db.execute(query, (key_bytes(record.key),)).fetchone()
        if found is None:
            return None
        held, reason, until = found
        return bool(held), (reason, datetime.fromisoformat(until)) if reason else None


def _cases(account: str) -> Cases:
    return Cases(
        (
            Case(Disposition.PURGE, AnyOf(ACCOUNT, (account,)), "account"),
            Case(Disposition.UNDETERMINED, AnyOf(NAMED, (account,)), "owner-unreadable"),
            Case(Disposition.UNDETERMINED, Missing(ACCOUNT), "owner-unreadable"),
            Case(Disposition.KEEP, ALWAYS, OTHERS),
        )
    )
