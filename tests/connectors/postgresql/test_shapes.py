"""Schemas as they are: clocks and owners in JSON, in arrays, in other tables; rows that go before others."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

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
    Unknown,
)
from retentiond.domain.dataset import Child, ClockFormat, ClockSource, Dataset, Parent, TombstoneTarget
from retentiond.domain.decision import Case, Cases, Disposition, closure_cases
from retentiond.domain.instant import read_clock
from retentiond.domain.jsonpath import JsonPath, Unreadable
from retentiond.domain.owner import UNREADABLE, Owners, OwnerSource, Via, read_owners
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.record import Record, micros
from retentiond.testing import hostile
from tests.connectors.postgresql.app import NOW, OLD, PURGE, TOMBSTONE, YOUNG, App, decide, order, requests

UNSTORABLE = re.compile(r"\\u0000|\\ud83d\"")
TEXTS = ("text", "varchar")
EVERYTHING = Cases((Case(Disposition.PURGE, ALWAYS, "all"),))
OLD_SECONDS = micros(NOW - timedelta(days=60)) // 1_000_000
NAMES = ("a", "b", "A", "a ", "7", '"', "\u202e", "\U0001f5d1", "{a,b}", "NULL", *hostile.STATEMENTS[:3])
DOCUMENTS: list[str | None] = [
    None, "{}", "[]", "null", '"a"', "7", '{"o": "a"}', '{"o": ""}', '{"o": null}', '{"o": 7}', '{"o": -7}',
    '{"o": 7.5}', '{"o": true}', '{"o": false}', '{"o": ["a", "b"]}', '{"o": []}', '{"o": ["a", null]}',
    '{"o": ["a", ""]}', '{"o": [7, "a", "a"]}', '{"o": [7.5]}', '{"o": {"o": "a"}}', '{"o": [["a"]]}', '{"x": "a"}',
    '{"o": "\\ud83d\\uddd1"}', '{"o": 123456789012345678901234567890}', '[{"o": "a"}]', '["a", "b"]', '["a", null]',
    '{"o": "a\\\\u0000"}', *(json.dumps({"o": [name, "c"]}) for name in NAMES), *(json.dumps([name]) for name in NAMES),
]  # fmt: skip
ONLY_TEXT = [
    "", " ", "a", "{", '{"o": "a"', '{"o": "a"}}', "{'o': 'a'}", '{"o": NaN}', "[a]", '{"o": "a\n"}',
    '\ufeff{"o": "a"}', "\u00a0{}", '{"o": 07}', '{"o": "\\x"}', '{"o": "a",}', "[" * 30_000, '{"o":' * 30_000,
    '["' + "[" * 600, '["' + "[" * 600 + "\\\\\\",
    '{"o": "' + "[{" * 400 + '"}', '{"x": "\\"' + "[" * 600 + '", "o": ["a", "b"]}', "[" * 501 + "]" * 501,
    '{"o": ["a"], "x": [' + "[]," * 1_000 + "[]]}", *hostile.STATEMENTS,
]  # fmt: skip
ONLY_JSON = ['{"o": "a", "o": "b"}', '{"x": "\\u0000", "o": "a"}', '{"x": "\\ud83d", "o": "a"}', '{"o": ["a"], "o": 1}']


def refused_as_text(app: App, dataset: Dataset, kind: str) -> bool:
    """See that JSON in text is refused by servers that cannot tell what JSON is, and say whether this is one."""
    refused = kind in TEXTS and "15" in app.all("SELECT split_part(current_setting('server_version'), '.', 1)")
    if refused:
        what = "column 'meta' of 'public.requests' is text, and only PostgreSQL 16 can tell whether it is JSON"
        assert app.refusals(dataset) == [(what, "make it jsonb, or move to PostgreSQL 16")]
    return refused


def owner(path: str, *, array: bool = False, optional: bool = False) -> OwnerSource:
    return OwnerSource("meta", JsonPath.parse(path) if path else None, array=array, optional=optional)


@pytest.mark.parametrize("kind", ["jsonb", "json", "text", "varchar"])
@pytest.mark.parametrize(
    "source",
    [owner("$.o"), owner("$.o", optional=True), owner("$.o", array=True), owner("$.o", array=True, optional=True),
     owner("", array=True), owner("$[0]"), owner("$[0].o", optional=True), owner("$.o.o", optional=True)],
    ids=lambda each: f"{each.json.text if each.json else ''}-{each.array}-{each.optional}",
)  # fmt: skip
def test_owners_in_json_are_read_as_python_reads_them(
    make_on_ends: Callable[[str], App], kind: str, source: OwnerSource
) -> None:
    app = make_on_ends(f"CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, meta {kind})")
    documents = DOCUMENTS + (list[str | None](ONLY_JSON) if kind != "jsonb" else [])
    documents += ONLY_TEXT if kind in TEXTS else []
    app.insert("requests", *((number, OLD, document) for number, document in enumerate(documents)))
    app.open(window_rows=1_000)
    dataset = requests(owners=(source,))
    if refused_as_text(app, dataset, kind):
        return
    texts = app.all("SELECT meta::text FROM requests ORDER BY id")
    records, _ = app.scan(dataset, EVERYTHING)
    seen = {int(record.key[0]): Owners(record.accounts, record.ties.named) for record in records}  # type: ignore[call-overload]
    for number, text in enumerate(texts):
        expected = read_owners([text], [source])
        if kind != "jsonb" and text and (UNSTORABLE.search(text) or text.startswith("[" * 501)):
            expected = Owners()  # what PostgreSQL cannot make a text of, it cannot look into
        assert seen[number] == expected, text


RAW: list[Any] = [None, "", *NAMES]
ARRAYS: list[Any] = [None, [], ["a"], ["a", None], ["a", ""], ["b", "b", "c"], *([name, "c"] for name in NAMES)]
SOURCES = (
    OwnerSource("u"),
    OwnerSource("more", array=True, optional=True),
    OwnerSource("meta", JsonPath.parse("$.o"), optional=True),
    OwnerSource(via=Via("tokens", (("k", "token"),), "owner"), optional=True),
)


def everything_with_everything(app: App) -> list[Owners]:
    """Fill the table, each value beside each other, and return whose each row is, as Python reads it."""
    chance = random.Random(3)
    tokens: dict[str, list[Any]] = {}
    for number, name in enumerate([*RAW, *RAW]):
        tokens.setdefault(f"t{number % (len(RAW) + 3)}", []).append(name)
    app.insert("tokens", *((token, name) for token, names in tokens.items() for name in names))
    rows, owners = [], []
    for number, (u, more) in enumerate(product(RAW, ARRAYS)):
        token = chance.choice((None, f"t{chance.randrange(2 * len(RAW))}"))
        document = chance.choice((None, json.dumps({"o": chance.choice(NAMES)})))
        rows.append((number, OLD, u, more, document, token))
        owners.append(read_owners([u, more, document, _partner(tokens, token)], SOURCES))
    app.insert("requests", *rows)
    return owners


def _partner(tokens: dict[str, list[Any]], token: str | None) -> object:
    if token is None:
        return None
    names = set(tokens.get(token, []))
    return names.pop() if len(names) == 1 else UNREADABLE


MIXED = """
    CREATE TABLE tokens (token text, owner text); CREATE INDEX ON tokens (token);
    CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, u text, more text[], meta jsonb, k text);
    CREATE INDEX ON requests (created);
