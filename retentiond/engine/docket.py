"""Holds as the ledger keeps them: what each is of stands sealed, and is opened here.

Matters are confidential. Who decides about records gets to see ids; matter, custodian and reason are for those who ask
for holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from retentiond.domain.hold import Hold, Scope
from retentiond.domain.scopes import read_scope, write_scope
from retentiond.engine.context import Context
from retentiond.evidence.canonical import Json, canonical_json
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import HoldRow

PLACED, RELEASE, REVIEW = "hold", "hold-release", "hold-review"
"""What the journal calls the changes of holds."""

_PLAIN = b"\x00"
_MOST_KNOWN = 50_000
_known: dict[tuple[str, bytes], Said] = {}  # each claim reads all holds in force: what was opened once is kept opened


class Said(NamedTuple):
    """What a hold is of."""

    matter: str
    custodian: str
    reason: str
    scope: Scope


def row_of(ctx: Context, hold: Hold) -> HoldRow:
    """Return a hold as the ledger keeps it."""
    plain: dict[str, Json] = {
        "matter": hold.matter,
        "custodian": hold.custodian,
        "reason": hold.reason,
        "scope": write_scope(hold.scope),
    }
    sealed = ctx.wrapping.seal(canonical_json(plain), _context(hold.id))
    return HoldRow(hold.id, sealed, hold.placed_at, hold.review_at, hold.released_at)


def hold_of(ctx: Context, row: HoldRow) -> Hold:
    """Return the hold that the ledger keeps.

    Raises:
        KeyFileError: It was sealed under a wrapping key that is not there, or was altered: nothing may be removed then.
    """
    said = _said(ctx, row)
    return Hold(
        id=row.id,
        matter=said.matter,
        scope=said.scope,
        placed_at=row.placed_at,
        reason=said.reason,
        custodian=said.custodian,
        review_at=row.review_at,
        released_at=row.released_at,
    )


def holds_in_force(ctx: Context, tx: Transaction) -> list[Hold]:
    """Return the holds in force, oldest first."""
    return [hold_of(ctx, row) for row in tx.holds.active()]


def astray(ctx: Context, holds: Iterable[Hold]) -> list[Hold]:
    """Return those of holds that are on a dataset which the data map lacks: it may stand there by another name."""
    return [hold for hold in holds if hold.scope.dataset and hold.scope.dataset not in ctx.datamap.datasets]


def each_of(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a record of the journal for each hold that it is of: one request may name many. Others come as they are."""
    if record.get("kind") == PLACED and "holds" in record:
        yield from ({**record, **hold} for hold in record["holds"])
    elif record.get("kind") in (RELEASE, REVIEW) and "ids" in record:
        yield from ({**record, "id": name} for name in record["ids"])
    else:
        yield dict(record)


def matters_of(ctx: Context, tx: Transaction) -> Mapping[str, str]:
    """Return the matter of every hold that was ever placed, by the hold's id."""
    return {row.id: _said(ctx, row).matter for row in tx.holds.all()}


def seal_what_is_plain(ctx: Context) -> int:
    """Seal the holds of older programs; return how many there were."""
    with ctx.ledger.begin(shared=True) as tx:
        rows: Sequence[HoldRow] = tx.holds.unsealed()
    if rows:
        with ctx.ledger.begin() as tx:
            for row in rows:
                tx.holds.seal(row.id, row_of(ctx, hold_of(ctx, row)).sealed)
    return len(rows)


def _said(ctx: Context, row: HoldRow) -> Said:
    name = row.id, row.sealed
    if name not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        opened = _opened(ctx, row)
        custodian, scope = opened.get("custodian", ""), read_scope(opened["scope"])
        _known[name] = Said(opened["matter"], custodian, opened["reason"], scope)
    return _known[name]


def _opened(ctx: Context, row: HoldRow) -> dict[str, Any]:
    if row.sealed.startswith(_PLAIN):  # moved by an upgrade, and not sealed yet
        plain = row.sealed[len(_PLAIN) :]
    else:
        plain = ctx.wrapping.open(row.sealed, _context(row.id))
    opened: dict[str, Any] = json.loads(plain)
    return opened


def _context(hold: str) -> bytes:
    return f"hold/{hold}".encode()
