"""What goes again after a store was restored: what is of closed accounts and erased users, and what policy makes due.

An account may come back after its closure, and a user after the erasure. What is older than the end of that was
removed by it, whatever store has it now; what is younger was written since, and policy alone decides about that. Where
the clock is the time at which the store was written, a restore makes it young: nobody can tell then, and the record
stays and is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from retentiond.domain.account import Leaver
from retentiond.domain.condition import (
    ACCOUNT,
    ALWAYS,
    CLOCK,
    NAMED,
    USER,
    Always,
    And,
    AnyOf,
    Compare,
    Condition,
    Missing,
    Not,
    Operator,
    Or,
    Unknown,
)
from retentiond.domain.dataset import ClockFormat, Dataset
from retentiond.domain.decision import KEPT, Case, Cases, Disposition, Kept, cases_of
from retentiond.domain.erasure import Person
from retentiond.domain.obligation import kept_again
from retentiond.domain.policy import Policy
from retentiond.domain.record import micros

BACK, SINCE, UNCERTAIN = "account-closed", "since-closure", "since-closure-or-restored"
ERASED, USER_UNREADABLE = "user-erased", "user-unreadable"
_NEVER = Always(value=False)
_AT_ONCE = 8  # how many conditions stand side by side: databases bound how deep an expression goes


def replay_cases(
    gone: Mapping[Person, int],
    dataset: Dataset,
    reference: datetime,
    policy: Policy | None,
    known: Mapping[Person, Leaver] | None = None,
) -> Cases:
    """Return the cases of one dataset; there are as many for whomever, in the same order.

    Args:
        gone: Closed accounts and erased users, each with the end of the closure or the request, microseconds since the
            epoch.
        policy: The one that governs the dataset; None where none does.
        known: What their closures and requests said of them: what has to be kept of them now, stays.
    """
    of_accounts, of_users = kept_again(gone, known or {}, policy, dataset, reference)
    whole = {person.account: end for person, end in gone.items() if not person.user and dataset.has_owner}
    users = {person: end for person, end in gone.items() if person.user and dataset.tells_users}
    accounts = tuple(sorted(whole))
    theirs: Condition = AnyOf(ACCOUNT, accounts) if accounts else _NEVER
    perhaps = tuple(sorted({*accounts, *(person.account for person in users)}))
    decided = cases_of(policy, dataset, reference).cases if policy else _without_policy(theirs, dataset)
    return Cases(
        (
            Case(Disposition.PURGE, _unbound(_old(_of_accounts(whole), dataset), of_accounts), BACK),
            Case(Disposition.PURGE, _unbound(_old(_of_users(users), dataset), of_users), ERASED),
            *_kept_cases(_old(_of_accounts(whole), dataset), of_accounts),
            *_kept_cases(_old(_of_users(users), dataset), of_users),
            Case(Disposition.UNDETERMINED, AnyOf(NAMED, perhaps) if perhaps else _NEVER, "owner-unreadable"),
            Case(Disposition.UNDETERMINED, _old(_of_unread_users(users), dataset), USER_UNREADABLE),
            *(each for case in decided for each in _since(case, theirs, dataset)),
        )
    )


def _old(conditions: Sequence[Condition], dataset: Dataset) -> Condition:
    """Return whether any of them is true of a record whose clock is no nonsense."""
    if not conditions:
        return _NEVER
    earliest = Compare(CLOCK, Operator.LESS, micros(dataset.clock.earliest))
    return And((Not(earliest), _any(conditions)))


def _unbound(goes: Condition, kept: Sequence[Kept]) -> Condition:
    return And((goes, *(each.over for each in kept))) if kept else goes


def _kept_cases(goes: Condition, kept: Sequence[Kept]) -> Iterator[Case]:
    """Give what stays of what went once: what has to be kept now, and that of which nobody can tell it."""
    for each in kept:
        yield Case(Disposition.KEEP, And((goes, each.young)), KEPT, each.number, each.cutoff)
    if kept:
        doubts = Or(tuple(Unknown(each.over) for each in kept))
        yield Case(Disposition.UNDETERMINED, And((goes, doubts)), "kept-unknown")


def _of_accounts(ends: Mapping[str, int]) -> list[Condition]:
    """Return, for each end, whether a record is of an account that was closed then, and older."""
    by_end: defaultdict[int, list[str]] = defaultdict(list)
    for account, end in sorted(ends.items()):
        by_end[end].append(account)
    return [And((AnyOf(ACCOUNT, tuple(some)), _older(end))) for end, some in sorted(by_end.items())]


def _of_users(ends: Mapping[Person, int]) -> list[Condition]:
    by_end: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for (account, user), end in sorted(ends.items()):
        by_end[account, end].append(user)
    return [
        And((AnyOf(ACCOUNT, (account,)), AnyOf(USER, tuple(some)), _older(end)))
        for (account, end), some in sorted(by_end.items())
    ]


def _of_unread_users(ends: Mapping[Person, int]) -> list[Condition]:
    """Return, for each account with erased users, whether a record of it may be theirs: no such one had been left."""
    latest: dict[str, int] = {}
    for (account, _), end in ends.items():
        latest[account] = max(end, latest.get(account, end))
    return [And((AnyOf(ACCOUNT, (account,)), Missing(USER), _older(end))) for account, end in sorted(latest.items())]


def _older(end: int) -> Condition:
    return Compare(CLOCK, Operator.LESS, end)


def _any(conditions: Sequence[Condition]) -> Condition:
    """Return whether one of many is true, as a tree that is not deep."""
    while len(conditions) > _AT_ONCE:
        conditions = [Or(tuple(conditions[at : at + _AT_ONCE])) for at in range(0, len(conditions), _AT_ONCE)]
    return Or(tuple(conditions))


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
