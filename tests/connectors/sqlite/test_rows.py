"""Rows as applications have them: keys of all types, clocks of all kinds, names that break statements."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from retentiond.connectors.sqlite import database
from retentiond.domain.condition import ACCOUNT, AnyOf
from retentiond.domain.dataset import BlobLink, ClockFormat, ClockSource, Dataset, TombstoneTarget
from retentiond.domain.decision import closure_cases
from retentiond.domain.owner import OwnerSource
from retentiond.domain.period import Period
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Rule
from retentiond.domain.record import Key, micros
from retentiond.errors import ConnectorError, UsageError
from retentiond.testing import hostile
from tests.connectors.sqlite.app import NOW, OLD, PURGE, TOMBSTONE, YOUNG, App, decide, order, requests

OLD_SECONDS = micros(NOW - timedelta(days=60)) // 1_000_000
MONTH = 45 * 86_400
SURROGATE = "\udcff"


def test_keys_that_look_alike_are_told_apart(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id UNIQUE, created)")
    app.insert("requests", (1, OLD), ("1", YOUNG), (b"1", YOUNG), ("01", OLD), (b"", OLD), ("", YOUNG), (2**62, OLD))
    app.purge_all(requests())
    assert sorted(app.all("SELECT id FROM requests"), key=repr) == [b"", b"1", b"1"]
    assert app.all("SELECT DISTINCT created FROM requests") == [YOUNG.encode()]


def test_a_key_without_case_is_still_exact(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id TEXT COLLATE NOCASE PRIMARY KEY, created)")
    app.insert("requests", ("Abc", OLD))
    (record,) = app.due(requests())
    app.run("UPDATE requests SET id = 'aBC'")
    acted, sightings = app.purge(requests(), [record])
    assert (list(acted.outcomes), sightings) == ([Outcome.ALREADY_GONE], [Sighting.ABSENT])
    assert app.all("SELECT id FROM requests") == [b"aBC"]


@pytest.mark.parametrize("end", ["", "WITHOUT ROWID"])
def test_a_key_of_several_columns(make: Callable[[str], App], end: str) -> None:
    app = make(f"CREATE TABLE requests (a TEXT, b, created, c BLOB, PRIMARY KEY (c, a, b)) {end}")
    dataset = requests(key=("a", "b", "c"))
    rows = [(a, b, OLD, c) for a in ("x", "", "é") for b in (1, "1", b"1") for c in (b"\x00", b"\xff'")]
    app.insert("requests", *rows, ("x", 1, YOUNG, b"other"))
    records = app.due(dataset)
    assert {record.key for record in records} == {(a, b, c) for a, b, _, c in rows}
    assert found(app, dataset, '["x", "1", "00"]') == {("x", 1, b"\0"), ("x", "1", b"\0")}
    assert found(app, dataset, '["x", "31", "x\'FF27\'"]') == {("x", b"1", b"\xff'")}
    assert found(app, dataset, '["é", "1", "FF"]') == set()
    app.purge(dataset, records[:5])
    assert app.all("SELECT count(*) FROM requests") == [len(rows) + 1 - 5]
    app.purge_all(dataset)
    assert app.all("SELECT c FROM requests") == [b"other"]


@pytest.mark.parametrize("typed", ["x", "[]", '["a"]', '{"a": 1}', '["a", "b", "c"]', ""])
def test_a_key_of_several_columns_is_typed_as_an_array(make: Callable[[str], App], typed: str) -> None:
    app = make("CREATE TABLE requests (a, b, created, PRIMARY KEY (a, b))")
    with pytest.raises(UsageError) as raised:
        app.open().find(requests(key=("a", "b")), typed)
    assert '["a", "b"]' in raised.value.remedy


@pytest.mark.parametrize(
    "typed", ["", "9" * 5_000, "99999999999999999999", "-0", "٣", SURROGATE, "[null]", "x'zz'", "\0"]
)
def test_absurd_keys_are_not_found(make: Callable[[str], App], typed: str) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created)")
    app.insert("requests", (0, OLD), (3, OLD))
    assert list(app.open().find(requests(), typed)) == []


def test_absurd_parts_of_a_key_are_not_found(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (a, b, created, PRIMARY KEY (a, b))")
    for typed in ("[null, true]", "[[], 1.5]", '["\\ud800", {}]'):
        assert list(app.open().find(requests(key=("a", "b")), typed)) == []


def test_a_row_that_no_receipt_can_name_is_kept_and_counted(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id UNIQUE, created, owner, payload)")
    dataset = requests(owners=(OwnerSource("owner"),), blobs=BlobLink("payload", "payloads"))
    app.insert(
        "requests", ("fine", OLD, "a", "p"), (None, OLD, "a", "p"), (0.5, OLD, "a", "p"), ("blob", OLD, "a", b"p")
    )
    app.run(f"INSERT INTO requests VALUES (CAST(x'ff' AS TEXT), '{OLD}', 'a', 'p')")
    app.run(f"INSERT INTO requests VALUES ('owner', '{OLD}', CAST(x'61ff' AS TEXT), 'p')")
    app.run(f"INSERT INTO requests VALUES ('object', '{OLD}', 'a', CAST(x'ff' AS TEXT))")
    assert app.doubts(dataset) == {"name": 6}
    app.purge_all(dataset)
    assert app.all("SELECT count(*) FROM requests") == [6]
    with pytest.raises(ConnectorError) as raised:
        app.open().find(dataset, "owner")
    assert raised.value.remedy


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_databases_of_every_encoding(make: Callable[[str], App], encoding: str) -> None:
    app = make(f"PRAGMA encoding = '{encoding}'; VACUUM; CREATE TABLE requests (id TEXT PRIMARY KEY, created, owner)")
    assert app.all("PRAGMA encoding") == [encoding.encode()]
    names = [name for name in hostile.NAMES if name != "\ufffe"]  # UTF-16 has no such character
    app.insert("requests", *((name, OLD, name) for name in names), ("young", YOUNG, "é"))
    dataset = requests(owners=(OwnerSource("owner"),))
    app.purge_all(dataset)
    assert app.all("SELECT id FROM requests WHERE id <> ''") == [b"young"]


@pytest.mark.parametrize(
    ("clock_format", "old", "young", "unreadable"),
    [
        (
            ClockFormat.AUTO,
            [OLD, OLD_SECONDS, OLD_SECONDS + 0.5, "2026-04-01"],
            [YOUNG, "2026-05-31"],
            [str(OLD_SECONDS)],
        ),
        (ClockFormat.TEXT, [OLD, "2026-04-01 10:00+02:00"], [YOUNG], [OLD_SECONDS, "now", b"2026-04-01"]),
        (ClockFormat.DATE, ["2026-04-01", "2026-05-01"], ["2026-05-02"], [OLD, OLD_SECONDS, "2026-02-30"]),
        (ClockFormat.UNIX_SECONDS, [OLD_SECONDS, OLD_SECONDS + 0.5], [OLD_SECONDS + MONTH], [OLD, OLD_SECONDS * 1000]),
        (ClockFormat.UNIX_MILLISECONDS, [OLD_SECONDS * 10**3], [(OLD_SECONDS + MONTH) * 10**3], [OLD, 2**63 - 1, 0.5]),
        (ClockFormat.UNIX_MICROSECONDS, [OLD_SECONDS * 10**6], [(OLD_SECONDS + MONTH) * 10**6], [OLD, -(2**63), 0.5]),
        (ClockFormat.UNIX_NANOSECONDS, [OLD_SECONDS * 10**9 + 999], [(OLD_SECONDS + MONTH) * 10**9], [OLD, None, 0.5]),
    ],
)
def test_clocks_of_every_kind(
    make: Callable[[str], App],
    clock_format: ClockFormat,
    old: list[object],
    young: list[object],
    unreadable: list[object],
) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created)")
    app.insert("requests", *((number, value) for number, value in enumerate([*old, *young, *unreadable])))
    dataset = requests(clock=ClockSource(clock_format, "created"))
    assert [record.key[0] for record in app.due(dataset)] == list(range(len(old)))
    assert app.doubts(dataset) == {"clock-unreadable": len(unreadable)}
    app.purge_all(dataset)
    assert len(app.all("SELECT id FROM requests")) == len(young) + len(unreadable)


def test_clocks_in_another_unit_are_doubted_and_not_taken_for_old(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created)")
    app.insert("requests", (1, OLD_SECONDS), (2, 0), (3, OLD_SECONDS * 10**6))
    dataset = requests(clock=ClockSource(ClockFormat.UNIX_MILLISECONDS, "created"))
    assert app.due(dataset) == []
    assert app.doubts(dataset) == {"clock-out-of-range": 2, "clock-unreadable": 1}


def test_a_clock_that_is_not_utf8_is_unreadable(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created)")
    app.run(f"INSERT INTO requests VALUES (1, CAST(x'ff' AS TEXT)), (2, '{OLD}' || char(0) || 'x')")
    assert app.due(requests()) == []
    assert app.doubts(requests()) == {"clock-unreadable": 2}


def test_local_clocks_are_read_in_their_zone(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created)")
    app.insert("requests", (1, "2026-05-02 13:59:59"), (2, "2026-05-02 14:00:00"), (3, "2026-05-02T14:00:00+02:00"))
    dataset = requests(clock=ClockSource(ClockFormat.AUTO, "created", zone="Europe/Berlin"))
    assert [record.key for record in app.due(dataset)] == [(1,)]  # the cutoff is 12:00 UTC
    later = [record.key for record in app.scan(dataset, decide(dataset, PURGE, at=NOW + timedelta(seconds=1)))[0]]
    assert later == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    "name", ["a.b", "main.a.b", 'quo"te', "semi;colon", "or'1'='1", "select", "main.x", "[é]", "x\ny"]
)
def test_names_of_tables_and_columns_are_taken_as_they_are(make: Callable[[str], App], name: str) -> None:
    bare = name.removeprefix("main.") if name == "main.x" else name
    made = bare.replace('"', '""')
    app = make(f'CREATE TABLE "{made}" ("{made}" TEXT PRIMARY KEY, "Created At" TEXT, "_rowid_", "ROWID")')
    app.run(f"INSERT INTO \"{made}\" VALUES ('old', '{OLD}', 0, 0), ('young', '{YOUNG}', 0, 0)")
    dataset = requests(table=name, key=(bare,), clock=ClockSource(column="Created At"), attributes={"it's": bare})
    assert app.refusals(dataset) == []
    app.purge_all(dataset)
    assert app.all(f'SELECT "{made}" FROM "{made}"') == [b"young"]
    assert list(app.open().unmapped([dataset], lambda _name: False)) == []


@pytest.mark.parametrize(("rows", "size"), [(0, 3), (2, 3), (3, 3), (4, 3), (10, 1)])
@pytest.mark.parametrize("end", ["", "WITHOUT ROWID"])
def test_windows_meet_without_gap_and_overlap(make: Callable[[str], App], rows: int, size: int, end: str) -> None:
    app = make(f"CREATE TABLE requests (id PRIMARY KEY, created) {end}")
    keys = [value for number in range(-3, 4) for value in (number, f"k{number}", str(number).encode())][:rows]
    if keys:
        app.insert("requests", *((key, OLD) for key in keys))
    app.open(window_rows=size)
    records, tallies = app.scan(requests(), decide(requests(), PURGE))
    assert sorted((record.key[0] for record in records), key=repr) == sorted(keys, key=repr)
    assert sum(tally.count for tally in tallies.values()) == rows


def test_row_numbers_below_zero_are_scanned(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created)")
    app.insert("requests", *((key, OLD) for key in (-(2**63), -1, 0, 1, 2**63 - 1)))
    assert [record.key[0] for record in app.due(requests())] == [-(2**63), -1, 0, 1, 2**63 - 1]


def test_no_lock_is_held_between_windows(make: Callable[[str], App]) -> None:
    app = make("PRAGMA journal_mode = delete; CREATE TABLE requests (id INTEGER PRIMARY KEY, created)")
    app.insert("requests", *((number, OLD) for number in range(9)))
    cases = decide(requests(), PURGE)
    seen = []
    with closing(app.open().scan(requests(), cases, frozenset(cases.due))) as windows:
        for window in windows:
            seen += [found.record.key[0] for found in window.found]
            app.run("DELETE FROM requests WHERE id = 4; INSERT OR IGNORE INTO requests VALUES (-5, '2026-01-01')")
    assert seen == [0, 1, 2, 3, 5, 6, 7, 8]


def test_long_lists_are_looked_up(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created, owner)")
    app.insert("requests", *((number, OLD, f"account-{number}") for number in range(10)))
    dataset = requests(owners=(OwnerSource("owner"),))
    members = tuple(f"account-{number}" for number in range(5, 60_000))
    keep = Rule(1, Period(months=24), when=AnyOf(ACCOUNT, members))
    cases = decide(dataset, keep, Rule(2, Period(days=30)))
    records = app.scan(dataset, cases)[0]
    asked = order(dataset, records, cases)
    assert [record.key[0] for record in records] == [0, 1, 2, 3, 4]
    assert list(app.open().verify(asked).sightings) == [Sighting.CHANGED] * 5  # that order is for the first rule


def test_sizes_are_bytes_of_values(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created, content, double AS (content || content))")
    app.run(f"INSERT INTO requests (id, created, content) VALUES (10, '{OLD}', 'é'), (11, '{OLD}', NULL)")
    assert [record.size_bytes for record in app.due(requests())] == [2 + len(OLD) + 2, 2 + len(OLD)]


def test_references_name_the_object_of_each_row(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created, payload)")
    dataset = requests(blobs=BlobLink("payload", "payloads"))
    app.insert("requests", *enumerate_rows(["p/1", None, "", "p/../2", "p/1", "\x00", "p/\u202e"]))
    assert [list(names) for names in app.open().references(dataset)] == [
        ["p/1"],
        ["p/../2"],
        ["p/1"],
        ["\x00"],
        ["p/\u202e"],
    ]
    assert [record.blobs for record in app.due(dataset)][:3] == [("p/1",), (), ()]
    assert list(app.open().references(requests())) == []


@pytest.mark.parametrize("value", ["5", "x'00'", "CAST(x'ff' AS TEXT)"])
def test_a_reference_that_is_no_text_is_unknown_and_not_none(make: Callable[[str], App], value: str) -> None:
    app = make(
        f"CREATE TABLE requests (id INTEGER PRIMARY KEY, created, payload); INSERT INTO requests VALUES (1, 2, {value})"
    )
    with pytest.raises(ConnectorError) as raised:
        list(app.open().references(requests(blobs=BlobLink("payload", "payloads"))))
    assert "SELECT" in raised.value.remedy


def test_a_tombstone_that_is_no_time_keeps_its_row(make: Callable[[str], App]) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created, owner, deleted)")
    dataset = requests(owners=(OwnerSource("owner"),), tombstone=TombstoneTarget(column="deleted"))
    app.insert("requests", (1, OLD, "a", "yes"), (2, OLD, "a", ""), (3, OLD, "a", None), (4, OLD, "b", b"2026-01-01"))
    cases = decide(dataset, TOMBSTONE)
    assert [record.key[0] for record in app.scan(dataset, cases)[0]] == [3]
    assert app.doubts(dataset, cases) == {"name": 3}
    later = decide(dataset, TOMBSTONE, at=NOW + timedelta(days=300))
    assert [record.key[0] for record in app.scan(dataset, later)[0]] == [3]
    closing_all = closure_cases("a")  # an account that leaves takes its rows, whatever they say of being hidden
    assert [record.key[0] for record in app.scan(dataset, closing_all)[0]] == [1, 2, 3]


def test_a_long_list_of_accounts_takes_few_statements(
    make: Callable[[str], App], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make("CREATE TABLE requests (id INTEGER PRIMARY KEY, created, owner)")
    dataset = requests(owners=(OwnerSource("owner"),))
    app.insert("requests", *((number, OLD, f"a{number}") for number in range(20)))
    seen: list[str] = []
    begin = database.Database.__init__

    def traced(self: Any, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        self._connection.set_trace_callback(seen.append)

    monkeypatch.setattr(database.Database, "__init__", traced)
    counts = []
    for accounts in (10, 10_000):
        seen.clear()
        records, _ = app.scan(dataset, closure_cases(*(f"a{number}" for number in range(accounts))))
        assert len(records) == min(20, accounts)
        counts.append(len(seen))
    assert 0 < counts[1] <= counts[0] + 10 + 10_000 / 500


def found(app: App, dataset: Dataset, typed: str) -> set[Key]:
    return {record.key for record in app.open().find(dataset, typed)}


def enumerate_rows(payloads: list[object]) -> list[tuple[object, ...]]:
    return [(number, OLD, payload) for number, payload in enumerate(payloads)]
