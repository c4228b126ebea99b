from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.pace import OffPeak, Pace

NIGHT = OffPeak(time(22), time(6), "Europe/Berlin")
NOON = OffPeak(time(11), time(13, 30))
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")
MINUTE = timedelta(minutes=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "moment", "is_open"),
    [
        (NOON, "2026-06-01T10:59:59", False),
        (NOON, "2026-06-01T11:00:00", True),
        (NOON, "2026-06-01T13:29:59", True),
        (NOON, "2026-06-01T13:30:00", False),
        (NIGHT, "2026-06-01T19:59:59", False),  # 21:59:59 in Berlin
        (NIGHT, "2026-06-01T20:00:00", True),
        (NIGHT, "2026-06-01T22:00:00", True),  # midnight in Berlin
        (NIGHT, "2026-06-02T03:59:59", True),
        (NIGHT, "2026-06-02T04:00:00", False),
        (NIGHT, "2026-12-01T20:30:00", False),  # winter: an hour later in UTC
        (NIGHT, "2026-12-01T21:00:00", True),
        (NIGHT, "2026-12-02T05:00:00", False),
    ],
)
def test_a_window_is_read_from_the_clock_on_the_wall(window: OffPeak, moment: str, *, is_open: bool) -> None:
    assert window.is_open(utc(moment)) is is_open


def test_a_window_that_begins_in_the_hour_that_spring_skips_opens_with_the_change() -> None:
    window = OffPeak(time(2, 30), time(5), "Europe/Berlin")
    assert window.opens(utc("2026-03-29T00:00:00")) == utc("2026-03-29T01:00:00")
    assert window.closes(utc("2026-03-29T01:00:00")) == utc("2026-03-29T03:00:00")


def test_a_window_inside_the_skipped_hour_opens_the_day_after() -> None:
    window = OffPeak(time(2, 15), time(2, 45), "Europe/Berlin")
    assert window.opens(utc("2026-03-29T00:00:00")) == utc("2026-03-30T00:15:00")


def test_an_hour_that_comes_twice_is_inside_twice() -> None:
    window = OffPeak(time(2), time(3), "Europe/Berlin")
    assert window.opens(utc("2026-10-24T12:00:00")) == utc("2026-10-25T00:00:00")
    assert window.closes(utc("2026-10-25T00:00:00")) == utc("2026-10-25T02:00:00")


def test_the_time_itself_is_the_answer_where_it_is_open_already() -> None:
    assert NOON.opens(utc("2026-06-01T11:00:30")) == utc("2026-06-01T11:00:30")
    assert NOON.opens(utc("2026-06-01T10:58:30")) == utc("2026-06-01T11:00:00")


minutes = st.integers(0, 1439).map(lambda number: time(number // 60, number % 60))
moments = st.integers(0, 10 * 366 * 86400).map(lambda seconds: utc("2020-01-01") + timedelta(seconds=seconds))


@given(start=minutes, end=minutes, zone=st.sampled_from(ZONES), moment=moments)
def test_it_opens_at_the_first_minute_that_is_inside(start: time, end: time, zone: str, moment: datetime) -> None:
    if start == end:
        return
    window = OffPeak(start, end, zone)
    opens = window.opens(moment)
    assert opens >= moment
    assert window.is_open(opens)
    assert opens - moment <= timedelta(hours=50)
    if opens > moment:
        assert not window.is_open(opens - MINUTE)
        assert opens.second == 0
    wall = opens.astimezone(ZoneInfo(zone)).time()
    inside = start <= wall < end if start < end else (wall >= start or wall < end)
    assert inside


def test_work_that_a_window_interrupts_finishes_in_a_later_one() -> None:
    pace = Pace(off_peak=NOON)
    assert pace.finishes(utc("2026-06-01T12:00:00"), 1800) == utc("2026-06-01T12:30:00")
    assert pace.finishes(utc("2026-06-01T12:00:00"), 3 * 3600) == utc("2026-06-02T12:30:00")
    assert Pace().finishes(utc("2026-06-01T12:00:00"), 60) == utc("2026-06-01T12:01:00")


def test_work_of_more_than_a_year_has_no_end() -> None:
    assert Pace(off_peak=OffPeak(time(1), time(1, 1))).finishes(utc("2026-06-01T12:00:00"), 500 * 60) is None
    assert Pace().finishes(utc("2026-06-01T12:00:00"), 1e12) is None
