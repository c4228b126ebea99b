"""Decisions: the first rule that matches wins, and what cannot be told is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from retentiond.domain.condition import ACCOUNT, ALWAYS, AnyOf, Compare, Operator, attribute
from retentiond.domain.dataset import ClockFormat, ClockSource, Dataset, TombstoneTarget
from retentiond.domain.decision import Disposition, cases_of, closure_cases, hidden_since, undo_cases
from retentiond.domain.owner import OwnerSource
from retentiond.domain.period import Period
from retentiond.domain.policy import Action, Policy, Rule
from retentiond.domain.record import Record, micros

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FLAGGED = Rule(2, Period(months=23), Compare(attribute("flagged"), Operator.EQUAL, literal=True))
ZERO = Rule(1, Period(seconds=900), AnyOf(ACCOUNT, ("acct-zdr",)), zero_retention=True)
HIDE = Rule(3, Period(days=23), then=Action.TOMBSTONE, grace=Period(days=5))
POLICY = Policy("request-content", "content", (ZERO, FLAGGED, HIDE))
DATASET = Dataset(
    "requests",
    "db",
    "sqlite",
    "content",
    ClockSource(column="t"),
    owners=(OwnerSource("a"),),
    tombstone=TombstoneTarget("d"),
)


def record(
    age: timedelta, *, account: str | None = "acct-1", flagged: object = 0, hidden: timedelta | None = None
) -> Record:
    return Record(
        (1,),
        account=account,
        clock=micros(NOW - age),
        tombstoned=None if hidden is None else micros(NOW - hidden),
        attributes={"flagged": flagged},  # type: ignore[dict-item]
    )


def decide(subject: Record) -> tuple[Disposition, int, str]:
    cases = cases_of(POLICY, DATASET, NOW)
    case = cases.cases[cases.python()(subject)]
    return case.disposition, case.rule, case.reason


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (record(22 * DAY), (Disposition.KEEP, 3)),
        (record(23 * DAY), (Disposition.KEEP, 3)),
        (record(23 * DAY + timedelta(microseconds=1)), (Disposition.TOMBSTONE, 3)),
        (record(40 * DAY, hidden=4 * DAY), (Disposition.KEEP, 3)),
        (record(40 * DAY, hidden=6 * DAY), (Disposition.PURGE, 3)),
        (record(10 * DAY, hidden=6 * DAY), (Disposition.KEEP, 3)),
        (record(40 * DAY, hidden=-timedelta(hours=23)), (Disposition.KEEP, 3)),
        (record(40 * DAY, hidden=-timedelta(hours=25)), (Disposition.UNDETERMINED, 3)),
        (record(40 * DAY, hidden=-365 * 100 * DAY), (Disposition.UNDETERMINED, 3)),
        (record(10 * DAY, hidden=-365 * 100 * DAY), (Disposition.KEEP, 3)),
        (record(40 * DAY, flagged=1), (Disposition.KEEP, 2)),
        (record(800 * DAY, flagged=1), (Disposition.PURGE, 2)),
        (record(timedelta(minutes=16), account="acct-zdr"), (Disposition.PURGE, 1)),
        (record(timedelta(minutes=16), account="acct-zdr", flagged=None), (Disposition.PURGE, 1)),
        (record(timedelta(minutes=14), account="acct-zdr"), (Disposition.KEEP, 1)),
        (record(40 * DAY, flagged=None), (Disposition.UNDETERMINED, 2)),
        (record(40 * DAY, flagged="true"), (Disposition.UNDETERMINED, 2)),
        (record(40 * DAY, flagged=7), (Disposition.UNDETERMINED, 2)),
        (record(40 * DAY, account=None), (Disposition.UNDETERMINED, 0)),
        (record(-timedelta(minutes=6)), (Disposition.UNDETERMINED, 0)),
        (record(-timedelta(minutes=4)), (Disposition.KEEP, 3)),
        (record(365 * 40 * DAY), (Disposition.UNDETERMINED, 0)),
        (Record((1,), account="a", clock=None, attributes={"flagged": 0}), (Disposition.UNDETERMINED, 0)),
    ],
)
def test_the_first_rule_wins_and_doubt_keeps(subject: Record, expected: tuple[Disposition, int]) -> None:
    assert decide(subject)[:2] == expected


def test_the_floor_keeps_what_is_young_but_not_from_zero_retention() -> None:
    quick = Rule(1, Period(seconds=60))
    policy = Policy("p", "content", (quick,), floor=Period(seconds=3600))
    cases = cases_of(policy, DATASET, NOW)
    young, old = record(timedelta(minutes=30)), record(timedelta(minutes=61))
    assert cases.cases[cases.python()(young)].disposition is Disposition.KEEP
    assert cases.cases[cases.python()(old)].disposition is Disposition.PURGE


def test_a_date_of_today_ends_tonight_and_is_no_absurd_clock() -> None:
    dated = replace(DATASET, clock=ClockSource(ClockFormat.DATE, column="t"))
    for clock, expected in ((timedelta(hours=12), Disposition.KEEP), (timedelta(hours=25), Disposition.UNDETERMINED)):
        cases = cases_of(POLICY, dated, NOW)
        assert cases.cases[cases.python()(record(-clock))].disposition is expected


def test_where_nothing_can_be_hidden_the_grace_is_waited_for() -> None:
    bare = Dataset("payloads", "s3", "s3", "content")
    cases = cases_of(Policy("p", "content", (HIDE,)), bare, NOW)
    assert cases.cases[cases.python()(record(27 * DAY))].disposition is Disposition.KEEP
    assert cases.cases[cases.python()(record(28 * DAY + DAY / 24))].disposition is Disposition.PURGE


def test_a_closure_takes_the_account_whatever_its_age_and_nobody_else() -> None:
    cases = closure_cases("acct-1")
    winner = cases.python()
    assert cases.cases[winner(record(timedelta(0)))].disposition is Disposition.PURGE
    assert cases.cases[winner(record(900 * DAY, account="acct-2"))].disposition is Disposition.KEEP
    assert cases.cases[winner(record(900 * DAY, account=None))].disposition is Disposition.KEEP


@pytest.mark.parametrize(
    ("subject", "disposition", "reason"),
    [
        (record(40 * DAY, hidden=4 * DAY), Disposition.RESTORE, "tombstoned"),
        (record(40 * DAY, hidden=6 * DAY), Disposition.KEEP, "grace-over"),
        (record(10 * DAY, hidden=6 * DAY), Disposition.RESTORE, "tombstoned"),  # policy keeps it longer by now
        (record(40 * DAY), Disposition.KEEP, "visible"),
        (record(800 * DAY, flagged=1, hidden=DAY), Disposition.KEEP, "grace-over"),
        (record(40 * DAY, flagged=None, hidden=40 * DAY), Disposition.RESTORE, "tombstoned"),
        (record(40 * DAY, account=None, hidden=40 * DAY), Disposition.RESTORE, "tombstoned"),
        (record(40 * DAY, account="acct-2", hidden=DAY), Disposition.KEEP, "not-selected"),
    ],
)
def test_what_policy_would_purge_is_over_and_all_else_that_is_hidden_comes_back(
    subject: Record, disposition: Disposition, reason: str
) -> None:
    mine = ALWAYS if subject.account is None else AnyOf(ACCOUNT, ("acct-1",))
    cases = undo_cases(mine, cases_of(POLICY, DATASET, NOW))
    won = cases.reason(cases.python()(subject))
    assert (won.disposition, won.reason) == (disposition, reason)


def test_what_a_selector_cannot_tell_stays_hidden_and_no_policy_ends_no_grace() -> None:
    hidden = record(40 * DAY, account=None, hidden=400 * DAY)
    selected = undo_cases(AnyOf(ACCOUNT, ("acct-1",)), None)
    assert selected.reason(selected.python()(hidden)).disposition is Disposition.UNDETERMINED
    everything = undo_cases(ALWAYS, None)
    assert everything.reason(everything.python()(hidden)).disposition is Disposition.RESTORE


def test_only_a_tombstone_of_exactly_one_of_the_times_counts() -> None:
    times = [micros(NOW - DAY), micros(NOW - 2 * DAY)]
    cases = hidden_since(undo_cases(ALWAYS, None), times)
    winner = cases.python()
    found = [cases.reason(winner(record(40 * DAY, hidden=days * DAY))).reason for days in (1, 2, 3)]
    assert found == ["tombstoned", "tombstoned", "hidden-at-another-time"]
    assert cases.reason(winner(record(40 * DAY))).reason == "visible"
