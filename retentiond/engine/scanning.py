"""One dataset's part of a plan: scan it, subtract what is held, and draft what is due, objects before their rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import KEPT, Case, Cases, Disposition, cases_of, named_cases
from retentiond.domain.hold import Hold, HoldIndex
from retentiond.domain.obligation import Keeping
from retentiond.domain.plan import Basis, Part
from retentiond.domain.policy import REMOVING, Action
from retentiond.domain.record import Record, Ties
from retentiond.domain.records import Records, Same, columns_of
from retentiond.domain.replay import BACK, ERASED, SINCE
from retentiond.domain.versions import MARKER, markers_last
from retentiond.domain.zero import too_old
from retentiond.engine.ahead import ahead
from retentiond.engine.blobs import BlobIndex
from retentiond.engine.context import Context
from retentiond.engine.counting import Count, DatasetPlan
from retentiond.engine.docket import holds_in_force
from retentiond.engine.drafting import Buffer, Draft, packed
from retentiond.engine.guards import ABSURD_CLOCKS
from retentiond.engine.kinship import CHILD_REMAINS, Kinship
from retentiond.engine.leaving import HELD, UNDETERMINED, WAITING, Left
from retentiond.engine.selecting import windows
from retentiond.engine.subjects import Subject
from retentiond.engine.surveying import survey
from retentiond.engine.waiting import waiting
from retentiond.errors import DatasetRefused, GuardStopped
from retentiond.ports.stores import UNNAMEABLE, Survey, Tally


def plan_dataset(ctx: Context, draft: Draft, kin: Kinship, subject: Subject, reference: datetime) -> DatasetPlan:
    """Draft everything that is due in a subject's datasets.

    Args:
        kin: What was drafted of rows that go before others.

    Raises:
        DatasetRefused: It cannot be worked on safely as it stands.
        ConnectorError: It could not be read completely.
        GuardStopped: Too many clocks are absurd, or too much is due.
    """
    for dataset in subject.datasets:
        refuse(dataset, survey(ctx, dataset))
    with ctx.ledger.begin() as tx:
        holds = holds_in_force(ctx, tx)
    return _Scan(ctx, draft, kin, subject, holds, reference).run()


def refuse(dataset: Dataset, seen: Survey) -> None:
    """Raise DatasetRefused with the first finding that refuses a dataset."""
    for finding in seen.findings:
        if finding.refuses:
            raise DatasetRefused(finding.what, where=finding.where or dataset.name, remedy=finding.remedy)


class _Scan:
    """One pass over a subject."""

    def __init__(
        self, ctx: Context, draft: Draft, kin: Kinship, subject: Subject, holds: Sequence[Hold], reference: datetime
    ) -> None:
        self._ctx = ctx
        with ctx.ledger.begin() as tx:
            self._locked = {each.name: waiting(ctx, tx, each.name, reference) for each in subject.datasets}
        self._draft = draft
        self._kin = kin
        self._subject = subject
        self._reference = reference
        self._cases = subject.cases(subject.dataset, reference)
        self._holds = HoldIndex(holds, subject.dataset.name)
        self._index = BlobIndex() if subject.follower else None
        self._follower_holds = HoldIndex(holds, subject.follower.name if subject.follower else "")
        decide = subject.policies.values() if subject.basis in (Basis.POLICY, Basis.REPLAY) else ()
        self._too_old = {policy.id: too_old(policy, reference) for policy in decide}
        self._by_policy: dict[str, tuple[Cases, Callable[[Record], int]]] = {}
        self._left = Left(subject.accounts)
        doubts = (index for index, case in enumerate(self._cases.cases) if case.disposition is Disposition.UNDETERMINED)
        self._doubts = frozenset(doubts if subject.accounts else ())  # to be told whose they are
        self._kept = frozenset(index for index, case in enumerate(self._cases.cases) if case.reason == KEPT)
        self._keeping = {
            each.name: Keeping(subject.accounts, subject.policies.get(each.data_class)) for each in subject.datasets
        }
        self._held_names: set[str] = set()
        self._buffers: defaultdict[int, Buffer] = defaultdict(lambda: Buffer(draft.batch_records))
        self._rows = self._count(subject.dataset)
        self._objects = self._count(subject.follower) if subject.follower else None

    def _count(self, dataset: Dataset) -> Count:
        policy = self._subject.policies.get(dataset.data_class)
        return Count(dataset, policy.id if policy else "")

    def run(self) -> DatasetPlan:
        try:
            self._list_objects()
            self._scan_rows()
            self._plan_orphans()
        finally:
            if self._index:
                self._index.close()
        self._left.anybodys += self._rows.tallies.get(UNNAMEABLE, Tally()).count
        self._rows.doubt(self._cases)
        self._left.unowned += self._rows.unowned
        if self._subject.scope is None or not self._subject.scope.keys:
            self._check_clocks(self._rows)  # a share of few records that somebody names says nothing of a format
        return DatasetPlan([self._rows] + ([self._objects] if self._objects else []), self._left)

    def _list_objects(self) -> None:
        follower = self._subject.follower
        if follower is None or self._index is None or self._objects is None:
            return
        for window in self._ctx.connector(follower).scan(follower, named_cases(), frozenset((0,))):
            self._objects.examine(window)
            self._index.add(found.record for found in window.found)
        for names in self._ctx.connector(self._subject.dataset).references(self._subject.dataset):
            self._index.refer(names)

    def _scan_rows(self) -> None:
        dataset = self._subject.dataset
        self._ctx.reporter.start(f"scan {dataset.name}", None)
        connector = self._ctx.connector(dataset)
        for window in ahead(windows(connector, dataset, self._cases, self._subject.scope, self._doubts | self._kept)):
            self._rows.examine(window)
            for case, records in window.groups():
                free = self._free(records, case)
                if case in self._doubts:
                    self._left.keep_all(UNDETERMINED, free)
                elif case in self._kept:
                    self._stay(dataset, free)
                else:
                    self._note_age(self._rows, self._cases.cases[case], free)
                    self._take(case, free)
            self._ctx.reporter.advance(sum(tally.count for tally in window.tallies.values()))
        for case in list(self._buffers):
            self._flush(case)

    def _stay(self, dataset: Dataset, records: Iterable[Record]) -> None:
        """Count what has to be kept longer, with its date, also for what waits for it."""
        told = [(record, self._keeping[dataset.name].until(record, self._reference)) for record in records]
        stays = [(record, *date) for record, date in told if date is not None]
        self._left.keep_all(UNDETERMINED, (record for record, date in told if date is None))
        self._left.keep_until(dataset, stays)
        self._kin.keep(dataset, stays)

    def _free(self, records: Records, case: int) -> Records:
        """Return the records that nothing keeps; the others are counted. Mostly nothing can keep any of them."""
        own = self._subject.dataset.name
        may_keep = self._holds or self._locked[own] or self._index is not None or self._subject.exact
        if not may_keep and not any(ties.standing for ties in _different(records.ties)):
            return records
        return columns_of([record for record in records if not self._is_kept(record, case)])

    def _is_kept(self, record: Record, case: int) -> bool:
        if case in self._doubts or case in self._kept:
            return False
        if self._subject.exact and record.key not in self._subject.exact:
            return True
        removes = self._cases.cases[case].action in REMOVING
        if self._is_held(record, removes=removes):
            self._rows.held += 1
            self._left.keep(HELD, record)
        elif not removes:
            return False
        elif record.ties.standing and self._waits(record, case):
            self._rows.undetermined[CHILD_REMAINS] += 1
            self._rows.doubts[self._cases.cases[case].rule] += 1
            self._wait(record)
        elif self._must_wait(record):
            self._rows.waiting += 1
            self._note_age(self._rows, self._cases.cases[case], [record])
            self._left.keep(WAITING, record)
        else:
            return False
        return True

    def _note_age(self, count: Count, case: Case, records: Sequence[Record]) -> None:
        """Count what a rule that promises zero retention should have removed with an earlier check."""
        by_rule = self._too_old.get(count.policy, {})
        if by_rule and case.reason in (BACK, ERASED):
            for rule, some in self._ruled(count, records).items():
                count.note_age(rule, by_rule[rule], some)
        elif case.rule in by_rule and case.action is Action.PURGE:
            count.note_age(case.rule, by_rule[case.rule], records)

    def _ruled(self, count: Count, records: Iterable[Record]) -> Mapping[int, Sequence[Record]]:
        """Return what is gone for another reason than age by the rule of it that promises zero retention."""
        name, policy = count.dataset.name, self._subject.policies[count.dataset.data_class]
        if name not in self._by_policy:
            cases = cases_of(policy, count.dataset, self._reference)
            self._by_policy[name] = cases, cases.python()
        cases, winner = self._by_policy[name]
        found: defaultdict[int, list[Record]] = defaultdict(list)
        for record in records:
            case = cases.cases[winner(record)]
            if case.disposition is Disposition.UNDETERMINED:
                count.doubts[case.rule] += 1
            elif case.rule in self._too_old[count.policy]:
                found[case.rule].append(record)
        return found

    def _take(self, case: int, records: Records) -> None:
        buffer, taken = self._buffers[case], 0
        while taken < len(records):
            taken += buffer.fill(records[taken : taken + buffer.room])
            if not buffer.room:
                self._flush(case)

    def _wait(self, record: Record) -> None:
        """Count a row that waits for others, with a date where these are only such as have to be kept."""
        dataset = self._subject.dataset
        told = self._kin.kept_until(dataset, record)
        if told is None:
            self._left.keep(UNDETERMINED, record)
        else:
            self._left.keep_until(dataset, [(record, *told)])
            self._kin.keep(dataset, [(record, *told)])

    def _waits(self, record: Record, case: int) -> bool:
        action = self._cases.cases[case].action
        return action is not None and self._kin.waits(self._subject.dataset, action, record)

    def _is_held(self, record: Record, *, removes: bool) -> bool:
        if self._holds and self._holds.ids(record):
            return True
        if not removes or not self._follower_holds or self._index is None or self._objects is None:
            return False
        objects = [each for name in record.blobs for each in self._index.objects(name)]
        held = any(self._follower_holds.ids(_owned_like(record, each)) for each in objects)
        if held and not self._held_names.issuperset(record.blobs):
            self._held_names.update(record.blobs)
            self._objects.held += len(objects)
        return held

    def _must_wait(self, record: Record) -> bool:
        """Tell whether its store does not let go of a record yet, or of an object that goes before it."""
        if record in self._locked[self._subject.dataset.name]:
            return True
        if self._subject.follower is None or self._index is None:
            return False
        locked = self._locked[self._subject.follower.name]
        return bool(locked) and any(each in locked for name in record.blobs for each in self._index.objects(name))

    def _flush(self, index: int) -> None:
        case = self._cases.cases[index]
        basis = self._subject.basis
        for records, objects in self._packed(case, self._buffers[index].take()):
            group = self._draft.new_group(len(records) + len(objects), self._rows.policy)
            self._write_objects(case, objects, group)
            self._draft.write(self._part(self._subject.dataset, case, basis, index), records, group=group)
            if self._subject.dataset.parents and case.action in REMOVING:
                self._kin.take(self._subject.dataset, case.action, records)
            self._rows.plan(case.action, records)

    def _packed(self, case: Case, rows: Records) -> Sequence[tuple[Sequence[Record], Sequence[Record]]]:
        """Return rows with the objects that go before them, as much as one plan holds at a time."""
        if self._index is None:  # a buffer holds no more than a batch, and a batch no more than a plan
            return [(rows, ())] if rows else []
        return packed(self._with_objects(case, rows), self._draft.limit)

    def _with_objects(self, case: Case, rows: Sequence[Record]) -> list[tuple[Record, list[Record]]]:
        """Return rows, each with the objects that go before it."""
        follower = self._subject.follower
        hides = case.action is Action.TOMBSTONE
        stays = case.action not in REMOVING
        if self._index is None or follower is None or stays or (hides and follower.tombstone is None):
            return [(row, []) for row in rows]
        return [
            (
                row,
                [
                    _owned_like(row, each)._replace(clock=row.clock)
                    for each in found
                    if not hides or (each.tombstoned is None and each.place != MARKER)
                ],
            )
            for row, found in self._index.take(rows, hides=hides)
        ]

    def _write_objects(self, case: Case, objects: Sequence[Record], group: int) -> None:
        follower, count = self._subject.follower, self._objects
        if not objects or follower is None or count is None:
            return
        basis = Basis.HIDDEN_WITH_ROW if case.action is Action.TOMBSTONE else Basis.NAMED
        self._draft.write(self._part(follower, case, basis, 0), objects, group=group, objects=True)
        count.plan(case.action, objects)

    def _plan_orphans(self) -> None:
        follower = self._subject.follower
        if follower is None or self._index is None or self._objects is None or self._subject.scope is not None:
            return
        cases = self._subject.cases(follower, self._reference)
        winner, due = cases.python(), frozenset(cases.due)
        purges = frozenset(index for index in due if cases.cases[index].action is Action.PURGE)
        for chunk in self._index.orphans():
            settled = markers_last(((record, winner(record)) for record in chunk), purges, len(cases.cases) - 1)
            self._draft_orphans(follower, cases, due, settled)

    def _draft_orphans(
        self, follower: Dataset, cases: Cases, due: frozenset[int], settled: Iterable[tuple[Record, int]]
    ) -> None:
        chosen: defaultdict[int, list[Record]] = defaultdict(list)
        count = self._objects
        if count is None:
            return
        for record, index in settled:
            if cases.cases[index].disposition is Disposition.UNDETERMINED:
                count.undetermined["orphan-" + cases.cases[index].reason] += 1
                count.doubts[cases.cases[index].rule] += 1
                self._left.keep(UNDETERMINED, record)
            elif cases.cases[index].reason == SINCE:
                count.since += 1
            elif cases.cases[index].reason == KEPT:
                self._stay(follower, (record,))
            elif index in due and self._orphan_held(record):
                count.held += 1
                self._left.keep(HELD, record)
            elif index in due:
                chosen[index].append(record)
        for index, records in chosen.items():
            basis = self._subject.basis
            self._note_age(count, cases.cases[index], records)
            for some, _ in packed([(record, ()) for record in records], self._draft.batch_records):
                group = self._draft.new_group(len(some), count.policy)
                self._draft.write(self._part(follower, cases.cases[index], basis, index), some, group=group)
            count.plan(cases.cases[index].action, records)

    def _orphan_held(self, record: Record) -> bool:
        if record.account is None and self._subject.dataset.has_owner and self._follower_holds.by_account:
            return True
        return bool(self._follower_holds and self._follower_holds.ids(record))

    def _part(self, dataset: Dataset, case: Case, basis: Basis, index: int) -> int:
        # Objects of rows under different rules stand in different parts, though their predicate is the same.
        governing = dataset if basis in _OWN else self._subject.dataset
        policy = self._subject.policies.get(governing.data_class)
        keep = policy.period_of(case.rule, case.window) if policy else ""
        name = policy.id if policy else ""
        cutoff = case.cutoff or self._reference
        action = case.action or Action.PURGE
        return self._draft.part(Part(0, dataset.name, name, case.rule, action, keep, cutoff, basis, index))

    def _check_clocks(self, count: Count) -> None:
        absurd = count.undetermined["clock-out-of-range"]
        if absurd > ABSURD_CLOCKS * count.examined:
            source = count.dataset.clock
            raise GuardStopped(
                f"{absurd} of {count.examined} clocks lie outside {source.earliest:%Y-%m-%d} to now: more than 0.1 %",
                guard="clock-range",
                where=f"{count.dataset.name}, {source.name}",
                remedy="declare the clock's `format` and `earliest` as they are, or correct those rows",
            )


_OWN = (Basis.POLICY, Basis.CLOSURE, Basis.MANUAL, Basis.ERASURE, Basis.REPLAY)


def _different(ties: Sequence[Ties]) -> Sequence[Ties]:
    """Return at least one of each kind; mostly all records have the same."""
    return ties[:1] if isinstance(ties, Same) else ties


def _owned_like(row: Record, each: Record) -> Record:
    """Return an object as its row's owners have it."""
    return each._replace(account=row.account, ties=Ties(others=row.ties.others, users=row.ties.users))
