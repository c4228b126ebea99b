"""Guards of how much goes, and how young it may be."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta

from tests.acceptance.world import World, days_ago
from tests.guards.standing import (
    add_due,
    approve,
    edit,
    first_pass,
    guard,
    log_size,
    name_person,
    ready,
    refused,
    standing,
    waiting,
)

REQUESTS = "limits: {max_percent: 80}"  # the first in the file is that of requests


@guard("max-records")
def more_than_a_number(world: World) -> None:
    edit(world, "policies.yaml", REQUESTS, "limits: {max_percent: 80, max_records: 5}")
    first_pass(world)
    add_due(world, 6)
    plan = waiting(world)
    says = f"plan {plan} waits for approval: 6 records are due under request-content, more than max_records 5"
    refused(world, "run", guard="approval", says=says, remedy=f"retentiond approve {plan}")
    approve(world, plan)
    world("run")
    assert world.passed()
    add_due_again(world, 6)
    assert world("plan", code=4)["needs_approval"]  # that plan was approved, and no other


def add_due_again(world: World, count: int) -> None:
    for number in range(count):
        world.add_row(f"again-{number}", "acct-a", 45)


@guard("max-percent")
def more_than_a_share_of_one_dataset(world: World) -> None:
    edit(world, "policies.yaml", REQUESTS, "limits: {max_percent: 20}")
    first_pass(world)
    add_due(world, 4)  # of 16 rows and 9 files
    plan = waiting(world)
    says = "4 of 16 records of requests are due: 25.0 % of this full scan, more than max_percent 20"
    told = refused(world, "run", guard="approval", says=says, remedy=f"retentiond approve {plan}")
    assert told["stopped"]["what"].endswith(f"waits for approval: {says}")
    approve(world, plan)
    world("run")
    assert world.passed()


@guard("floor")
def a_policy_below_the_floor(world: World) -> None:
    edit(world, "policies.yaml", "- {keep: 30 days}", "- {keep: 30 minutes}")
    says, remedy = "30 minutes is below the floor of 1 hour", "lower `floor`"
    told = refused(world, "plan", code=2, guard="floor", says=says, remedy=remedy)
    assert told["error"] == "PolicyError"
    assert re.fullmatch(r"policies.yaml:\d+:\d+", told["where"])
    edit(world, "policies.yaml", "floor: 1 hour", "floor: 20 minutes")
    found = world("plan", code=4)["datasets"]
    unflagged = sum(not flagged for _, _, flagged in world.rows.values())
    assert next(each["due"] for each in found if each["dataset"] == "requests") == unflagged
    assert world.untouched()


@guard("floor-of-purges")
def a_purge_of_what_is_younger_than_the_floor(world: World) -> None:
    bob = name_person(world, "bob")
    first_pass(world)
    half_an_hour_ago = f"{days_ago(0) - timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}"
    world.add_row("fresh", "acct-a", 0, clock=half_an_hour_ago)
    purge = ("purge", "--dataset", "requests", "--key", "fresh", "--reason", "why", "--ssh-key", world.ssh_key)
    before, size = standing(world), log_size(world.config)
    assert world(*purge)["plan"] is None
    assert standing(world) == before
    assert log_size(world.config) == size
    edit(world, "policies.yaml", "floor: 1 hour", "floor: 20 minutes")
    plan = world(*purge, code=4)["plan"]
    world("approve", plan, "--ssh-key", bob)
    world("apply", plan)
    assert world.rows_left() == world.rows_kept() - {"fresh"}


@guard("clock-range")
def clocks_that_cannot_be(world: World) -> None:
    first_pass(world)
    add_due(world)
    world.add_row("absurd", "acct-a", 2, clock="1970-01-21T00:00:00Z")
    before, size = standing(world), log_size(world.config)
    (left_out,) = world("run", code=5)["left_out"]
    assert left_out["dataset"] == "requests"
    assert "1 of 14 clocks lie outside 2020-01-01 to now: more than 0.1 %" in left_out["why"]
    assert "`format` and `earliest`" in left_out["why"]
    assert standing(world) == before
    assert log_size(world.config) == size
    with closing(sqlite3.connect(world.database)) as db, db:
        db.execute("UPDATE api_requests SET created_at = ? WHERE request_id = 'absurd'", [f"{days_ago(2):%FT%TZ}"])
    world("run")
    assert world.passed()


@guard("closure-cap")
def a_closure_of_more_than_its_share(world: World) -> None:
    edit(world, "policies.yaml", "limits: {max_percent: 100}", "limits: {max_percent: 10}")
    first_pass(world)
    world("account", "close", "acct-b", "--reason", "left", "--ssh-key", world.ssh_key, code=4)
    (plan,) = (each["plan"] for each in world("status")["waiting"])
    says = f"plan {plan} of a closure waits for approval: "
    refused(world, "run", guard="closure-cap", says=says, remedy=f"retentiond approve {plan}")
    approve(world, plan)
    world("run")
    assert world.rows_left() == world.rows_kept(without=["acct-b"])
    assert world.files_left() == world.files_kept(without=["acct-b"])


@guard("erasure-approval")
def an_erasure_in_a_dataset_that_changed(world: World) -> None:
    first_pass(world)
    edit(
        world,
        "datamap.yaml",
        "    table: api_requests\n",
        "    table: api_requests\n    user: {nobody: asked by machines}\n",
    )
    words = ("--account", "acct-b", "--all", "--law", "gdpr", "--reason", "letter", "--identity", "seen")
    world("erasure", "add", *words, "--ssh-key", world.ssh_key)
    world("run", code=4)
    (plan,) = (each["plan"] for each in world("status")["waiting"])
    says = f"plan {plan} of a request for erasure waits for approval: "
    refused(world, "run", guard="erasure-approval", says=says, remedy=f"retentiond approve {plan}")
    approve(world, plan)
    world("run")
    assert world.rows_left() == world.rows_kept(without=["acct-b"])


@guard("held")
def all_that_is_due_is_held(world: World) -> None:
    first_pass(world)
    add_due(world, 2)
    hold = world("hold", "add", "--account", "acct-a", "--matter", "M-1", "--ssh-key", world.ssh_key)["hold"]
    told = refused(world, "run", code=6, guard="held", says="all that is due is held", remedy="retentiond hold release")
    assert told["runs"] == []
    world("hold", "release", hold, "--ssh-key", world.ssh_key)
    world("run")
    assert world.passed()


@guard("held-after-approval")
def a_hold_that_comes_after_the_approval(world: World) -> None:
    plan = ready(world)
    names = ("acct-a", "acct-b", "acct-c")
    sign = ("--matter", "M-1", "--ssh-key", world.ssh_key)
    holds = [world("hold", "add", "--account", name, *sign)["hold"] for name in names]
    told = world("apply", plan, code=6)
    assert told["stopped"]["guard"] == "held"
    assert {each["dataset"]: sum(each["outcomes"].values()) for each in told["runs"][0]["datasets"]} == {
        each["dataset"]: each["outcomes"]["held"] for each in told["runs"][0]["datasets"]
    }
    assert world.untouched()
    for hold in holds:
        world("hold", "release", hold, "--ssh-key", world.ssh_key)
    world("run")
    assert world.passed()


@guard("replay-came-back")
def a_replay_that_meets_an_account_that_came_back(world: World) -> None:
    first_pass(world)
    copy = world.root / "copy.db"
    shutil.copy(world.database, copy)
    world("account", "close", "acct-b", "--reason", "left", "--ssh-key", world.ssh_key)
    shutil.copy(copy, world.database)
    with closing(sqlite3.connect(world.database)) as db, db:
        since = f"{days_ago(0) + timedelta(seconds=60):%Y-%m-%dT%H:%M:%SZ}"
        db.execute("UPDATE api_requests SET created_at = ? WHERE request_id = 'acct-b-0'", (since,))
    world("replay", code=4)
    (plan,) = (each["plan"] for each in world("status")["waiting"])
    says = f"plan {plan} of a replay waits for approval: 1 records of closed accounts were written since"
    refused(world, "replay", guard="approval", says=says, remedy=f"retentiond approve {plan}")
    approve(world, plan)
    world("replay")
    assert len(world.rows_left() - world.rows_kept(without=["acct-b"])) == 1