"""


def test_several_owners_read_alike_in_sql_and_python(make_on_ends: Callable[[str], App]) -> None:
    app = make_on_ends(MIXED)
    owners = everything_with_everything(app)
    app.open(window_rows=1_000)
    dataset = requests(owners=SOURCES)
    assert app.refusals(dataset) == []
    records, _ = app.scan(dataset, EVERYTHING)
    assert [
        Owners(record.accounts, record.ties.named) for record in sorted(records, key=lambda each: each.key)
    ] == owners
    assert {len(record.accounts) for record in records} >= {0, 1, 2, 3, 4}
    literals: list[Any] = [*NAMES, "c", "", "nobody", "nul\0", "half\ud83d", 7, True]
    conditions: list[Condition] = [
        *(Compare(field, Operator.EQUAL, literal) for field in (ACCOUNT, NAMED) for literal in literals),
        *(
            AnyOf(field, some)
            for field in (ACCOUNT, NAMED)
            for some in ((), NAMES[:3], ("nobody", "c"), (7, 8), ("nul\0",))
        ),
        Missing(ACCOUNT),
        Missing(NAMED),
        Not(Compare(ACCOUNT, Operator.EQUAL, "a")),
    ]
    for condition in conditions:
        cases = Cases(
            (
                Case(Disposition.PURGE, condition, "true"),
                Case(Disposition.PURGE, Unknown(condition), "unknown"),
                Case(Disposition.PURGE, ALWAYS, "false"),
            )
        )
        in_python = cases.python()
        for window in app.open().scan(dataset, cases, frozenset((0, 1, 2))):
            for record, case in window.found:
                assert in_python(record) == case, (condition, record)


USERS = (
    OwnerSource("more", array=True, optional=True),
    OwnerSource("meta", JsonPath.parse("$.o"), optional=True),
    OwnerSource(via=Via("tokens", (("k", "token"),), "owner"), optional=True),
)


def test_users_read_alike_in_sql_and_python(make_on_ends: Callable[[str], App]) -> None:
    app = make_on_ends(MIXED)
    everything_with_everything(app)
    app.open(window_rows=1_000)
    dataset = requests(owners=(OwnerSource("u"),), users=USERS)
    assert app.refusals(dataset) == []
    assert all(record.ties.users is None for record in app.scan(dataset, EVERYTHING)[0])  # nobody asked
    conditions: list[Condition] = [
        *(Compare(USER, Operator.EQUAL, literal) for literal in (*NAMES, "c", "", "nobody", "nul\0", 7, True)),
        *(AnyOf(USER, some) for some in ((), NAMES[:3], ("nobody", "c"), (7, 8), ("nul\0",))),
        And((AnyOf(ACCOUNT, ("a", "b")), AnyOf(USER, ("c", '"')))),
        Missing(USER),
    ]
    seen = set[int | None]()
    for condition in conditions:
        cases = Cases(
            (
                Case(Disposition.PURGE, condition, "true"),
                Case(Disposition.PURGE, Unknown(condition), "unknown"),
                Case(Disposition.PURGE, ALWAYS, "false"),
            )
        )
        in_python = cases.python()
        for window in app.open().scan(dataset, cases, frozenset((0, 1, 2))):
            for record, case in window.found:
                assert in_python(record) == case, (condition, record)
                seen.add(None if record.ties.users is None else len(record.ties.users))
    assert seen >= {None, 0, 1, 2, 3}


def test_a_closure_takes_what_is_shared_and_leaves_what_cannot_be_told(make_on_ends: Callable[[str], App]) -> None:
    app = make_on_ends(MIXED)
    owners = everything_with_everything(app)
    app.open(window_rows=1_000)
    dataset = requests(owners=SOURCES)
    cases = closure_cases("a")
    records, tallies = app.scan(dataset, cases)
    mine = {number for number, each in enumerate(owners) if "a" in each.all}
    assert {record.key[0] for record in records} == mine
    assert tallies[1].count == sum("a" in each.named for each in owners)
    asked = order(dataset, records, cases)
    assert set(app.open().act(asked).outcomes) == {Outcome.DONE}
    assert set(app.open().verify(asked).sightings) == {Sighting.ABSENT}
    assert set(app.all("SELECT id FROM requests")) == set(range(len(owners))) - mine


def test_a_row_whose_partner_names_nobody_is_left(make: Callable[[str], App]) -> None:
    """It may be somebody else's, too."""
    app = make(MIXED)
    app.insert("tokens", ("blank", ""), ("known", "b"), ("null", None))
    app.insert("requests", *((n, OLD, "a", None, None, k) for n, k in enumerate(("blank", "known", "null", "lost"))))
    dataset = requests(owners=(SOURCES[0], replace(SOURCES[-1], optional=False)))
    records, tallies = app.scan(dataset, closure_cases("a"))
    assert [record.accounts for record in records] == [("a", "b")]
    assert tallies[1].count == 3


