"""The way on after a clock that ran ahead, or a machine that was off for long: people say what time it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from retentiond.engine import allowed, guards
from retentiond.engine.context import Context
from retentiond.engine.signing import deliver, record_state, request
from retentiond.errors import GuardStopped, UsageError
from retentiond.evidence.canonical import rfc3339
from retentiond.ports.ledger import Transaction

_FIRST = "clock_reset"
_PEOPLE = 2
_TOGETHER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Reset:
    """What came of saying the time: the time that is taken as seen from now on, and how many people are missing."""

    at: datetime
    missing: int


def reset_clock(ctx: Context, said: datetime, key_file: Path | None) -> Reset:
    """Say, with a signature, what time it is; the second of two people within an hour makes it count.

    One person is enough where only one is named in the approvers file. It counts once its entry is in the log.

    Args:
        said: The time as the person reads it from somewhere else than this machine.

    Raises:
        UsageError: The machine's clock says something else.
        GuardStopped: A store's clock says something else, or nobody may sign.
    """
    ctx.log.compare()
    now = ctx.now()
    if abs(now - said) > guards.CLOCK_SLACK:
        raise UsageError(
            f"the machine's clock says {rfc3339(now)}, not {rfc3339(said)}",
            where="--now",
            remedy="read the time from somewhere else than this machine, and set the machine's clock right first",
        )
    for name, told in guards.store_times(ctx).items():
        if abs(now - told) > guards.CLOCK_SLACK:
            raise GuardStopped(
                f"store {name} says {rfc3339(told)}, not {rfc3339(now)}",
                guard="clock-ahead",
                where=name,
                remedy="set the clocks of this machine and of the store right",
            )
    signed = request(ctx, "clock reset", {"verb": "clock reset", "time": rfc3339(said)}, key_file)
    names, named = {signed.principal}, allowed.in_force(ctx).principals
    with ctx.ledger.begin() as tx:
        names |= _earlier(tx, now)
        missing = min(_PEOPLE, len({each.name for each in named}) or 1) - len(names)
        if missing > 0:
            tx.facts.set(_FIRST, json.dumps([signed.principal, now.isoformat()]))
            return Reset(now, missing)
        record_state(ctx, tx, {"kind": "clock", "time": rfc3339(said), "by": sorted(names)})
        tx.facts.set(_FIRST, "")
    deliver(ctx)
    with ctx.ledger.begin() as tx:
        tx.facts.set(guards.CLOCK_HIGH_WATER, now.isoformat())
        tx.events.append("clock.reset", "clock", now, {"by": sorted(names)})
    return Reset(now, 0)


def _earlier(tx: Transaction, now: datetime) -> set[str]:
    """Return who said the time within the last hour."""
    known = tx.facts.get(_FIRST)
    if not known:
        return set()
    name, at = json.loads(known)
    return {name} if abs(now - datetime.fromisoformat(at)) <= _TOGETHER else set()
