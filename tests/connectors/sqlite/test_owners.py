"""Owners that are not one plain column: both readings agree, whatever stands in the table, and what is refused."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retentiond.connectors.sqlite import SqliteKind
from retentiond.domain.condition import (
    ACCOUNT,
    ALWAYS,
    NAMED,
    USER,
    And,
    AnyOf,
    Compare,
    Condition,
    Missing,
    Not,
    Operator,
    Or,
    Unknown,
    python_reading,
)
from retentiond.domain.dataset import Child, ClockSource, Dataset, Parent, Store
from retentiond.domain.decision import Case, Cases, Disposition, closure_cases
from retentiond.domain.jsonpath import JsonPath
from retentiond.domain.owner import OwnerSource, Via
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.record import Record
from retentiond.errors import ConnectorError
from retentiond.testing import hostile
from tests.connectors.sqlite.app import OLD, App, closing_order, requests

OWNERS = ("a", "b", "A", "a ", "7", *hostile.STATEMENTS[:3], *hostile.CONTROLS[:2], "\u202e", "\U0001f5d1", '"', "61")
RAW: tuple[Any, ...] = (None, "", 7, 1.5, b"a", *OWNERS)
LISTS: tuple[Any, ...] = (None, "[]", "{", "{}", '"a"', b"[]", '["a", null]', '["b", "b"]')
LISTS += tuple(json.dumps([owner, "c"]) for owner in OWNERS)
DATASET = Dataset(
    "rows", "app", "sqlite", "content", ClockSource(column="created"), table="rows", key=("id",),
    owners=(
        OwnerSource("u"),
        OwnerSource("more", array=True, optional=True),
        OwnerSource("meta", JsonPath.parse("$.o"), optional=True),
        OwnerSource(via=Via("tokens", (("k", "token"),), "owner"), optional=True),
    ),
    users=(
        OwnerSource("more", array=True, optional=True),
        OwnerSource(via=Via("tokens", (("k", "token"),), "owner"), optional=True),
    ),
)  # fmt: skip
FIELDS = st.sampled_from([ACCOUNT, NAMED, USER])
WANTED = st.sampled_from([*OWNERS, "c", "", "nobody", "no\ud800body"])
leaves = st.one_of(
    st.builds(Compare, FIELDS, st.just(Operator.EQUAL), st.one_of(WANTED, st.just(7), st.booleans())),
    st.builds(AnyOf, FIELDS, st.lists(WANTED, max_size=4).map(tuple)),
    st.builds(AnyOf, FIELDS, st.lists(WANTED, max_size=4).map(lambda some: (*some, *map(str, range(600, 1300))))),
    st.builds(AnyOf, FIELDS, st.just((7, 8))),
    st.builds(Missing, FIELDS),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner), st.builds(Unknown, inner), st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in which every value stands with every other, and tokens of which some are anybody's."""
    folder = tmp_path_factory.mktemp("owners")
    with closing(sqlite3.connect(folder / "app.db", isolation_level=None)) as app:
        app.execute("CREATE TABLE tokens (token, owner)")
        app.execute("CREATE INDEX by_token ON tokens (token)")
        app.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, created TEXT, u, more, meta TEXT, k)")
        app.execute("BEGIN")
        for number, owner in enumerate((*RAW, *RAW)):
            app.execute("INSERT INTO tokens VALUES (?, ?)", (f"t{number % (len(RAW) + 3)}", owner))
        for number, (u, more) in enumerate(product(RAW, LISTS)):
            meta = json.dumps({"o": OWNERS[number % len(OWNERS)]}) if number % 3 else None
            token = f"t{number % (2 * len(RAW))}" if number % 5 else None
            app.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", (number, OLD, u, more, meta, token))
        app.execute("COMMIT")
    return folder


