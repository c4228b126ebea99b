"""Guards of what time it is, and of how long a plan waits."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

from tests.acceptance.postgres_world import DUE, PostgresWorld
from tests.acceptance.world import World, days_ago
from tests.guards.patches import CLOCK_MOVED_SECONDS
from tests.guards.standing import (
    add_due,
    check_told,
    first_pass,
    guard,
    log_size,
    name_person,
    ready,
    refused,
    standing,
    waiting,
)

HOUR = 3_600
RIGHT = "set the machine's clock right"


def moved(seconds: int) -> dict[str, str]:
    """Give the environment of a call whose clock is ahead by so much."""
    return {CLOCK_MOVED_SECONDS: str(seconds)}


def say_time(world: World, key: Path, ahead: int, *, missing: int) -> None:
    """Have somebody say what time it is."""
    said = f"{days_ago(0) + timedelta(seconds=ahead):%Y-%m-%dT%H:%M:%SZ}"
    told = world("clock", "reset", "--now", said, "--ssh-key", key, code=4 if missing else 0, **moved(ahead))
    assert told["missing"] == missing


@guard("clock-behind")
def a_clock_behind_what_was_seen_before(world: World) -> None:
    bob = name_person(world, "bob")
    plan = ready(world)
    world("plan", code=[0, 4], **moved(HOUR))
    apply, says = ("apply", plan), "was seen before"
    refused(world, *apply, guard="clock", says=says, remedy="two people say `retentiond clock reset`")
    say_time(world, world.ssh_key, 0, missing=1)
    say_time(world, world.ssh_key, 0, missing=1)
    refused(world, *apply, guard="clock", says=says, remedy=RIGHT)
    say_time(world, bob, 0, missing=0)
    world(*apply)
    assert world.passed()


@guard("clock-unconfirmed")
def a_clock_far_ahead_that_no_store_confirms(world: World) -> None:
    bob = name_person(world, "bob")
    first_pass(world)
    add_due(world)
    ahead = 31 * HOUR  # `clock_ahead` is a day, and six hours are from one run to the next
    says = "the last time that was seen, and no store can tell the time"
    refused(
        world, "run", guard="clock-ahead", says=says, remedy="two people say `retentiond clock reset", **moved(ahead)
    )
    say_time(world, world.ssh_key, ahead, missing=1)
    refused(world, "run", guard="clock-ahead", says=says, remedy=RIGHT, **moved(ahead))
    say_time(world, bob, ahead, missing=0)
    world("run", **moved(ahead))
    assert world.passed()


@guard("clock-of-bucket", where="world")
def a_clock_ahead_of_the_date_of_a_bucket(world: World) -> None:
    plan = ready(world)
    remedy = "set the clocks of this machine and of the store right"
    told = refused(
        world, "apply", plan, guard="clock-ahead", says=", but store bucket says ", remedy=remedy, **moved(600)
    )
    assert told["where"] == "bucket"
    world("apply", plan, **moved(240))  # five minutes are no doubt
    assert world.passed()


@guard("clock-of-database", where="database_world")
def a_clock_ahead_of_the_now_of_a_database(world: PostgresWorld) -> None:
    plan = world("plan", code=[0, 4])["plan"]
    world("approve", plan, "--ssh-key", world.ssh_key)
    before, size = world.contents(), log_size(world.config)
    world.environ.update(moved(600))
    told = world("apply", plan, code=4)
    check_told(told, "clock-ahead", ", but store db says ", "set the clocks of this machine and of the store right")
    assert told["where"] == "db"
    assert (world.contents(), log_size(world.config)) == (before, size)
    world.environ.update(moved(240))
    world("apply", plan)
    assert len(world.contents()["sound"]) == len(before["sound"]) - DUE


@guard("plan-expired")
def a_plan_that_was_not_begun_in_time(world: World) -> None:
    first_pass(world)
    add_due(world)
    made = world("plan", RETENTIOND_PLAN_EXPIRES="1 second")
    time.sleep(max(0.0, (datetime.fromisoformat(made["expires_at"]) - days_ago(0)).total_seconds()))
    before, size = standing(world), log_size(world.config)
    says = f"plan {made['plan']} expired at {made['expires_at']}"
    check_told(world("apply", made["plan"], code=4), "plan-expired", says, "retentiond plan")
    assert standing(world) == before
    assert log_size(world.config) == size + 1  # that it is void
    refused(world, "apply", made["plan"], guard="plan-expired", says=says, remedy="retentiond plan")
    world("apply", waiting(world))
    assert world.passed()
