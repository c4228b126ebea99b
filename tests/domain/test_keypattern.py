from __future__ import annotations

import itertools
import re
import string
from datetime import UTC, date, datetime, time, timedelta
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.keypattern import KeyPattern

DESIGN = "requests/{account}/{date:%Y/%m/%d}/{request_id}.json.gz"


def test_the_pattern_of_the_design() -> None:
    pattern = KeyPattern.parse(DESIGN)
    assert pattern.names == {"account", "date", "request_id"}
    assert pattern.times == {"date"}
    assert pattern.literal_prefix == "requests/"
    assert pattern.match("requests/acct-1/2026/02/28/r.1.json.gz") == {
        "account": "acct-1",
        "date": "2026/02/28",
        "request_id": "r.1",
    }


@pytest.mark.parametrize(
    "key",
    [
        "requests/acct-1/2026/02/28/r.json",
        "requests/acct-1/2026/02/28/r.json.gz\n",
        "requests/acct-1/2026/02/28/.json.gz",
        "requests//2026/02/28/r.json.gz",
        "requests/a/b/2026/02/28/r.json.gz",
        "requests/acct-1/26/02/28/r.json.gz",
        "requests/acct-1/٢٠٢٦/02/28/r.json.gz",
        "requests/acct-1/2026/02/28/x/r.json.gz",
        "Requests/acct-1/2026/02/28/r.json.gz",
        "x/requests/acct-1/2026/02/28/r.json.gz",
        "requests/acct-1/2026/02/28/r-json.gz",
        "",
    ],
)
def test_other_keys_have_no_reading(key: str) -> None:
    pattern = KeyPattern.parse(DESIGN)
    assert pattern.match(key) is None
    assert pattern.clock(key, "date", "UTC") is None


@pytest.mark.parametrize(
    "account",
    ["a\nb", "' OR 1=1 --", "\u202eevil", "..", "%2e%2e", "__proto__", "<b>", "\x00", "🙈" * 256, ".json.gz", "{x}"],
)
def test_hostile_accounts_are_read_as_they_stand(account: str) -> None:
    found = KeyPattern.parse(DESIGN).match(f"requests/{account}/2026/02/28/r.json.gz.json.gz")
    assert found == {"account": account, "date": "2026/02/28", "request_id": "r.json.gz"}


@pytest.mark.parametrize(
    ("text", "key", "found"),
    [
        ("{a}-{b}.json", "x-y.json", {"a": "x", "b": "y"}),
        ("{a}-{b}.json", "x-y-z.json", None),
        ("{a}-{b}.json", "-y-z.json", {"a": "-y", "b": "z"}),
        ("{a}-{b}.json", "--y.json", {"a": "-", "b": "y"}),
        ("{a}/{b}-{c}", "x-y/z-w", {"a": "x-y", "b": "z", "c": "w"}),
        ("{a}{d:%Y}{b}", "x2024y", {"a": "x", "d": "2024", "b": "y"}),
        ("{a}{d:%Y}{b}", "x20245y", None),
        ("{a}_{d:%Y%m%d}T{b}", "acct_20240229Tz", {"a": "acct", "d": "20240229", "b": "z"}),
        ("v1.{a}", "v1x7", None),
        ("[a](b)*+?^$|\\{x}", "[a](b)*+?^$|\\7", {"x": "7"}),
    ],
)
def test_a_key_with_two_readings_has_none(text: str, key: str, found: object) -> None:
    assert KeyPattern.parse(text).match(key) == found


LITERALS = st.text("ab-.", min_size=1, max_size=2)
KEYS = st.text("ab-.", max_size=9)


@given(st.lists(LITERALS, min_size=2, max_size=4), KEYS)
def test_a_reading_is_given_exactly_where_there_is_exactly_one(literals: list[str], key: str) -> None:
    text = literals[0] + "".join(f"{{n{number}}}{literal}" for number, literal in enumerate(literals[1:]))
    assert KeyPattern.parse(text).match(key) == only_reading(literals, key)


def only_reading(literals: list[str], key: str) -> dict[str, str] | None:
    """Try every way to cut the key."""
    count = len(literals) - 1
    found = []
    for cuts in itertools.product(range(1, len(key) + 1), repeat=count):
        lengths = iter(cuts)
        parts, at = [], len(literals[0])
        for literal in literals[1:]:
            length = next(lengths)
            parts.append(key[at : at + length])
            at += length + len(literal)
        if literals[0] + "".join(a + b for a, b in zip(parts, literals[1:], strict=True)) == key and all(parts):
            found.append({f"n{number}": each for number, each in enumerate(parts)})
    distinct = [dict(each) for each in {tuple(sorted(reading.items())) for reading in found}]
    return distinct[0] if len(distinct) == 1 else None


@pytest.mark.parametrize("text", ["{a}-{b}-{c}-{d}-{e}-{f}.x", "{a}a{b}a{c}a{d}a{e}b", DESIGN])
def test_a_long_key_takes_no_longer_than_it_is_long(text: str) -> None:
    pattern = KeyPattern.parse(text)
    before = perf_counter()
    for key in ("-" * 100_000, "a" * 100_000, "requests/" + "a" * 100_000):
        pattern.match(key)
    assert perf_counter() - before < 5, "backtracking would take years"


