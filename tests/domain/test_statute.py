"""Deadlines of requests, each rule on forty dates, against arithmetic and tables of this page's own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from retentiond.domain.period import Period
from retentiond.domain.statute import BUILT_IN, Law, burn_down, deadlines

GDPR, CCPA = BUILT_IN["gdpr"], BUILT_IN["ccpa"]

# Received, last day of one month, last day of the two that follow it: written by hand from a calendar.
MONTHS = """
2023-01-01 2023-02-01 2023-04-01
2023-01-15 2023-02-15 2023-04-15
2023-01-27 2023-02-27 2023-04-27
2023-01-28 2023-02-28 2023-04-28
2023-01-29 2023-02-28 2023-04-28
2023-01-30 2023-02-28 2023-04-28
2023-01-31 2023-02-28 2023-04-28
2023-02-01 2023-03-01 2023-05-01
2023-02-28 2023-03-28 2023-05-28
2023-03-30 2023-04-30 2023-06-30
2023-03-31 2023-04-30 2023-06-30
2023-04-30 2023-05-30 2023-07-30
2023-05-31 2023-06-30 2023-08-30
2023-06-30 2023-07-30 2023-09-30
2023-07-31 2023-08-31 2023-10-31
2023-08-31 2023-09-30 2023-11-30
2023-09-30 2023-10-30 2023-12-30
2023-10-31 2023-11-30 2024-01-30
2023-11-29 2023-12-29 2024-02-29
2023-11-30 2023-12-30 2024-02-29
2023-12-01 2024-01-01 2024-03-01
2023-12-30 2024-01-30 2024-03-30
2023-12-31 2024-01-31 2024-03-31
2024-01-28 2024-02-28 2024-04-28
2024-01-29 2024-02-29 2024-04-29
2024-01-30 2024-02-29 2024-04-29
2024-01-31 2024-02-29 2024-04-29
2024-02-28 2024-03-28 2024-05-28
2024-02-29 2024-03-29 2024-05-29
2024-03-31 2024-04-30 2024-06-30
2024-06-30 2024-07-30 2024-09-30
2024-08-31 2024-09-30 2024-11-30
2024-11-30 2024-12-30 2025-02-28
2024-12-31 2025-01-31 2025-03-31
2025-01-31 2025-02-28 2025-04-28
2026-06-01 2026-07-01 2026-09-01
2028-01-31 2028-02-29 2028-04-29
2099-12-31 2100-01-31 2100-03-31
2100-01-29 2100-02-28 2100-04-28
2400-01-31 2400-02-29 2400-04-29
"""
_CUMULATIVE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
DATES = [line.split()[0] for line in MONTHS.split("\n") if line]


def number(day: str) -> int:
    """Return the day's number, counted by the rules of the Gregorian calendar alone."""
    year, month, of_month = map(int, day.split("-"))
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    before = year - 1
    days = 365 * before + before // 4 - before // 100 + before // 400
    return days + _CUMULATIVE[month - 1] + (leap and month > 2) + of_month


def ends_in(moment: datetime, utc_offset_hours: int) -> int:
    """Return the number of the day that ends at a moment, with a clock so many hours ahead of UTC."""
    there = moment + timedelta(hours=utc_offset_hours)
    assert (there.hour, there.minute, there.second) == (0, 0, 0)
    return number(f"{there:%Y-%m-%d}") - 1


@pytest.mark.parametrize("line", [line for line in MONTHS.split("\n") if line])
def test_one_month_and_two_further_months(line: str) -> None:
    received, first, last = line.split()
    found = deadlines(GDPR, date.fromisoformat(received), "UTC")
    assert (ends_in(found.first, 0), ends_in(found.last, 0)) == (number(first), number(last))
    assert found.confirm is None


@pytest.mark.parametrize("received", DATES)
def test_forty_five_days_and_forty_five_more(received: str) -> None:
    found = deadlines(CCPA, date.fromisoformat(received), "UTC")
    assert ends_in(found.first, 0) == number(received) + 45
    assert ends_in(found.last, 0) == number(received) + 90


