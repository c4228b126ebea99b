"""Accounts followed through tables that know nothing of them: each finds its owner in its parent, step by step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from retentiond.cli.graphs import graph_document, holdings_document
from retentiond.domain.hold import Scope
from retentiond.engine.accounts import account_holdings
from retentiond.engine.checking import check
from retentiond.engine.closures import close_account
from retentiond.engine.holds import release_hold
from retentiond.engine.running import close_now, run_all
from tests.shapes.conftest import Begin
from tests.shapes.instance import POLICIES, Instance
from tests.shapes.postgres_maker import PostgresqlMaker
from tests.shapes.seeds import ACCOUNT, OLD, OTHER, YOUNG, Row, Table

A, B = ACCOUNT, OTHER
CLOCK = {"column": "at", "earliest": "2015-01-01"}
PLAIN = {"key": ["id"], "clock": CLOCK}
# Whose each record is, by hand: nothing here asks the program.
OWNERS = {
    "users": {"u-a": A, "u-b": B},
    "keys": {"k-a": A, "k-b": B, "k-lost": None},
    "Requests": {"q1": A, "q2": A, "q3": B, "q4": None},
    "feedback": {"f1": A, "f2": B, "f3": None, "f4": A},
    "scores": {"s1": A, "s2": A, "s3": B, "s4": None, "s5": None},
}


def made(name: str, columns: Mapping[str, str], rows: Mapping[str, Mapping[str, Any]], *index: str) -> Table:
    indexes = tuple((each,) for each in index)
    table = Table(name, {"id": "text", "at": "timestamptz", **columns}, ("id",), indexes=indexes)
    table.rows = [Row({"id": id_, "at": OLD if id_[-1] in "13" else YOUNG, **row}, None) for id_, row in rows.items()]
    return table


def tables() -> list[Table]:
    return [
        made("users", {"account": "text"}, {"u-a": {"account": A}, "u-b": {"account": B}}),
        made("keys", {"user_id": "text"}, {
            "k-a": {"user_id": "u-a"}, "k-b": {"user_id": "u-b"}, "k-lost": {"user_id": "nobody"},
        }, "user_id"),
        made("Requests", {"api key": "text"}, {
            "q1": {"api key": "k-a"}, "q2": {"api key": "k-a"}, "q3": {"api key": "k-b"}, "q4": {"api key": "k-lost"},
        }, "api key"),
        made("feedback", {"request": "text"}, {
            "f1": {"request": "q1"}, "f2": {"request": "q3"}, "f3": {"request": "q4"}, "f4": {"request": "q2"},
        }, "request"),
        made("scores", {"feedback": "text"}, {
            "s1": {"feedback": "f1"}, "s2": {"feedback": "f4"}, "s3": {"feedback": "f2"}, "s4": {"feedback": "gone"},
            "s5": {"feedback": None},
        }, "feedback"),
    ]  # fmt: skip


def declared() -> dict[str, dict[str, Any]]:
    def child(table: str, parent: str, column: str) -> dict[str, Any]:
        return {
            "table": table,
            **PLAIN,
            "account": {"via": "parent"},
            "parent": {"dataset": parent, "on": {column: "id"}},
        }

    keys = {"table": "keys", "on": {"api key": "id"}}
    users = {"table": "users", "on": {"user_id": "id"}}
    return {
        "users": {"table": "users", **PLAIN, "account": "account"},
        "keys": child("keys", "users", "user_id"),
        "requests": {"table": "Requests", **PLAIN, "account": {"through": [keys, users], "take": "account"}},
        "feedback": child("feedback", "requests", "request"),
        "scores": child("scores", "feedback", "feedback"),
    }


def begun(begin: Begin) -> tuple[Instance, list[Table]]:
    instance, made = begin(), tables()
    for table in made:
        instance.maker.make(table)
    instance.declare(declared())
    return instance, made


def left(instance: Instance, made: list[Table]) -> dict[str, set[str]]:
    return {table.name: {key for (key,) in instance.maker.keys(table)} for table in made}


def without(owner: str) -> dict[str, set[str]]:
    return {name: {id_ for id_, whose in rows.items() if whose != owner} for name, rows in OWNERS.items()}


def test_a_closure_takes_what_only_a_chain_of_tables_knows_to_be_the_accounts(begin: Begin) -> None:
    instance, made = begun(begin)
    assert instance.close(A) == "closed"
    assert left(instance, made) == without(A)
    assert set(instance.remaining(A).values()) == {0}
    (receipt,) = [each for each in instance.statements() if each["kind"] == "closure"]
    assert receipt["outcome"] == "complete"


def test_what_is_held_at_the_end_of_the_chain_keeps_the_way_to_its_owner(begin: Begin) -> None:
    instance, made = begun(begin)
    instance.hold(Scope("scores", keys=(b"s1",)))
    assert instance.close(A) == "closing"
    kept = {"scores": {"s1"}, "feedback": {"f1"}, "Requests": {"q1"}, "keys": {"k-a"}, "users": {"u-a"}}
    assert left(instance, made) == {name: ids | kept[name] for name, ids in without(A).items()}
    with instance.open() as ctx:
        release_hold(ctx, "matter-1", None)
    instance.clock.at += timedelta(hours=7)
    with instance.open() as ctx:
        run_all(ctx, ())
    assert left(instance, made) == without(A)


def test_what_is_held_of_an_account_is_listed_before_anything_goes(begin: Begin) -> None:
    instance, made = begun(begin)
    instance.hold(Scope(accounts=(A,)))
    before = left(instance, made)
    with instance.open() as ctx:
        status, found = account_holdings(ctx, A)
    assert left(instance, made) == before
    document = holdings_document(found)
    counts = {each["dataset"]: each for each in document["datasets"]}
    names = {"requests": "Requests"}
    for name, each in counts.items():
        own = [id_ for id_, whose in OWNERS[names.get(name, name)].items() if whose == A]
        lost = [id_ for id_, whose in OWNERS[names.get(name, name)].items() if whose is None]
        assert (each["records"], each["held"], each["undetermined"], each["unowned"]) == (
            len(own),
            len(own),
            0,
            len(lost),
        )
        assert each["remaining"] == len(own)
    assert (counts["requests"]["oldest"], counts["requests"]["newest"]) == (said(OLD), said(YOUNG))
    assert counts["users"]["reached"] == ["column account"]
    way = "feedback by feedback = id, Requests by request = id, keys by api key = id, users by user_id = id"
    assert counts["scores"]["reached"] == [f"via {way}, column account"]
    (content,) = document["classes"]
    assert (content["class"], content["records"]) == ("content", everything_of(A))
    assert status.state == "open"


def everything_of(owner: str) -> int:
    return len([id_ for rows in OWNERS.values() for id_ in own_of(rows, owner)])


def own_of(rows: Mapping[str, str | None], owner: str) -> list[str]:
    return [id_ for id_, whose in rows.items() if whose == owner]


def said(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


FOREIGN = "INTEGER REFERENCES"
CREATE = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, account VARCHAR(40), at VARCHAR(40))",
    f"CREATE TABLE notes (id INTEGER PRIMARY KEY, at VARCHAR(40), person {FOREIGN} people, reply {FOREIGN} notes)",
    "CREATE TABLE audit (id INTEGER PRIMARY KEY, note INTEGER REFERENCES notes(id))",
    "CREATE INDEX i1 ON notes (person)", "CREATE INDEX i2 ON notes (reply)", "CREATE INDEX i3 ON audit (note)",
    "CREATE INDEX i4 ON notes (at)", "CREATE INDEX i5 ON people (at)",
    "INSERT INTO people VALUES (1, 'acct-a', '2020-01-01'), (2, 'acct-b', '2020-01-01')",
    "INSERT INTO notes VALUES (1, '2020-01-01', 1, NULL), (2, '2020-01-01', 1, 1), (3, '2020-01-01', 2, NULL)",
)  # fmt: skip


def allow(instance: Instance) -> None:
    """Let the program's roles at tables that a statement made."""
    if isinstance(instance.maker, PostgresqlMaker):
        instance.maker.run(f"GRANT SELECT, DELETE ON people, notes TO {instance.maker.role}")
        instance.maker.run(f"GRANT SELECT ON people, notes TO {instance.maker.reader}")


