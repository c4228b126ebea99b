"""Decisions: what policy says of a record now, and why.

A policy and a dataset give, for one reference time, a list of cases of which the first that is true wins, like an
SQL CASE. The list selects what a plan holds, stands in the statement that removes it and in the read that verifies it:
one predicate. What cannot be told stands before what is due, so an unknown never falls through to a removal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from retentiond.domain.condition import (
    ACCOUNT,
    ALWAYS,
    CLOCK,
    NAMED,
    TOMBSTONED,
    And,
    AnyOf,
    Compare,
    Condition,
    Missing,
    Not,
    Operator,
    Or,
    SqlDialect,
    Stands,
    Unknown,
    changes,
    python_reading,
    sql_reading,
)
from retentiond.domain.content import Change
from retentiond.domain.dataset import ClockFormat, Dataset
from retentiond.domain.policy import Action, ContentWindow, Policy, Rule
from retentiond.domain.record import Record, Value, micros

CLOCK_SLACK = timedelta(minutes=5)
OTHERS = "other-account"
UNOWNED = "owner-unreadable"
KEPT = "kept-after-closure"
GRACE_OVER, VISIBLE = "grace-over", "visible"
WHOLE_DAY = timedelta(days=1)  # a date ends at its midnight, which today is still to come


class Disposition(StrEnum):
    """What policy, holds and closures say of one record now."""

    KEEP = "keep"
    HELD = "held"
    UNDETERMINED = "undetermined"
    TOMBSTONE = "tombstone"
    PURGE = "purge"
    REDACT = "redact"
    PSEUDONYMISE = "pseudonymise"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which a decision can end.

    Attributes:
        rule: The policy's rule, from 1; 0 where no rule is asked.
        cutoff: Reference time less retention period, where the case is about age.
        reason: A short stable word for programs and counts, such as `clock-missing`.
        window: The policy's content window, from 1; 0 where none is asked.
        change: What is done to the record, where a part of it goes.
    """

    disposition: Disposition
    when: Condition
    reason: str
    rule: int = 0
    cutoff: datetime | None = None
    window: int = 0
    change: Change | None = None

    @property
    def action(self) -> Action | None:
        """The action that is due, or None."""
        return Action(self.disposition) if self.disposition in _DUE else None


_DUE = frozenset(
    (Disposition.PURGE, Disposition.TOMBSTONE, Disposition.REDACT, Disposition.PSEUDONYMISE, Disposition.RESTORE)
)


@dataclass(frozen=True, slots=True)
class Cases:
    """An ordered list of cases; the first that is true wins, and the last is always true."""

    cases: tuple[Case, ...]

    @property
    def due(self) -> tuple[int, ...]:
        """Indexes of the cases in which something is to be done."""
        return tuple(index for index, case in enumerate(self.cases) if case.action is not None)

    def python(self) -> Callable[[Record], int]:
        """Return a function from a record to the index of the case that wins."""
        reads = tuple(python_reading(case.when) for case in self.cases)

        def winner(record: Record) -> int:
            return next(index for index, read in enumerate(reads) if read(record))

        return winner

    def sql(self, dialect: SqlDialect, bind: Callable[[Value], str]) -> str:
        """Return an SQL expression for the index of the case that wins."""
        arms = " ".join(
            f"WHEN {sql_reading(case.when, dialect, bind)} THEN {index}" for index, case in enumerate(self.cases)
        )
        return f"(CASE {arms} END)"

    def changes(self) -> tuple[Change, ...]:
        """Return the changes that the cases ask about, each once, in order."""
        found = (change for case in self.cases for change in changes(case.when))
        return tuple(dict.fromkeys(found))

    def reason(self, index: int) -> Case:
        """Return the case of an index."""
        return self.cases[index]


def cases_of(policy: Policy, dataset: Dataset, reference: datetime, seen_at: datetime | None = None) -> Cases:
    """Return the cases of one dataset under one policy.

    Args:
        reference: The run's one reading of the clock.
        seen_at: When records are looked at, where that is later: those made in between are no doubt.
    """
    if dataset.clock.format is ClockFormat.NONE:
        return Cases((Case(Disposition.KEEP, ALWAYS, "no-clock"),))
    cases = [*_doubts(dataset, seen_at or reference)]
    for rule in policy.rules:
        cases.append(Case(Disposition.UNDETERMINED, Unknown(rule.when), "attribute-unknown", rule.number))
        *due, keep = _rule_cases(rule, policy, dataset, reference, seen_at or reference)
        cases.extend((*due, *_content_cases(rule, policy, dataset, reference), keep))
    cases.append(Case(Disposition.KEEP, ALWAYS, "no-rule"))
    return Cases(tuple(cases))


def only_of(accounts: Sequence[str], cases: Cases) -> Cases:
    """Return cases that ask nothing of records that certainly belong to none of the accounts."""
    return Cases((Case(Disposition.KEEP, Not(AnyOf(ACCOUNT, tuple(accounts))), OTHERS), *cases.cases))


