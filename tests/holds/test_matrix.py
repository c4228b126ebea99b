"""The matrix: when a hold comes by what it names by whether it is released; each with the rows that must be left.

What is left is counted in the store, by an oracle that knows dates and nothing of retentiond (`stock.after_run`).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from retentiond.domain.hold import Scope
from retentiond.engine import retrying
from tests.engine.office import outcomes
from tests.holds.stock import SCOPES, Look, Naming, after_run
from tests.holds.world import Staged, World, lost, nothing, once_claimed


def before_plan(world: World, scope: Scope) -> None:
    world.hold(scope)
    world.apply(world.plan())


def between_plan_and_approval(world: World, scope: Scope) -> None:
    plan = world.plan(approved=False)
    world.hold(scope)
    world.approve(plan)
    world.apply(plan)


def claimed(world: World, scope: Scope) -> None:
    plan = world.plan()
    with once_claimed(lambda: world.hold_from_elsewhere(scope)):
        world.apply(plan)


def between_act_and_verify(world: World, scope: Scope) -> None:
    plan = world.plan()
    world.office.wraps["app"] = lambda real: Staged(real, nothing, lambda: world.hold_from_elsewhere(scope))
    world.apply(plan)


def on_retry_after_the_effect(world: World, scope: Scope) -> None:
    plan = world.plan()

    def moment() -> None:
        world.hold_from_elsewhere(scope)
        lost()

    world.office.wraps["app"] = lambda real: Staged(real, nothing, moment)
    world.apply(plan)


def on_retry_before_the_effect(world: World, scope: Scope) -> None:
    plan = world.plan()

    def moment() -> None:
        world.hold_from_elsewhere(scope)
        lost()

    world.office.wraps["app"] = lambda real: Staged(real, moment, nothing)
    world.apply(plan)


TIMES: dict[str, Callable[[World, Scope], None]] = {
    "before-plan": before_plan,
    "between-plan-and-approval": between_plan_and_approval,
    "claimed": claimed,
    "between-act-and-verify": between_act_and_verify,
    "on-retry": on_retry_after_the_effect,
}
LATE = frozenset(("between-act-and-verify", "on-retry"))


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_PAUSE_SECONDS", 0.01)


def check_run(world: World, naming: Naming, start: Look) -> frozenset[str]:
    """Check what the run left, and what the hold said; return what is held."""
    world.join()
    world.office.wraps.clear()
    now, named = world.office.clock.at, naming.of(world.rows)
    left = world.look()
    too_late = {key for key in named if world.at_hold.get(key, "gone") != start[key]}
    held = frozenset(named - too_late)
    assert {key: left[key] for key in held} == {key: start[key] for key in held}
    assert left == after_run(world.rows, start, now, kept=held)
    (placed,) = world.placed
    assert placed.removed_meanwhile == len(too_late)
    assert placed.may_be_gone == ()
    return held


@pytest.mark.parametrize("released", [False, True], ids=["stays", "released"])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("time", TIMES)
def test_a_hold_in_a_run(world: World, time: str, scope: str, *, released: bool) -> None:
    naming, start = SCOPES[scope], world.look()
    TIMES[time](world, naming.scope(world.office))
    held = check_run(world, naming, start)
    assert held
    assert bool(world.placed[0].removed_meanwhile) == (time in LATE)
    before = world.look()
    world.pass_time(0.5)
    if released:
        world.release()
    world.run()
    kept = frozenset() if released else held
    assert world.look() == after_run(world.rows, before, world.office.clock.at, kept=kept)


@pytest.mark.parametrize("released", [False, True], ids=["stays", "released"])
@pytest.mark.parametrize("scope", SCOPES)
def test_a_hold_in_grace(world: World, scope: str, *, released: bool) -> None:
    """What was hidden before the hold stays hidden, past the end of its grace; released, it goes at once."""
    naming = SCOPES[scope]
    held = naming.of(world.rows)
    in_grace = {row.key for row in world.rows if "grace" in row.key and row.key in held}
    world.hold(naming.scope(world.office))
    world.apply(world.plan())
    world.pass_time(3)
    before = world.look()
    world.run()
    assert world.look() == after_run(world.rows, before, world.office.clock.at, kept=held)
    assert in_grace <= world.look().keys()
    if released:
        world.release()
        before = world.look()
        world.run()
        assert world.look() == after_run(world.rows, before, world.office.clock.at)
        assert not in_grace & world.look().keys()


@pytest.mark.parametrize("scope", SCOPES)
def test_a_hold_on_retry_before_anything_was_done(world: World, scope: str) -> None:
    naming, start = SCOPES[scope], world.look()
    on_retry_before_the_effect(world, naming.scope(world.office))
    assert check_run(world, naming, start) == naming.of(world.rows)
    assert world.placed[0].removed_meanwhile == 0


def test_two_matters_on_one_record(world: World) -> None:
    """What both matters name stays until the second lets go, whatever the first one's scope was."""
    start, account, condition = world.look(), SCOPES["account"], SCOPES["condition"]
    world.hold(account.scope(world.office), "Case 1")
    world.hold(condition.scope(world.office), "Case 2")
    session = world.apply(world.plan())
    now, both = world.office.clock.at, account.of(world.rows) | condition.of(world.rows)
    assert world.look() == after_run(world.rows, start, now, kept=both)
    world.release("Case 1")
    world.run()
    assert world.look() == after_run(world.rows, start, now, kept=condition.of(world.rows))
    world.release("Case 2")
    world.run()
    assert world.look() == after_run(world.rows, start, now)
    assert "held" not in outcomes(session)["requests"]