def related(begin: Begin, **notes: Any) -> Instance:
    instance = begin()
    for statement in CREATE:
        instance.maker.run(statement)
    allow(instance)
    plain = {"key": ["id"], "clock": {"column": "at", "earliest": "2015-01-01"}}
    instance.declare(
        {"people": {"table": "people", **plain, "account": "account"}, "notes": {"table": "notes", **plain, **notes}},
    )
    return instance


def test_check_finds_what_the_database_knows_and_the_data_map_does_not(begin: Begin) -> None:
    instance = related(begin)
    with instance.open() as ctx:
        report = check(ctx)
    found = [each.what for each in report.findings if each.where == "dataset notes"]
    assert any("its rows name rows of 'people', which have owners, and it has none" in each for each in found)
    assert any("audit'" in each and "is no dataset, names rows of " in each and "by note" in each for each in found)
    assert any("goes before people, as a foreign key has it" in note for note in report.notes)
    assert any("its rows name each other (reply: id)" in note for note in report.notes)
    document = graph_document(report.graph)
    json.dumps(document)
    assert [each["dataset"] for each in document["datasets"]] == ["notes", "people"]
    assert {(each["child"], each["parent"], each["origin"], each["orders"]) for each in document["links"]} == {
        ("notes", "people", "foreign-key", True), ("notes", "notes", "foreign-key", False),
    }  # fmt: skip