CLOCKS = [
    OLD, YOUNG, "2026-04-01", "2026-13-01", "now", "", None, True, False, [], {}, [OLD], OLD_SECONDS,
    OLD_SECONDS * 1_000, OLD_SECONDS + 0.5, -1, 0, 10**18, 10**40, "2026-04-01T10:00:00.5+02:00", str(OLD_SECONDS),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["jsonb", "json", "text"])
@pytest.mark.parametrize(
    "clock_format", ["auto", "text", "date", "unix-seconds", "unix-milliseconds", "unix-nanoseconds"]
)
def test_clocks_in_json_are_read_as_python_reads_them(
    make_on_ends: Callable[[str], App], kind: str, clock_format: str
) -> None:
    app = make_on_ends(f"CREATE TABLE requests (id int PRIMARY KEY, meta {kind})")
    path = JsonPath.parse('$.at[0]."the time"')
    documents = [json.dumps({"at": [{"the time": clock}], "o": "💥"}) for clock in CLOCKS]
    documents += ["{}", "[]", '{"at": {}}', '{"at": [1]}', '{"at": []}']
    documents += ['{"at": [{"the time": "2026-04-01", "the time": "2026-04-01"}]}'] if kind != "jsonb" else []
    documents += ONLY_TEXT if kind in TEXTS and clock_format == "auto" else []
    app.insert("requests", *enumerate(documents), (len(documents), None))
    app.open(window_rows=1_000)
    clock = ClockSource(ClockFormat(clock_format), "meta", zone="America/New_York", json=path)
    dataset = requests(clock=clock)
    if refused_as_text(app, dataset, kind):
        return
    assert app.refusals(dataset) == []
    records, _ = app.scan(dataset, EVERYTHING)
    seen = {int(record.key[0]): record.clock for record in records}  # type: ignore[call-overload]
    for number, document in enumerate(documents):
        assert seen[number] == _read(path, document, clock), document
    due = {record.key[0] for record in app.due(dataset)}
    if clock_format == "auto":
        assert due >= {0, 2, 12}
    app.purge_all(dataset)
    assert set(app.all("SELECT id FROM requests")) == set(range(len(documents) + 1)) - due


