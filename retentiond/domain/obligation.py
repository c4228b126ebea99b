"""What is kept of accounts that have left, and until when.

An obligation keeps records of a class by the start of their clock, as a policy does: the date of each is known the day
its account leaves. A record that several obligations are of stays as long as any of them keeps it. Where nobody said
which jurisdiction an account belongs to, the obligations of all of them count.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from retentiond.domain.condition import ACCOUNT, ALWAYS, And, AnyOf, Condition, python_reading
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import CLOCK_SLACK, WHOLE_DAY, Cases, Kept, closure_cases
from retentiond.domain.policy import Obligation, Policy
from retentiond.domain.record import Record, moment


def leaving_cases(leaving: Mapping[str, str], policy: Policy | None, dataset: Dataset, reference: datetime) -> Cases:
    """Return the cases of accounts that leave; that in which a record goes is the first of them, whatever is kept.

    Args:
        leaving: The accounts, each with the name of its jurisdiction; empty where nobody said it.
        policy: The one that governs the dataset; None where none does.
    """
    return closure_cases(*sorted(leaving), kept=kept_of(leaving, policy, dataset, reference))


def kept_of(leaving: Mapping[str, str], policy: Policy | None, dataset: Dataset, reference: datetime) -> list[Kept]:
    """Return what the obligations of a policy keep at a reference time."""
    return [
        Kept(
            each.number,
            _whom(each, leaving),
            each.keep.before(reference),
            dataset.clock.earliest,
            reference + CLOCK_SLACK + WHOLE_DAY,
        )
        for each in (policy.kept if policy else ())
    ]


def _whom(obligation: Obligation, leaving: Mapping[str, str]) -> Condition:
    if not obligation.jurisdictions:
        return obligation.when
    bound = tuple(sorted(name for name, where in leaving.items() if _is_of(obligation, where)))
    theirs = AnyOf(ACCOUNT, bound)
    return theirs if obligation.when == ALWAYS else And((theirs, obligation.when))


def _is_of(obligation: Obligation, jurisdiction: str) -> bool:
    return not obligation.jurisdictions or not jurisdiction or jurisdiction in obligation.jurisdictions


class Keeping:
    """Tells of records that are kept why, and until when.

    Args:
        leaving: The accounts, each with the name of its jurisdiction.
    """

    def __init__(self, leaving: Mapping[str, str], policy: Policy | None) -> None:
        self._obligations = [(each, python_reading(_whom(each, leaving))) for each in (policy.kept if policy else ())]

    def until(self, record: Record, reference: datetime) -> tuple[str, datetime] | None:
        """Return the reason that keeps a record longest, and its date; None where nothing certainly keeps it.

        The date is exact: at it the record's clock is as old as the obligation says, and the next look takes it.
        """
        if record.clock is None:
            return None
        start = moment(record.clock)
        dates = [
            (each.keep.due(start), each.reason)
            for each, reads in self._obligations
            if reads(record) and each.keep.before(reference) <= start
        ]
        date, reason = max(dates, default=(None, ""))
        return None if date is None else (reason, date)
