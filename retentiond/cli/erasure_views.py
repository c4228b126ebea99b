"""How requests for erasure are shown. Fields may be added, never renamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console

from retentiond.cli.dated import dated_document, dated_line
from retentiond.cli.views import remainder_document, remainder_line
from retentiond.domain.erasure import ENDED, Person
from retentiond.domain.plan import Forecast
from retentiond.engine.erasing import ErasureStatus
from retentiond.evidence.canonical import optional_rfc3339, rfc3339
from retentiond.ports.rows import ErasureRow

_DAY = timedelta(days=1)


def days_left(row: ErasureRow, now: datetime) -> int | None:
    """Return how many whole days are left, below zero past the deadline; None once a request has ended.

    Where only what has to be kept is left, they are those to its first date.
    """
    return None if row.state in ENDED else (row.next_deadline - now) // _DAY


def erasure_document(
    row: ErasureRow,
    now: datetime,
    found: ErasureStatus | None = None,
    person: Person | None = None,
    texts: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a request as programs get it; with what a look found, and whose it is, where that is asked for."""
    document: dict[str, Any] = {
        "erasure": row.id,
        "law": row.law,
        "state": row.state.value,
        "received_on": row.received_on,
        "asked_at": rfc3339(row.asked_at),
        "confirm_by": optional_rfc3339(row.confirm_at),
        "deadline_at": rfc3339(row.deadline_at),
        "next_deadline_at": rfc3339(row.next_deadline),
        "jurisdiction": row.jurisdiction or None,
        "first_deadline_at": rfc3339(row.first_at),
        "last_deadline_at": rfc3339(row.last_at),
        "extended_at": optional_rfc3339(row.extended_at),
        "days_left": days_left(row, now),
        "begun_at": optional_rfc3339(row.begun_at),
        "ended_at": optional_rfc3339(row.ended_at),
        "receipt": row.receipt or None,
        "stays": remainder_document(row.remainder),
    }
    if found is None:
        return document
    return {
        **document,
        "account": person.account if person else None,
        "user": person.user or None if person else None,
        "whole_account": bool(person and not person.user),
        "nothing_held": found.nothing_held,
        "datasets": [_dataset(each, found) for each in found.looked],
        "left_out": [{"dataset": name, "reason": why} for name, why in found.failures],
        "cannot_tell_users_apart": sorted(found.not_told_apart),
        "dated": [dated_document(part) for part in found.dated],
        "jurisdictions_unnamed": list(found.unnamed),
        "texts": [dict(each) for each in texts],
    }


def erasure_line(row: ErasureRow, now: datetime) -> tuple[str, ...]:
    """Return a request as a line of a table."""
    left = days_left(row, now)
    deadline = f"{row.next_deadline:%Y-%m-%d %H:%M}" + (" (extended)" if row.extended_at else "")
    return (
        row.id,
        row.law,
        row.state,
        row.received_on,
        deadline,
        "" if left is None else str(left),
        remainder_line(row.remainder),
    )


def status_people(console: Console, found: ErasureStatus, person: Person | None, left: int | None) -> None:
    """Print where a request stands."""
    row = found.row
    console.print(f"request {row.id}: {row.state}", style="bold")
    if person is not None:
        console.print(f"  account {person.account}, " + (f"user {person.user}" if person.user else "all of it"))
    extended = f", extended from {row.first_at:%Y-%m-%d}" if row.extended_at else ""
    days = "" if left is None else f": {left} days left" if left >= 0 else ": PAST ITS DEADLINE"
    console.print(
        f"  {row.law}, received {row.received_on}, deadline {row.deadline_at:%Y-%m-%d %H:%M} UTC{extended}{days}"
    )
    if row.confirm_at is not None:
        console.print(f"  its receipt is to be confirmed by {row.confirm_at:%Y-%m-%d %H:%M} UTC")
    if found.nothing_held:
        console.print("  no dataset holds anything of it; the receipt will say so")
    for each in found.looked:
        console.print(f"  {each.dataset}: {_dataset_line(each)}")
    for name, count in found.not_told_apart.items():
        console.print(f"  {name} cannot tell users apart: {count:,} records of the account may be theirs")
        console.print(
            "    declare `user:`, or `user: {nobody: REASON}` in the data map; until then this request does not end"
        )
    for name, why in found.failures:
        console.print(f"  {name} could not be looked at: {why}")
    if found.dated:
        _dated_people(console, found)
    if row.receipt:
        console.print(f"  receipt {row.receipt}")


def _dated_people(console: Console, found: ErasureStatus) -> None:
    for part in found.dated:
        console.print(f"  still there: {dated_line(part)}", markup=False)
    if found.unnamed:
        names = ", ".join(found.unnamed)
        console.print(f"  nobody said where the account belongs: what has to be kept in any of {names} is kept")
        console.print("    if that is too much: end this request, and take it in again with --jurisdiction NAME")


def _dataset(forecast: Forecast, found: ErasureStatus) -> dict[str, Any]:
    return {
        "dataset": forecast.dataset,
        "remaining": forecast.due + forecast.waiting,
        "held": forecast.held,
        "undetermined": forecast.undetermined,
        "doubts": dict(forecast.doubts),
        "tells_users_apart": forecast.dataset not in found.not_told_apart,
    }


def _dataset_line(forecast: Forecast) -> str:
    parts = [f"{forecast.due + forecast.waiting:,} left"]
    parts += [f"{forecast.held:,} held"] if forecast.held else []
    parts += [f"{count:,} {reason}" for reason, count in forecast.doubts]
    return ", ".join(parts)
