"""Retention periods: how they are written, and calendar arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.period import Period


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30 days", Period(days=30)),
        ("1 day", Period(days=1)),
        ("2 years", Period(months=24)),
        ("23 months", Period(months=23)),
        ("15 minutes", Period(seconds=900)),
        ("2 weeks", Period(days=14)),
        ("P30D", Period(days=30)),
        ("P1Y6M", Period(months=18)),
        ("PT15M", Period(seconds=900)),
        ("P1W", Period(days=7)),
        ("1_000 days", Period(days=1000)),
    ],
)
def test_a_period_is_read_as_it_is_written(text: str, expected: Period) -> None:
    assert Period.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "30",
        "",
        " ",
        "0 days",
        "-1 days",
        "P",
        "PT",
        "P0D",
        "30d",
        "30 fortnights",
        "1.5 days",
        "P-1D",
        "३० days",
        "1 day 2",
    ],
)
def test_what_has_no_unit_or_no_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="period"):
        Period.parse(text)


def test_a_month_is_a_calendar_month() -> None:
    month = Period(months=1)
    assert month.after(datetime(2027, 1, 31, 12, tzinfo=UTC)) == datetime(2027, 2, 28, 12, tzinfo=UTC)
    assert month.before(datetime(2028, 3, 31, tzinfo=UTC)) == datetime(2028, 2, 29, tzinfo=UTC)
    assert Period(months=12).after(datetime(2028, 2, 29, tzinfo=UTC)) == datetime(2029, 2, 28, tzinfo=UTC)


@given(
    st.datetimes(datetime(1999, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - zone is given
    st.builds(Period, months=st.integers(0, 40), days=st.integers(1, 400), seconds=st.integers(0, 90_000)),
)
def test_due_is_the_first_moment_at_which_before_reaches_the_start(start: datetime, period: Period) -> None:
    due = period.due(start)
    assert period.before(due) >= start
    assert period.before(due - timedelta(seconds=1)) <= start


@given(st.builds(Period, months=st.integers(0, 40), days=st.integers(0, 400), seconds=st.integers(1, 90_000)))
def test_iso_and_words_say_the_same(period: Period) -> None:
    assert Period.parse(period.iso()) == period
    assert str(period)
