"""Rows that go before others, though no foreign key says so: children first, and no parent before its last child."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Cases
from retentiond.domain.hold import Scope
from retentiond.engine.approvals import approve
from retentiond.engine.explaining import explain
from retentiond.engine.holds import release_hold
from retentiond.engine.planning import Request, make_plan
from retentiond.engine.running import apply_plan, run_all
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Window
from tests.engine.office import Proxy
from tests.shapes.conftest import Begin
from tests.shapes.instance import Instance, forecast_of
from tests.shapes.seeds import ACCOUNT, AUTUMN, KEEP, OLD, OTHER, YOUNG, Row, Table

CLOCK = {"column": "at", "earliest": "2015-01-01"}
LINK = {"tenant": "tenant_id", "request": "request_id"}


def table(name: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]], *index: str) -> Table:
    """Return a table with the key `id` and the clock `at`."""
    made = Table(name, {"id": "text", "at": "timestamptz", **columns}, ("id",), indexes=(index,) if index else ())
    made.rows = [Row(dict(row), row["at"]) for row in rows]
    return made


def requests(*rows: tuple[str, datetime]) -> Table:
    """Requests of one tenant, each with the request number that its id is."""
    values = [{"id": id_, "at": at, "tenant_id": "t'", "request_id": id_, "owner": ACCOUNT} for id_, at in rows]
    return table("requests", {"tenant_id": "text", "request_id": "text", "owner": "text"}, values)


def messages(*rows: tuple[str, datetime, str | None]) -> Table:
    """Messages that name a request each."""
    values = [{"id": id_, "at": at, "tenant": "t'", "request": name, "owner": ACCOUNT} for id_, at, name in rows]
    return table("messages", {"tenant": "text", "request": "text", "owner": "text"}, values, "tenant", "request")


def family(instance: Instance, parent: Table, child: Table, **more: Mapping[str, Any]) -> None:
    """Make both tables; the data map names the parent first."""
    for each in (parent, child):
        instance.maker.make(each)
    plain = {"key": ["id"], "clock": CLOCK, "account": "owner"}
    instance.declare(
        {
            "requests": {"table": "requests", **plain, **more.get("requests", {})},
            "messages": {
                "table": "messages", "parent": {"dataset": "requests", "on": LINK}, **plain, **more.get("messages", {}),
            },
        }
    )  # fmt: skip


def left(instance: Instance, *tables: Table) -> set[str]:
    return {key for each in tables for (key,) in instance.maker.keys(each)}


def test_parents_go_with_their_children_after_them_in_one_run(begin: Begin) -> None:
    instance = begin()
    parent = requests(("r1", OLD), ("r2", OLD), ("alone", OLD))
    child = messages(("m1", OLD, "r1"), ("m2", OLD, "r1"), ("m3", OLD, "r2"), ("orphan", OLD, "gone"), ("n", OLD, None))
    family(instance, parent, child)
    planned, session = instance.enforce()
    assert left(instance, parent, child) == set()
    assert session is not None
    (carried,) = session.carried
    order = [carried.parts[batch.part].dataset for batch in carried.batches]
    assert order == ["messages", "requests"]
    assert forecast_of(planned).undetermined == 0


def test_a_parent_waits_for_its_youngest_child(begin: Begin) -> None:
    instance = begin()
    parent, child = requests(("r1", OLD), ("r2", OLD)), messages(("m1", OLD, "r1"), ("m2", YOUNG, "r1"))
    family(instance, parent, child)
    planned, _ = instance.enforce()
    assert left(instance, parent, child) == {"r1", "m2"}
    forecast = forecast_of(planned)
    assert (forecast.due, forecast.doubts) == (1, (("child-remains", 1),))
    assert instance.statements()[-1]["outcome"] == "complete", "what waits was never planned"
    instance.clock.at += timedelta(minutes=1)
    instance.enforce()
    assert left(instance, parent, child) == set()


def test_explain_says_what_a_parent_waits_for(begin: Begin) -> None:
    instance = begin()
    family(instance, requests(("r1", OLD), ("r2", OLD)), messages(("m1", YOUNG, "r1"), ("m2", OLD, "r1")))
    with instance.open() as ctx:
        (waiting,), (free,) = explain(ctx, "requests", "r1"), explain(ctx, "requests", "r2")
    assert waiting.trail[-1] == "2 rows of messages that name it go before it"
    assert not [line for line in free.trail if "messages" in line]


def test_links_have_equal_values_in_all_their_columns(begin: Begin) -> None:
    instance = begin()
    parent, child = requests(("r1", OLD), ("r2", OLD)), messages(("m1", YOUNG, "r1"), ("m2", YOUNG, "R2"))
    child.rows[0].values["tenant"] = "another tenant"
    family(instance, parent, child)
    instance.enforce()
    assert left(instance, parent) == set()


def test_a_held_child_keeps_its_parent_and_a_held_parent_no_child(begin: Begin) -> None:
    instance = begin()
    parent = requests(("r1", OLD), ("r2", OLD), ("r3", OLD))
    child = messages(("m1", OLD, "r1"), ("m2", OLD, "r2"), ("m3", OLD, "r3"))
    family(instance, parent, child)
    instance.hold(Scope("messages", keys=(b"m1",)), "child")
    instance.hold(Scope("requests", keys=(b"r2",)), "parent")
    instance.enforce()
    assert left(instance, parent, child) == {"m1", "r1", "r2"}
    with instance.open() as ctx:
        release_hold(ctx, "child", None)
    instance.enforce()
    assert left(instance, parent, child) == {"r2"}


def test_a_child_that_cannot_be_read_keeps_its_parent(begin: Begin) -> None:
    instance = begin()
    parent, child = requests(("r1", OLD), ("r2", OLD)), messages(("m1", OLD, "r1"), ("m2", OLD, "r2"))
    child.rows[0].values["owner"] = None
    family(instance, parent, child)
    instance.enforce()
    assert left(instance, parent, child) == {"m1", "r1"}


def test_a_parent_is_left_when_a_child_came_after_the_plan(begin: Begin) -> None:
    instance = begin()
    parent, child = requests(("r1", OLD), ("r2", OLD)), messages(("m1", OLD, "r1"))
    family(instance, parent, child)
    with instance.open() as ctx:
        plan = make_plan(ctx, Request()).plan
        assert plan is not None
        approve(ctx, plan.id, None)
        instance.maker.run(
            "INSERT INTO messages (id, at, tenant, request, owner)"
            " VALUES ('late', '2026-11-24 01:00:00Z', 't''', 'r1', 'x')"
        )
        session = apply_plan(ctx, plan.id)
    assert left(instance, parent) == {"r1"}
    (carried,) = session.carried
    assert dict(carried.outcomes()["requests"]) == {"purged": 1, "carriedOver": 1}
    assert carried.carried_over().total() == session.overdue == 1
    assert [batch.reason for batch in carried.batches] == ["", ""], "its dataset goes on"
    left_over = instance.annexes()[-1]["carriedOver"]
    assert [(each["dataset"], each["reason"], each["count"]) for each in left_over] == [
        ("requests", "child-remains", 1)
    ]
    assert instance.statements()[-1]["outcome"] == "partial"


def test_a_parent_is_left_when_its_child_was_held_after_the_plan(begin: Begin) -> None:
    instance = begin()
    parent, child = requests(("r1", OLD), ("r2", OLD)), messages(("m1", OLD, "r1"), ("m2", OLD, "r2"))
    family(instance, parent, child)
    with instance.open() as ctx:
        plan = make_plan(ctx, Request()).plan
        assert plan is not None
        approve(ctx, plan.id, None)
    instance.hold(Scope("messages", keys=(b"m1",)))
    with instance.open() as ctx:
        apply_plan(ctx, plan.id)
    assert left(instance, parent, child) == {"m1", "r1"}


def test_one_policy_alone_takes_no_parent_from_the_children_of_another(begin: Begin) -> None:
    instance = begin()
    parent, child = requests(("r1", OLD), ("r2", OLD)), messages(("m1", OLD, "r1"))
    family(instance, parent, child, messages={"class": "more"})
    with instance.open() as ctx:
        planned = make_plan(ctx, Request(policies=("content",)))
    assert forecast_of(planned).due == 1
    assert forecast_of(planned).doubts == (("child-remains", 1),)


def test_children_that_cannot_be_planned_keep_all_their_parents(begin: Begin) -> None:
    instance = begin()
    parent, child = requests(("r1", OLD), ("r2", OLD)), messages(("m1", OLD, "r1"))
    for number in range(50):
        absurd = {"id": f"absurd{number}", "request": None, "at": AUTUMN.replace(year=1971)}
        child.rows.append(Row({**child.rows[0].values, **absurd}, None))
    family(instance, parent, child)
    planned, _ = instance.enforce()
    assert [name for name, _ in planned.failures] == ["messages"]
    assert left(instance, parent) == {"r1"}


def test_children_whose_scan_breaks_off_keep_their_parents(begin: Begin) -> None:
    class BreaksOff(Proxy):
        def scan(self, dataset: Dataset, cases: Cases, wanted: frozenset[int]) -> Iterator[Window]:
            yield from self.real.scan(dataset, cases, wanted)
            if dataset.name == "messages":
                raise ConnectorError("the connection broke", remedy="try again", transient=True)

    instance = begin()
    parent = requests(("r1", OLD), ("r2", OLD))
    names = ["r1", *[None] * 6_000]  # more than a batch, so that some are drafted
    child = messages(*((f"m{number}", OLD, name) for number, name in enumerate(names)))
    family(instance, parent, child)
    instance.wrap = BreaksOff
    planned, session = instance.enforce()
    assert [name for name, _ in planned.failures] == ["messages"]
    assert forecast_of(planned).doubts == (("child-remains", 1),)
    assert session is not None
    assert [dict(carried.outcomes()["requests"]) for carried in session.carried] == [{"purged": 1}]
    assert left(instance, parent) == {"r1"}


@pytest.mark.parametrize("wrong", [{"tenant": "no_such"}, {"no_such": "tenant_id"}])
def test_a_link_that_no_column_holds_refuses_the_parent(wrong: dict[str, str], begin: Begin) -> None:
    instance = begin()
    parent, child = requests(("r1", OLD)), messages(("m1", OLD, "r1"))
    family(instance, parent, child, messages={"parent": {"dataset": "requests", "on": wrong}})
    if "no_such" in wrong:
        with pytest.raises(ConnectorError, match="no column 'no_such'"):
            instance.enforce()  # neither dataset can be looked at
    else:
        planned, _ = instance.enforce()
        assert "no column 'no_such'" in dict(planned.failures)["requests"]
    assert left(instance, parent) == {"r1"}


def test_a_link_without_an_index_is_refused_with_the_statement_that_makes_one(begin: Begin) -> None:
    instance = begin()
    parent, child = requests(("r1", OLD)), messages(("m1", OLD, "r1"))
    child.indexes = ()
    family(instance, parent, child)
    planned, _ = instance.enforce()
    assert "CREATE INDEX" in dict(planned.failures)["requests"]
    assert left(instance, parent) == {"r1"}


QUARANTINE = {"id": "text", "at": "timestamptz", "tombstoned_at": "timestamptz"}
HIDES = {
    "policies": {
        "content": {
            "class": "content",
            "rules": [{"keep": "30 days", "then": "tombstone", "grace": "5 days"}],
            "schedule": "every 6 hours",
            "limits": {"max_records": 1_000_000, "max_percent": 100},
        }
    }
}


def test_hidden_children_keep_their_parent_in_the_quarantine(begin: Begin) -> None:
    instance = begin()
    parent, child = requests(("r1", OLD), ("r2", OLD)), messages(("m1", OLD, "r1"), ("young", YOUNG, "r2"))
    hidden = []
    for each in (parent, child):
        columns = {name: kind for name, kind in each.columns.items() if name not in ("id", "at")}
        hidden.append(Table(f"{each.name}_q", {**QUARANTINE, **columns}, ("id",), indexes=each.indexes))
        hidden[-1].rows = each.rows  # so that its keys can be told
    for each in (hidden[0], hidden[1]):
        instance.maker.make(Table(each.name, each.columns, each.key, indexes=each.indexes))
    moved = {name: {"tombstone": {"table": f"{name}_q"}} for name in ("requests", "messages")}
    family(instance, parent, child, requests=moved["requests"], messages=moved["messages"])
    (instance.config / "policies.yaml").write_text(json.dumps(HIDES), "utf-8")
    instance.enforce()
    assert left(instance, parent, child) == {"r2", "young"}
    assert left(instance, *hidden) == {"r1", "m1"}, "hidden together"
    instance.hold(Scope("messages", keys=(b"m1",)), "child")
    instance.clock.at += timedelta(days=6)
    planned, _ = instance.enforce()
    assert left(instance, *hidden) == {"r1", "m1", "r2", "young"}, "a held child in the quarantine keeps its parent"
    assert forecast_of(planned).doubts == (("child-remains", 1),)
    with instance.open() as ctx:
        release_hold(ctx, "child", None)
        plan = make_plan(ctx, Request()).plan
    assert plan is not None
    instance.hold(Scope("messages", keys=(b"m1",)), "again")
    with instance.open() as ctx:
        apply_plan(ctx, plan.id)
    assert left(instance, *hidden) == {"r1", "m1", "r2", "young"}, "also one that was held after the plan"
    with instance.open() as ctx:
        release_hold(ctx, "again", None)
    instance.enforce()
    assert left(instance, *hidden) == {"r2", "young"}


@pytest.mark.parametrize("seed", range(4))
def test_a_seeded_family_loses_exactly_the_oracles_set(seed: int, begin: Begin) -> None:
    instance = begin()
    dice = random.Random(seed)
    ages = [OLD, OLD, OLD, YOUNG, OLD - KEEP]
    parent = requests(*((f"r{number}", dice.choice(ages)) for number in range(300)))
    names = [f"r{number}" for number in range(0, 300, 2)]
    child = messages(*((f"m{n}", dice.choice(ages), dice.choice([*names, None])) for n in range(400)))
    family(instance, parent, child)
    gone_children = {row.values["id"] for row in child.rows if row.is_due(AUTUMN)}
    waited_for = {row.values["request"] for row in child.rows if row.values["id"] not in gone_children}
    gone_parents = {row.values["id"] for row in parent.rows if row.is_due(AUTUMN)} - waited_for
    everything = {row.values["id"] for each in (parent, child) for row in each.rows}
    planned, _ = instance.enforce()
    assert left(instance, parent, child) == everything - gone_children - gone_parents
    waiting = sum(row.is_due(AUTUMN) for row in parent.rows) - len(gone_parents)
    assert forecast_of(planned).doubts == ((("child-remains", waiting),) if waiting else ())


# --- owners that stand in another dataset ----------------------------------------------------------------------------


def keyed(instance: Instance) -> tuple[Table, Table]:
    """Make a dataset of API keys, and one of requests that find their owner there."""
    owners = [("k-a", ACCOUNT), ("k-b", OTHER)]
    keys = table(
        "api_keys", {"token": "text", "user_id": "text"},
        [{"id": token, "at": YOUNG, "token": token, "user_id": owner} for token, owner in owners], "token",
    )  # fmt: skip
    rows = [{"id": f"{token}{n}", "at": YOUNG, "api_key": token} for token, _ in owners for n in range(3)]
    calls = table("calls", {"api_key": "text"}, rows, "api_key")
    for each in (keys, calls):
        instance.maker.make(each)
    via = {"via": "api_keys", "on": {"api_key": "token"}, "take": "user_id"}
    instance.declare(
        {
            "keys": {"table": "api_keys", "key": "id", "clock": CLOCK, "account": "user_id"},
            "calls": {"table": "calls", "key": "id", "clock": CLOCK, "account": via},
        }
    )
    return keys, calls


def test_a_closure_takes_what_names_an_account_after_what_needs_it(begin: Begin) -> None:
    instance = begin()
    keys, calls = keyed(instance)
    assert instance.close(ACCOUNT) == "closed"
    assert left(instance, keys, calls) == {"k-b", "k-b0", "k-b1", "k-b2"}


def test_a_closure_does_not_lose_sight_of_what_is_held(begin: Begin) -> None:
    instance = begin()
    keys, calls = keyed(instance)
    instance.hold(Scope("calls", keys=(b"k-a1",)), "m")
    assert instance.close(ACCOUNT) == "closing"
    assert left(instance, keys, calls) >= {"k-a", "k-a1"}, "without the key, nobody could tell whose the call is"
    assert "k-a0" not in left(instance, calls)
    with instance.open() as ctx:
        release_hold(ctx, "m", None)
        run_all(ctx, ())
    assert left(instance, keys, calls) == {"k-b", "k-b0", "k-b1", "k-b2"}
    assert instance.statements()[-1]["kind"] == "closure"