@dataclass(frozen=True, slots=True)
class Kept:
    """What an obligation keeps at a reference time of accounts that leave.

    Attributes:
        number: The obligation's place among those of its class, from 1.
        whom: Of which records, by whom they are of and what they are.
        cutoff: Those whose clock started before it go; None where all of them stay, whatever their clock.
        earliest, latest: Between these times clocks are real; of others nobody can tell.
    """

    number: int
    whom: Condition
    cutoff: datetime | None
    earliest: datetime
    latest: datetime

    @property
    def over(self) -> Condition:
        """Whether it certainly keeps a record no more, or never did."""
        if self.cutoff is None:
            return Not(self.whom)
        return Or((Not(self.whom), And((self._from(self.earliest), self._before(self.cutoff)))))

    @property
    def young(self) -> Condition:
        """Whether it certainly keeps a record."""
        if self.cutoff is None:
            return self.whom
        within = Not(Compare(CLOCK, Operator.GREATER, micros(self.latest)))
        return And((self.whom, self._from(max(self.cutoff, self.earliest)), within))

    def _from(self, start: datetime) -> Condition:
        return Compare(CLOCK, Operator.GREATER_OR_EQUAL, micros(start))

    def _before(self, end: datetime) -> Condition:
        return Compare(CLOCK, Operator.LESS, micros(end))


def closure_cases(*accounts: str, kept: Sequence[Kept] = ()) -> Cases:
    """Return the cases of accounts that leave: everything of any of them goes, whatever its age, but for what is kept.

    A record of several owners goes with any of them. One that is an account's and perhaps somebody else's, too, stays
    and is counted: as long as it is there, nobody can say that everything of the account is gone. So does one of which
    nobody can tell whether it has to be kept: what goes is the first case, and that is certain of each obligation.
    One of which nobody can tell at all whose it is keeps no account from being gone, and is counted apart.
    """
    theirs = AnyOf(ACCOUNT, accounts)
    leaves: Condition = And((theirs, *(each.over for each in kept))) if kept else theirs
    named = Case(Disposition.UNDETERMINED, AnyOf(NAMED, accounts), "owner-unreadable")
    unowned = Case(Disposition.KEEP, Missing(ACCOUNT), UNOWNED)
    purge = Case(Disposition.PURGE, leaves, "account-closed")
    if not kept:
        return Cases((purge, named, unowned, Case(Disposition.KEEP, ALWAYS, OTHERS)))
    others = Case(Disposition.KEEP, Not(theirs), OTHERS)
    stays = (Case(Disposition.KEEP, each.young, KEPT, each.number, each.cutoff) for each in kept)
    untold = Case(Disposition.UNDETERMINED, ALWAYS, "kept-unknown")
    last = Case(Disposition.KEEP, ALWAYS, OTHERS)  # where a store lets something stay for reasons of its own
    return Cases((purge, named, unowned, others, *stays, untold, last))


def manual_cases(selected: Condition, dataset: Dataset, reference: datetime, cutoff: datetime) -> Cases:
    """Return the cases of a purge that people ask for: what they select goes, but for what is younger than the floor.

    Doubts come after what is certainly not selected, so that they count only where something might be.

    Args:
        selected: Whether a record is selected; always true where its key selects it.
        cutoff: The reference time less the floor.
    """
    old = Compare(CLOCK, Operator.LESS, micros(cutoff))
    return Cases(
        (
            Case(Disposition.KEEP, Not(selected), "not-selected"),
            *_doubts(dataset, reference),
            Case(Disposition.UNDETERMINED, Unknown(selected), "selection-unknown"),
            Case(Disposition.PURGE, old, "selected", cutoff=cutoff),
            Case(Disposition.KEEP, ALWAYS, "younger-than-floor"),
        )
    )


def named_cases() -> Cases:
    """Return the cases of records that go because another record names them: their identity is the predicate."""
    return Cases((Case(Disposition.PURGE, ALWAYS, "named-by-row"),))


def hide_cases() -> Cases:
    """Return the cases of records that are hidden because another record names them."""
    return Cases(
        (
            Case(Disposition.TOMBSTONE, Missing(TOMBSTONED), "named-by-row"),
            Case(Disposition.KEEP, ALWAYS, "already-hidden"),
        )
    )


def undo_cases(selected: Condition, policy: Cases | None) -> Cases:
    """Return the cases of tombstoned records that people ask back: what they select is restored while its grace lasts.

    Where policy would purge a record now, its grace is over. Whatever else policy says does not count, its doubts
    included: bringing a record back removes nothing.

    Args:
        policy: What policy says of the dataset at the reference time; None where none governs it, or where a row
            decides for the objects that it names.
    """
    said = policy.cases if policy else (Case(Disposition.KEEP, ALWAYS, TOMBSTONED),)
    return Cases(
        (
            Case(Disposition.KEEP, Not(selected), "not-selected"),
            Case(Disposition.UNDETERMINED, Unknown(selected), "selection-unknown"),
            Case(Disposition.KEEP, Missing(TOMBSTONED), VISIBLE),
            *(_undone(case) for case in said if not case.window),  # parts that go sooner hide nothing
        )
    )