# --- times ---------------------------------------------------------------------------------------------------------


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("form", "key", "zone", "ends"),
    [
        ("%Y-%m-%d", "2026-02-28", "UTC", at(2026, 3, 1)),
        ("%Y-%m-%d", "2024-02-28", "UTC", at(2024, 2, 29)),
        ("%Y-%m-%d", "2026-07-01", "Europe/Berlin", at(2026, 7, 1, 22)),
        ("%Y-%m-%d", "2026-07-01", "America/New_York", at(2026, 7, 2, 4)),
        ("%Y", "2026", "UTC", at(2027, 1, 1)),
        ("%Y-%m", "2026-11", "UTC", at(2026, 12, 1)),
        ("%Y-%m", "2026-12", "UTC", at(2027, 1, 1)),
        ("%Y/%m/%d/%H", "2026/11/24/23", "UTC", at(2026, 11, 25)),
        ("%Y%m%dT%H%M", "20261124T2359", "UTC", at(2026, 11, 25)),
        ("%Y%m%dT%H%M%SZ", "20261231T235959Z", "UTC", at(2027, 1, 1)),
        ("%d.%m.%Y", "01.12.2026", "UTC", at(2026, 12, 2)),
        # 02:00 to 03:00 comes twice on this day in Berlin: the hour that ends at 03:00 local has ended at 02:00 UTC
        ("%Y-%m-%d %H", "2026-10-25 02", "Europe/Berlin", at(2026, 10, 25, 2)),
        # 02:00 came twice: what ends at 02:00 local ends, at the latest, at the second 02:00
        ("%Y-%m-%d %H", "2026-10-25 01", "Europe/Berlin", at(2026, 10, 25, 1)),
        # midnight does not exist on this day in Beirut: the day before ends with the change
        ("%Y-%m-%d", "2026-03-28", "Asia/Beirut", at(2026, 3, 28, 22)),
    ],
)
def test_a_time_has_passed_at_its_end(form: str, key: str, zone: str, ends: datetime) -> None:
    pattern = KeyPattern.parse(f"{{at:{form}}}")
    assert pattern.clock(key, "at", zone) == ends


@pytest.mark.parametrize(
    ("form", "key"),
    [
        ("%Y-%m-%d", "2026-02-29"),
        ("%Y-%m-%d", "2026-13-01"),
        ("%Y-%m-%d", "0000-01-01"),
        ("%Y-%m-%d", "2026-00-10"),
        ("%Y-%m-%d", "9999-12-31"),
        ("%Y", "9999"),
        ("%Y-%m-%d %H", "2026-01-01 24"),
        ("%Y%m%d%H%M", "202601010160"),
        ("%Y%m%d%H%M%S", "20260101000060"),
    ],
)
def test_what_is_no_real_time_is_no_time_and_still_a_reading(form: str, key: str) -> None:
    pattern = KeyPattern.parse(f"{{at:{form}}}")
    assert pattern.clock(key, "at", "UTC") is None
    assert pattern.match(key) == {"at": key}


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Tokyo", "Africa/Casablanca", "Australia/Lord_Howe"])


@given(st.dates(date(1970, 1, 1), date(2100, 1, 1)), st.times(), st.integers(0, 1), ZONES)
def test_no_moment_of_a_day_lies_after_its_end(day: date, clock: time, fold: int, zone: str) -> None:
    ends = KeyPattern.parse("{at:%Y-%m-%d}").clock(day.isoformat(), "at", zone)
    moment = datetime.combine(day, clock, ZoneInfo(zone)).replace(fold=fold).astimezone(UTC)
    assert ends is not None
    assert moment < ends <= moment + timedelta(hours=26)


def test_a_field_that_is_no_time_has_no_clock() -> None:
    pattern = KeyPattern.parse(DESIGN)
    with pytest.raises(KeyError):
        pattern.clock("requests/a/2026/02/28/r.json.gz", "account", "UTC")
    with pytest.raises(KeyError):
        pattern.clock("requests/a/2026/02/28/r.json.gz", "nothing", "UTC")


# --- patterns that are none ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "never empty"),
        ("{a}{b}", "nothing stands between {a} and {b}"),
        ("{a}/{a}", "names {a} twice"),
        ("{a}/{a:%Y}", "names {a} twice"),
        ("{A}", "brace"),
        ("{1}", "brace"),
        ("{a", "brace"),
        ("a}", "brace"),
        ("{}", "brace"),
        ("{{a}}", "brace"),
        ("{a:%Y-{b}}", "brace"),
        ("{a:}", "leaves a gap"),
        ("{a:x}", "leaves a gap"),
        ("{a:%m-%d}", "leaves a gap"),
        ("{a:%Y-%d}", "leaves a gap"),
        ("{a:%Y%Y}", "leaves a gap"),
        ("{a:%y}", "'%y'"),
        ("{a:%Y%}", "'%'"),
        ("{a:%s}", "'%s'"),
    ],
)
def test_what_is_no_pattern_says_why(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        KeyPattern.parse(text)


@given(st.text(string.printable, max_size=30), st.text(max_size=30))
def test_any_text_is_a_pattern_or_a_value_error(text: str, key: str) -> None:
    try:
        pattern = KeyPattern.parse(text)
    except ValueError:
        return
    assert pattern.match(key) is None or key.startswith(pattern.literal_prefix)
