"""Zero retention: what may be there at a check, by an oracle that walks minute by minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.period import Period
from retentiond.domain.policy import Limits, Policy, Rule, Schedule
from retentiond.domain.record import micros
from retentiond.domain.zero import MOST_ENDED, Finding, Watch, checked, kept_since, too_old, was_missed

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
RULE = Rule(1, Period(seconds=15 * 60), zero_retention=True, check_every=Period(seconds=5 * 60))
POLICY = Policy("p", "c", (RULE, Rule(2, Period(days=30))), limits=Limits(longest_run=Period(seconds=10 * 60)))
CLEAN = Finding()


def at(minutes: float) -> datetime:
    return NOON + minutes * MINUTE


@given(st.integers(0, 600), st.integers(0, 299))
def test_what_a_check_of_the_slot_before_should_have_found_is_too_old(age_seconds: int, delay_seconds: int) -> None:
    """The check before may have been as late in its slot as it liked: it looked after its slot's first second."""
    now = NOON + timedelta(seconds=delay_seconds)
    clock = now - timedelta(minutes=12) - timedelta(seconds=age_seconds)
    due = clock + timedelta(minutes=15)
    earlier = [NOON - number * 5 * MINUTE for number in range(1, 9)]
    assert (micros(clock) <= too_old(POLICY, now)[1]) == any(due <= slot for slot in earlier)


def test_a_rule_without_a_schedule_of_its_own_goes_with_the_policys_also_by_cron() -> None:
    rule = replace(RULE, check_every=None)
    daily = replace(POLICY, rules=(rule,), schedule=Schedule(cron="15 4 * * *", zone="Europe/Berlin"))
    assert too_old(daily, NOON) == {1: micros(datetime(2026, 5, 31, 2, 0, tzinfo=UTC))}
    hourly = replace(POLICY, rules=(rule,), schedule=Schedule(every=Period(seconds=3600)))
    assert too_old(hourly, at(59)) == {1: micros(at(-75))}
    assert too_old(replace(POLICY, rules=POLICY.rules[1:]), NOON) == {}


def test_a_check_that_comes_within_a_slot_and_a_longest_run_was_not_missed() -> None:
    assert not was_missed(POLICY, RULE, at(0), at(14.9))
    assert not was_missed(POLICY, RULE, at(0), at(19.9))
    assert was_missed(POLICY, RULE, at(-0.1), at(15))
    assert was_missed(POLICY, RULE, at(0), at(20))


def watched(*checks: tuple[float, Finding]) -> Watch:
    watch: Watch | None = None
    for minutes, found in checks:
        watch = checked(watch, POLICY, RULE, found, at(minutes))
    assert watch is not None
    return watch


def late(count: int, minutes: float = -30) -> Finding:
    return Finding(count, micros(at(minutes)), 0)


def test_a_promise_is_kept_from_the_first_clean_check_on() -> None:
    watch = watched((0, CLEAN), (5, CLEAN), (10, CLEAN))
    assert (watch.since, watch.checked_at, watch.total) == (at(0), at(10), 0)
    assert kept_since(watch, POLICY, RULE, at(0), at(12)) == ()
    assert kept_since(watch, POLICY, RULE, at(-1), at(12)) == ("no check is known of all of that time",)
    assert kept_since(watch, POLICY, RULE, at(1), at(31)) == ("a check was missed after 2026-06-01T12:10:00Z",)
    assert kept_since(None, POLICY, RULE, at(0), at(1)) == ("it was not checked in its present form yet",)


def test_a_violation_ends_a_time_that_can_be_attested_and_the_next_clean_check_begins_one() -> None:
    watch = watched((0, CLEAN), (5, CLEAN), (10, late(3)), (15, CLEAN), (20, CLEAN))
    assert (watch.since, watch.violations, watch.worst_seconds, watch.total) == (at(15), 0, 0, 3)
    assert watch.last_violation_at == at(10)
    assert kept_since(watch, POLICY, RULE, at(0), at(5)) == ()
    assert kept_since(watch, POLICY, RULE, at(15), at(20)) == ()
    (why, again) = kept_since(watch, POLICY, RULE, at(0), at(20))
    assert why == "3 records stayed too long after 2026-06-01T12:05:00Z"
    assert again == "records stayed too long, found last at 2026-06-01T12:10:00Z"
    assert kept_since(watch, POLICY, RULE, at(10), at(20))


def test_a_record_counts_once_in_a_slot_and_again_in_the_next_one() -> None:
    watch = watched((0, late(2)), (1, late(2)), (2, late(3)), (5, late(3)))
    assert (watch.violations, watch.total, watch.worst_seconds) == (3, 6, 35 * 60)
    assert watch.since is None


def test_a_gap_is_a_check_that_was_missed_even_if_nothing_was_left_by_then() -> None:
    watch = watched((0, CLEAN), (5, CLEAN), (60, CLEAN), (65, CLEAN))
    assert watch.since == at(60)
    assert kept_since(watch, POLICY, RULE, at(0), at(5)) == ()
    assert kept_since(watch, POLICY, RULE, at(0), at(65)) == ("a check was missed after 2026-06-01T12:05:00Z",)


def test_a_check_that_did_not_see_everything_is_none_and_its_violations_count() -> None:
    watch = watched((0, CLEAN), (5, Finding(whole=False)), (10, Finding(1, micros(at(-30)), 4, whole=False)))
    assert (watch.checked_at, watch.violations, watch.undetermined, watch.since) == (at(0), 1, 4, None)


def test_another_promise_begins_anew() -> None:
    watch = watched((0, CLEAN), (5, CLEAN))
    shorter = replace(RULE, keep=Period(seconds=600))
    assert kept_since(watch, POLICY, shorter, at(0), at(5)) == ("it was not checked in its present form yet",)
    changed = checked(watch, POLICY, shorter, CLEAN, at(10))
    assert (changed.since, changed.ended[-1].why) == (at(10), "the rule was changed")


def test_what_is_remembered_has_an_end() -> None:
    watch: Watch | None = None
    for number in range(2 * MOST_ENDED + 10):
        watch = checked(watch, POLICY, RULE, late(1) if number % 2 else CLEAN, at(5 * number))
    assert watch is not None
    assert len(watch.ended) == MOST_ENDED
    assert kept_since(watch, POLICY, RULE, at(0), at(5)) == ("no check is known of all of that time",)


@pytest.mark.parametrize("minutes", [0, 5, 9.99, 10, 14])
def test_checks_in_any_order_within_their_slots_do_not_make_a_violation_of_what_was_on_time(minutes: float) -> None:
    """A record that became due right after a check is gone with the next one, however late in its slot that comes."""
    became_due = at(minutes) + timedelta(microseconds=1)
    clock = micros(became_due - timedelta(minutes=15))
    slot = 5 * (int(minutes) // 5)
    assert clock > too_old(POLICY, at(slot + 9.99))[1]
