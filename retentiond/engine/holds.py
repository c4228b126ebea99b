"""Placing and releasing legal holds. A hold counts from its ledger commit; batches claimed before it are waited for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retentiond.domain.hold import Hold, Scope
from retentiond.domain.plan import BatchState, RunState
from retentiond.engine.context import Context, new_id
from retentiond.engine.signing import record_state, request
from retentiond.errors import LedgerBusy, LogIntegrityError, NotFound, RetentiondError, UsageError
from retentiond.ports.rows import BatchRow

_WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.1
_IN_FLIGHT = (BatchState.CLAIMED, BatchState.ACTED)


@dataclass(frozen=True, slots=True)
class Placed:
    """A hold in force.

    Attributes:
        removed_meanwhile: Records of batches in flight that ended as removed after the hold was asked for.
        may_be_gone: Batches in flight whose end could not be waited for.
    """

    hold: Hold
    in_force_since: datetime
    removed_meanwhile: int
    may_be_gone: tuple[str, ...]


def add_hold(ctx: Context, scope: Scope, matter: str, reason: str, key_file: Path | None) -> Placed:
    """Place a hold, wait for batches that were claimed before it, and say what was removed meanwhile.

    Raises:
        UsageError: The scope names nothing, or a dataset that the data map lacks.
    """
    _check_scope(ctx, scope, matter)
    arguments = {"verb": "hold add", "matter": matter, "reason": reason, **_scope_arguments(scope)}
    signed = request(ctx, "hold add", arguments, key_file)
    now = ctx.now()
    hold = Hold(new_id(now), matter, scope, now, reason)
    with ctx.ledger.begin() as tx:
        record_state(ctx, tx, {"kind": "hold", "id": hold.id, "by": signed.principal, **arguments})
        tx.holds.add(hold)
        tx.events.append("hold.added", hold.id, now, {"by": signed.principal})
        in_flight = [
            batch
            for plan in tx.plans.in_state(RunState.RUNNING)
            for batch in tx.batches.of_plan(plan.id)
            if batch.state in _IN_FLIGHT
        ]
    removed, unknown = _wait(ctx, in_flight)
    try:
        ctx.log.publish()
    except RetentiondError as error:
        raise LogIntegrityError(
            f"hold {hold.id} is in force, but not yet logged: {error.what}",
            where=error.where,
            remedy="make the log writable; the next command that writes to it publishes the entry",
        ) from error
    return Placed(hold, now, removed, unknown)


def release_hold(ctx: Context, matter_or_id: str, key_file: Path | None) -> list[Hold]:
    """Release a hold by its id, or all holds of a matter; counts only once its log entry is published.

    Raises:
        NotFound: No hold in force has that id or matter.
    """
    with ctx.ledger.begin() as tx:
        found = [hold for hold in tx.holds.active() if matter_or_id in (hold.id, hold.matter)]
    if not found:
        raise NotFound(f"no hold in force is called {matter_or_id!r}", remedy="`retentiond hold list` names them")
    signed = request(ctx, "hold release", {"verb": "hold release", "hold": matter_or_id}, key_file)
    with ctx.ledger.begin() as tx:
        for hold in found:
            record_state(ctx, tx, {"kind": "hold-release", "id": hold.id, "by": signed.principal})
    ctx.log.publish()
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        for hold in found:
            tx.holds.release(hold.id, now)
            tx.events.append("hold.released", hold.id, now, {"by": signed.principal})
    return found


def list_holds(ctx: Context) -> list[Hold]:
    """Return the holds in force."""
    with ctx.ledger.begin() as tx:
        return list(tx.holds.active())


def _check_scope(ctx: Context, scope: Scope, matter: str) -> None:
    if not matter.strip():
        raise UsageError("a hold belongs to a matter", where="--matter", remedy="name it: --matter M")
    if scope.dataset and scope.dataset not in ctx.datamap.datasets:
        raise UsageError(
            f"there is no dataset {scope.dataset!r}",
            where="--dataset",
            remedy=f"one of {', '.join(ctx.datamap.datasets)}",
        )
    if not (scope.accounts or scope.keys or scope.condition) or (scope.keys and not scope.dataset):
        raise UsageError("a hold names an account, or keys of a dataset", remedy="--account A, or --dataset D --key K")


def _scope_arguments(scope: Scope) -> dict[str, str]:
    return {
        "dataset": scope.dataset,
        "accounts": "\n".join(scope.accounts),
        "keys": "\n".join(key.hex() for key in scope.keys),
    }


def _wait(ctx: Context, in_flight: list[BatchRow]) -> tuple[int, tuple[str, ...]]:
    removed, unknown = 0, []
    deadline = ctx.clock.monotonic() + _WAIT_SECONDS
    for batch in in_flight:
        ended = _wait_for(ctx, batch, deadline)
        if ended is None:
            unknown.append(f"{batch.plan}/{batch.ordinal}")
        else:
            removed += sum(ended.outcomes.get(name, 0) for name in ("purged", "tombstoned"))
    return removed, tuple(unknown)


def _wait_for(ctx: Context, batch: BatchRow, deadline: float) -> BatchRow | None:
    """Return the batch once it ended or was fenced off by a newer claim; None when nobody works on it any more."""
    while True:
        with ctx.ledger.begin() as tx:
            now = next(each for each in tx.batches.of_plan(batch.plan) if each.ordinal == batch.ordinal)
        if now.state not in _IN_FLIGHT or now.token != batch.token:
            return now
        if ctx.clock.monotonic() > deadline or _nobody_acts(ctx):
            return None
        time.sleep(_POLL_SECONDS)


def _nobody_acts(ctx: Context) -> bool:
    try:
        with ctx.ledger.acting():
            return True
    except LedgerBusy:
        return False
