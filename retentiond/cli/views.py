"""How results are shown: documents for programs, tables for people. Fields may be added, never renamed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from retentiond.cli.common import complain, current, show, table
from retentiond.domain.account import KeptPart, Remainder
from retentiond.domain.hold import Hold
from retentiond.domain.plan import Forecast
from retentiond.domain.scopes import write_condition
from retentiond.engine.comparing import Difference
from retentiond.engine.enforcement import Carried
from retentiond.engine.estimating import Estimate
from retentiond.engine.explaining import Explanation
from retentiond.engine.identifiers import Final
from retentiond.engine.planning import Planned
from retentiond.engine.running import Session
from retentiond.errors import Exit, UsageError
from retentiond.evidence.canonical import optional_rfc3339, rfc3339
from retentiond.ports.rows import ClosureRow, HoldRow, ReceiptRow, RetractionRow, RunRow

_HELD = "`retentiond hold list` names the matters; what `retentiond hold release` lets go goes with the next run"


def plan_document(planned: Planned) -> dict[str, Any]:
    """Return a plan as programs get it."""
    plan = planned.plan
    return {
        "plan": plan.id if plan else None,
        "sha256": plan.sha256 if plan else None,
        "expires_at": optional_rfc3339(plan.expires_at if plan else None),
        "needs_approval": bool(plan and plan.approvals_needed),
        "chain": [{"plan": each.id, "sha256": each.sha256, "records": each.records} for each in planned.chain],
        "reasons": planned.reasons,
        "reference_time": rfc3339(planned.reference),
        "records": planned.records,
        "estimate": _estimate_document(planned.estimate),
        "datasets": [_forecast_document(each) for each in planned.forecasts],
    }


def _estimate_document(found: Estimate | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "records": found.records,
        "bytes": found.size_bytes,
        "plans": found.plans,
        "seconds": found.seconds,
        "finishes_at": optional_rfc3339(found.finishes_at),
        "rate": found.rate,
        "wal_bytes": found.wal_bytes,
    }


def estimate_lines(found: Estimate) -> list[str]:
    """Return what carrying plans out will take, for people."""
    lines = [f"{found.records:,} records, {found.size_bytes:,} bytes, in {found.plans} plan(s)"]
    if found.seconds is not None:
        over = f", over at {found.finishes_at:%Y-%m-%d %H:%M} UTC if it began now" if found.finishes_at else ""
        lines.append(f"takes {timedelta(seconds=found.seconds)} at the {found.rate} rate{over}")
    if found.wal_bytes is not None:
        lines.append(f"writes about {found.wal_bytes:,} bytes of write-ahead log")
    return lines


def _forecast_document(forecast: Forecast) -> dict[str, Any]:
    return {
        "dataset": forecast.dataset,
        "policy": forecast.policy,
        "examined": forecast.examined,
        "due": forecast.due,
        "kept": forecast.kept,
        "held": forecast.held,
        "undetermined": forecast.undetermined,
        "waiting": forecast.waiting,
        "bytes": forecast.size_bytes,
        "doubts": dict(forecast.doubts),
        "actions": dict(forecast.actions),
    }


def forecasts_table(forecasts: Iterable[Forecast]) -> Table:
    """Return what a plan found, for people."""
    rows = table("dataset", "policy", "#examined", "#due", "#kept", "#held", "#undetermined", "why undetermined")
    for each in forecasts:
        numbers = (each.examined, each.due, each.kept, each.held, each.undetermined)
        doubts = ", ".join(f"{reason} {count:,}" for reason, count in each.doubts)
        cells = ("-" if number is None else f"{number:,}" for number in numbers)
        rows.add_row(each.dataset, each.policy, *cells, doubts)
    return rows


def differences_document(reference: datetime, found: Sequence[Difference]) -> dict[str, Any]:
    """Return what an edit of policies changes, as programs get it."""
    return {
        "plan": None,
        "reference_time": rfc3339(reference),
        "diff": [
            {
                "dataset": each.dataset,
                "policy": each.policy,
                "in_force": each.in_force or None,
                "changed": each.changed,
                "more": each.more,
                "more_bytes": each.more_bytes,
                "oldest": optional_rfc3339(each.oldest.replace(microsecond=0) if each.oldest else None),
                "less": each.less,
                "trouble": each.trouble or None,
            }
            for each in found
        ],
    }


def write_plan_file(path: Path, document: dict[str, Any]) -> None:
    """Write a plan's document to a file.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", where="-o", remedy="name another file"
        ) from error


