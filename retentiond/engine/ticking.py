"""One tick of the daemon: is a slot due, or is there work at hand? Then it acts, once for all of it."""

from __future__ import annotations

from dataclasses import dataclass

from retentiond.engine import guards
from retentiond.engine.context import Context
from retentiond.engine.running import Session, go_on_acting, has_work, run_acting
from retentiond.engine.slots import due_slots, finish_slots, take_slots
from retentiond.errors import GuardStopped
from retentiond.ports.rows import SlotRow


@dataclass(frozen=True, slots=True)
class Ticked:
    """What came of a tick.

    Attributes:
        slots: Those that it took.
        session: What was carried out; None where there was nothing to do, or a guard stopped it.
        stopped: The guard that stopped it; nobody can say then what is overdue.
    """

    slots: tuple[SlotRow, ...] = ()
    session: Session | None = None
    stopped: GuardStopped | None = None

    @property
    def outcome(self) -> str:
        """What came of it, in a word."""
        if self.session is not None:
            return _outcome(self.session)
        return "stopped" if self.stopped else "idle"


def _outcome(session: Session) -> str:
    if session.failures or session.left_out:
        return "partial"
    if session.stopped is not None:
        return "waiting" if session.stopped.guard == "approval" else "stopped"
    if session.deferred:
        return "deferred"
    return "done" if session.carried else "nothing"


def tick(ctx: Context, taker: str, *, look_for_work: bool) -> Ticked:
    """Run the policies whose slots are due, and finish what was begun, approved, or asked for by accounts that leave.

    A slot is taken by whoever acts on the ledger, and finished when its work is done: one that was left by a process
    that ended is taken up again, and no slot is worked on twice.

    Args:
        taker: Names this process.
        look_for_work: Whether to look for work at hand when no slot is due.

    Raises:
        LedgerBusy: Another process acts; there is nothing to do here.
        GuardStopped: The clock is doubtful; no slot was taken.
        RetentiondError: Something failed; slots that it took are left to be taken up.
    """
    due = due_slots(ctx, ctx.now(), taker)
    if not due and not (look_for_work and has_work(ctx)):
        return Ticked()
    with ctx.ledger.acting():
        now = guards.check_clock(ctx)
        taken = take_slots(ctx, due_slots(ctx, now, taker))
        try:
            ticked = Ticked(tuple(taken), run_acting(ctx, _policies(ctx, taken)) if taken else go_on_acting(ctx))
        except GuardStopped as stopped:
            ticked = Ticked(tuple(taken), stopped=stopped)  # as ever while it only observes; the next slot asks again
        if not ctx.stop_requested():
            finish_slots(ctx, taken, ticked.outcome)
        return ticked


def _policies(ctx: Context, taken: list[SlotRow]) -> tuple[str, ...]:
    """Return the policies to run; none stands for all of them, which also counts what is overdue."""
    names = tuple(dict.fromkeys(slot.policy for slot in taken))
    return () if len(names) == len(ctx.policies.policies) else names
