"""How keys are shown. Fields may be added, never renamed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from retentiond.cli.common import table
from retentiond.evidence.keyhistory import KeyRecord

SHOWN = 16


def key_document(record: KeyRecord) -> dict[str, Any]:
    """Return a key of the history as programs get it."""
    return {
        "role": record.role,
        "key_id": record.keyid,
        "public_key": record.key,
        "valid_from": record.valid_from,
        "valid_until": record.valid_until,
        "revoked_at": record.revoked_at,
        "reason": record.reason,
    }


def key_table(console: Console, records: Sequence[KeyRecord]) -> None:
    """Show the history of the keys."""
    rows = table("role", "key", "from", "until", "revoked as of", "reason")
    for each in records:
        times = (each.valid_from, each.valid_until, each.revoked_at)
        shown = (f"{moment:%Y-%m-%d %H:%M}" if moment else "" for moment in times)
        rows.add_row(each.role, each.keyid[:SHOWN], *shown, each.reason or "")
    console.print(rows)
