"""What goes again after a restore: what is older than a closure, and what policy says; nothing that can not be told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from retentiond.domain.dataset import ClockFormat, ClockSource, Dataset
from retentiond.domain.decision import Disposition
from retentiond.domain.erasure import Person
from retentiond.domain.owner import OwnerSource
from retentiond.domain.period import Period
from retentiond.domain.policy import Policy, Rule
from retentiond.domain.record import Record, Ties, micros
from retentiond.domain.replay import replay_cases

NOW = datetime(2026, 6, 1, tzinfo=UTC)
END = NOW - timedelta(days=10)
CLOSED = {Person("left"): micros(END), Person("left-later"): micros(END + timedelta(days=3))}
DATASET = Dataset(
    "requests", "app", "sqlite", "content",
    clock=ClockSource(ClockFormat.AUTO, "created", earliest=datetime(2023, 1, 1, tzinfo=UTC)),
    table="requests", key=("id",), owners=(OwnerSource("account"),),
)  # fmt: skip
POLICY = Policy("content", "content", (Rule(1, Period(days=30)),))
KEEP, PURGE, UNDETERMINED = Disposition.KEEP, Disposition.PURGE, Disposition.UNDETERMINED


def said(
    record: Record, dataset: Dataset = DATASET, policy: Policy | None = POLICY, closed: dict[Person, int] | None = None
) -> tuple[Disposition, str]:
    cases = replay_cases(CLOSED if closed is None else closed, dataset, NOW, policy)
    case = cases.cases[cases.python()(record)]
    return case.disposition, case.reason


def record(account: str | None, age: timedelta, *others: str) -> Record:
    return Record((1,), account=account, clock=micros(NOW - age), ties=Ties(others=others))


DAY, MOMENT = timedelta(days=1), timedelta(microseconds=1)


@pytest.mark.parametrize("policy", [POLICY, None])
def test_the_end_of_the_closure_parts_what_came_back_from_what_is_new(policy: Policy | None) -> None:
    assert said(record("left", NOW - END + MOMENT), policy=policy) == (PURGE, "account-closed")
    assert said(record("left", NOW - END), policy=policy) == (KEEP, "since-closure")
    assert said(record("left", DAY), policy=policy) == (KEEP, "since-closure")
    assert said(record("left-later", 8 * DAY), policy=policy) == (PURGE, "account-closed")
    assert said(record("somebody", 11 * DAY), policy=policy)[0] is KEEP
    assert said(record("LEFT", 11 * DAY), policy=policy)[0] is KEEP


def test_a_record_of_several_owners_goes_with_any_of_them() -> None:
    assert said(record("somebody", 11 * DAY, "left")) == (PURGE, "account-closed")
    assert said(record("somebody", 9 * DAY, "left")) == (KEEP, "since-closure")
    assert said(record("left", 9 * DAY, "left-later")) == (PURGE, "account-closed")


@pytest.mark.parametrize("policy", [POLICY, None])
def test_what_cannot_be_told_stays(policy: Policy | None) -> None:
    dark = Record((1,), account="left")
    assert said(dark, policy=policy)[0] is UNDETERMINED
    assert said(record("left", 3650 * DAY), policy=policy) == (UNDETERMINED, "clock-out-of-range")
    perhaps = Record((1,), clock=micros(NOW - 11 * DAY), ties=Ties(named=("left",)))
    assert said(perhaps, policy=policy) == (UNDETERMINED, "owner-unreadable")


def test_policies_say_the_rest_also_of_accounts_that_came_back() -> None:
    old = {Person("left"): micros(NOW - 60 * DAY)}
    assert said(record("left", 31 * DAY), closed=old) == (PURGE, "past-retention-period")
    assert said(record("somebody", 31 * DAY)) == (PURGE, "past-retention-period")
    assert said(record("somebody", 29 * DAY)) == (KEEP, "within-retention-period")


def test_a_clock_that_the_restore_set_says_nothing() -> None:
    dataset = replace(DATASET, clock=replace(DATASET.clock, format=ClockFormat.MODIFIED))
    assert said(record("left", DAY), dataset) == (UNDETERMINED, "since-closure-or-restored")
    assert said(record("left", 11 * DAY), dataset) == (PURGE, "account-closed")
    assert said(record("somebody", DAY), dataset) == (KEEP, "within-retention-period")


def test_whoever_is_closed_the_cases_are_as_many_and_in_the_same_order() -> None:
    some = replay_cases(CLOSED, DATASET, NOW, POLICY)
    none = replay_cases({}, DATASET, NOW, POLICY)
    nobodys = replay_cases(CLOSED, replace(DATASET, owners=()), NOW, POLICY)
    assert [each.reason for each in some.cases] == [each.reason for each in none.cases]
    assert said(record("left", 11 * DAY), closed={}) == (KEEP, "within-retention-period")
    winner = nobodys.python()
    assert nobodys.cases[winner(Record((1,), clock=micros(NOW - 11 * DAY)))].reason == "within-retention-period"


USERS = replace(DATASET, users=(OwnerSource("user"),))
ERASED = {Person("acct", "ada"): micros(END), Person("acct", "bob"): micros(END + DAY)}


def of_user(account: str, age: timedelta, *users: str) -> Record:
    return Record((1,), account=account, clock=micros(NOW - age), ties=Ties(users=users))


def test_an_erased_user_is_one_of_one_account_and_older_than_the_erasure() -> None:
    assert said(of_user("acct", 11 * DAY, "ada"), USERS, closed=ERASED) == (PURGE, "user-erased")
    assert said(of_user("acct", 9 * DAY - MOMENT, "ada"), USERS, closed=ERASED)[0] is KEEP
    assert said(of_user("acct", 9 * DAY + MOMENT, "bob"), USERS, closed=ERASED) == (PURGE, "user-erased")
    assert said(of_user("acct", 11 * DAY, "eve", "ada"), USERS, closed=ERASED) == (PURGE, "user-erased")
    assert said(of_user("acct", 11 * DAY, "eve"), USERS, closed=ERASED)[0] is KEEP
    assert said(of_user("other", 11 * DAY, "ada"), USERS, closed=ERASED)[0] is KEEP
    unread = Record((1,), account="acct", clock=micros(NOW - 11 * DAY))
    assert said(unread, USERS, closed=ERASED) == (UNDETERMINED, "user-unreadable")
    assert said(unread, DATASET, closed=ERASED)[0] is KEEP  # nothing had been removed there
    perhaps = Record((1,), clock=micros(NOW - 11 * DAY), ties=Ties(named=("acct",)))
    assert said(perhaps, USERS, closed=ERASED) == (UNDETERMINED, "owner-unreadable")


def test_very_many_people_make_no_deep_condition() -> None:
    many = {Person(f"acct-{number}", "u"): micros(END) + number for number in range(1_000)}
    assert said(of_user("acct-999", 11 * DAY, "u"), USERS, closed=many) == (PURGE, "user-erased")
