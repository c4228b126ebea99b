"""What is done to a called program before it begins: a guard is taken out of it, or its clock is moved.

No installation has this: `tests/servers/forking.py` runs the file in the process that a test calls, where the
environment asks for it. A guard is taken out where the code asks it, so each of them is a function of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from importlib import import_module
from typing import Any

WITHOUT = "WITHOUT_GUARD"
CLOCK_MOVED_SECONDS = "CLOCK_MOVED_SECONDS"


@dataclass(frozen=True)
class Removal:
    """How a guard is taken out: what stands in the place of a function of the program.

    Attributes:
        target: `module:name`, below `retentiond`; the name may be that of a method.
        make: Makes what stands there instead, from the function.
    """

    target: str
    make: Callable[[Any], Any]

    def apply(self) -> None:
        module, _, path = self.target.partition(":")
        *owners, name = path.split(".")
        owner: Any = reduce(getattr, owners, import_module(f"retentiond.{module}"))
        setattr(owner, name, self.make(getattr(owner, name)))


def giving(value: object) -> Callable[[Any], Any]:
    """Make a function that gives a value, whatever it is asked."""
    return lambda _real: lambda *_arguments, **_named: value


def _as_written(_real: Any) -> Callable[..., Any]:
    return lambda ctx, _tx: ctx.approvers


def _without_holds(real: Any) -> Callable[..., Any]:
    return lambda _holds, dataset: real((), dataset)


def _without_floor(real: Any) -> Callable[..., Any]:
    return lambda selected, dataset, reference, _cutoff: real(selected, dataset, reference, reference)


SILENT, NOTHING, FALSE = giving(None), giving(()), giving(value=False)

# By the name of the guard's test in tests/acceptance/test_guards.py.
REMOVALS: Mapping[str, Removal] = {
    "max-records": Removal("engine.caps:_records_reasons", NOTHING),
    "max-percent": Removal("engine.caps:_percent_reasons", NOTHING),
    "floor": Removal("settings.policies:_below_floor", NOTHING),
    "floor-of-purges": Removal("engine.subjects:manual_cases", _without_floor),
    "clock-behind": Removal("engine.guards:_check_behind", SILENT),
    "clock-unconfirmed": Removal("engine.guards:_check_unconfirmed", SILENT),
    "clock-of-database": Removal("connectors.postgresql.store:PostgresqlStore.now", SILENT),
    "clock-of-bucket": Removal("connectors.s3.bucket:Bucket.now", SILENT),
    "policy-unapproved": Removal("engine.guards:approval_reasons", NOTHING),
    "policy-changed": Removal("engine.guards:_check_policies", SILENT),
    "list-changed": Removal("engine.guards:_check_lists", SILENT),
    "dataset-changed": Removal("engine.guards:_check_datasets", SILENT),
    "approvers-changed": Removal("engine.allowed:in_force_in", _as_written),
    "approvers-empty": Removal("engine.signing:_check_somebody", SILENT),
    "two-people": Removal("engine.purging:_check_two_people", SILENT),
    "approval-waiting": Removal("engine.guards:check_waiting", SILENT),
    "approval-missing": Removal("engine.guards:_check_enough", SILENT),
    "approval-foreign": Removal("engine.guards:check_approval", SILENT),
    "approval-own": Removal("engine.approvals:_check_other", SILENT),
    "unmapped": Removal("engine.coverage:unmapped_findings", NOTHING),
    "ledger-behind-log": Removal("tlog.publish:_refuse_older_ledger", SILENT),
    "ledger-behind-journal": Removal("engine.guards:check_journal", SILENT),
    "key-not-in-force": Removal("engine.guards:check_keys", SILENT),
    "stop-file": Removal("engine.guards:check_stop", SILENT),
    "observe": Removal("engine.guards:check_mode", SILENT),
    "paused": Removal("engine.guards:check_paused", SILENT),
    "plan-expired": Removal("ports.rows:PlanRow.has_expired", FALSE),
    "plan-foreign": Removal("engine.guards:check_own", SILENT),
    "hold-astray": Removal("engine.guards:check_holds", SILENT),
    "held": Removal("domain.hold:HoldIndex.ids", NOTHING),
    "held-after-approval": Removal("engine.batches:HoldIndex", _without_holds),
    "erasure-approval": Removal("engine.proposing:erases_unapproved", giving([])),
    "replay-came-back": Removal("engine.planning:_came_back", NOTHING),
    "closure-cap": Removal("engine.caps:above_closure_cap", giving({})),
    "clock-range": Removal("engine.scanning:_Scan._check_clocks", SILENT),
}


def move_clock(seconds: int) -> None:
    """Have the program's clock be ahead, or behind with fewer than none."""
    clock = import_module("retentiond.clock").SystemClock
    real = clock.now
    clock.now = lambda self: real(self) + timedelta(seconds=seconds)


def apply(environ: Mapping[str, str]) -> None:
    """Do what the environment asks for."""
    if name := environ.get(WITHOUT):
        REMOVALS[name].apply()
    if seconds := environ.get(CLOCK_MOVED_SECONDS):
        move_clock(int(seconds))


if __name__ == "PATCHED_BY":
    apply(os.environ)
