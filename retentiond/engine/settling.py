"""Whatever was acknowledged as pending: it goes on as soon as journal and log can be written."""

from __future__ import annotations

from retentiond.domain.plan import RunState
from retentiond.engine import approvers
from retentiond.engine.approvals import settle_approvals
from retentiond.engine.closures import settle_closures
from retentiond.engine.context import Context
from retentiond.engine.erasures import settle_erasures
from retentiond.engine.holds import settle_releases
from retentiond.engine.pausing import settle_stops
from retentiond.engine.signing import deliver


def settle(ctx: Context) -> None:
    """Deliver what journal and log lack, and let the changes count that waited for it; does nothing where none did.

    Raises:
        LedgerBehindLog: The ledger is older than its log.
        RetentiondError: Journal or log cannot be written; what waits goes on waiting.
    """
    with ctx.ledger.begin() as tx:
        waiting = tx.pending.all()
        undelivered = tx.journal.undelivered()
        plans = tx.plans.in_state(RunState.WAITING)
        changing = approvers.is_pending(tx)
        approved = [plan.id for plan in plans if any(row.approve for row in tx.approvals.of_plan(plan.sha256))]
    unpublished = ctx.ledger.log_state.size() > ctx.log.published()[1]
    if not (waiting or undelivered or approved or changing or unpublished):
        return
    size = deliver(ctx)
    settle_releases(ctx, size)
    settle_closures(ctx, size)
    settle_erasures(ctx, size)
    settle_stops(ctx, size)
    if changing:
        approvers.settle_approvers(ctx, size)
    for plan in approved:
        settle_approvals(ctx, plan, size)
