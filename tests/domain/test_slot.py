"""Slots are reckoned from the time alone: all who ask at any moment inside one get the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.period import Period
from retentiond.domain.policy import Schedule
from retentiond.domain.slot import EPOCH, slot_of

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as hypothesis wants it
LENGTHS = st.builds(Period, days=st.integers(0, 40), seconds=st.integers(1, 90_000))


@given(MOMENTS, LENGTHS)
def test_an_interval_begins_at_whole_multiples_since_1970(moment: datetime, every: Period) -> None:
    slot = slot_of(Schedule(every=every), moment)
    assert (slot - EPOCH) % every.length() == timedelta()
    assert slot <= moment < slot + every.length()


@given(MOMENTS, st.integers(1, 30))
def test_months_begin_on_the_first_whatever_their_length(moment: datetime, months: int) -> None:
    slot = slot_of(Schedule(every=Period(months=months)), moment)
    assert (slot.day, slot.hour, slot.minute) == (1, 0, 0)
    assert ((slot.year - 1970) * 12 + slot.month - 1) % months == 0
    assert slot <= moment < Period(months=months).after(slot)


@given(MOMENTS, st.integers(0, 14), st.integers(0, 40))
def test_mixed_periods_have_one_slot_for_every_moment(moment: datetime, months: int, days: int) -> None:
    every = Period(months=months, days=days, seconds=1)
    slot = slot_of(Schedule(every=every), moment)
    assert slot <= moment
    assert slot_of(Schedule(every=every), slot) == slot


@pytest.mark.parametrize(
    ("moment", "slot"),
    [
        ("2026-03-29T02:14:59+00:00", "2026-03-28T03:15:00+00:00"),
        ("2026-03-29T02:15:00+00:00", "2026-03-29T02:15:00+00:00"),  # 04:15 in summer time, since that night
        ("2026-10-25T03:14:00+00:00", "2026-10-24T02:15:00+00:00"),
        ("2026-10-25T03:15:00+00:00", "2026-10-25T03:15:00+00:00"),
    ],
)
def test_a_cron_expression_begins_when_it_fires_in_its_zone(moment: str, slot: str) -> None:
    schedule = Schedule(cron="15 4 * * *", zone="Europe/Berlin")
    assert slot_of(schedule, datetime.fromisoformat(moment)) == datetime.fromisoformat(slot)
