from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.content import Change, Target
from retentiond.domain.period import Period
from retentiond.domain.policy import Action, ContentWindow, Limits, Policy, Promise, Rule, Schedule
from retentiond.domain.promise import (
    EffectiveRetention,
    StoreTerms,
    due_after,
    effective_retention,
    in_words,
    interval,
)

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)


def days(number: int) -> Period:
    return Period(days=number)


def hours(number: int) -> Period:
    return Period(seconds=number * 3600)


def months(number: int) -> Period:
    return Period(months=number)


def only(
    rule: Rule, promise: Promise, terms: StoreTerms | None = None, schedule: Schedule | None = None
) -> EffectiveRetention:
    policy = Policy("p", "c", (rule,), promise, schedule or Schedule(every=hours(6)))
    (found,) = effective_retention(policy, terms or StoreTerms())
    return found


def content(*windows: ContentWindow, rule: Rule | None = None, promise: Promise | None = None) -> list[str]:
    """Return how long the parts of each window last."""
    rules = (rule or Rule(1, months(13)),)
    policy = Policy("p", "c", rules, promise or Promise(), Schedule(every=hours(6)), content=windows)
    return [each.live.text for each in effective_retention(policy, StoreTerms()) if each.window]


def window(number: int, after: Period, *columns: str, **more: Any) -> ContentWindow:
    change = Change(tuple(map(Target, columns)))
    return ContentWindow(number, after, change, more.pop("datasets", frozenset(("d",))), **more)


# --- content windows -------------------------------------------------------------------------------------------------


def test_a_window_lasts_after_interval_and_longest_run() -> None:
    assert content(window(1, days(3), "a")) == ["3 days 8 hours"]


def test_windows_that_come_due_together_wait_for_each_other_in_their_order() -> None:
    together = [window(number, days(3), f"c{number}") for number in (1, 2, 3)]
    assert content(*together) == ["3 days 8 hours", "3 days 16 hours", "4 days"]
    apart = [replace(each, datasets=frozenset((f"d{each.number}",))) for each in together]
    assert content(*apart) == ["3 days 8 hours"] * 3


def test_windows_that_are_done_before_are_not_waited_for() -> None:
    assert content(window(1, days(3), "a"), window(2, days(4), "b")) == ["3 days 8 hours", "4 days 8 hours"]
    assert content(window(1, days(4), "a"), window(2, days(3), "b")) == ["4 days 8 hours", "3 days 8 hours"]
    nearly = (window(1, days(3), "a"), window(2, Period(days=3, seconds=7 * 3600), "b"))
    assert content(*nearly) == ["3 days 8 hours", "3 days 23 hours"]


def test_a_tombstone_that_comes_due_together_goes_first() -> None:
    hides = Rule(1, days(7), then=Action.TOMBSTONE, grace=days(5))
    assert content(window(1, days(7), "a"), rule=hides) == ["7 days 16 hours"]
    assert content(window(1, days(3), "a"), rule=hides) == ["3 days 8 hours"]


def test_a_window_has_a_promise_of_its_own_only() -> None:
    policy = Policy("p", "c", (Rule(1, days(20)),), Promise(live=days(21)), Schedule(every=hours(6)))
    without, strict = window(1, days(19), "a"), window(2, days(3), "b", promise=Promise(live=days(3)))
    found = effective_retention(replace(policy, content=(without, strict)), StoreTerms())
    assert [(each.window, each.live.promised, each.fits) for each in found] == [
        (0, days(21), True), (1, None, True), (2, days(3), False),
    ]  # fmt: skip


# --- the formula ---------------------------------------------------------------------------------------------------


def test_a_purge_lasts_keep_interval_and_longest_run() -> None:
    found = only(Rule(1, days(23)), Promise(live=days(30)))
    assert found.live.text == "23 days 8 hours"
    assert found.fits


def test_a_tombstone_adds_grace_interval_and_longest_run() -> None:
    found = only(Rule(1, days(23), then=Action.TOMBSTONE, grace=days(5)), Promise(live=days(30)))
    assert found.live.text == "28 days 16 hours"
    assert found.live.longest == timedelta(days=28, hours=16)


def test_a_tombstone_without_grace_still_waits_for_a_second_run() -> None:
    assert only(Rule(1, days(23), then=Action.TOMBSTONE), Promise()).live.text == "23 days 16 hours"


