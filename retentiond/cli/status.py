"""`retentiond status`."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from retentiond.cli.common import shared_options, show, table
from retentiond.cli.erasure_views import erasure_document
from retentiond.cli.remote import by_the_daemon
from retentiond.cli.views import closure_document, held_document, run_summary
from retentiond.cli.working import working
from retentiond.engine.failover import Look
from retentiond.engine.overview import Status
from retentiond.engine.overview import status as read_status
from retentiond.engine.zeroing import ZeroStatus
from retentiond.evidence.canonical import optional_rfc3339, rfc3339


@click.command()
@shared_options
@by_the_daemon
def status() -> None:
    """Say how things stand: overdue by policy, holds, closures by deadline, runs, and what waits for whom."""
    with working() as ctx:
        found, now = read_status(ctx), ctx.now()
    document = {
        "policies": [
            {
                "policy": each.policy,
                "overdue": each.overdue,
                "oldest_overdue_seconds": each.oldest_overdue_seconds,
                "last_success_at": optional_rfc3339(each.last_success_at),
                "next_run_at": optional_rfc3339(each.next_run_at),
            }
            for each in found.policies
        ],
        "holds": [held_document(each) for each in found.holds],
        "zero_retention": [_zero(each) for each in found.zero_retention],
        "reviews_overdue": list(found.reviews_overdue),
        "closures": [closure_document(each) for each in found.closures],
        "closures_past_deadline": found.closures_past_deadline,
        "closure_records_overdue": found.closure_records_overdue,
        "erasures": [erasure_document(each, now) for each in found.erasures],
        "erasures_past_deadline": found.erasures_past_deadline,
        "erasures_near_deadline": found.erasures_near_deadline,
        "runs": [run_summary(each) for each in found.runs],
        "waiting": [{"plan": each.id, "state": each.state, "reasons": list(each.reasons)} for each in found.waiting],
        "stopped_by_file": found.stopped_by_file,
        "recovery_unsigned": found.recovery_unsigned,
        "pending": found.pending,
        "paused": found.paused and {"since": rfc3339(found.paused.at), "reason": found.paused.reason},
        "approvers_changed": found.approvers and {"sha256": found.approvers[0], "missing": found.approvers[1]},
        "stores_moved": [_moved(each) for each in found.moved],
    }
    show(document, lambda console: _people(console, found))


def _zero(each: ZeroStatus) -> dict[str, Any]:
    watch = each.watch
    return {
        "policy": each.policy,
        "rule": each.rule,
        "violations": watch.violations,
        "worst_seconds": watch.worst_seconds,
        "undetermined": watch.undetermined,
        "violations_total": watch.total,
        "last_violation_at": optional_rfc3339(watch.last_violation_at),
        "last_checked_at": optional_rfc3339(watch.checked_at),
        "kept_since": optional_rfc3339(watch.since),
        "check_missed": each.missed,
    }


def _zero_line(each: ZeroStatus) -> str:
    watch = each.watch
    told = f"policy {each.policy}, rule {each.rule}, promises zero retention"
    if watch.violations:
        return (
            f"{told}: {watch.violations:,} records stayed too long, the oldest is {watch.worst_seconds:,} seconds old"
        )
    if watch.checked_at is None:
        return f"{told}: it was not checked yet"
    if each.missed:
        return f"{told}: not checked since {rfc3339(watch.checked_at)}"
    return f"{told}: kept since {optional_rfc3339(watch.since) or 'the last check'}"


def _moved(look: Look) -> dict[str, Any]:
    return {
        "store": look.store,
        "noticed_at": rfc3339(look.noticed_at),
        "looked_at": optional_rfc3339(look.looked_at),
        "records_back": look.records,
        "batches": look.batches,
        "batches_unreadable": look.unreadable,
    }


def _moved_line(look: Look) -> str:
    told = f"store {look.store} went back, or elsewhere, noticed {rfc3339(look.noticed_at)}"
    if look.looked_at is None:
        return f"{told}; what was removed there is looked for again before the next receipt: retentiond run"
    unread = f"; {look.unreadable:,} could not be read any more" if look.unreadable else ""
    return f"{told}: {look.records:,} removed records are back, in {look.batches:,} batches looked at again{unread}"


def _deadlines(console: Console, found: Status) -> None:
    if found.closures_past_deadline or found.closure_records_overdue:
        late, due = found.closures_past_deadline, found.closure_records_overdue
        console.print(f"closures: {late} past their deadline, {due:,} records overdue: retentiond account list")
    if found.erasures:
        near, late = found.erasures_near_deadline, found.erasures_past_deadline
        told = f"{len(found.erasures)} requests for erasure, {near} of them near their deadline, {late} past it"
        console.print(f"{told}: retentiond erasure list")


def _people(console: Console, found: Status) -> None:
    rows = table("policy", "#overdue", "last success", "next run")
    for each in found.policies:
        overdue = "not known" if each.overdue is None else f"{each.overdue:,}"
        last, following = (optional_rfc3339(moment) or "-" for moment in (each.last_success_at, each.next_run_at))
        rows.add_row(each.policy, overdue, last, following)
    console.print(rows)
    console.print(f"{len(found.holds)} holds, {len(found.closures)} closures under way, {len(found.runs)} recent runs")
    _deadlines(console, found)
    for name in found.reviews_overdue:
        console.print(f"hold {name} should have been reviewed by now, and is in force still: retentiond hold list")
    for plan in found.waiting:
        verb = "approve" if plan.approvals_needed else "apply"
        console.print(f"plan {plan.id} waits: retentiond {verb} {plan.id}")
    for zero in found.zero_retention:
        console.print(_zero_line(zero))
    _stops(console, found)
    for look in found.moved:
        console.print(_moved_line(look), markup=False)


def _stops(console: Console, found: Status) -> None:
    if found.recovery_unsigned:
        console.print("the ledger was recovered; its list of holds waits for a signature: retentiond ledger recover")
    if found.paused:
        why = f": {found.paused.reason}" if found.paused.reason else ""
        console.print(f"everything is paused since {rfc3339(found.paused.at)}{why}; retentiond resume lets it go on")
    if found.approvers:
        console.print(f"the approvers file changed: {found.approvers[1]} signature(s) missing until it is in force")
    if found.pending:
        console.print(f"{found.pending:,} records are left of runs that were begun: retentiond run goes on with them")
    if found.stopped_by_file:
        console.print("the stop file exists: nothing is changed in any store")
