"""What is kept of accounts that have left, and until when.

An obligation keeps records of a class by the start of their clock, as a policy does, or from the day on which the
closure was asked for: the date of each record is known on that day. A record that several obligations are of stays as
long as any of them keeps it. Where nobody said which jurisdiction an account belongs to, those of all of them count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from retentiond.domain.account import Leaver
from retentiond.domain.condition import ACCOUNT, And, AnyOf, Condition, python_reading
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import CLOCK_SLACK, WHOLE_DAY, Cases, Kept, closure_cases
from retentiond.domain.policy import Obligation, Policy
from retentiond.domain.record import Record, moment


def leaving_cases(leaving: Mapping[str, Leaver], policy: Policy | None, dataset: Dataset, reference: datetime) -> Cases:
    """Return the cases of accounts that leave; that in which a record goes is the first of them, whatever is kept.

    Args:
        policy: The one that governs the dataset; None where none does.
    """
    return closure_cases(*sorted(leaving), kept=kept_of(leaving, policy, dataset, reference))


def kept_of(leaving: Mapping[str, Leaver], policy: Policy | None, dataset: Dataset, reference: datetime) -> list[Kept]:
    """Return what the obligations of a policy keep at a reference time."""
    latest = reference + CLOCK_SLACK + WHOLE_DAY
    return [
        Kept(
            each.number,
            _whom(each, leaving, reference),
            None if each.from_closure else each.keep.before(reference),
            dataset.clock.earliest,
            latest,
        )
        for each in (policy.kept if policy else ())
    ]


def _whom(obligation: Obligation, leaving: Mapping[str, Leaver], reference: datetime) -> Condition:
    if not obligation.jurisdictions and not obligation.from_closure:
        return obligation.when
    bound = sorted(name for name, leaver in leaving.items() if _binds(obligation, leaver, reference))
    return And((AnyOf(ACCOUNT, tuple(bound)), obligation.when))


def _binds(obligation: Obligation, leaver: Leaver, reference: datetime) -> bool:
    """Whether an obligation is of an account, and not over for all of it."""
    where, asked = leaver.jurisdiction, leaver.requested_at or reference
    if obligation.jurisdictions and where and where not in obligation.jurisdictions:
        return False
    return not obligation.from_closure or obligation.keep.before(reference) <= asked


class Keeping:
    """Tells of records that are kept why, and until when."""

    def __init__(self, leaving: Mapping[str, Leaver], policy: Policy | None) -> None:
        self._leaving = leaving
        self._obligations = [(each, python_reading(each.when)) for each in (policy.kept if policy else ())]

    def until(self, record: Record, reference: datetime) -> tuple[str, datetime] | None:
        """Return the reason that keeps a record longest, and its date; None where nothing certainly keeps it.

        The date is exact: at it the record, or the closure, is as old as the obligation says, and the next look takes
        it.
        """
        dates = [
            (date, each.reason)
            for each, reads in self._obligations
            if reads(record)
            for date in self._dates(each, record, reference)
        ]
        latest = max(dates, default=None)
        return None if latest is None else (latest[1], latest[0])

    def _dates(self, obligation: Obligation, record: Record, reference: datetime) -> Iterator[datetime]:
        """Give the dates of an obligation that are still to come, one for each owner that it binds."""
        for owner in record.accounts:
            leaver = self._leaving.get(owner)
            if leaver is None or not _binds(obligation, leaver, reference):
                continue
            if obligation.from_closure:
                yield obligation.keep.due(leaver.requested_at or reference)
            elif record.clock is not None and obligation.keep.before(reference) <= moment(record.clock):
                yield obligation.keep.due(moment(record.clock))