def test_the_longest_of_the_last_runs_counts_where_it_exceeds_the_limit() -> None:
    rule, promise = Rule(1, days(1)), Promise()
    assert only(rule, promise, StoreTerms(longest_run=hours(5))).live.text == "1 day 11 hours"
    assert only(rule, promise, StoreTerms(longest_run=hours(1))).live.text == "1 day 8 hours"


def test_the_policys_longest_run_counts() -> None:
    policy = Policy("p", "c", (Rule(1, days(1)),), limits=Limits(longest_run=hours(4)))
    assert effective_retention(policy, StoreTerms())[0].live.text == "1 day 10 hours"


def test_noncurrent_versions_and_object_lock_are_added() -> None:
    found = only(Rule(1, days(1)), Promise(), StoreTerms(noncurrent=days(3), lock=days(7)))
    assert found.live.text == "11 days 8 hours"


def test_a_rule_with_an_interval_of_its_own_goes_by_that() -> None:
    zero = Rule(1, Period(seconds=900), zero_retention=True, check_every=Period(seconds=300))
    assert only(zero, Promise()).live.text == "2 hours 20 minutes"


def test_a_cron_schedule_goes_by_its_longest_gap() -> None:
    weekdays = Schedule(cron="0 0 * * mon-fri")
    assert only(Rule(1, days(1)), Promise(), schedule=weekdays).live.text == "4 days 2 hours"


@pytest.mark.parametrize(("promised", "fits", "excess"), [(28 * 24 + 16, True, 0), (28 * 24 + 15, False, 1)])
def test_the_promise_is_kept_to_the_hour(promised: int, fits: bool, excess: int) -> None:  # noqa: FBT001
    rule = Rule(1, days(23), then=Action.TOMBSTONE, grace=days(5))
    found = only(rule, Promise(live=hours(promised)))
    assert (found.fits, found.live.fits, found.live.excess) == (fits, fits, timedelta(hours=excess))


def test_a_rules_own_promise_stands_in_place_of_the_policys() -> None:
    rule = Rule(1, days(40), promise=Promise(live=days(41)))
    found = only(rule, Promise(live=days(30)))
    assert found.fits
    assert found.live.promised == days(41)


def test_where_nothing_is_promised_everything_fits() -> None:
    assert only(Rule(1, months(120)), Promise()).fits


def test_each_rule_is_reckoned_in_order() -> None:
    policy = Policy("p", "c", (Rule(1, days(5)), Rule(2, days(50))), Promise(live=days(30)))
    assert [(each.rule, each.fits) for each in effective_retention(policy, StoreTerms())] == [(1, True), (2, False)]


# --- backups -------------------------------------------------------------------------------------------------------


def test_backups_last_as_long_as_live_data_and_then_as_long_as_they_are_kept() -> None:
    found = only(Rule(1, days(23)), Promise(live=days(30), backups=days(58)), StoreTerms(backups=days(35)))
    assert found.backups is not None
    assert found.backups.text == "58 days 8 hours"
    assert found.backups.excess == timedelta(hours=8)
    assert found.live.fits
    assert not found.fits


def test_a_store_without_backups_keeps_its_promise_of_backups() -> None:
    found = only(Rule(1, days(23)), Promise(live=days(30), backups=days(30)), StoreTerms(backups=None))
    assert found.backups is not None
    assert found.backups.fits
    assert not found.backups_unknown


def test_backups_that_are_promised_and_not_declared_are_unknown_and_never_zero() -> None:
    found = only(Rule(1, days(23)), Promise(backups=days(60)), StoreTerms(backups_declared=False))
    assert found.backups is None
    assert found.backups_unknown


def test_backups_that_nobody_promised_or_declared_are_no_finding() -> None:
    assert not only(Rule(1, days(23)), Promise(live=days(30)), StoreTerms(backups_declared=False)).backups_unknown


# --- calendars -----------------------------------------------------------------------------------------------------


def test_a_month_is_longest_from_the_end_of_january() -> None:
    # a month from 30 January 2000 is promised to end on 29 February, and a cutoff passes it only on 1 March
    found = only(Rule(1, months(1)), Promise(live=months(1)))
    assert not found.fits
    assert found.live.worst_start == date(2000, 1, 30)
    assert found.live.excess == timedelta(days=1, hours=8)
    assert found.live.text == "31 days 8 hours"