@given(condition=conditions)
@example(condition=Compare(ACCOUNT, Operator.EQUAL, "61"))
@example(condition=AnyOf(ACCOUNT, ()))
@example(condition=AnyOf(USER, ()))
@example(condition=And((Compare(ACCOUNT, Operator.EQUAL, "a"), AnyOf(USER, ("61", "c")))))
def test_both_readings_agree_on_every_row(table: Path, condition: Condition) -> None:
    cases = Cases(
        (
            Case(Disposition.PURGE, condition, "true"),
            Case(Disposition.PURGE, Unknown(condition), "unknown"),
            Case(Disposition.PURGE, ALWAYS, "false"),
        )
    )
    store = SqliteKind().open(Store("app", "sqlite", {"path": "app.db"}), table)
    with closing(store):
        found = [each for window in store.scan(DATASET, cases, frozenset((0, 1, 2))) for each in window.found]
    assert len(found) == len(RAW) * len(LISTS)
    read = python_reading(condition)
    assert [each.case for each in found] == [{True: 0, None: 1, False: 2}[read(each.record)] for each in found]


def test_the_table_above_has_owners_of_every_make(table: Path) -> None:
    store = SqliteKind().open(Store("app", "sqlite", {"path": "app.db"}), table)
    with closing(store):
        records = [each for number in range(len(RAW) * len(LISTS)) for each in store.find(DATASET, str(number))]
    assert {len(record.accounts) for record in records} >= {0, 1, 2, 3, 4}
    assert any(record.ties.named for record in records)
    assert {None if record.ties.users is None else len(record.ties.users) for record in records} >= {None, 0, 1, 2, 3}


SCHEMA = """
CREATE TABLE api_keys (token TEXT, user_id TEXT);
CREATE INDEX by_token ON api_keys (token);
CREATE TABLE requests (id TEXT PRIMARY KEY, created TEXT, k TEXT, u TEXT);
CREATE INDEX by_created ON requests (created);
"""
VIA = requests(owners=(OwnerSource(via=Via("api_keys", (("k", "token"),), "user_id")),))


def via(**changes: Any) -> Dataset:
    known = VIA.owners[0].via
    assert known is not None
    return replace(VIA, owners=(OwnerSource(via=replace(known, **changes)),))


@pytest.mark.parametrize(
    ("dataset", "what", "remedy"),
    [
        (via(table="keys"), "no table 'keys'", "correct the table's name"),
        (via(table="API_KEYS"), "no table 'API_KEYS'", "write it as 'api_keys'"),
        (via(schema="app"), "no schema 'app'", "write main"),
        (via(take="User_Id"), "no column 'User_Id'", "write it as 'user_id'"),
        (via(on=(("k", "tokn"),)), "no column 'tokn'", "correct the data map"),
        (via(on=(("nowhere", "token"),)), "no column 'nowhere' for its account", "correct the data map"),
        (
            via(on=(("k", "user_id"),)),
            "no index finds rows of 'api_keys' by user_id",
            'CREATE INDEX "api_keys_user_id"',
        ),
        (requests(schema="other"), "no schema 'other'", "write main"),
        (requests(owners=(OwnerSource("x"), OwnerSource("u"))), "no column 'x' for its account", "correct"),
        (requests(parents=(Parent("p", (("x", "y"),)),)), "no column 'x' for its link to p", "correct"),
        (
            requests(children=(Child("c", "api_keys", (("token", "x"),)),)),
            "no column 'x' for its link from c",
            "correct",
        ),
        (requests(children=(Child("c", "nowhere", (("x", "id"),)),)), "no table 'nowhere'", "create it"),
        (requests(children=(Child("c", "api_keys", (("user_id", "id"),)),)), "no index", 'ON "api_keys" ("user_id")'),
    ],
)
def test_what_cannot_be_looked_at_is_refused(dataset: Dataset, what: str, remedy: str, tmp_path: Path) -> None:
    app = App(tmp_path, SCHEMA)
    findings = app.refusals(dataset)
    assert [(what in said, remedy in help_) for said, help_ in findings][:1] == [(True, True)], findings
    with pytest.raises(ConnectorError):
        app.due(dataset)
    app.close()


