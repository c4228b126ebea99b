"""Rows as applications have them: keys of all types, clocks of all kinds, names that break statements."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from retentiond.connectors.postgresql import bulk
from retentiond.domain.condition import (
    ACCOUNT,
    CLOCK,
    TOMBSTONED,
    And,
    AnyOf,
    Compare,
    Condition,
    Missing,
    Not,
    Operator,
    Or,
    Unknown,
    attribute,
)
from retentiond.domain.dataset import BlobLink, ClockFormat, ClockSource, Dataset, TombstoneTarget
from retentiond.domain.decision import OTHERS, Case, Cases, Disposition, closure_cases
from retentiond.domain.instant import read_clock, text_reader
from retentiond.domain.owner import OwnerSource
from retentiond.domain.period import Period
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Rule
from retentiond.domain.record import Key, Record, micros
from retentiond.errors import ConnectorError, UsageError
from retentiond.ports.stores import Tally
from retentiond.testing import hostile
from tests.connectors.postgresql.app import NOW, OLD, PURGE, TOMBSTONE, YOUNG, App, decide, order, requests

OLD_SECONDS = micros(NOW - timedelta(days=60)) // 1_000_000
ONE = UUID("00000000-0000-4000-8000-00000000000a")
CLOCK_INDEX = "CREATE INDEX ON requests (created);"

KEYS: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("int2", [-(2**15), 0, 2**15 - 1], {"-32768": -(2**15), "0": 0}),
    ("int4", [-(2**31), 7], {"7": 7}),
    ("int8", [-(2**63), 2**63 - 1], {str(2**63 - 1): 2**63 - 1}),
    ("text", ["", "a", "A", "á", "a ", '"', "{", "NULL", "\\", "'"], {"a ": "a ", "NULL": "NULL"}),
    ("varchar(3)", ["abc", "ab "], {"abc": "abc", "ab ": "ab "}),
    ("char(4)", ["a", "ab"], {"a": "a", "a   ": "a"}),
    ("uuid", [ONE, UUID(int=0)], {str(ONE): ONE, str(ONE).upper(): ONE}),
    (
        "bytea",
        [b"", b"\x00\xff'", b"\\x"],
        {"00ff27": b"\x00\xff'", "\\x00FF27": b"\x00\xff'", "x'00ff27'": b"\x00\xff'"},
    ),
    ("numeric", [Decimal("1.50"), Decimal(10) ** 30], {"1.50": "1.50", "1.5": "1.50"}),
    ("date", [datetime(2020, 2, 29).date()], {"2020-02-29": "2020-02-29"}),  # noqa: DTZ001
    (
        "timestamptz",
        [datetime(2020, 1, 1, 1, 2, 3, 4, tzinfo=UTC)],
        {"2020-01-01T01:02:03.000004Z": "2020-01-01 01:02:03.000004+00"},
    ),
    ("bool", [True], {"true": "true"}),
    ("mood", ["so, so", "it's"], {"it's": "it's"}),
    ("label", ["x"], {"x": "x"}),
]


@pytest.mark.parametrize(("kind", "values", "typed"), KEYS, ids=[kind for kind, _, _ in KEYS])
def test_keys_of_every_type(
    make_on_ends: Callable[[str], App], kind: str, values: list[Any], typed: dict[str, Any]
) -> None:
    app = make_on_ends(
        "CREATE TYPE mood AS ENUM ('so, so', 'it''s', 'young'); CREATE DOMAIN label AS varchar(9) COLLATE \"C\";"
        f"CREATE TABLE requests (id {kind} PRIMARY KEY, created timestamptz); {CLOCK_INDEX}"
    )
    dataset = requests()
    app.insert("requests", *((value, OLD) for value in values))
    assert app.refusals(dataset) == []
    for text, key in typed.items():
        assert [record.key for record in app.open().find(dataset, text)] == [(key,)]
    records = app.due(dataset)
    assert len({record.key for record in records}) == len(values)
    app.purge(dataset, records[1:])
    assert app.all("SELECT count(*) FROM requests") == [1]
    app.purge_all(dataset)
    assert app.all("SELECT count(*) FROM requests") == [0]


def test_a_key_that_is_written_otherwise_by_now_is_the_same(make_on_ends: Callable[[str], App]) -> None:
    app = make_on_ends(f"CREATE TABLE requests (id numeric PRIMARY KEY, created timestamptz); {CLOCK_INDEX}")
    app.insert("requests", ("1.0", OLD), ("NaN", OLD), ("Infinity", OLD), ("2", YOUNG))
    records = app.due(requests())
    app.run("UPDATE requests SET id = 1.00 WHERE id = 1")
    acted, sightings = app.purge(requests(), records)
    assert (set(acted.outcomes), set(sightings)) == ({Outcome.DONE}, {Sighting.ABSENT})
    assert app.all("SELECT id::int FROM requests") == [2]


ABSURD = ["", "9" * 5_000, "99999999999999999999", "-0", "٣", "\udcff", "[null]", "x'zz'", "\0", "1_0", "nan", "💥"]


@pytest.mark.parametrize("kind", ["int2", "uuid", "bytea", "numeric", "date", "timestamptz", "bool", "text", "char(3)"])
def test_absurd_keys_are_not_found(make: Callable[[str], App], kind: str) -> None:
    app = make(f"CREATE TABLE requests (id {kind} PRIMARY KEY, created timestamptz); {CLOCK_INDEX}")
    for typed in ABSURD:
        assert list(app.open().find(requests(), typed)) == [], typed


def test_a_key_of_several_columns(make_on_ends: Callable[[str], App]) -> None:
    app = make_on_ends(
        "CREATE TABLE requests (a text, b int, created timestamptz, c bytea, PRIMARY KEY (c, a, b));" + CLOCK_INDEX
    )
    dataset = requests(key=("a", "b", "c"))
    rows = [(a, b, OLD, c) for a in ("x", "", "é") for b in (1, 2, 3) for c in (b"\x00", b"\xff'")]
    app.insert("requests", *rows, ("x", 1, YOUNG, b"other"))
    records = app.due(dataset)
    assert {record.key for record in records} == {(a, b, c) for a, b, _, c in rows}
    assert found(app, dataset, '["x", "1", "00"]') == {("x", 1, b"\0")}
    assert found(app, dataset, '["x", "1", "x\'FF27\'"]') == {("x", 1, b"\xff'")}
    assert found(app, dataset, '["y", "1", "FF"]') == set()
    app.purge(dataset, records[:5])
    assert app.all("SELECT count(*) FROM requests") == [len(rows) + 1 - 5]
    app.purge_all(dataset)
    assert app.all("SELECT c FROM requests") == [b"other"]


@pytest.mark.parametrize("typed", ["x", "[]", '["a"]', '{"a": 1}', '["a", "b", "c"]', ""])
def test_a_key_of_several_columns_is_typed_as_an_array(make: Callable[[str], App], typed: str) -> None:
    app = make("CREATE TABLE requests (a text, b text, created timestamptz, PRIMARY KEY (a, b))")
    with pytest.raises(UsageError) as raised:
        app.open().find(requests(key=("a", "b")), typed)
    assert '["a", "b"]' in raised.value.remedy
    for absurd in ("[null, true]", "[[], 1.5]", '["\\ud800", {}]'):
        assert list(app.open().find(requests(key=("a", "b")), absurd)) == []


@pytest.mark.parametrize("kind", ["citext", "text COLLATE nocase"])
def test_a_key_without_case_is_still_exact(make_on_ends: Callable[[str], App], kind: str) -> None:
    app = make_on_ends("SELECT 1")
    available = app.all("SELECT name FROM pg_available_extensions WHERE name = 'citext'")
    icu = app.all("SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu'")
    if not (available if kind == "citext" else icu):
        kind = "text"  # this build has it not; the case that remains is tested elsewhere
    else:
        app.run(
            "CREATE EXTENSION citext"
            if kind == "citext"
            else "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    app.run(f"CREATE TABLE requests (id {kind} PRIMARY KEY, created timestamptz, owner {kind}); {CLOCK_INDEX}")
    dataset = requests(owners=(OwnerSource("owner"),))
    app.insert("requests", ("Abc", OLD, "Me"), ("b", OLD, "me"), *((f"K{n}", OLD, "x") for n in range(8)))
    records = app.due(dataset)
    assert len(records) == 10
    mine = closure_cases("Me")
    assert [record.key for record in app.scan(dataset, mine)[0]] == [("Abc",)]
    app.run("UPDATE requests SET id = 'aBC' WHERE id = 'Abc'")
    acted, sightings = app.purge(dataset, [record for record in records if record.key == ("Abc",)])
    assert (list(acted.outcomes), sightings) == ([Outcome.ALREADY_GONE], [Sighting.ABSENT])
    assert "aBC" in app.all("SELECT id::text FROM requests")
    app.purge_all(dataset)


@pytest.mark.parametrize(
    ("kind", "clock_format", "old", "young", "unreadable"),
    [
        (
            "timestamptz",
            "auto",
            [OLD, "2026-05-02 11:59:59.999999Z"],
            [YOUNG, "2026-05-02T12:00Z"],
            ["infinity", "-infinity", "10000-01-02", "0044-03-15 BC", None],
        ),
        (
            "timestamp",
            "auto",
            ["2026-04-01", "2026-05-02 11:59:59"],
            ["2026-05-02 12:00:00"],
            ["infinity", "-infinity", "294000-01-01", None],
        ),
        (
            "date",
            "auto",
            ["2026-04-01", "2026-05-01"],
            ["2026-05-02"],
            ["infinity", "-infinity", "9999-12-31", "10000-01-01", None],
        ),
        ("date", "date", ["2026-04-01"], ["2026-05-02"], ["infinity", None]),
        ("int4", "auto", [OLD_SECONDS], [OLD_SECONDS + 45 * 86_400], [None]),
        (
            "int8",
            "unix-seconds",
            [OLD_SECONDS],
            [OLD_SECONDS + 45 * 86_400],
            [OLD_SECONDS * 1_000, 2**63 - 1, -(2**63), None],
        ),
        ("int8", "unix-milliseconds", [OLD_SECONDS * 10**3], [(OLD_SECONDS + 45 * 86_400) * 10**3], [2**63 - 1, None]),
        ("int8", "unix-microseconds", [OLD_SECONDS * 10**6], [(OLD_SECONDS + 45 * 86_400) * 10**6], [2**63 - 1, None]),
        ("int8", "unix-nanoseconds", [OLD_SECONDS * 10**9 + 999], [(OLD_SECONDS + 45 * 86_400) * 10**9], [None]),
        (
            "numeric",
            "unix-seconds",
            [OLD_SECONDS, Decimal(OLD_SECONDS) + Decimal("0.5")],
            [OLD_SECONDS + 45 * 86_400],
            ["NaN", "Infinity", "-Infinity", 10**40, None],
        ),
        (
            "numeric",
            "unix-milliseconds",
            [OLD_SECONDS * 10**3],
            [(OLD_SECONDS + 45 * 86_400) * 10**3],
            ["NaN", Decimal("1775000000000.5"), None],
        ),
        (
            "numeric(30,3)",
            "unix-nanoseconds",
            [OLD_SECONDS * 10**9],
            [(OLD_SECONDS + 45 * 86_400) * 10**9],
            [10**25, None],
        ),
        (
            "float8",
            "unix-seconds",
            [OLD_SECONDS + 0.5],
            [OLD_SECONDS + 45 * 86_400 + 0.1],
            ["NaN", "Infinity", "-Infinity", 1e300, None],
        ),
        (
            "text",
            "auto",
            [OLD, "2026-04-01", "2026-05-01"],
            [YOUNG, "2026-05-02"],
            ["now", "infinity", "", "2026-02-30", "2026-04-01T25:00", str(OLD_SECONDS), None],
        ),
        (
            "varchar(30)",
            "text",
            ["2026-04-01 10:00+02:00"],
            [YOUNG],
            ["2026-04-01T10:00:60Z", "0000-01-01", "2026-13-01", None],
        ),
        ("char(30)", "date", ["2026-04-01"], ["2026-05-02"], [OLD, None]),
    ],
)
def test_clocks_of_every_kind(
    make_on_ends: Callable[[str], App],
    kind: str,
    clock_format: str,
    old: list[Any],
    young: list[Any],
    unreadable: list[Any],
) -> None:
    app = make_on_ends(f"CREATE TABLE requests (id int PRIMARY KEY, created {kind}); {CLOCK_INDEX}")
    app.insert("requests", *((number, value) for number, value in enumerate([*old, *young, *unreadable])))
    dataset = requests(clock=ClockSource(ClockFormat(clock_format), "created"))
    assert app.refusals(dataset) == []
    assert sorted(record.key[0] for record in app.due(dataset)) == list(range(len(old)))
    assert app.doubts(dataset) == {"clock-unreadable": len(unreadable)}
    app.purge_all(dataset)
    assert len(app.all("SELECT id FROM requests")) == len(young) + len(unreadable)


def test_clocks_in_another_unit_are_doubted_and_not_taken_for_old(make: Callable[[str], App]) -> None:
    app = make(f"CREATE TABLE requests (id int PRIMARY KEY, created int8); {CLOCK_INDEX}")
    app.insert("requests", (1, OLD_SECONDS), (2, 0), (3, OLD_SECONDS * 10**6))
    dataset = requests(clock=ClockSource(ClockFormat.UNIX_MILLISECONDS, "created"))
    assert app.due(dataset) == []
    assert app.doubts(dataset) == {"clock-out-of-range": 2, "clock-unreadable": 1}


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Europe/Dublin", "Asia/Kathmandu"]
CHANGES = [
    datetime(2025, 3, 30, 1), datetime(2025, 10, 26, 1), datetime(2025, 3, 9, 1), datetime(2025, 11, 2, 1),  # noqa: DTZ001
    datetime(2025, 4, 6, 1), datetime(2025, 10, 5, 1), datetime(2026, 1, 1), datetime(2024, 2, 29, 23, 59, 59, 999_999),  # noqa: DTZ001
]  # fmt: skip


def wall_times(seed: int) -> list[datetime]:
    """Return local times around the changes of clocks, each half hour, with some fractions."""
    chance = random.Random(seed)
    steps = [change + timedelta(minutes=30 * step) for change in CHANGES for step in range(-2, 7)]
    return [step + timedelta(microseconds=chance.choice((0, 0, 1, 999_999))) for step in steps]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("kind", ["timestamp", "text", "date"])
def test_local_clocks_are_read_as_python_reads_them(make_on_ends: Callable[[str], App], kind: str, zone: str) -> None:
    app = make_on_ends(f"CREATE TABLE requests (id int PRIMARY KEY, created {kind}); {CLOCK_INDEX}")
    walls = [wall.isoformat() if kind != "date" else wall.date().isoformat() for wall in wall_times(1)]
    app.insert("requests", *enumerate(walls))
    clock = ClockSource(ClockFormat.AUTO, "created", zone=zone)
    read = text_reader(clock)
    dataset = requests(clock=clock)
    cases = Cases((Case(Disposition.PURGE, Missing(TOMBSTONED), "all"),))
    records, _ = app.scan(dataset, cases)
    assert {record.key[0]: record.clock for record in records} == {n: read(wall) for n, wall in enumerate(walls)}


TEXTS = [
    "2026-04-01", "0001-01-01", "0000-12-31", "9999-12-31", "9999-12-30", "2024-02-29", "2023-02-29", "1900-02-29",
    "2000-02-29", "2026-00-10", "2026-04-00", "2026-04-31", "2026-04-01T00:00", "2026-04-01 00:00", "2026-04-01t00:00",
    "2026-04-01T24:00", "2026-04-01T23:59:59.9999999", "2026-04-01T23:59:59.9999999999", "2026-04-01T23:60",
    "2026-04-01T23:59:60", "2026-04-01T23:59.5", "2026-04-01T23:59:59.", "2026-04-01T23:59:59.1+23:59",
    "2026-04-01T23:59:59-23:59", "2026-04-01T23:59:59+24:00", "2026-04-01T23:59:59+00:60", "2026-04-01T23:59:59+0000",
    "2026-04-01T23:59:59Z", "2026-04-01T23:59:59z", "0001-01-01T00:00+00:01", "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59-00:01", "0001-01-01T00:00Z", " 2026-04-01", "2026-04-01 ", "2026-04-01\n", "٢٠٢٦-04-01", "now",
    "today", "epoch", "infinity", "-infinity", "allballs", "20260401", "2026-4-1", "2026-04-01T1:00", "", "'", "1775",
    "2026-04-01T00:00:00.000001-00:00", "2026-04-01T00:00Z ", "12026-04-01", "-2026-04-01", "2026-091", "2026-W10-1",
]  # fmt: skip


@pytest.mark.parametrize("clock_format", [ClockFormat.AUTO, ClockFormat.TEXT, ClockFormat.DATE])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_text_clocks_are_read_as_python_reads_them(
    make_on_ends: Callable[[str], App], clock_format: ClockFormat, zone: str
) -> None:
    chance = random.Random(7)
    mutated = [_mutate(chance, chance.choice(TEXTS)) for _ in range(600)]
    texts = list(dict.fromkeys([*TEXTS, *mutated, *(name for name in hostile.NAMES if "\0" not in name)]))
    app = make_on_ends("CREATE TABLE requests (id int PRIMARY KEY, created text)")
    app.insert("requests", *enumerate(texts))
    clock = ClockSource(clock_format, "created", zone=zone)
    read = text_reader(clock)
    app.open(window_rows=200)
    records, _ = app.scan(requests(clock=clock), Cases((Case(Disposition.PURGE, Missing(TOMBSTONED), "all"),)))
    seen = {texts[int(record.key[0])]: record.clock for record in records}  # type: ignore[call-overload]
    assert seen == {text: read(text) for text in texts}
    assert any(value is not None for value in seen.values())


def _mutate(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice("0123456789-:T Z+.") + text[at + chance.randrange(2) :]


NUMBERS = [0, 1, -1, 999, -999, 1_000, OLD_SECONDS, -62_135_596_800, -62_135_596_801, 253_402_300_799, 253_402_300_800]
UNITS = [each for each in ClockFormat if each.value.startswith("unix")]


@pytest.mark.parametrize("clock_format", UNITS)
def test_numbers_are_read_as_python_reads_them(make_on_ends: Callable[[str], App], clock_format: ClockFormat) -> None:
    scaled = [number * scale + step for number in NUMBERS for scale in (1, 10**3, 10**6, 10**9) for step in (-1, 0, 1)]
    numbers = sorted({number for number in [*scaled, 2**63 - 1, -(2**63)] if -(2**63) <= number < 2**63})
    app = make_on_ends("CREATE TABLE requests (id int PRIMARY KEY, created int8, n numeric, f float8)")
    app.insert("requests", *((place, number, number, number / 7) for place, number in enumerate(numbers)))
    app.open(window_rows=500)
    everything = Cases((Case(Disposition.PURGE, Missing(TOMBSTONED), "all"),))
    for column, values in (("created", numbers), ("n", numbers), ("f", [number / 7 for number in numbers])):
        if column == "f" and clock_format is not ClockFormat.UNIX_SECONDS:
            continue
        clock = ClockSource(clock_format, column)
        records, _ = app.scan(requests(clock=clock), everything)
        read = {int(record.key[0]): record.clock for record in records}  # type: ignore[call-overload]
        assert read == {place: read_clock(value, clock) for place, value in enumerate(values)}, column


# --- one predicate ----------------------------------------------------------------------------------------------------

PREDICATE = """
    CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, owner text, flag bool, n int, t text, deleted text);