def _read(path: JsonPath, document: str, clock: ClockSource) -> int | None:
    try:
        return read_clock(path.read(document), clock)
    except Unreadable:
        return None


REFUSED: list[tuple[str, Dataset, str, str]] = [
    (
        "meta bytea",
        requests(clock=ClockSource(column="meta", json=JsonPath.parse("$.a"))),
        "a clock of format",
        "timestamptz",
    ),
    ("meta bytea", requests(owners=(owner("$.o"),)), "an owner cannot stand", "json"),
    ("meta jsonb", requests(owners=(OwnerSource("meta"),)), "an owner cannot stand", "text"),
    ("meta bytea[]", requests(owners=(owner("", array=True),)), "an owner cannot stand", "json"),
    ("k text", requests(owners=(OwnerSource(via=Via("no", (("k", "t"),), "o")),)), "no table 'no'", "data map"),
    ("k text", requests(owners=(OwnerSource(via=Via("tokens", (("k", "t"),), "o")),)), "no column 't'", "data map"),
    (
        "k bytea",
        requests(owners=(OwnerSource(via=Via("tokens", (("k", "token"),), "owner")),)),
        "not one type",
        "one type",
    ),
    (
        "k text",
        requests(owners=(OwnerSource(via=Via("tokens", (("k", "owner"),), "token")),)),
        "no index finds rows of public.tokens",
        'CREATE INDEX CONCURRENTLY ON public.tokens ("owner")',
    ),
    (
        "k text",
        requests(children=(Child("items", "items", (("request", "id"),)),)),
        "no index finds rows of public.items",
        'CREATE INDEX CONCURRENTLY ON public.items ("request")',
    ),
    ("k text", requests(children=(Child("items", "none", (("request", "id"),)),)), "no table 'none'", "data map"),
    ("k text", requests(schema="other"), "no table 'requests'", "public.requests"),
]


@pytest.mark.parametrize(("column", "dataset", "what", "remedy"), REFUSED)
def test_what_cannot_be_read_is_refused(
    make: Callable[[str], App], column: str, dataset: Dataset, what: str, remedy: str
) -> None:
    app = make(
        f"CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, {column});"
        "CREATE INDEX ON requests (created);"
        "CREATE TABLE tokens (token text, owner text); CREATE INDEX ON tokens (token);"
        "CREATE TABLE items (id int PRIMARY KEY, request int)"
    )
    refusals = app.refusals(dataset)
    assert any(what in found and remedy in advice for found, advice in refusals), refusals


