"""What is held, as the options of `hold add` name it, and how a matter is shown. Fields may be added, never renamed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from retentiond.cli.common import table
from retentiond.cli.views import hold_document
from retentiond.domain.hold import Custody, custodies
from retentiond.domain.record import moment
from retentiond.engine.context import Context
from retentiond.engine.matters import Kept, MatterReport
from retentiond.errors import UsageError
from retentiond.evidence.canonical import optional_rfc3339, rfc3339
from retentiond.settings import read_custodians, read_where

_MOST_BYTES = 1 << 20
_WORDS = {"hold": "placed", "hold-release": "released", "hold-review": "reviewed"}


def read_text(name: str) -> str:
    """Return what a file says, read where the command is called: the daemon gets its text.

    Raises:
        UsageError: It cannot be read, or is too long.
    """
    try:
        with Path(name).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}", where="--file", remedy="name a file") from error
    if len(data) > _MOST_BYTES:
        what = f"{name} is longer than {_MOST_BYTES:,} bytes"
        raise UsageError(what, where="--file", remedy="place the holds in several calls")
    return data.decode("utf-8", "surrogateescape")


def custodies_of(
    ctx: Context,
    *,
    custodians: Sequence[str],
    datasets: Sequence[str],
    keys: Sequence[str],
    accounts: Sequence[str],
    where: str | None,
    file: str | None,
) -> tuple[Custody, ...]:
    """Return what the options name: custodian by custodian, dataset by dataset."""
    what = bool(keys) + bool(accounts) + (where is not None)
    if file is not None:
        if what or custodians or datasets:
            raise UsageError("custodians stand in the file or in options", where="--file", remedy="use one of the two")
        return read_custodians(file, ctx.datamap)
    if what > 1 or (len(custodians) > 1 and what):
        raise UsageError(
            "accounts, keys and a condition are each held of one custodian",
            where="--custodian",
            remedy="call this once for each of them, or list custodians in a file: --file FILE",
        )
    if "" in custodians:
        raise UsageError("a custodian has a name", where="--custodian", remedy="--custodian C, or none")
    conditions = [read_where(where, name, ctx.datamap) for name in datasets or ("",)] if where is not None else []
    named = [key.encode("utf-8", "surrogateescape") for key in keys]
    return tuple(
        each
        for custodian in custodians or ("",)
        for each in custodies(custodian, datasets, accounts, named, conditions)
    )


def matter_document(found: MatterReport) -> dict[str, Any]:
    """Return a matter as programs get it."""
    reviews = found.reviews
    kept = None if found.kept is None else [_kept(each) for each in found.kept]
    return {
        "matter": found.matter,
        "at": rfc3339(found.at),
        "custodians": sorted({hold.custodian for hold in found.holds if hold.custodian}),
        "holds_in_force": len(found.in_force),
        "review_at": optional_rfc3339(reviews[0] if reviews else None),
        "review_overdue": bool(reviews) and reviews[0] <= found.at,
        "holds": [
            hold_document(hold)
            | {
                "released_at": optional_rfc3339(hold.released_at),
                "release_pending": hold.id in found.pending,
                "removed_meanwhile": found.rows[hold.id].removed_meanwhile,
                "may_be_gone": found.rows[hold.id].may_be_gone,
            }
            for hold in found.holds
        ],
        "datasets": kept,
        "not_looked_at": [{"dataset": name, "reason": why} for name, why in found.not_looked_at],
        "history": [
            {
                "at": rfc3339(each.at),
                "change": _WORDS[each.what],
                "hold": each.hold,
                "by": each.by,
                "entry": each.entry,
                "reason": each.reason,
                "review_at": optional_rfc3339(each.review_at),
            }
            for each in found.history
        ],
        "history_unopened": found.unopened,
    }


def _kept(kept: Kept) -> dict[str, Any]:
    return {
        "dataset": kept.dataset,
        "records": kept.records,
        "bytes": kept.size_bytes,
        "oldest": optional_rfc3339(_moment(kept.oldest)),
        "newest": optional_rfc3339(_moment(kept.newest)),
    }


def _moment(clock: int | None) -> datetime | None:
    return None if clock is None else moment(clock)


def matter_words(console: Console, found: MatterReport) -> None:
    """Tell people of a matter."""
    document = matter_document(found)
    late = " (that is over)" if document["review_overdue"] else ""
    console.print(f"matter {found.matter}: {len(found.in_force)} of {len(found.holds)} holds are in force")
    console.print(
        f"custodians: {', '.join(document['custodians']) or '-'}; review {document['review_at'] or '-'}{late}"
    )
    rows = table("hold", "custodian", "dataset", "placed", "released", "#removed meanwhile", "#may be gone")
    for hold in found.holds:
        row = found.rows[hold.id]
        counts = ("not known" if each is None else f"{each:,}" for each in (row.removed_meanwhile, row.may_be_gone))
        released = "pending" if hold.id in found.pending else optional_rfc3339(hold.released_at) or "-"
        rows.add_row(
            hold.id, hold.custodian or "-", hold.scope.dataset or "all", rfc3339(hold.placed_at), released, *counts
        )
    console.print(rows)
    if found.kept is not None:
        now = table("dataset", "#records held", "#bytes", "oldest", "newest")
        for kept in found.kept:
            times = (optional_rfc3339(_moment(each)) or "-" for each in (kept.oldest, kept.newest))
            now.add_row(kept.dataset, f"{kept.records:,}", f"{kept.size_bytes:,}", *times)
        console.print(now)
    for name, why in found.not_looked_at:
        console.print(f"dataset {name} could not be looked at: {why}")
    history = table("when", "what", "hold", "by", "#entry", "reason")
    for each in found.history:
        entry = "-" if each.entry is None else str(each.entry)
        history.add_row(rfc3339(each.at), _WORDS[each.what], each.hold, each.by, entry, each.reason)
    console.print(history)
    if found.unopened:
        console.print(f"no key at hand opens {found.unopened:,} records of the journal: changes may be missing above")
