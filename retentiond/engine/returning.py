"""Hidden records on their way back, in orders of some thousand: objects first, then the rows that name them.

An object comes before its row, so that whoever sees the row finds what it names. A row whose object could not be
brought back, or of whose object nobody can tell, waits; one whose object is gone, or another one by now, does not.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from retentiond.domain.account import AccountState
from retentiond.domain.condition import ALWAYS, Condition
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import GRACE_OVER, Cases, Disposition, cases_of, hidden_since, undo_cases
from retentiond.domain.hold import HoldIndex
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record, key_bytes
from retentiond.engine import guards
from retentiond.engine.accounts import account_commitments
from retentiond.engine.context import Context
from retentiond.engine.docket import holds_in_force
from retentiond.engine.drafting import BATCH_RECORDS
from retentiond.engine.hidings import Hidden, Hidings
from retentiond.engine.identifiers import items_of
from retentiond.engine.retrying import TRIES, pause_seconds
from retentiond.errors import ConnectorError, DatasetRefused, Interrupted
from retentiond.evidence.commitment import PlanDigest
from retentiond.ports.stores import Acted, Order, Verified

MOST_TOLD = 100
FORGOTTEN = "nobody can tell any more whose tombstone it is"
_MOST_ACCOUNTS = 10_000
_LIVE = (AccountState.GRACE, AccountState.CLOSING)


class Undone(StrEnum):
    """What became of a record that was to be brought back.

    RESTORED: it is back. THERE: nothing hid it. GONE: it was purged. OVER: its grace is over by policy. CHANGED: it is
    not hidden as it was, or something else stands under its name. LEAVING: its account is leaving, or has left.
    UNDETERMINED: nobody can tell whose tombstone it is, or whether it is selected. REFUSED, UNKNOWN: it is hidden
    still, as far as is known.
    """

    RESTORED = "restored"
    THERE = "there"
    GONE = "gone"
    OVER = "over"
    CHANGED = "changed"
    LEAVING = "leaving"
    UNDETERMINED = "undetermined"
    REFUSED = "refused"
    UNKNOWN = "unknown"


_WAITS = frozenset((Undone.REFUSED, Undone.UNKNOWN, Undone.UNDETERMINED))


@dataclass(frozen=True, slots=True)
class Told:
    """One record that is told of by name."""

    dataset: str
    key: bytes
    version: bytes
    outcome: Undone
    reason: str = ""


@dataclass(slots=True)
class Tally:
    """What became of all of them.

    Attributes:
        all_by_name: Whether those that are back are told of by name, too.
        counts: By dataset.
        told: At most `MOST_TOLD`.
        due_again: How many that are back are due by policy, and held by nobody.
        digest: Over the names of those that are back, in the order in which they came.
    """

    all_by_name: bool = False
    counts: dict[str, Counter[Undone]] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    due_again: int = 0
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    digest: PlanDigest = field(init=False)

    def __post_init__(self) -> None:
        """Begin the digest."""
        self.digest = PlanDigest(self.nonce)

    def add(self, dataset: str, outcome: Undone, reason: str = "", *, key: bytes = b"", version: bytes = b"") -> None:
        """Count one record."""
        self.count(dataset, outcome, 1)
        if (outcome is not Undone.RESTORED or self.all_by_name) and len(self.told) < MOST_TOLD:
            self.told.append(Told(dataset, key, version, outcome, reason))

    def count(self, dataset: str, outcome: Undone, records: int) -> None:
        """Count records that nobody can name."""
        self.counts.setdefault(dataset, Counter())[outcome] += records

    def note(self, dataset: Dataset, record: Record, outcome: Undone, reason: str = "") -> None:
        """Count a record."""
        self.add(dataset.name, outcome, reason, key=key_bytes(record.key), version=record.version)
        if outcome is Undone.RESTORED:
            self.digest.extend(items_of(dataset.name, [record]))

    @property
    def total(self) -> Counter[Undone]:
        """All datasets together."""
        return sum(self.counts.values(), Counter())


def judge(outcome: Outcome, sighting: Sighting) -> tuple[Undone, str]:
    """Return what became of a record, from what the store said and what a separate read saw, which alone decides."""
    match sighting:
        case Sighting.VISIBLE:
            return (Undone.RESTORED if outcome is Outcome.DONE else Undone.THERE), ""
        case Sighting.ABSENT:
            return Undone.GONE, ""
        case Sighting.CHANGED:
            return Undone.CHANGED, ""
        case Sighting.DUE if outcome is Outcome.REFUSED:
            return Undone.REFUSED, ""
        case Sighting.DUE:
            return Undone.UNKNOWN, "a separate read still finds it hidden"
        case _:
            return Undone.UNKNOWN, "no separate read could tell"


class Returning:
    """Brings records back, in one undo.

    Args:
        now: The reference time.
        selected: What must be true of a record besides its key.
    """

    def __init__(self, ctx: Context, now: datetime, selected: Condition, hidings: Hidings, tally: Tally) -> None:
        self._ctx = ctx
        self._now = now
        self._selected = selected
        self._hidings = hidings
        self._tally = tally
        self._leaving: dict[str, bool] = {}
        with ctx.ledger.begin() as tx:
            self._holds = holds_in_force(ctx, tx)
            self._anybody_leaves = bool(tx.closures.in_state(*_LIVE))

    def cases(self, dataset: Dataset) -> Cases:
        """Return the cases of a dataset's records."""
        return undo_cases(self._selected, self._policy(dataset))

    def _policy(self, dataset: Dataset) -> Cases | None:
        policy = self._ctx.policies.of_class(dataset.data_class)
        return cases_of(policy, dataset, self._now) if policy else None

    def bring(self, dataset: Dataset, records: Sequence[Hidden]) -> None:
        """Bring records of a dataset back that policy decides of, with the objects that they name.

        Raises:
            GuardStopped, Interrupted: Somebody asked to stop; what was brought back is counted.
        """
        cases = self.cases(dataset)
        winner = cases.python()
        due: dict[int, list[Hidden]] = defaultdict(list)
        for each in self._known(dataset, records):
            case = winner(each.as_hidden)
            outcome = self._excused(dataset, each.record, cases, case)
            if outcome is None:
                due[case].append(each)
            elif outcome[0] is not None:
                self._tally.note(dataset, each.record, outcome[0], outcome[1])
        for case, some in due.items():
            for start in range(0, len(some), BATCH_RECORDS):
                ready = self._with_objects(dataset, some[start : start + BATCH_RECORDS])
                self._send(dataset, cases, case, ready)

    def _known(self, dataset: Dataset, records: Sequence[Hidden]) -> list[Hidden]:
        """Return the records whose tombstone is known as ours, and count the others."""
        for each in records:
            if not _is_known(dataset, each):
                self._tally.note(dataset, each.record, Undone.UNDETERMINED, FORGOTTEN)
        return [each for each in records if _is_known(dataset, each)]

    def _excused(
        self, dataset: Dataset, record: Record, cases: Cases, case: int
    ) -> tuple[Undone | None, str] | None:  # fmt: skip
        """Return what to say of a record that is not brought back, nothing (None) of one that is not selected."""
        won = cases.reason(case)
        if won.disposition is Disposition.UNDETERMINED:
            return Undone.UNDETERMINED, "whether it is selected cannot be told"
        if won.reason == GRACE_OVER:
            return Undone.OVER, "its grace is over"
        if won.disposition is not Disposition.RESTORE:
            return None, ""
        if any(self._leaves(account) for account in (*record.accounts, *record.ties.named)):
            return Undone.LEAVING, "its account is leaving, or has left"
        if self._anybody_leaves and dataset.has_owner and not record.accounts:
            return Undone.UNDETERMINED, "its owner cannot be read, and accounts are leaving"
        return None

    def _leaves(self, account: str) -> bool:
        if account not in self._leaving:
            if len(self._leaving) > _MOST_ACCOUNTS:
                self._leaving.clear()
            with self._ctx.ledger.begin() as tx:
                closure = tx.closures.newest_of(*account_commitments(self._ctx, account))
            self._leaving[account] = closure is not None and closure.state is not AccountState.OPEN
        return self._leaving[account]

    def _with_objects(self, dataset: Dataset, rows: Sequence[Hidden]) -> list[Hidden]:
        """Bring back the objects that rows name, and return the rows that may follow."""
        if dataset.blobs is None:
            return list(rows)
        follower = self._ctx.datamap.datasets[dataset.blobs.dataset]
        waiting = self._objects(follower, dict.fromkeys(name for each in rows for name in each.record.blobs))
        ready = []
        for each in rows:
            if waiting.isdisjoint(each.record.blobs):
                ready.append(each)
            else:
                self._tally.note(dataset, each.record, Undone.REFUSED, "its object could not be brought back")
        return ready

    def _objects(self, follower: Dataset, names: Iterable[str]) -> set[str]:
        """Bring objects back, and return the names of those that are still hidden, or may be."""
        hidden: list[Hidden] = []
        waiting: set[str] = set()
        for name in names:
            hidden += self._hidings.named(follower, (name,)) or self._in_quarantine(follower, name, waiting)
        cases = undo_cases(ALWAYS, None)
        (case,) = cases.due
        known = self._known(follower, hidden)
        waiting.update(str(each.record.key[0]) for each in hidden if not _is_known(follower, each))
        for start in range(0, len(known), BATCH_RECORDS):
            some = known[start : start + BATCH_RECORDS]
            for each, outcome in zip(some, self._send(follower, cases, case, some), strict=True):
                if outcome in _WAITS:
                    waiting.add(str(each.record.key[0]))
        return waiting

    def _in_quarantine(self, follower: Dataset, name: str, waiting: set[str]) -> list[Hidden]:
        """Look for the hidden object of a name that the ledger does not know; only a quarantine says whose it is."""
        records = self._ctx.connector(follower).find(follower, name) if follower.tombstone else ()
        if not records or any(record.tombstoned is None for record in records):
            return []
        if follower.tombstone is not None and follower.tombstone.directory:
            return [Hidden(each, (each.tombstoned,)) for each in records if each.tombstoned is not None]
        self._tally.add(follower.name, Undone.UNDETERMINED, FORGOTTEN, key=name.encode())
        waiting.add(name)
        return []

    def _send(self, dataset: Dataset, cases: Cases, case: int, records: Sequence[Hidden]) -> list[Undone]:
        """Have a store bring records back, look for them again, and count what came of each."""
        found: dict[int, Undone] = {}
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, each in enumerate(records):
            groups[() if each.mark else each.times].append(place)
        for times, places in groups.items():
            self._check_interrupted()
            some = [records[place] for place in places]
            order = self._order(dataset, cases, case, times, some)
            for place, (outcome, reason) in zip(places, self._carry_out(order), strict=True):
                found[place] = outcome
                self._tally.note(dataset, records[place].record, outcome, reason)
            back = [records[place].record for place in places if found[place] is Undone.RESTORED]
            self._count_due(dataset, back)
        return [found[place] for place in range(len(records))]

    def _order(
        self, dataset: Dataset, cases: Cases, case: int, times: tuple[int, ...], records: Sequence[Hidden]
    ) -> Order:  # fmt: skip
        return Order(
            dataset=dataset,
            action=Action.RESTORE,
            cases=hidden_since(cases, times) if times else cases,
            case=case + 1 if times else case,
            records=[each.as_hidden for each in records],
            at=self._now,
            fence=self._fence,
            marks={place: each.mark for place, each in enumerate(records) if each.mark},
        )

    def _carry_out(self, order: Order) -> list[tuple[Undone, str]]:
        try:
            acted, verified = self._tried(order)
        except DatasetRefused as error:
            return [(Undone.REFUSED, error.what)] * len(order.records)
        except ConnectorError as error:
            return [(Undone.UNKNOWN, error.what)] * len(order.records)
        if not len(order.records) == len(acted.outcomes) == len(verified.sightings):
            return [(Undone.UNKNOWN, "the connector did not answer for each record")] * len(order.records)
        said = []
        for place, pair in enumerate(zip(acted.outcomes, verified.sightings, strict=True)):
            outcome, reason = judge(*pair)
            told = outcome not in (Undone.RESTORED, Undone.THERE)
            said.append((outcome, acted.reasons.get(place, reason) if told else ""))
        return said

    def _tried(self, order: Order) -> tuple[Acted, Verified]:
        connector = self._ctx.connector(order.dataset)
        for attempt in range(1, TRIES + 1):
            try:
                return connector.act(order), connector.verify(order)
            except ConnectorError as error:
                if not error.transient or attempt == TRIES:
                    raise
                time.sleep(pause_seconds(attempt))
        raise AssertionError  # the last attempt returned or raised

    def _fence(self) -> None:
        guards.check_stop(self._ctx)
        with self._ctx.ledger.begin():  # fails where this process acts no more
            pass

    def _check_interrupted(self) -> None:
        if self._ctx.stop_requested():
            raise Interrupted(
                "the undo was interrupted; what is back is back", remedy="the same command again brings back the rest"
            )

    def _count_due(self, dataset: Dataset, records: Sequence[Record]) -> None:
        """Count the records that are back and go again by policy if nothing changes."""
        policy = self._policy(dataset)
        if policy is None or dataset.follows:
            return
        winner, holds = policy.python(), HoldIndex(self._holds, dataset.name)
        for record in records:
            case = policy.reason(winner(record._replace(tombstoned=None)))
            if case.action is not None and not holds.ids(record):
                self._tally.due_again += 1


def _is_known(dataset: Dataset, hidden: Hidden) -> bool:
    """Tell whether a tombstone is known as ours: by what the store calls it where that says so, else by its time."""
    by_mark = dataset.tombstone is not None and dataset.tombstone.marker
    return bool(hidden.mark if by_mark else hidden.times)


def plain(counts: Mapping[str, Counter[Undone]]) -> dict[str, dict[str, int]]:
    """Return counts by dataset and outcome as JSON has them, outcomes without records left out."""
    return {name: {each.value: count[each] for each in Undone if count[each]} for name, count in counts.items()}