def test_thirty_days_do_not_keep_a_promise_of_a_month_in_february() -> None:
    found = only(Rule(1, days(29)), Promise(live=months(1)))
    assert not found.fits
    assert found.live.worst_start is not None
    assert found.live.excess == timedelta(days=1, hours=8)
    assert (found.live.worst_start.year % 4, found.live.worst_start.month) != (0, 2)
    assert only(Rule(1, days(27)), Promise(live=months(1))).fits


def test_a_year_of_365_days_keeps_a_promise_of_a_year_only_with_room_for_the_run() -> None:
    assert not only(Rule(1, days(365)), Promise(live=months(12))).fits
    assert only(Rule(1, days(364)), Promise(live=months(12))).fits


def test_four_years_are_a_day_shorter_around_2100() -> None:
    found = only(Rule(1, Period(days=4 * 365 - 1, seconds=57_600)), Promise(live=months(48)))
    assert found.live.excess == timedelta()
    found = only(Rule(1, Period(days=4 * 365 - 1, seconds=57_601)), Promise(live=months(48)))
    assert found.live.excess == SECOND
    assert found.live.worst_start is not None
    assert found.live.worst_start.year in range(2096, 2101), "only there do four years have no leap day"


PERIODS = st.one_of(
    st.builds(Period, st.integers(1, 40), st.integers(0, 70), st.integers(0, 200_000)),
    st.builds(Period, st.just(0), st.integers(1, 800), st.integers(0, 200_000)),
)
STARTS = st.datetimes(datetime(1990, 1, 1), datetime(2110, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(STARTS, PERIODS)
def test_a_record_is_due_exactly_when_the_cutoff_has_passed_its_clock(start: datetime, period: Period) -> None:
    due = due_after(start, period)
    assert period.before(due - MICROSECOND) <= start
    assert period.before(due + MICROSECOND) > start


@pytest.mark.parametrize(
    ("keep", "grace", "promise"),
    [(months(1), None, months(1)), (Period(1, 3), months(2), Period(3, 10))],
)
def test_the_days_that_are_tried_stand_for_every_day_of_400_years(
    keep: Period, grace: Period | None, promise: Period
) -> None:
    rule = Rule(1, keep, then=Action.TOMBSTONE if grace else Action.PURGE, grace=grace)
    found = only(rule, Promise(live=promise)).live
    worst = max(lived(start, keep, grace) - promise.after(start) for start in every_day())
    assert found.excess == max(worst, timedelta())
    if found.worst_start:
        start = datetime.combine(found.worst_start, datetime.min.time(), UTC)
        ends = (start, start + timedelta(days=1) - SECOND)
        assert worst == max(lived(each, keep, grace) - promise.after(each) for each in ends)


def every_day() -> list[datetime]:
    first = datetime(2000, 1, 1, tzinfo=UTC)
    count = date(2400, 1, 1).toordinal() - first.toordinal()
    return [first + timedelta(days=number) for number in range(count)]


def lived(start: datetime, keep: Period, grace: Period | None) -> datetime:
    run = timedelta(hours=8)
    hidden = due_after(start, keep) + run
    return due_after(hidden, grace) + run if grace else hidden


def test_ten_rules_with_calendar_months_take_about_a_second() -> None:
    rules = tuple(Rule(number, Period(number, 3), then=Action.TOMBSTONE, grace=months(1)) for number in range(1, 11))
    policy = Policy("p", "c", rules, Promise(months(24), months(26)))
    before = perf_counter()
    effective_retention(policy, StoreTerms(backups=days(35)))
    assert perf_counter() - before < 10, "about one second where nothing else runs"


def test_periods_of_a_thousand_years_are_reckoned_too() -> None:
    rule = Rule(1, months(12_000), then=Action.TOMBSTONE, grace=days(366_000))
    assert only(rule, Promise(live=days(366_000))).live.longest > timedelta(days=2000 * 365)


# --- small things --------------------------------------------------------------------------------------------------


def test_an_interval_in_months_has_no_length() -> None:
    with pytest.raises(ValueError, match="no fixed length"):
        interval(Schedule(every=months(1)))


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(), "0 seconds"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(days=2, minutes=1, seconds=5), "2 days 1 minute 5 seconds"),
        (timedelta(days=800), "800 days"),
    ],
)
def test_lengths_in_words(length: timedelta, text: str) -> None:
    assert in_words(length) == text