"""
SHAPED = requests(
    owners=(OwnerSource("owner"),),
    attributes={"flag": "flag", "n": "n", "t": "t"},
    tombstone=TombstoneTarget(column="deleted"),
)
LITERALS: list[Any] = [True, False, 0, 1, 7, -1, 2**70, "", "a", "A", "nul\0", "0", "true", micros(NOW)]
FIELDS = [ACCOUNT, CLOCK, TOMBSTONED, attribute("flag"), attribute("n"), attribute("t"), attribute("nowhere")]


def random_condition(chance: random.Random, depth: int = 3) -> Condition:
    kind = chance.randrange(8 if depth else 4)
    field = chance.choice(FIELDS)
    literal = chance.choice(LITERALS)
    if kind <= 1:
        orders = [Operator.EQUAL] if isinstance(literal, str) else list(Operator)
        return Compare(field, chance.choice(orders), literal)
    if kind == 2:
        same = [each for each in LITERALS if type(each) is type(literal)]
        return AnyOf(field, tuple(chance.choices(same, k=chance.randrange(3))))
    if kind == 3:
        return Missing(field)
    if kind == 4:
        return Not(random_condition(chance, depth - 1))
    if kind == 5:
        return Unknown(random_condition(chance, depth - 1))
    parts = tuple(random_condition(chance, depth - 1) for _ in range(chance.randrange(4)))
    return And(parts) if kind == 6 else Or(parts)


def random_row(chance: random.Random, number: int) -> tuple[Any, ...]:
    moment = chance.choice((None, NOW, NOW - timedelta(days=40), "infinity", "-infinity"))
    hidden = chance.choice((None, "2026-06-01T12:00:00Z", "2026-01-01"))
    owner, text = chance.choice((None, "", "a", "A", "0")), chance.choice((None, "", "a", "0", "true"))
    flag, count = chance.choice((None, True, False)), chance.choice((None, 0, 1, 7, -1))
    return (number, moment, owner, flag, count, text, hidden)


@pytest.mark.parametrize("seed", range(4))
def test_sql_and_python_read_a_condition_alike(make_on_ends: Callable[[str], App], seed: int) -> None:
    chance = random.Random(seed)
    app = make_on_ends(PREDICATE)
    app.insert("requests", *(random_row(chance, number) for number in range(80)))
    app.open(window_rows=100)
    for _ in range(40):
        condition = random_condition(chance)
        cases = Cases(
            (
                Case(Disposition.PURGE, condition, "true"),
                Case(Disposition.PURGE, Unknown(condition), "unknown"),
                Case(Disposition.PURGE, Missing("nowhere"), "false"),
            )
        )
        decide_in_python = cases.python()
        seen: list[tuple[Record, int]] = []
        for window in app.open().scan(SHAPED, cases, frozenset((0, 1, 2))):
            seen += [(found.record, found.case) for found in window.found]
        assert len(seen) == 80
        for record, case in seen:
            assert decide_in_python(record) == case, (condition, record)
        some = [record for record, case in seen if case == 0]
        asked = order(SHAPED, some, cases)
        assert set(app.open().verify(asked).sightings) <= {Sighting.DUE}


def test_hostile_owners_and_long_lists(make: Callable[[str], App]) -> None:
    app = make(f"CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, owner text); {CLOCK_INDEX}")
    names = [name for name in hostile.NAMES if "\0" not in name]
    app.insert("requests", *((number, OLD, name) for number, name in enumerate(names)))
    app.open(window_rows=100)
    dataset = requests(owners=(OwnerSource("owner"),))
    for number, name in enumerate(names[:20]):
        if name:
            assert [record.key for record in app.scan(dataset, closure_cases(name))[0]] == [(number,)]
    keep = Rule(1, Period(months=24), when=AnyOf(ACCOUNT, (*names, *(f"account-{n}" for n in range(60_000)))))
    cases = decide(dataset, keep, Rule(2, Period(days=30)))
    assert app.scan(dataset, cases)[0] == []


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "size"), [(0, 3), (2, 3), (3, 3), (4, 3), (10, 1), (40, 7)])
@pytest.mark.parametrize("index", ["", CLOCK_INDEX, "CREATE INDEX ON requests (created DESC NULLS FIRST, id);"])
def test_windows_meet_without_gap_and_overlap(make: Callable[[str], App], rows: int, size: int, index: str) -> None:
    app = make(f"CREATE TABLE requests (id text, n int, created timestamptz, PRIMARY KEY (n, id)); {index}")
    clocks = [OLD, OLD, OLD, YOUNG, None, "infinity", "-infinity", "2026-04-02T00:00:00Z"]
    for number in range(rows):
        app.insert("requests", (f"k{number % 5}é", number, clocks[number % len(clocks)]))
    app.open(window_rows=size)
    everything = Cases((Case(Disposition.PURGE, Missing(TOMBSTONED), "all"),))
    records, tallies = app.scan(requests(key=("id", "n")), everything)
    assert sorted(record.key[1] for record in records) == list(range(rows))
    assert sum(tally.count for tally in tallies.values()) == rows


@pytest.mark.parametrize("share", [0, 0.004, 0.05, 0.5, 1])
@pytest.mark.parametrize("spread", [1, 7, 400], ids=["one clock", "few clocks", "many clocks"])
def test_what_is_only_counted_and_what_is_handed_out_are_together_everything(
    make: Callable[[str], App], spread: int, share: float
) -> None:
    app = make(f'CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, "o{{}}%s" text); {CLOCK_INDEX}')
    chance = random.Random(f"{spread} {share}")
    rows = [
        (number, NOW - timedelta(days=40, seconds=chance.randrange(spread)), "a" if chance.random() < share else "b")
        for number in range(400)
    ]
    app.insert("requests", *rows, *((number, None, "b") for number in range(400, 420)))
    dataset = requests(owners=(OwnerSource("o{}%s"),))
    app.open(window_rows=7)
    cases = closure_cases("a")
    due, tallies = app.scan(dataset, cases)
    (others,) = (index for index, case in enumerate(cases.cases) if case.reason == OTHERS)
    assert sorted(record.key for record in due) == [(number,) for number, _, owner in rows if owner == "a"]
    assert sum(tally.count for tally in tallies.values()) == 420
    assert tallies.get(0, Tally()).count == len(due)
    clocks = [micros(clock) for _, clock, owner in rows if owner == "b"]
    assert tallies.get(others, Tally()).oldest == min(clocks, default=None)


def test_no_lock_and_no_snapshot_is_held_between_windows(make: Callable[[str], App]) -> None:
    app = make(f"CREATE TABLE requests (id int PRIMARY KEY, created timestamptz); {CLOCK_INDEX}")
    app.insert("requests", *((number, OLD) for number in range(9)))
    cases = decide(requests(), PURGE)
    seen = []
    with closing(app.open().scan(requests(), cases, frozenset(cases.due))) as windows:
        for window in windows:
            seen += [found.record.key[0] for found in window.found]
            app.run("DELETE FROM requests WHERE id = 4; LOCK TABLE requests IN ACCESS EXCLUSIVE MODE", grant=False)
            state = (
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'retentiond' AND xact_start IS NOT NULL"
            )
            assert app.all(state) == [0]
    assert seen == [0, 1, 2, 3, 5, 6, 7, 8]


def test_sizes_are_bytes_of_values(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, content text, flagged bool)")
    app.run(f"INSERT INTO requests VALUES (1, '{OLD}', 'é', true), (2, '{OLD}', NULL, NULL)")
    first, second = app.due(requests())
    assert first.size_bytes - second.size_bytes == 3
    long = "SELECT string_agg(md5(i::text), '') FROM generate_series(1, 9999) AS i"
    app.run(f"INSERT INTO requests VALUES (3, '{OLD}', ({long}))")
    assert app.due(requests())[-1].size_bytes > 250_000


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "a.b",
        "public.a.b",
        'quo"te',
        "semi;colon",
        "or'1'='1",
        "select",
        "Mixed Case",
        "[é]",
        "x\ny",
        "100%s",
        "%(p0)s",
        '"in quotes"',
    ],
)
def test_names_of_tables_and_columns_are_taken_as_they_are(make: Callable[[str], App], name: str) -> None:
    bare = "a.b" if name == "public.a.b" else name
    made = bare.replace('"', '""')
    app = make(
        f'CREATE TABLE "{made}" ("{made}" text PRIMARY KEY, "Created At" timestamptz, n int);'
        f'CREATE INDEX ON "{made}" ("Created At")'
    )
    app.run(f"INSERT INTO \"{made}\" VALUES ('old', '{OLD}', 0), ('young', '{YOUNG}', 0)")
    dataset = requests(
        table=name, key=(bare,), clock=ClockSource(column="Created At"), attributes={"it's": bare, "%": "n"}
    )
    assert app.refusals(dataset) == []
    app.purge_all(dataset)
    assert app.all(f'SELECT "{made}" FROM "{made}"') == ["young"]
    assert list(app.open().unmapped([dataset], lambda _name: False)) == []


@pytest.mark.parametrize("written", ['"s.1"."t.""2"', 's.1.t."2'])
def test_dots_in_names_can_be_told_apart_by_quotes(make: Callable[[str], App], written: str) -> None:
    app = make('CREATE SCHEMA "s.1"; CREATE TABLE "s.1"."t.""2" (id int PRIMARY KEY, created timestamptz)')
    app.run(f'GRANT USAGE ON SCHEMA "s.1" TO {app.role}; GRANT SELECT ON "s.1"."t.""2" TO {app.role}')
    app.run(f'INSERT INTO "s.1"."t.""2" VALUES (1, \'{OLD}\')')
    assert [record.key for record in app.due(requests(table=written))] == [(1,)]


# --- references and tombstones ----------------------------------------------------------------------------------------


def test_references_name_the_object_of_each_row(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, payload varchar(99))")
    dataset = requests(blobs=BlobLink("payload", "payloads"))
    payloads = ["p/1", None, "", "p/../2", "p/1", "p/\u202e"]
    app.insert("requests", *((number, OLD, payload) for number, payload in enumerate(payloads)))
    assert [list(names) for names in app.open().references(dataset)] == [["p/1"], ["p/../2"], ["p/1"], ["p/\u202e"]]
    assert [record.blobs for record in app.due(dataset)][:3] == [("p/1",), (), ()]
    assert list(app.open().references(requests())) == []


def test_a_tombstone_that_is_no_time_keeps_its_row(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, owner text, deleted text)")
    dataset = requests(owners=(OwnerSource("owner"),), tombstone=TombstoneTarget(column="deleted"))
    app.insert("requests", (1, OLD, "a", "yes"), (2, OLD, "a", ""), (3, OLD, "a", None), (4, OLD, "b", "soon"))
    cases = decide(dataset, TOMBSTONE)
    assert [record.key[0] for record in app.scan(dataset, cases)[0]] == [3]
    assert app.doubts(dataset, cases) == {"name": 3}
    with pytest.raises(ConnectorError) as raised:
        app.open().find(dataset, "1")
    assert raised.value.remedy
    closing_all = closure_cases("a")  # an account that leaves takes its rows, whatever they say of being hidden
    assert [record.key[0] for record in app.scan(dataset, closing_all)[0]] == [1, 2, 3]


def test_array_texts_carry_every_part() -> None:
    parts: list[Any] = ['a"b', "c\\d", "", "NULL", "{}", ",", b"\x00\\'", 7, ONE]
    assert bulk.array_text(parts) == (
        '{"a\\"b","c\\\\d","","NULL","{}",",","\\\\x005c27",7,00000000-0000-4000-8000-00000000000a}'
    )


def found(app: App, dataset: Dataset, typed: str) -> set[Key]:
    assert json.loads(typed)
    return {record.key for record in app.open().find(dataset, typed)}
