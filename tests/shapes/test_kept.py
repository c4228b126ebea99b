"""What has to be kept of accounts that have left, on both engines: random rows against an oracle, and families."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from retentiond.domain.account import KeptPart
from retentiond.domain.plan import RunState
from retentiond.engine.accounts import account_status
from retentiond.engine.approvals import approve
from retentiond.engine.closing import close_due, due_closures
from retentiond.engine.closures import close_account
from retentiond.engine.overview import status
from retentiond.engine.running import close_now
from tests.shapes.conftest import Begin
from tests.shapes.instance import Instance
from tests.shapes.seeds import Row, Table

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CLOCK = {"column": "at", "earliest": "2020-01-01"}
LAW = "the law asks for it"
KEPT_DAYS, FLAGGED_DAYS = 100, 300


def policies(classes: Mapping[str, Any]) -> dict[str, Any]:
    rules = {"rules": [{"keep": "2 years"}], "limits": {"max_percent": 100}}
    limits = {"per_day": 500, "max_percent": 100}
    return {
        "policies": {name: {"class": name, **rules} for name in ("content", "more")},
        "closure": {"grace": "none", "deadline": "30 days", "limits": limits, "classes": classes},
    }


def close(instance: Instance, account: str) -> None:
    """Close an account, approve what is kept of it, and go on."""
    with instance.open() as ctx:
        close_now(ctx, close_account(ctx, account, "left", None))
        with ctx.ledger.begin() as tx:
            waiting = [plan.id for plan in tx.plans.in_state(RunState.WAITING)]
        for plan in waiting:
            approve(ctx, plan, None)
    advance(instance)


def advance(instance: Instance, days: float = 0) -> None:
    instance.clock.at += timedelta(days=days)
    with instance.open() as ctx:
        close_due(ctx, due_closures(ctx))


def stays(row: Mapping[str, Any]) -> bool:
    """Say of a row whether it stays when `me` has left, without any condition of the program."""
    owners, at, flagged = row["owners"], row["at"], row["flagged"]
    if "me" not in owners:
        return True
    if None in owners or "" in owners:
        return True  # somebody else's, perhaps
    if at is None or at < datetime(2020, 1, 1, tzinfo=UTC) or at > NOW + timedelta(days=2):
        return True  # no date can be told
    age = (NOW - at) / timedelta(days=1)
    if age <= KEPT_DAYS:
        return True
    return bool(flagged != 0 and age <= FLAGGED_DAYS)


def some_rows(seed: int) -> list[dict[str, Any]]:
    chosen = random.Random(seed)
    clocks = [None, *(NOW - timedelta(days=days) for days in (0, 99, 101, 150, 299, 301, 600, -10, 3000))]
    names = ("me", "Me", "me ", "other", None, "")
    return [
        {
            "id": number,
            "at": chosen.choice(clocks),
            "flagged": chosen.choice((0, 1, None)),
            "owners": (chosen.choice(names), chosen.choice(names)),
        }
        for number in range(400)
    ]


def test_exactly_what_may_go_goes_of_random_rows(begin: Begin) -> None:
    instance = begin(NOW)
    rows = some_rows(7)
    columns = {"id": "int", "at": "timestamptz", "flagged": "int", "u": "text", "v": "text"}
    table = Table("requests", columns, ("id",))
    table.rows = [
        Row(
            {**{name: row[name] for name in ("id", "at", "flagged")}, "u": row["owners"][0], "v": row["owners"][1]},
            None,
        )
        for row in rows
    ]
    instance.maker.make(table)
    declared = {
        "table": "requests",
        "key": ["id"],
        "clock": CLOCK,
        "account": ["u", "v"],
        "attributes": {"flagged": "flagged"},
    }
    keeps = [
        {"keep": f"{KEPT_DAYS} days", "reason": LAW},
        {"when": {"flagged": 1}, "keep": f"{FLAGGED_DAYS} days", "reason": LAW},
    ]
    instance.declare({"requests": declared}, policies({"content": keeps}))
    close(instance, "me")
    assert {key for (key,) in instance.maker.keys(table)} == {row["id"] for row in rows if stays(row)}
    with instance.open() as ctx:
        found = account_status(ctx, "me")
    assert found.closure is not None
    remainder = found.closure.remainder
    assert remainder is not None
    mine = [row for row in rows if stays(row) and "me" in row["owners"]]
    assert remainder.undetermined + sum(part.records for part in remainder.kept) == len(mine)
    assert dict(found.remaining) == {"requests": len(mine)}


def family(begin: Begin) -> tuple[Instance, list[Table]]:
    """Make invoices of which each has a request, which has a thread; only invoices have to be kept."""
    instance = begin(NOW)
    old, young = NOW - timedelta(days=50), NOW - timedelta(days=1)
    threads = Table("threads", {"id": "text", "at": "timestamptz", "owner": "text"}, ("id",))
    threads.rows = [Row({"id": name, "at": old, "owner": "me"}, None) for name in ("t1", "t2")]
    requests = Table("requests", {"id": "text", "at": "timestamptz", "thread": "text"}, ("id",), indexes=(("thread",),))
    requests.rows = [
        Row({"id": id_, "at": old, "thread": thread}, None)
        for id_, thread in (("r1", "t1"), ("r2", "t1"), ("r3", "t2"))
    ]
    invoices = Table(
        "invoices", {"id": "text", "at": "timestamptz", "request": "text"}, ("id",), indexes=(("request",),)
    )
    invoices.rows = [
        Row({"id": "i1", "at": old, "request": "r1"}, None),
        Row({"id": "i2", "at": young, "request": "r1"}, None),
        Row({"id": "gone", "at": NOW - timedelta(days=150), "request": "r1"}, None),
    ]
    made = [threads, requests, invoices]
    for table in made:
        instance.maker.make(table)
    plain = {"key": ["id"], "clock": CLOCK}
    via = {"account": {"via": "parent"}}
    instance.declare(
        {
            "threads": {"table": "threads", **plain, "account": "owner"},
            "requests": {"table": "requests", **plain, **via, "parent": {"dataset": "threads", "on": {"thread": "id"}}},
            "invoices": {
                "table": "invoices", "class": "more", **plain, **via,
                "parent": {"dataset": "requests", "on": {"request": "id"}},
            },
        },
        policies({"more": {"keep": f"{KEPT_DAYS} days", "reason": LAW}}),
    )  # fmt: skip
    return instance, made


def left(instance: Instance, made: list[Table]) -> set[str]:
    return {key for table in made for (key,) in instance.maker.keys(table)}


def test_rows_that_lead_to_what_is_kept_stay_with_it_and_have_its_date(begin: Begin) -> None:
    instance, made = family(begin)
    close(instance, "me")
    assert left(instance, made) == {"t1", "r1", "i1", "i2"}
    first, last = NOW + timedelta(days=KEPT_DAYS - 50), NOW + timedelta(days=KEPT_DAYS - 1)
    with instance.open() as ctx:
        found = account_status(ctx, "me").closure
        assert status(ctx).closures_past_deadline == 0
    assert found is not None
    assert found.remainder is not None
    assert found.remainder.kept == (
        KeptPart("invoices", "more", LAW, 2, first, last),
        KeptPart("requests", "content", LAW, 1, last, last),
        KeptPart("threads", "content", LAW, 1, last, last),
    )
    assert found.remainder.is_excused
    assert found.next_deadline == first
    advance(instance, KEPT_DAYS - 49)
    assert left(instance, made) == {"t1", "r1", "i2"}
    advance(instance, 50)
    assert left(instance, made) == set()
    with instance.open() as ctx:
        assert account_status(ctx, "me").state == "closed"
