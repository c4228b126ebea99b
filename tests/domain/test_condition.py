"""The SQL reading of a condition on SQLite and its Python reading say the same of every row."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retentiond.connectors.sqlite import SqliteKind
from retentiond.domain.condition import (
    ACCOUNT,
    CLOCK,
    TOMBSTONED,
    Always,
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
    fields,
    python_reading,
)
from retentiond.domain.dataset import ClockSource, Dataset, Store, TombstoneTarget
from retentiond.domain.decision import Case, Cases, Disposition
from retentiond.domain.instant import read_clock
from retentiond.domain.owner import OwnerSource
from retentiond.domain.record import Record, Value, micros
from retentiond.testing import hostile

TRUE, UNKNOWN, FALSE = 0, 1, 2
CLOCKS = [
    None,
    "",
    "2026-01-01T00:00:00Z",
    "2026-01-01 02:00:00+02:00",
    "2025-12-31T23:59:59.999999999Z",
    "2026-02-30T00:00Z",
    "now",
    "2460000.5",
    b"2026-01-01T00:00:00Z",
    0,
    1_767_225_600,
    1_767_225_600.25,
    -1.5,
    2**63 - 1,
    -(2**63),
    float("inf"),
]
VALUES: list[Any] = [None, "", "0", "1", "true", "pro", "Pro", "pro ", "pro\x00", 0, 1, -1, 2**62, 0.0, 1.0, 0.5, b"1"]
VALUES += ["\u00e9", "e\u0301", *hostile.STATEMENTS, *hostile.CONTROLS]
MOMENT = micros(datetime(2026, 1, 1, tzinfo=UTC))
FIELDS = [ACCOUNT, CLOCK, TOMBSTONED, attribute("loose"), attribute("text"), attribute("number"), attribute("nocase")]
ORDERS = [operator for operator in Operator if operator is not Operator.EQUAL]

numbers = st.sampled_from([0, 1, -1, 2**62, MOMENT, MOMENT - 1, 2**63, -(2**63), 10**40, -(10**40)])
texts = st.sampled_from([value for value in VALUES if isinstance(value, str)])
literals = st.one_of(st.booleans(), numbers, texts)
leaves = st.one_of(
    st.builds(Always, st.booleans()),
    st.builds(Missing, st.sampled_from(FIELDS)),
    st.builds(Compare, st.sampled_from(FIELDS), st.just(Operator.EQUAL), literals),
    st.builds(Compare, st.sampled_from(FIELDS), st.sampled_from(ORDERS), st.one_of(st.booleans(), numbers)),
    st.builds(
        AnyOf,
        st.sampled_from(FIELDS),
        st.one_of(
            st.lists(texts, max_size=4).map(tuple),
            st.lists(numbers, max_size=4).map(tuple),
            st.lists(st.booleans(), max_size=2).map(tuple),
            st.lists(texts, max_size=4).map(lambda some: (*some, *(f"no-{number}" for number in range(600)))),
            st.lists(numbers, max_size=4).map(lambda some: (*some, *range(100, 700))),
        ),
    ),
)


def joined(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, max_size=3).map(tuple)
    return st.one_of(st.builds(Not, parts), st.builds(Unknown, parts), st.builds(And, several), st.builds(Or, several))


conditions: st.SearchStrategy[Condition] = st.recursive(leaves, joined, max_leaves=8)

DATASET = Dataset(
    "rows",
    "app",
    "sqlite",
    "content",
    clock=ClockSource(column="created"),
    table="rows",
    key=("id",),
    owners=(OwnerSource("owner"),),
    attributes={"loose": "loose", "text": "text", "number": "number", "nocase": "nocase"},
    tombstone=TombstoneTarget(column="hidden"),
)


def owner(raw: object) -> str | None:
    """Read an owner by the rule of the connector, written anew."""
    return (raw or None) if isinstance(raw, str) else (str(raw) if isinstance(raw, int) else None)


def plain(raw: object) -> Value:
    return raw if isinstance(raw, int | str) else None


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[object, Record]]:
    """A table with every value in columns of every affinity, and its rows as an independent reading has them."""
    folder = tmp_path_factory.mktemp("rows")
    with closing(sqlite3.connect(folder / "app.db", isolation_level=None)) as app:
        app.execute(
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, created, owner, hidden,"
            " loose, text TEXT, number INTEGER, nocase TEXT COLLATE NOCASE)"
        )
        random = Random(2026)
        app.execute("BEGIN")
        for number in range(len(CLOCKS) * len(VALUES)):
            clock, value = CLOCKS[number % len(CLOCKS)], VALUES[number // len(CLOCKS)]
            row = (number, clock, random.choice(VALUES), random.choice(CLOCKS), value, value, value, value)
            app.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        app.execute("COMMIT")
        rows = app.execute("SELECT id, created, owner, hidden, loose, text, number, nocase FROM rows").fetchall()
    hidden_clock = ClockSource(column="hidden")
    records: dict[object, Record] = {}
    for number, created, account, hidden, *values in rows:
        attributes = dict(zip(DATASET.attributes, map(plain, values), strict=True))
        tombstoned = read_clock(hidden, hidden_clock)
        if hidden is None or tombstoned is not None:
            records[number] = Record(
                (number,),
                account=owner(account),
                clock=read_clock(created, DATASET.clock),
                tombstoned=tombstoned,
                attributes=attributes,
            )
    return folder, records


@given(condition=conditions)
@example(condition=Compare(attribute("number"), Operator.LESS, 10**40))
@example(condition=Compare(attribute("number"), Operator.GREATER_OR_EQUAL, -(2**63) - 1))
@example(condition=AnyOf(attribute("number"), (*range(600), 10**40)))
@example(condition=And((Missing(ACCOUNT), Compare(TOMBSTONED, Operator.LESS, MOMENT))))
def test_both_readings_agree_on_every_row(table: tuple[Path, dict[object, Record]], condition: Condition) -> None:
    folder, records = table
    cases = Cases(
        (
            Case(Disposition.PURGE, condition, "true"),
            Case(Disposition.PURGE, Unknown(condition), "unknown"),
            Case(Disposition.PURGE, Always(value=True), "false"),
        )
    )
    read = python_reading(condition)
    expected = {number: {True: TRUE, None: UNKNOWN, False: FALSE}[read(record)] for number, record in records.items()}
    store = SqliteKind().open(Store("app", "sqlite", {"path": "app.db"}), folder)
    with closing(store):
        windows = list(store.scan(DATASET, cases, frozenset((TRUE, UNKNOWN, FALSE))))
    found = {each.record.key[0]: each for window in windows for each in window.found}
    assert {number: found[number].case for number in records} == expected
    if TOMBSTONED in fields(condition):
        assert found.keys() == records.keys()  # a tombstone that cannot be read decides nothing
    winner = cases.python()
    assert all(winner(each.record) == each.case for number, each in found.items() if number in records)
    assert all(found[number].record.clock == record.clock for number, record in records.items())
    assert all(found[number].record.account == record.account for number, record in records.items())


@pytest.mark.parametrize("operator", ORDERS)
def test_text_has_no_order_in_either_reading(tmp_path: Path, operator: Operator) -> None:
    condition = Compare(attribute("text"), operator, "m")
    with pytest.raises(TypeError, match="not for text"):
        python_reading(condition)
    with closing(sqlite3.connect(tmp_path / "app.db")) as app:
        app.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, created, owner, hidden, loose, text, number, nocase)")
    store = SqliteKind().open(Store("app", "sqlite", {"path": "app.db"}), tmp_path)
    with closing(store), pytest.raises(TypeError, match="not for text"):
        list(store.scan(DATASET, Cases((Case(Disposition.PURGE, condition, "x"),)), frozenset()))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (False, False), (1, True), (0, False), (2, None), (None, None), ("true", None), ("1", None)],
)
def test_a_flag_is_true_false_or_unknown(value: Value, expected: object) -> None:
    record = Record((1,), attributes={"flagged": value})
    assert python_reading(Compare(attribute("flagged"), Operator.EQUAL, literal=True))(record) is expected


def test_unknown_is_neither_true_nor_false() -> None:
    nothing = Record((1,))
    is_pro = Compare(attribute("tier"), Operator.EQUAL, "pro")
    assert python_reading(is_pro)(nothing) is None
    assert python_reading(Not(is_pro))(nothing) is None
    assert python_reading(And((is_pro, Always(value=False))))(nothing) is False
    assert python_reading(Or((is_pro, Always(value=True))))(nothing) is True
    assert python_reading(And((is_pro, Always(value=True))))(nothing) is None
    assert python_reading(Unknown(is_pro))(nothing) is True
    assert python_reading(Missing(attribute("tier")))(nothing) is True