def test_a_table_of_owners_that_hides_rows_is_refused_and_unknown(make: Callable[[str], App]) -> None:
    app = make(MIXED)
    app.insert("tokens", ("t", "a"))
    app.insert("requests", (1, OLD, "a", None, None, "t"))
    dataset = requests(owners=SOURCES)
    records = app.due(dataset)
    app.run("ALTER TABLE tokens ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON tokens USING (false)")
    assert any("hides rows of 'public.tokens'" in what for what, _ in app.refusals(dataset))
    assert set(app.open().verify(order(dataset, records)).sightings) == {Sighting.UNKNOWN}
    app.run(f"REVOKE SELECT ON tokens FROM {app.role}, {app.reader}", grant=False)
    grants = {remedy for _, remedy in app.refusals(dataset) if remedy.startswith("GRANT SELECT ON TABLE")}
    assert len(grants) == 2


# --- children ---------------------------------------------------------------------------------------------------------

FAMILY = """
    CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, deleted timestamptz, "Tenant" text);
    CREATE INDEX ON requests (created);
    CREATE TABLE items (n int PRIMARY KEY, created timestamptz, request int, tenant text);
    CREATE INDEX ON items (tenant, request); CREATE INDEX ON items (created);
    CREATE TABLE gone_items (LIKE items, tombstoned_at timestamptz NOT NULL, PRIMARY KEY (n));
    CREATE INDEX ON gone_items (request, tenant);
    CREATE TABLE gone (LIKE requests, tombstoned_at timestamptz NOT NULL, PRIMARY KEY (id));
"""
ON = (("request", "id"), ("tenant", "Tenant"))
PARENT = requests(children=(Child("items", "items", ON, quarantine="gone_items"),))
ITEMS = replace(requests(), name="items", table="items", key=("n",), parents=(Parent("requests", ON),))


def family(make: Callable[[str], App]) -> App:
    app = make(FAMILY)
    app.insert('requests (id, created, "Tenant")', *((number, OLD, "x") for number in range(6)))
    app.insert("items", (1, OLD, 1, "x"), (2, YOUNG, 1, "x"), (3, OLD, 2, "other"), (4, OLD, None, "x"))
    app.insert("gone_items", (5, OLD, 3, "x", NOW))
    return app


def test_a_row_of_which_children_are_left_is_left(make_on_ends: Callable[[str], App]) -> None:
    app = family(make_on_ends)
    assert app.refusals(PARENT) == []
    acted, sightings = app.purge(PARENT, app.due(PARENT))
    left = [n for n, outcome in enumerate(acted.outcomes) if outcome is Outcome.BLOCKED]
    assert left == [1, 3]
    assert all(outcome is Outcome.DONE for n, outcome in enumerate(acted.outcomes) if n not in left)
    assert [sightings[n] for n in left] == [Sighting.DUE, Sighting.DUE]
    assert set(acted.reasons) == set(left)
    assert app.all("SELECT id FROM requests ORDER BY 1") == [1, 3]


def test_children_that_are_hidden_do_not_keep_a_row_from_being_hidden(make: Callable[[str], App]) -> None:
    app = family(make)
    moved = replace(PARENT, tombstone=TombstoneTarget(table="gone"))
    cases = decide(moved, TOMBSTONE)
    acted = app.open().act(order(moved, app.scan(moved, cases)[0], cases))
    assert [n for n, outcome in enumerate(acted.outcomes) if outcome is Outcome.BLOCKED] == [1]
    hidden = replace(PARENT, tombstone=TombstoneTarget(column="deleted"))
    cases = decide(hidden, TOMBSTONE)
    acted = app.open().act(order(hidden, app.scan(hidden, cases)[0], cases))
    assert set(acted.outcomes) == {Outcome.DONE}


def test_links_and_children_are_told(make_on_ends: Callable[[str], App]) -> None:
    app = family(make_on_ends)
    parents = {record.key[0]: record.ties.standing for record in app.due(PARENT)}
    assert {key: [(each.live, each.hidden) for each in standing] for key, standing in parents.items()} == {
        0: [(0, 0)], 1: [(2, 0)], 2: [(0, 0)], 3: [(0, 1)], 4: [(0, 0)], 5: [(0, 0)],
    }  # fmt: skip
    items: list[Record] = app.scan(ITEMS, decide(ITEMS, PURGE))[0]
    links = {record.key[0]: record.ties.parents for record in items}
    assert links[1] == (("requests", parents[1][0].link),)
    assert links[3] != (("requests", parents[2][0].link),)