@pytest.mark.parametrize("received", DATES)
def test_receipt_is_confirmed_within_ten_business_days(received: str) -> None:
    found = deadlines(CCPA, date.fromisoformat(received), "UTC")
    assert found.confirm is not None
    last = ends_in(found.confirm, 0)
    working = [
        day for day in range(number(received) + 1, last + 1) if (day - 1) % 7 < 5
    ]  # 1 January of year 1: a Monday
    assert len(working) == 10
    assert working[-1] == last


# Of each zone: the day of receipt, and the moment of the first deadline, from the zone's published rules.
ZONES = """
gdpr Europe/Berlin 2026-02-27 2026-03-27T23:00
gdpr Europe/Berlin 2026-02-28 2026-03-28T23:00
gdpr Europe/Berlin 2026-03-01 2026-04-01T22:00
gdpr Europe/Berlin 2026-09-24 2026-10-24T22:00
gdpr Europe/Berlin 2026-09-25 2026-10-25T23:00
gdpr Europe/Berlin 2026-12-31 2027-01-31T23:00
gdpr Europe/Dublin 2026-02-28 2026-03-29T00:00
gdpr Europe/Dublin 2026-03-01 2026-04-01T23:00
gdpr Europe/Lisbon 2026-06-30 2026-07-30T23:00
gdpr Europe/Helsinki 2026-01-31 2026-02-28T22:00
gdpr Europe/Helsinki 2026-05-31 2026-06-30T21:00
gdpr Atlantic/Azores 2026-01-15 2026-02-16T01:00
ccpa America/Los_Angeles 2026-01-21 2026-03-08T08:00
ccpa America/Los_Angeles 2026-01-22 2026-03-09T07:00
ccpa America/Los_Angeles 2026-09-17 2026-11-02T08:00
ccpa America/Los_Angeles 2026-09-16 2026-11-01T07:00
ccpa America/New_York 2026-06-01 2026-07-17T04:00
ccpa Pacific/Honolulu 2026-06-01 2026-07-17T10:00
ccpa Asia/Kolkata 2026-06-01 2026-07-16T18:30
ccpa Asia/Kathmandu 2026-06-01 2026-07-16T18:15
ccpa Pacific/Kiritimati 2026-06-01 2026-07-16T10:00
ccpa Pacific/Pago_Pago 2026-06-01 2026-07-17T11:00
ccpa Asia/Tokyo 2028-01-15 2028-02-29T15:00
ccpa UTC 2027-01-14 2027-03-01T00:00
"""


@pytest.mark.parametrize("line", [line for line in ZONES.split("\n") if line])
def test_the_last_day_ends_at_midnight_of_whoever_answers(line: str) -> None:
    law, zone, received, first = line.split()
    found = deadlines(BUILT_IN[law], date.fromisoformat(received), zone)
    assert found.first == datetime.fromisoformat(first + ":00+00:00")


def test_where_a_midnight_comes_twice_the_earlier_counts_and_where_none_comes_the_change_does() -> None:
    # Havana sets the clock back from 1:00 to 0:00 on 1 November 2026; Cairo forward from 0:00 on 24 April 2026.
    one_day = Law("one", "one", Period(days=1))
    twice = deadlines(one_day, date(2026, 10, 30), "America/Havana").first
    assert twice == datetime(2026, 11, 1, 4, tzinfo=UTC)
    none = deadlines(one_day, date(2026, 4, 22), "Africa/Cairo").first
    assert none == datetime(2026, 4, 23, 22, tzinfo=UTC)


def test_the_burn_down_counts_what_ends_within_so_many_days() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    ends = [
        now - timedelta(seconds=1),
        now,
        now + timedelta(days=1),
        now + timedelta(days=8),
        now + timedelta(days=400),
    ]
    assert burn_down(ends, now) == [(0, 2), (1, 3), (3, 3), (7, 3), (14, 4), (30, 4), (60, 4), (90, 4)]


def test_a_law_without_extension_has_one_deadline() -> None:
    found = deadlines(Law("own", "own", Period(days=30)), date(2026, 1, 31), "UTC")
    assert found.first == found.last == datetime(2026, 3, 3, tzinfo=UTC)


@pytest.mark.parametrize("received", [date(9999, 12, 1), date(9999, 11, 30), date(9999, 12, 31)])
def test_a_deadline_beyond_the_calendar_is_said_in_words(received: date) -> None:
    with pytest.raises(ValueError, match=r"no deadline within the calendar|out of range"):
        deadlines(GDPR, received, "America/Los_Angeles")
