"""What goes again after a store was restored: everything of accounts that are closed, and what policy makes due.

An account may come back after its closure. What is older than the end of its closure was removed by it, whatever store
has it now; what is younger was written since, and policy alone decides about that. Where the clock is the time at which
the store was written, a restore makes it young: nobody can tell then, and the record stays and is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime

from retentiond.domain.condition import (
    ACCOUNT,
    ALWAYS,
    CLOCK,
    NAMED,
    Always,
    And,
    AnyOf,
    Compare,
    Condition,
    Missing,
    Not,
    Operator,
    Or,
)
from retentiond.domain.dataset import ClockFormat, Dataset
from retentiond.domain.decision import Case, Cases, Disposition, cases_of
from retentiond.domain.policy import Policy
from retentiond.domain.record import micros

BACK, SINCE, UNCERTAIN = "account-closed", "since-closure", "since-closure-or-restored"
_NEVER = Always(value=False)


def replay_cases(closed: Mapping[str, int], dataset: Dataset, reference: datetime, policy: Policy | None) -> Cases:
    """Return the cases of one dataset; there are as many for any accounts, in the same order.

    Args:
        closed: Closed accounts, each with the end of its closure, microseconds since the epoch.
        policy: The one that governs the dataset; None where none does.
    """
    accounts = tuple(sorted(closed)) if dataset.has_owner else ()
    theirs: Condition = AnyOf(ACCOUNT, accounts) if accounts else _NEVER
    perhaps: Condition = AnyOf(NAMED, accounts) if accounts else _NEVER
    old = _before_closure(closed, dataset) if accounts else _NEVER
    decided = cases_of(policy, dataset, reference).cases if policy else _without_policy(theirs, dataset)
    return Cases(
        (
            Case(Disposition.PURGE, old, BACK),
            Case(Disposition.UNDETERMINED, perhaps, "owner-unreadable"),
            *(each for case in decided for each in _since(case, theirs, dataset)),
        )
    )


def _before_closure(closed: Mapping[str, int], dataset: Dataset) -> Condition:
    """Return whether a record of a closed account is older than the end of its closure, and its clock no nonsense."""
    by_end: defaultdict[int, list[str]] = defaultdict(list)
    for account, end in sorted(closed.items()):
        by_end[end].append(account)
    ends = (
        And((AnyOf(ACCOUNT, tuple(some)), Compare(CLOCK, Operator.LESS, end))) for end, some in sorted(by_end.items())
    )
    earliest = Compare(CLOCK, Operator.LESS, micros(dataset.clock.earliest))
    return And((Not(earliest), Or(tuple(ends))))


def _without_policy(theirs: Condition, dataset: Dataset) -> tuple[Case, ...]:
    earliest = Compare(CLOCK, Operator.LESS, micros(dataset.clock.earliest))
    return (
        Case(Disposition.UNDETERMINED, And((theirs, Missing(CLOCK))), "clock-unreadable"),
        Case(Disposition.UNDETERMINED, And((theirs, earliest)), "clock-out-of-range"),
        Case(Disposition.KEEP, ALWAYS, "no-policy"),
    )


def _since(case: Case, theirs: Condition, dataset: Dataset) -> Iterator[Case]:
    """Give a case of the policy; where that keeps a record of a closed account, by a case of its own before it."""
    if case.disposition is Disposition.KEEP:
        when = And((theirs, case.when))
        if dataset.clock.format is ClockFormat.MODIFIED:
            yield Case(Disposition.UNDETERMINED, when, UNCERTAIN, case.rule)
        else:
            yield Case(Disposition.KEEP, when, SINCE, case.rule)
    yield case
