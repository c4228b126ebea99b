"""Which hidden records an undo selects: in the stores, by a scope, or in the ledger, all that some plans hid.

Only what is known to be ours is selected: a quarantine is ours, and so is a column's time or a delete marker that the
ledger still has with the batch that put it. What nobody can tell any more is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from retentiond.domain.condition import ALWAYS
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import GRACE_OVER, Cases
from retentiond.domain.hold import Scope
from retentiond.domain.plan import Basis
from retentiond.domain.record import Record
from retentiond.domain.versions import MARKER
from retentiond.engine.context import Context
from retentiond.engine.graphing import graph_of
from retentiond.engine.hidings import Hidden, Hidings, hiding_batches
from retentiond.engine.returning import FORGOTTEN, Returning, Tally, Undone
from retentiond.engine.selecting import found_by
from retentiond.ports.rows import PlanRow


@dataclass(frozen=True, slots=True)
class Search:
    """One undo's search, and what it has come to.

    Attributes:
        now: The reference time.
        forgotten: Records that were hidden within the grace by batches whose identifiers are destroyed, by dataset.
    """

    ctx: Context
    now: datetime
    hidings: Hidings
    tally: Tally
    forgotten: Counter[str]

    def returning(self, scope: Scope | None) -> Returning:
        """Return who brings back what a scope selects, or whatever it is handed."""
        return Returning(self.ctx, self.now, scope.selects if scope else ALWAYS, self.hidings, self.tally)


def undo_plans(search: Search, plans: Sequence[PlanRow]) -> None:
    """Bring back all that some plans hid, parents before the rows that name them; what the ledger knows of it."""
    returning = search.returning(None)
    datasets = search.ctx.datamap.datasets
    for plan in plans:
        _learn(search, plan.created_at, [each.name for each in datasets.values() if each.follows], plan.id)
        for dataset in reversed(graph_of(search.ctx).children_first()):
            for batch in hiding_batches(search.ctx, plan.created_at, (dataset.name,), plan.id):
                if batch.part.basis is Basis.HIDDEN_WITH_ROW:
                    continue  # it comes with the row that names it
                if batch.row.readable:
                    returning.bring(dataset, batch.records(search.ctx))
                else:
                    search.forgotten[dataset.name] += batch.hidden


def undo_scope(search: Search, scope: Scope) -> None:
    """Bring back what a scope selects of its dataset."""
    dataset = search.ctx.datamap.datasets[scope.dataset]
    names = [dataset.name, *([dataset.blobs.dataset] if dataset.blobs else [])]
    _learn(search, _horizon(search.ctx, dataset, search.now), names)
    returning = search.returning(scope)
    cases = returning.cases(dataset)
    for records in _by_key(search, dataset, scope) if scope.keys else _by_scan(search, dataset, cases):
        returning.bring(dataset, records)


def _horizon(ctx: Context, dataset: Dataset, now: datetime) -> datetime:
    """Return the time before which nothing was hidden that could be brought back, or that the ledger can still name."""
    policy = ctx.policies.of_class(dataset.data_class)
    graces = [rule.grace.before(now) for rule in policy.rules if rule.grace] if policy else []
    return min((ctx.terms.identifiers_keep.before(now), *graces))


def _learn(search: Search, since: datetime, datasets: Sequence[str], plan: str = "") -> None:
    """Take in what the ledger knows of hidden records; where only it can tell what is ours, count what it forgot."""
    for batch in hiding_batches(search.ctx, since, datasets, plan):
        name = batch.part.dataset
        if batch.row.readable:
            search.hidings.add(name, batch.records(search.ctx))
        elif not _is_quarantined(search.ctx.datamap.datasets[name]):
            search.forgotten[name] += batch.hidden


def _is_quarantined(dataset: Dataset) -> bool:
    target = dataset.tombstone
    return target is not None and bool(target.table or target.directory)


def _by_scan(search: Search, dataset: Dataset, cases: Cases) -> Iterator[list[Hidden]]:
    over = (index for index, case in enumerate(cases.cases) if case.reason == GRACE_OVER)
    for window in search.ctx.connector(dataset).scan(dataset, cases, frozenset((*cases.due, *over))):
        found = (_sorted_out(search, dataset, each.record) for each in window.found)
        yield [each for each in found if each is not None]


def _by_key(search: Search, dataset: Dataset, scope: Scope) -> Iterator[list[Hidden]]:
    ours: list[Hidden] = []
    for key in dict.fromkeys(scope.keys):
        records = found_by(search.ctx.connector(dataset), dataset, key)
        hidden = [each for each in records if each.tombstoned is not None]
        found = [each for each in (_sorted_out(search, dataset, record) for record in hidden) if each is not None]
        if len(hidden) < len(records):
            search.tally.add(dataset.name, Undone.THERE, key=key)
        elif not records:
            search.tally.add(dataset.name, Undone.GONE, key=key)
        elif not found and _by_mark(dataset):
            search.tally.add(dataset.name, Undone.UNDETERMINED, FORGOTTEN, key=key)
        ours += found
    yield ours


def _sorted_out(search: Search, dataset: Dataset, record: Record) -> Hidden | None:
    """Return a record that is hidden with what tells its tombstone from others; None for an object that is not ours.

    Of an object each older version counts as hidden, so those of which the ledger knows nothing mean nothing.
    """
    if record.tombstoned is None:
        return None
    if _is_quarantined(dataset):
        return Hidden(record, (record.tombstoned,))
    known = search.hidings.of(dataset, record)
    if _by_mark(dataset):
        return known if record.place != MARKER else None
    ours = known is not None and record.tombstoned in known.times
    return Hidden(record, (record.tombstoned,) if ours else ())


def _by_mark(dataset: Dataset) -> bool:
    return dataset.tombstone is not None and dataset.tombstone.marker