def plan_reference(text: str) -> str:
    """Return the id of a plan from an id, a sha256, or a file that `plan -o` wrote.

    Raises:
        UsageError: The file holds no plan.
    """
    path = Path(text)
    if current().captured is not None or not path.is_file():
        return text
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["plan"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{text} holds no plan", remedy="name a plan's id, or a file that `plan -o` wrote") from error
    if not isinstance(found, str):
        raise UsageError(f"{text} holds no plan: nothing was due", remedy="make a new plan")
    return found


def consent_reference(text: str) -> str:
    """Return what is approved or rejected: as `plan_reference`, or the SHA-256 of the approvers file that is named.

    Raises:
        UsageError: The file holds no plan, and is not the approvers file.
    """
    path, approvers = Path(text), current().directory / "approvers"
    if current().captured is None and path.is_file() and approvers.is_file() and path.samefile(approvers):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return plan_reference(text)


def session_document(session: Session) -> dict[str, Any]:
    """Return what `run` and `apply` did, as programs get it."""
    document: dict[str, Any] = {
        "runs": [_run_document(each) for each in session.carried],
        "overdue": session.overdue,
    }
    if session_exit_code(session) is Exit.HELD:
        document["stopped"] = {"guard": "held", "what": "all that is due is held", "remedy": _HELD}
    if session.stops:
        stopped = session.stops[0]
        document["stopped"] = {"guard": stopped.guard, "what": stopped.what, "remedy": stopped.remedy}
        document["plan"] = session.stopped_plan.id if session.stopped_plan else None
    if session.left_out:
        document["left_out"] = [{"dataset": name, "why": why} for name, why in session.left_out]
    return document


def _run_document(carried: Carried) -> dict[str, Any]:
    return {
        "run": carried.run.id,
        "plan": carried.plan.id,
        "state": carried.run.state,
        "receipt": carried.receipt.id,
        "file": carried.receipt.file,
        "datasets": [
            {"dataset": dataset, "outcomes": {final.wire: outcomes[final.wire] for final in Final}}
            for dataset, outcomes in carried.outcomes().items()
        ],
    }


def show_session(session: Session) -> None:
    """Show what `run` and `apply` did."""
    show(session_document(session), lambda console: session_people(console, session))


def session_people(console: Console, session: Session) -> None:
    """Show what was carried out to people."""
    for carried in session.carried:
        rows = table("dataset", *(f"#{final.wire}" for final in Final if _ever(carried, final)))
        for dataset, outcomes in carried.outcomes().items():
            rows.add_row(dataset, *(f"{outcomes[final.wire]:,}" for final in Final if _ever(carried, final)))
        console.print(rows)
        console.print(f"run {carried.run.id}: {carried.run.state}")
        console.print(f"receipt {carried.receipt.file}", markup=False)
    if not session.carried and session.stopped is None and not session.deferred:
        rest = " in the datasets that could be planned" if session.left_out else ""
        console.print("all that is due is held" if session.held else f"nothing is due{rest}")
    if session.overdue:
        console.print(f"overdue: {session.overdue:,} records are due and still there")


def _ever(carried: Carried, final: Final) -> bool:
    return any(outcomes[final.wire] for outcomes in carried.outcomes().values())


def session_exit(session: Session) -> Exit:
    """Say on stderr what stopped or failed, and return the exit code."""
    problems = [*([session.stopped] if session.stopped else []), *session.deferred, *session.failures]
    for problem in problems:
        _complain(problem.what, problem.remedy)
    for name, why in session.left_out:
        _complain(f"dataset {name} was left out: {why}", "")
    return session_exit_code(session)


def session_exit_code(session: Session) -> Exit:
    """Return the exit code of `run` and `apply`."""
    partly = bool(session.carried and session.overdue)
    if session.stopped is not None or session.deferred:
        return Exit.STOPPED
    if partly or session.left_out or (session.failures and session.carried):
        return Exit.PARTLY
    if session.failures:
        return session.failures[0].exit_code
    return Exit.HELD if session.held and not _removed(session.carried) else Exit.DONE


def _complain(what: str, remedy: str) -> None:
    complain(what + (f"\n  what to do: {remedy}" if remedy else ""))


def _removed(carried: Sequence[Carried]) -> int:
    total: Counter[str] = Counter()
    for each in carried:
        for outcomes in each.outcomes().values():
            total.update(outcomes)
    return total["purged"] + total["tombstoned"] + total["alreadyGone"]


def key_text(key: bytes) -> str:
    """Return a key as programs and people read it; bytes that are no text are escaped."""
    return key.decode(errors="backslashreplace")


def hold_document(hold: Hold) -> dict[str, Any]:
    """Return a hold as programs get it."""
    return held_document(hold) | {
        "matter": hold.matter,
        "custodian": hold.custodian or None,
        "reason": hold.reason,
        "dataset": hold.scope.dataset or None,
        "accounts": list(hold.scope.accounts),
        "keys": [key_text(key) for key in hold.scope.keys],
        "condition": None if hold.scope.condition is None else write_condition(hold.scope.condition),
    }


def held_document(hold: Hold | HoldRow) -> dict[str, Any]:
    """Return a hold as programs get it that did not ask for holds: not whose it is, and of what."""
    return {
        "hold": hold.id,
        "placed_at": rfc3339(hold.placed_at),
        "review_at": optional_rfc3339(hold.review_at),
    }


def closure_document(closure: ClosureRow) -> dict[str, Any]:
    """Return a closure as programs get it; it names no account."""
    return {
        "closure": closure.id,
        "state": closure.state,
        "due_at": rfc3339(closure.due_at),
        "deadline_at": rfc3339(closure.deadline_at),
        "receipt": closure.receipt or None,
        "stays": stays_document(closure),
        "jurisdiction": closure.jurisdiction or None,
        "next_deadline_at": rfc3339(closure.next_deadline),
    }


def stays_document(closure: ClosureRow | None) -> dict[str, Any] | None:
    """Return what keeps a closure from ending, as the last look found it; None where nothing does."""
    return remainder_document(closure.remainder if closure else None)


def remainder_document(found: Remainder | None) -> dict[str, Any] | None:
    """Return what is left of an account or a person; None where nothing is."""
    if found is None:
        return None
    counts = {"due": found.due, "held": found.held, "undetermined": found.undetermined, "waiting": found.waiting}
    return {**counts, "unseen": list(found.unseen), "kept": [_kept_document(part) for part in found.kept]}


def _kept_document(part: KeptPart) -> dict[str, Any]:
    return {
        "dataset": part.dataset,
        "class": part.data_class,
        "records": part.records,
        "reason": part.reason,
        "first_at": rfc3339(part.first),
        "until": rfc3339(part.until),
    }


def stays_line(closure: ClosureRow) -> str:
    """Return the same for people; empty where nothing keeps it."""
    return remainder_line(closure.remainder)


def remainder_line(found: Remainder | None) -> str:
    """Return what is left of an account or a person, for people; empty where nothing is."""
    document = remainder_document(found) or {}
    counts = (f"{document[name]:,} {name}" for name in ("due", "held", "undetermined", "waiting") if document.get(name))
    kept = found.kept if found else ()
    dates = (f"{part.records:,} of {part.dataset} kept until {part.until:%Y-%m-%d}" for part in kept)
    return "; ".join((", ".join(counts), *dates, *document.get("unseen", ()))).removeprefix("; ")


def explanation_document(dataset: str, key: str, found: Explanation) -> dict[str, Any]:
    """Return an explanation as programs get it."""
    return {
        "dataset": dataset,
        "key": key,
        "version": found.record.version.decode(errors="backslashreplace"),
        "disposition": found.disposition,
        "reason": found.reason,
        "rule": found.rule,
        "due_at": optional_rfc3339(found.due_at),
        "holds": list(found.holds),
        "trail": list(found.trail),
        "content": [
            {
                "window": each.window,
                "action": each.action,
                "targets": list(each.targets),
                "state": each.state,
                "due_at": optional_rfc3339(each.due_at),
            }
            for each in found.content
        ],
    }


def run_summary(run: RunRow) -> dict[str, Any]:
    """Return a run in one line."""
    return {
        "run": run.id,
        "plan": run.plan,
        "state": run.state,
        "started_at": rfc3339(run.started_at),
        "finished_at": optional_rfc3339(run.finished_at),
        "receipt": run.receipt or None,
    }


def receipt_line(receipt: ReceiptRow, retraction: RetractionRow | None = None) -> dict[str, Any]:
    """Return a receipt in one line."""
    return {
        "receipt": receipt.id,
        "kind": receipt.kind,
        "issued_at": rfc3339(receipt.issued_at),
        "file": receipt.file,
        "retracted": retraction.reason if retraction else None,
    }
