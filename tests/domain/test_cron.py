from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.cron import Cron


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def firings(cron: Cron, start: str, count: int) -> list[str]:
    found, moment = [], at(start)
    for _ in range(count):
        moment = cron.next(moment)
        found.append(moment.strftime("%Y-%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "zone", "start", "expected"),
    [
        ("15 4 * * *", "UTC", "2026-11-24 04:15", ["2026-11-25 04:15", "2026-11-26 04:15"]),
        ("*/20 * * * *", "UTC", "2026-12-31 23:39", ["2026-12-31 23:40", "2027-01-01 00:00"]),
        (
            "0 9-17/4 * * mon-fri",
            "UTC",
            "2026-11-27 12:00",
            ["2026-11-27 13:00", "2026-11-27 17:00", "2026-11-30 09:00"],
        ),
        ("0 0 29 2 *", "UTC", "2026-11-24 00:00", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("0 0 * * 7", "UTC", "2026-11-24 00:00", ["2026-11-29 00:00"]),
        ("0 0 * * SUN", "UTC", "2026-11-24 00:00", ["2026-11-29 00:00"]),
        ("0 0 1 jan,JUL *", "UTC", "2026-11-24 00:00", ["2027-01-01 00:00", "2027-07-01 00:00"]),
        ("50/5 23 * * *", "UTC", "2026-11-24 23:51", ["2026-11-24 23:55", "2026-11-25 23:50"]),
        ("15 4 * * *", "Europe/Berlin", "2026-11-24 00:00", ["2026-11-24 03:15"]),
        # 02:30 does not exist on 29 March, and comes twice on 25 October
        ("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", ["2026-03-29 01:00", "2026-03-30 00:30"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", ["2026-10-25 00:30", "2026-10-26 01:30"]),
    ],
)
def test_when_it_fires(text: str, zone: str, start: str, expected: list[str]) -> None:
    assert firings(Cron.parse(text, zone), start, len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "gap"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("*/7 * * * *", timedelta(minutes=7)),
        ("0 */6 * * *", timedelta(hours=6)),
        ("15 4 * * *", timedelta(days=1)),
        ("0 8,18 * * *", timedelta(hours=14)),
        ("0 0 * * mon-fri", timedelta(days=3)),
        ("0 0 1 * *", timedelta(days=31)),
        ("0 0 31 * *", timedelta(days=61)),
        ("0 0 29 2 *", timedelta(days=8 * 365 + 1)),  # 2096 to 2104
    ],
)
def test_the_longest_gap(text: str, gap: timedelta) -> None:
    assert Cron.parse(text).longest_gap() == gap


def test_the_longest_gap_counts_the_hour_that_comes_twice() -> None:
    cron = Cron.parse("15 4 * * *", "Europe/Berlin")
    before, after = cron.last(at("2026-10-25 00:00")), cron.next(at("2026-10-25 00:00"))
    assert after - before == timedelta(hours=25)
    assert cron.longest_gap() == timedelta(hours=25)


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Tokyo"])
EXPRESSIONS = st.builds(
    lambda minute, hour, day, weekday: f"{minute} {hour} {day} * {weekday}",
    st.sampled_from(["0", "*/15", "5,50", "30-40/3"]),
    st.sampled_from(["*", "2", "*/6", "1-3"]),
    st.just("*"),
    st.sampled_from(["*", "mon", "1-5", "0,6"]),
)
MOMENTS = st.datetimes(
    at("2026-01-01").replace(tzinfo=None), at("2027-01-01").replace(tzinfo=None), timezones=st.just(UTC)
)


@given(EXPRESSIONS, ZONES, MOMENTS)
def test_no_two_firings_lie_further_apart_than_the_longest_gap(text: str, zone: str, start: datetime) -> None:
    cron = Cron.parse(text, zone)
    moments = [start]
    for _ in range(4):
        moments.append(cron.next(moments[-1]))
    assert all(earlier < later <= earlier + cron.longest_gap() for earlier, later in pairwise(moments))


@given(EXPRESSIONS, ZONES, MOMENTS)
def test_the_last_firing_is_the_one_before_the_next(text: str, zone: str, moment: datetime) -> None:
    cron = Cron.parse(text, zone)
    last = cron.last(moment)
    assert last <= moment < cron.next(moment)
    assert cron.last(last) == last
    assert cron.next(last) == cron.next(moment)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("0 * * * * *", "6 fields"),
        ("@daily", "1 fields"),
        ("60 * * * *", "'60' is no minute"),
        ("* 24 * * *", "'24' is no hour"),
        ("* * 0 * *", "'0' is no day of month"),
        ("* * * 13 *", "'13' is no month"),
        ("* * * * 8", "'8' is no day of week"),
        ("* * * foo *", "'foo' is no month"),
        ("5-1 * * * *", "'5-1' is no minute"),
        ("*/0 * * * *", "'*/0' is no minute"),
        ("*-5 * * * *", "'*-5' is no minute"),
        ("1, * * * *", "'' is no minute"),
        ("-1 * * * *", "'-1' is no minute"),
        ("٣ * * * *", "is no minute"),
        ("0 0 1 * mon", "schedulers read differently"),
        ("0 0 */2 * mon", "schedulers read differently"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
    ],
)
def test_what_is_no_cron_expression_says_why(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Cron.parse(text)