def test_what_can_be_looked_at_is_not_refused(tmp_path: Path) -> None:
    app = App(tmp_path, SCHEMA)
    child = Child("c", "api_keys", (("token", "id"),), schema="main")
    assert app.refusals(replace(VIA, schema="main", children=(child,), parents=(Parent("p", (("u", "x"),)),))) == []
    app.close()


def test_an_owner_that_changed_hands_after_the_plan_is_left(tmp_path: Path) -> None:
    app = App(tmp_path, SCHEMA)
    app.insert("api_keys", ("t1", "leaving"), ("t2", "leaving"))
    app.insert("requests", ("r1", OLD, "t1", None), ("r2", OLD, "t2", None))
    records, _ = app.scan(VIA, closure_cases("leaving"))
    assert {record.key for record in records} == {("r1",), ("r2",)}
    app.run("UPDATE api_keys SET user_id = 'staying' WHERE token = 't2'")
    asked = closing_order(VIA, "leaving", records)
    outcomes = dict(zip((record.key[0] for record in records), app.open().act(asked).outcomes, strict=True))
    assert outcomes == {"r1": Outcome.DONE, "r2": Outcome.CHANGED}
    sightings = dict(zip((record.key[0] for record in records), app.open().verify(asked).sightings, strict=True))
    assert sightings == {"r1": Sighting.ABSENT, "r2": Sighting.CHANGED}
    app.close()


def test_a_partner_has_an_equal_value_byte_for_byte(tmp_path: Path) -> None:
    script = SCHEMA.replace("token TEXT", "token TEXT COLLATE NOCASE").replace("k TEXT, u", "k, u")
    app = App(tmp_path, script)
    app.insert("api_keys", ("KEY", "somebody"), ("7", "else"))
    app.insert("requests", ("r1", OLD, "key", None), ("r2", OLD, 7, None), ("r3", OLD, "KEY", None))
    assert [(record.key, record.account) for record in app.due(VIA)] == [(("r2",), "else"), (("r3",), "somebody")]
    assert app.doubts(VIA) == {"owner-unreadable": 1}
    app.close()


def test_children_are_counted_as_the_database_compares(tmp_path: Path) -> None:
    app = App(tmp_path, SCHEMA + "CREATE TABLE child (parent TEXT COLLATE NOCASE); CREATE INDEX p ON child (parent);")
    app.insert("requests", ("R1", OLD, None, "u"), ("r2", OLD, None, "u"))
    app.insert("child", ("r1",))
    dataset = requests(children=(Child("c", "child", (("parent", "id"),)),))
    records = app.due(dataset)
    assert {record.key[0]: record.ties.standing[0].live for record in records} == {"R1": 1, "r2": 0}
    acted, sightings = app.purge(dataset, records)
    assert dict(zip((record.key[0] for record in records), acted.outcomes, strict=True)) == {
        "R1": Outcome.BLOCKED,
        "r2": Outcome.DONE,
    }
    assert sorted(sightings) == [Sighting.ABSENT, Sighting.DUE]
    assert app.all("SELECT id FROM requests") == [b"R1"]
    app.close()


def test_names_that_are_no_utf8_are_nobodys(tmp_path: Path) -> None:
    app = App(tmp_path, SCHEMA)
    app.insert("requests", ("r1", OLD, "k", "u"))
    app.run("UPDATE requests SET u = CAST(x'ff41' AS TEXT)")
    dataset = requests(owners=(OwnerSource("u"), OwnerSource("k")))
    assert app.doubts(dataset) == {"owner-unreadable": 1}
    (record,) = app.open().find(dataset, "r1")
    assert record == Record(("r1",), clock=record.clock, size_bytes=record.size_bytes, ties=record.ties)
    assert record.ties.named == ("k",)
    app.close()
