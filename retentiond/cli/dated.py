"""How it is shown where an account stands, and what a customer is told of what is still there."""

from __future__ import annotations

from typing import Any

from retentiond.cli.views import stays_document
from retentiond.engine.accounts import AccountStatus
from retentiond.engine.dated import DatedPart
from retentiond.evidence.canonical import optional_rfc3339


def account_document(found: AccountStatus) -> dict[str, Any]:
    """Return where an account stands, as programs get it."""
    closure = found.closure
    return {
        "account": found.account,
        "state": found.state,
        "due_at": optional_rfc3339(closure.due_at if closure else None),
        "deadline_at": optional_rfc3339(closure.deadline_at if closure else None),
        "datasets": [{"dataset": dataset, "remaining": remaining} for dataset, remaining in found.remaining],
        "receipt": (closure.receipt or None) if closure else None,
        "receipt_retracted": found.retracted or None,
        "stays": stays_document(closure),
        "jurisdiction": (closure.jurisdiction or None) if closure else None,
        "dated": [dated_document(part) for part in found.dated],
        "unowned": [{"dataset": dataset, "records": records} for dataset, records in found.unowned],
    }


def unowned_lines(found: AccountStatus) -> list[str]:
    """Return what nobody can tell whose it is, for people; a line for each dataset."""
    return [
        f"{dataset}: records of which nobody can tell whose they are: {'not known' if count is None else f'{count:,}'}"
        for dataset, count in found.unowned
    ]


def dated_document(part: DatedPart) -> dict[str, Any]:
    """Return what is still there for one reason, as programs get it."""
    return {
        "dataset": part.dataset,
        "class": part.data_class,
        "records": part.records,
        "why": part.why,
        "first_at": optional_rfc3339(part.first),
        "until": optional_rfc3339(part.until),
    }


def dated_line(part: DatedPart) -> str:
    """Return the same for people: what a customer may be told."""
    count = "records" if part.records is None else f"{part.records:,} record{'' if part.records == 1 else 's'}"
    date = f"until {part.until:%Y-%m-%d} at the latest: " if part.until else ""
    return f"{part.dataset}: {count}, {date}{part.why}"