def hidden_since(cases: Cases, times: Sequence[int]) -> Cases:
    """Return cases with one before them that keeps what was not hidden at exactly one of these times.

    Args:
        times: Microseconds since the epoch; at least one.
    """
    then = Or(tuple(Compare(TOMBSTONED, Operator.EQUAL, each) for each in times))
    return Cases((Case(Disposition.KEEP, Not(then), "hidden-at-another-time"), *cases.cases))


def _undone(case: Case) -> Case:
    if case.disposition is Disposition.PURGE:
        return Case(Disposition.KEEP, case.when, GRACE_OVER, case.rule, case.cutoff)
    return Case(Disposition.RESTORE, case.when, TOMBSTONED, case.rule, case.cutoff)


def window_cutoff(window: ContentWindow, policy: Policy, reference: datetime) -> datetime:
    """Return the cutoff of a content window; never younger than the floor."""
    return min(window.after.before(reference), policy.floor.before(reference))


def asked_by(window: ContentWindow, windows: Sequence[ContentWindow]) -> Condition:
    """Return which records a window governs: those that it matches, and no earlier window with a target in common."""
    before = (each for each in windows if each.number < window.number and each.change.overlaps(window.change))
    return And((window.when, *(Not(each.when) for each in before)))


def age_cutoff(rule: Rule, policy: Policy, reference: datetime) -> datetime:
    """Return the cutoff of a rule: records whose clock started before it are due; never younger than the floor."""
    cutoff = rule.keep.before(reference)
    return cutoff if rule.zero_retention else min(cutoff, policy.floor.before(reference))


def _doubts(dataset: Dataset, reference: datetime) -> tuple[Case, ...]:
    earliest = Compare(CLOCK, Operator.LESS, micros(dataset.clock.earliest))
    ahead = WHOLE_DAY if dataset.clock.format in (ClockFormat.DATE, ClockFormat.PATTERN) else timedelta()
    latest = Compare(CLOCK, Operator.GREATER, micros(reference + CLOCK_SLACK + ahead))
    doubts = (
        Case(Disposition.UNDETERMINED, Missing(CLOCK), "clock-unreadable"),
        Case(Disposition.UNDETERMINED, Or((earliest, latest)), "clock-out-of-range"),
    )
    if not dataset.has_owner:
        return doubts
    return (*doubts, Case(Disposition.UNDETERMINED, Missing(ACCOUNT), "owner-unreadable"))


def _rule_cases(
    rule: Rule, policy: Policy, dataset: Dataset, reference: datetime, seen_at: datetime
) -> tuple[Case, ...]:
    cutoff = age_cutoff(rule, policy, reference)
    keep = Case(Disposition.KEEP, rule.when, "within-retention-period", rule.number)
    if rule.then is not Action.TOMBSTONE:
        return (_aged(Disposition.PURGE, rule, cutoff, ()), keep)
    hidden_before = rule.grace.before(reference) if rule.grace else reference
    if dataset.tombstone is None:
        both = rule.grace.before(cutoff) if rule.grace else cutoff
        return (_aged(Disposition.PURGE, rule, both, ()), keep)
    over = Compare(TOMBSTONED, Operator.LESS, micros(hidden_before))
    ahead = Compare(TOMBSTONED, Operator.GREATER, micros(seen_at + WHOLE_DAY))
    return (
        _aged(Disposition.TOMBSTONE, rule, cutoff, (Missing(TOMBSTONED),)),
        _aged(Disposition.PURGE, rule, cutoff, (over,)),
        _aged(Disposition.UNDETERMINED, rule, cutoff, (ahead,), "tombstone-out-of-range"),
        keep,
    )


def _content_cases(rule: Rule, policy: Policy, dataset: Dataset, reference: datetime) -> tuple[Case, ...]:
    """Return what windows say of records that a rule keeps: what is surely due first, then what cannot be told."""
    due, doubts = list[Case](), list[Case]()
    windows = policy.windows(dataset.name)
    for window in windows:
        cutoff, number = window_cutoff(window, policy, reference), window.number
        old = Compare(CLOCK, Operator.LESS, micros(cutoff))
        asked = And((asked_by(window, windows), old, Stands(window.change)))
        done, when = Disposition(window.action.value), And((rule.when, asked))
        due.append(Case(done, when, "past-content-window", rule.number, cutoff, number, window.change))
        unknown = And((rule.when, Unknown(asked)))
        doubts.append(Case(Disposition.UNDETERMINED, unknown, "content-unknown", rule.number, cutoff, number))
    return (*due, *doubts)


def _aged(
    disposition: Disposition,
    rule: Rule,
    cutoff: datetime,
    more: tuple[Condition, ...],
    reason: str = "past-retention-period",
) -> Case:
    old = Compare(CLOCK, Operator.LESS, micros(cutoff))
    return Case(disposition, And((rule.when, old, *more)), reason, rule.number, cutoff)
