"""Clocks are read as the grammar says, and nothing else is taken for a time."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.dataset import ClockFormat, ClockSource
from retentiond.domain.instant import read_clock
from retentiond.domain.record import micros

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_RANGE = (datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001 -- wall-clock times, as hypothesis wants them


def clock(clock_format: ClockFormat = ClockFormat.AUTO, zone: str = "UTC") -> ClockSource:
    return ClockSource(clock_format, column="created", zone=zone)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00Z",
        "2026-03-01 12:00",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00.000000000Z",
        "2026-03-01T14:30:00+02:30",
        "2026-02-28T12:01-23:59",
    ],
)
def test_iso_text_in_all_its_spellings(text: str) -> None:
    assert read_clock(text, clock()) == micros(NOON)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026",
        "2026-03",
        "2026-3-1",
        "20260301",
        "20260301T120000Z",
        "2026-W09-7",
        "2026-060",
        "2026-02-30",
        "2026-02-29T00:00Z",
        "2026-13-01",
        "2026-00-10",
        "0000-01-01",
        "2026-03-01T24:00",
        "2026-03-01T12",
        "2026-03-01T12:60",
        "2026-03-01T12:00:60Z",
        "2026-03-01T12:00:00.",
        "2026-03-01T12:00:00.1234567890Z",
        "2026-03-01T12:00:00,5Z",
        "2026-03-01t12:00Z",
        "2026-03-01T12:00z",
        "2026-03-01T12:00+2",
        "2026-03-01T12:00+0200",
        "2026-03-01T12:00+24:00",
        "2026-03-01T12:00+02:60",
        "2026-03-01T12:00\u221202:00",
        "2026-03-01T12:00 Z",
        " 2026-03-01",
        "2026-03-01 ",
        "2026-03-01\n",
        "2026-03-01T12:00:00Z\x00",
        "\u0662\u0660\u0662\u0666-03-01",
        "2460735.0",
        "1772366400",
        "-2026-03-01",
        "0001-01-01T00:00+00:01",
        "9999-12-31T23:59-00:01",
        "9999-12-31",
    ],
)
def test_everything_else_is_unreadable(text: str) -> None:
    assert read_clock(text, clock()) is None


@given(st.datetimes(*_RANGE), st.integers(-1439, 1439))
def test_a_time_written_with_its_offset_is_read_back(wall: datetime, minutes: int) -> None:
    moment = wall.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert read_clock(moment.isoformat(), clock()) == micros(moment)
    assert read_clock(moment.isoformat(), clock(zone="Asia/Tokyo")) == micros(moment)


@given(st.text(alphabet="0123456789-:.TZ+ n", max_size=36))
def test_what_is_readable_is_an_iso_time(text: str) -> None:
    found = read_clock(text, clock())
    if found is not None and len(text) > len("YYYY-MM-DD"):
        parsed = datetime.fromisoformat(text)
        assert found == micros(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))


def test_a_date_ends_at_midnight_of_its_zone() -> None:
    assert read_clock("2026-03-01", clock()) == micros(datetime(2026, 3, 2, tzinfo=UTC))
    assert read_clock("2026-03-01", clock(zone="Europe/Berlin")) == micros(datetime(2026, 3, 1, 23, tzinfo=UTC))
    assert read_clock("2026-03-01", clock(ClockFormat.DATE)) == micros(datetime(2026, 3, 2, tzinfo=UTC))
    assert read_clock("2026-03-01T12:00Z", clock(ClockFormat.DATE)) is None


def test_local_times_count_as_the_later_when_the_clock_is_put_back() -> None:
    berlin = clock(zone="Europe/Berlin")
    assert read_clock("2026-10-25T02:30", berlin) == micros(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    assert read_clock("2026-03-29T02:30", berlin) == micros(datetime(2026, 3, 29, 1, 30, tzinfo=UTC))
    assert read_clock("2026-07-01T02:30", berlin) == micros(datetime(2026, 7, 1, 0, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("clock_format", "number"),
    [
        (ClockFormat.AUTO, 1_772_366_400),
        (ClockFormat.AUTO, 1_772_366_400.0),
        (ClockFormat.UNIX_SECONDS, 1_772_366_400),
        (ClockFormat.UNIX_MILLISECONDS, 1_772_366_400_000),
        (ClockFormat.UNIX_MICROSECONDS, 1_772_366_400_000_000),
        (ClockFormat.UNIX_NANOSECONDS, 1_772_366_400_000_000_999),
    ],
)
def test_numbers_count_in_the_unit_of_their_format(clock_format: ClockFormat, number: float) -> None:
    assert read_clock(number, clock(clock_format)) == micros(NOON)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 10**40, math.inf, -math.inf, math.nan, True, b"1", None])
@pytest.mark.parametrize("clock_format", [ClockFormat.AUTO, ClockFormat.UNIX_MILLISECONDS, ClockFormat.TEXT])
def test_absurd_values_are_unreadable(clock_format: ClockFormat, number: object) -> None:
    assert read_clock(number, clock(clock_format)) is None


def test_a_unit_is_not_guessed() -> None:
    milliseconds = 1_772_366_400_000
    assert read_clock(milliseconds, clock(ClockFormat.UNIX_SECONDS)) is None
    assert read_clock(str(milliseconds), clock(ClockFormat.UNIX_MILLISECONDS)) is None
    assert read_clock(0.5, clock(ClockFormat.UNIX_MILLISECONDS)) is None


@given(st.dates(min_value=date(1, 1, 1), max_value=date(9999, 12, 30)))
def test_dates_of_all_years(day: date) -> None:
    following = day + timedelta(days=1)
    assert read_clock(day.isoformat(), clock()) == micros(datetime(*following.timetuple()[:3], tzinfo=UTC))


def test_a_clock_that_stands_in_no_column_is_not_read_from_one() -> None:
    with pytest.raises(ValueError, match="column"):
        read_clock("2026-03-01", clock(ClockFormat.MODIFIED))
