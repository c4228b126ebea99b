"""How a recovery is shown. Fields may be added, never renamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console

from retentiond.cli.common import table
from retentiond.cli.views import held_document
from retentiond.domain.hold import Hold
from retentiond.engine.recovery import Recovered


def recovery_document(found: Recovered) -> dict[str, Any]:
    """Return a recovery as programs get it."""
    written = found.rewritten
    return {
        "approve": found.reference or None,
        "adopted": found.adopted,
        "holds": [_listed(each) for each in found.holds],
        "plans_without_receipt": [
            {"entry": each.log_index, "sha256": each.sha256, "state": each.state} for each in found.plans
        ],
        "receipts": found.receipts,
        "receipts_without_bundle": list(found.without_bundle),
        "receipts_without_manifest": list(written.without_manifest),
        "unreadable": list(found.unreadable),
        "damaged_bundles": list(found.damaged),
        "written": {
            "entries": written.entries,
            "files": written.files,
            "records": written.records,
            "bundles": written.bundles,
        },
        "files_lost": list(written.files_lost),
    }


def _listed(hold: Hold) -> dict[str, Any]:
    scope = hold.scope
    return held_document(hold) | {
        "dataset": scope.dataset or None,
        "accounts": len(scope.accounts),
        "keys": len(scope.keys),
    }


def recovery_words(console: Console, found: Recovered) -> None:
    """Say what a recovery did, and what to do next."""
    for line in _lines(found):
        console.print(line)
    if not found.reference:
        console.print("ledger, log, journal and bundles agree")
        return
    rows = table("hold", "dataset", "#accounts", "#keys", "since")
    for each in found.holds:
        scope, since = each.scope, f"{each.placed_at:%Y-%m-%d %H:%M}"
        rows.add_row(each.id, scope.dataset or "all", str(len(scope.accounts)), str(len(scope.keys)), since)
    console.print(rows if found.holds else "no holds are in force")
    if found.holds:
        console.print("of which matters they are, and of whom: retentiond hold list")
    console.print(f"nothing is removed until this list is signed: retentiond approve {found.reference}")


def _lines(found: Recovered) -> Iterator[str]:
    written = found.rewritten
    counts = (
        (found.adopted, "entries were taken over from the log"),
        (found.receipts, "receipts were taken from bundles"),
        (written.entries, "entries of the log were published"),
        (written.files, "files beside the log were written again"),
        (written.records, "records of the journal were written again"),
        (written.bundles, "bundles were written again"),
    )
    yield from (f"{count:,} {words}" for count, words in counts if count)
    for each in found.plans:
        known = f"in the ledger it is {each.state}" if each.state else "the ledger does not know it"
        yield f"plan of entry {each.log_index} has neither receipt nor void; {known}"
    named = (
        (found.without_bundle, "receipts without a bundle, by entry"),
        (found.unreadable, "changes of holds, closures or approvals that nothing can tell any more, by entry"),
        (written.without_manifest, "receipts without a manifest, of which no account's part can be derived"),
        (found.damaged, "files among the receipts that are no bundles"),
        (written.files_lost, "files beside the log that nothing can write again"),
    )
    yield from (f"{words}: {', '.join(map(str, some))}" for some, words in named if some)