@pytest.mark.parametrize("declares", [{}, {"parent": {"dataset": "people", "on": {"person": "id"}}}])
def test_rows_that_a_foreign_key_binds_go_first_declared_or_not(begin: Begin, declares: dict[str, Any]) -> None:
    via = {"via": "parent"} if declares else {"via": "people", "on": {"person": "id"}, "take": "account"}
    instance = related(begin, account=via, **declares)
    assert instance.close("acct-a") == "closed"
    assert instance.remaining("acct-b") == {"people": 1, "notes": 1}


def test_a_circle_of_foreign_keys_is_named(begin: Begin) -> None:
    instance = related(begin, account={"nobody": "shared by all"})
    for statement in (
        "ALTER TABLE people ADD COLUMN note INTEGER REFERENCES notes(id)",
        "CREATE INDEX i6 ON people (note)",
    ):
        instance.maker.run(statement)
    with instance.open() as ctx:
        report = check(ctx)
    circles = [each for each in report.findings if "circle" in each.what]
    assert [each.where in ("dataset people", "dataset notes") for each in circles] == [True]
    assert "people" in circles[0].what
    assert "notes" in circles[0].what
    assert not [each for each in report.findings if "which have owners" in each.what], "it is said to be nobody's"


def test_an_account_that_is_not_there_is_held_nowhere(begin: Begin) -> None:
    instance, _ = begun(begin)
    with instance.open() as ctx:
        _, found = account_holdings(ctx, "no'body\u202e")
    assert [(each.records, each.oldest, each.newest, each.trouble) for each in found] == [(0, None, None, "")] * 5


def test_closing_with_grace_changes_nothing_that_is_listed(begin: Begin) -> None:
    instance, made = begun(begin)
    instance.declare(declared(), {**POLICIES, "closure": {"grace": "14 days", "deadline": "30 days"}})
    before = left(instance, made)
    with instance.open() as ctx:
        close_now(ctx, close_account(ctx, A, "left", None))
        status, found = account_holdings(ctx, A)
    assert (status.state, left(instance, made)) == ("grace", before)
    assert sum(each.records for each in found) == everything_of(A)
