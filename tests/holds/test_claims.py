"""Claims that are older than a hold: waited for, fenced off, counted; and what stops a statement that is not sent."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from retentiond.domain.hold import Scope
from retentiond.domain.plan import BatchState
from retentiond.engine import batches, claims, retrying
from retentiond.engine.holds import list_holds
from retentiond.engine.overview import status
from retentiond.errors import GuardStopped, LedgerBusy
from tests.engine.office import outcomes
from tests.holds.stock import FREE, HELD, SCOPES, PostgresStock, after_run
from tests.holds.world import Staged, World, nothing, once_claimed

ACCOUNT = Scope(accounts=(HELD,))


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_PAUSE_SECONDS", 0.01)


class Killed(BaseException):
    """Ends a run as a crash would: nothing of what follows is done."""


def crash() -> None:
    raise Killed


def test_a_claim_of_a_dead_process_is_fenced_off_at_once_and_named(world: World) -> None:
    plan, start = world.plan(), world.look()
    world.office.wraps["app"] = lambda real: Staged(real, nothing, crash)
    with pytest.raises(Killed):
        world.apply(plan)
    world.office.wraps.clear()
    gone = {key for key in start if world.look().get(key, "gone") != start[key]}
    named = SCOPES["account"].of(world.rows)
    began = time.monotonic()
    world.hold(ACCOUNT)
    assert time.monotonic() - began < 5
    (placed,) = world.placed
    assert placed.removed_meanwhile == 0
    assert [(each.plan, each.ordinal, each.records) for each in placed.may_be_gone] == [(plan, 0, len(gone & named))]
    assert f"may be gone: {len(gone & named)} in batch {plan}/0" in placed.text
    session = world.apply(plan)
    assert world.look() == after_run(world.rows, start, world.office.clock.at, kept=named - gone)
    assert sum(counts.get("held", 0) for counts in outcomes(session).values()) == len(
        {row.key for row in world.rows if "purge" in row.key or "hide" in row.key} & named - gone
    )


def test_a_dead_process_that_held_nothing_of_it_is_not_named(world: World) -> None:
    plan = world.plan()
    with pytest.raises(Killed), once_claimed(crash):
        world.apply(plan)
    world.hold(Scope(accounts=("acct-nobody",)))
    assert world.placed[0].may_be_gone == ()


def test_a_frozen_process_is_fenced_off_when_its_lease_is_out_and_does_nothing_when_it_wakes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, start = world.plan(), world.look()
    child = os.fork()
    if child == 0:
        _freeze_before_the_statement(world, plan)
    _, status_word = os.waitpid(child, os.WUNTRACED)
    assert os.WIFSTOPPED(status_word)
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=2))
    ticking = threading.Timer(0.5, lambda: world.pass_time(1 / 24))
    ticking.start()
    try:
        world.hold(ACCOUNT)
        (placed,) = world.placed
        named = SCOPES["account"].of(world.rows)
        assert [(each.plan, each.ordinal) for each in placed.may_be_gone] == [(plan, 0)]
        assert world.look() == start
        with world.office.open() as ctx, ctx.ledger.begin() as tx:
            fenced = tx.claims.get(plan, 0)
        assert (fenced.state, fenced.token) == (BatchState.PLANNED, 2)
    finally:
        ticking.join()
        os.kill(child, signal.SIGCONT)
        _, status_word = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status_word) == 0
    assert world.look() == after_run(world.rows, start, world.rows[0].created + timedelta(days=40), kept=named)


def _freeze_before_the_statement(world: World, plan: str) -> None:
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        freeze = lambda: os.kill(os.getpid(), signal.SIGSTOP)  # noqa: E731 - runs in the child only
        world.office.wraps["app"] = lambda real: Staged(real, freeze, nothing)
        world.apply(plan)
        code = 0
    finally:
        os._exit(code)


def test_a_batch_that_another_process_claimed_is_left_to_it(world: World) -> None:
    plan, start = world.plan(), world.look()

    def take() -> None:
        with world.office.open() as other, other.ledger.begin() as tx:
            tx.batches.claim(plan, 0, world.office.clock.at)

    world.office.wraps["app"] = lambda real: Staged(real, take, nothing)
    with pytest.raises(LedgerBusy, match="claimed by another process"):
        world.apply(plan)
    assert world.look() == start


def test_a_batch_that_was_taken_after_its_statement_is_judged_anew(world: World) -> None:
    """The effect is there, the claim is not: the next claim finds out by looking, and the receipt still adds up."""
    plan, start = world.plan(), world.look()

    def fence_off() -> None:
        with world.office.open() as other, other.ledger.begin() as tx:
            (claim,) = tx.claims.in_flight()
            assert tx.claims.fence_off(claim.plan, claim.ordinal, claim.token)
            assert not tx.claims.fence_off(claim.plan, claim.ordinal, claim.token)
            assert tx.claims.get(claim.plan, claim.ordinal).state is BatchState.PLANNED

    world.office.wraps["app"] = lambda real: Staged(real, nothing, fence_off)
    session = world.apply(plan)
    assert world.look() == after_run(world.rows, start, world.office.clock.at)
    assert outcomes(session)["requests"].get("carriedOver", 0) == 0


def test_any_number_of_holds_during_one_batch_stops_nothing_but_what_they_name(world: World) -> None:
    plan, start = world.plan(), world.look()
    placed: list[str] = []
    claim = batches._claim

    def disturbed(*arguments: Any, **more: Any) -> Any:
        result = claim(*arguments, **more)
        if len(placed) < batches.TRIES + 3:
            placed.append(f"Case {len(placed)}")
            world.hold_from_elsewhere(Scope(accounts=(f"acct-{len(placed)}",)), placed[-1])
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "_claim", disturbed)
        world.apply(plan)
    world.join()
    assert world.look() == after_run(world.rows, start, world.office.clock.at)


def test_the_stop_file_is_looked_at_before_the_statement(world: World) -> None:
    plan, start = world.plan(), world.look()
    stop = world.office.config.parent / "STOP"
    with world.office.open() as ctx:
        assert ctx.terms.stop_file is not None
        stop = ctx.terms.stop_file
    with pytest.raises(GuardStopped) as caught, once_claimed(stop.touch):
        world.apply(plan)
    assert caught.value.guard == "stop-file"
    assert world.look() == start
    stop.unlink()
    world.apply(plan)
    assert world.look() == after_run(world.rows, start, world.office.clock.at)


@pytest.mark.parametrize(
    ("before", "after", "held"), [("free", "legal", True), ("legal", "free", False), ("free", None, True)]
)
def test_a_condition_is_asked_in_the_statement_and_not_of_what_the_plan_saw(
    world: World, before: str, after: str | None, *, held: bool
) -> None:
    key = next(row.key for row in world.rows if row.account == FREE and "purge" in row.key)
    world.stock.set_tier(key, before)
    plan, start = world.plan(), world.look()
    world.hold(SCOPES["condition"].scope(world.office))
    world.stock.set_tier(key, after)
    world.apply(plan)
    assert (key in world.look()) is held
    assert start.keys() - world.look().keys()


def test_a_tier_that_changes_between_the_claim_and_the_statement_is_seen(world: World) -> None:
    key = next(row.key for row in world.rows if row.tier == "free" and "hide" in row.key)
    plan, start = world.plan(), world.look()
    world.hold(SCOPES["condition"].scope(world.office))
    with once_claimed(lambda: world.stock.set_tier(key, "legal")):
        session = world.apply(plan)
    assert world.look()[key] == start[key]
    held = sum(counts.get("held", 0) for counts in outcomes(session).values())
    assert held == 1 + len({r.key for r in world.rows if r.tier != "free" and ("hide" in r.key or "purge" in r.key)})


@pytest.mark.parametrize("world", ["postgresql"], indirect=True)  # SQLite has one writer: nothing waits for a row there
@pytest.mark.parametrize("sort", ["hide", "purge"])
def test_a_tier_that_changes_while_the_statement_waits_for_its_row_is_seen(world: World, sort: str) -> None:
    assert isinstance(world.stock, PostgresStock)
    key = next(row.key for row in world.rows if row.tier == "free" and sort in row.key[:8])
    plan, start = world.plan(), world.look()
    world.hold(SCOPES["condition"].scope(world.office))
    changing: list[threading.Thread] = []
    change = world.stock.set_tier_late
    with once_claimed(lambda: changing.append(change(key, "legal"))):
        world.apply(plan)
    changing[0].join(30)
    kept = SCOPES["condition"].of(world.rows) | {key}
    assert world.look() == after_run(world.rows, start, world.office.clock.at, kept=kept)


def test_status_counts_the_holds_in_force(world: World) -> None:
    world.hold(ACCOUNT, "Case 1")
    world.hold(ACCOUNT, "Case 2")
    world.release("Case 1")
    with world.office.open() as ctx:
        assert [hold.matter for hold in list_holds(ctx)] == ["Case 2"]
        assert [hold.id for hold in status(ctx).holds] == [hold.id for hold in list_holds(ctx)]
