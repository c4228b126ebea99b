"""What is sealed under the wrapping key, table by table."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Select, Table, Update, bindparam, func, select, update

from retentiond.ledger.schema import batch_identifiers, closures, erasures, facts, holds, receipts, runs
from retentiond.ledger.session import Session
from retentiond.ports.seals import SealedRow

_PURGE = "purge:"
_BATCHES = batch_identifiers


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something sealed stands."""

    kind: str
    table: Table
    keys: tuple[Column[Any], ...]
    sealed: Column[Any]

    def search(self, mark_length: int) -> Select[Any]:
        other = func.substr(self.sealed, 1, mark_length) != bindparam("mark", type_=self.sealed.type)
        found: Select[Any] = select(*self.keys, self.sealed).where(func.length(self.sealed) > 0, other)
        if self.table is facts:
            found = found.where(facts.c.name.startswith(_PURGE))
        return found.order_by(*self.keys).limit(bindparam("most"))

    def change(self) -> Update:
        same = [column == bindparam(f"of_{column.name}") for column in self.keys]
        before, after = (bindparam(name, type_=self.sealed.type) for name in ("before", "after"))
        return update(self.table).where(*same, self.sealed == before).values({self.sealed: after})


_PLACES = (
    _Place("run", runs, (runs.c.id,), runs.c.commitment_key),
    _Place("receipt", receipts, (receipts.c.id,), receipts.c.commitment_key),
    _Place("batch", _BATCHES, (_BATCHES.c.plan, _BATCHES.c.ordinal), _BATCHES.c.sealed),
    _Place("closure", closures, (closures.c.id,), closures.c.account_sealed),
    _Place("erasure", erasures, (erasures.c.id,), erasures.c.subject_sealed),
    _Place("erasure-texts", erasures, (erasures.c.id,), erasures.c.texts_sealed),
    _Place("hold", holds, (holds.c.id,), holds.c.sealed),
    _Place("purge", facts, (facts.c.name,), facts.c.value),
)


class SqlSeals:
    """Everything in the ledger that is sealed under the wrapping key, but for the journal."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def not_under(self, mark: bytes, limit: int) -> Sequence[SealedRow]:
        """Return some of what does not begin with a key's mark; nothing where all does."""
        for place in _PLACES:
            written = _written(place, mark)
            rows = list(self._session.rows(place.search(len(written)), mark=written, most=limit))
            if rows:
                return [_row(place, tuple(row)) for row in rows]
        return []

    def replace(self, row: SealedRow, sealed: bytes) -> None:
        """Put other sealed bytes in the place of those that were read; NotFound where they are not there any more."""
        place = next(each for each in _PLACES if each.kind == row.kind)
        named = {f"of_{column.name}": _key(place, text) for column, text in zip(place.keys, row.key, strict=True)}
        what = f"{row.kind} {'/'.join(row.key)} as it was read"
        values = {"before": _written(place, row.sealed), "after": _written(place, sealed)}
        self._session.change_one(what, place.change(), **named, **values)


def _written(place: _Place, sealed: bytes) -> bytes | str:
    # A mark has nine bytes, so that its base64 begins that of what bears it.
    return base64.b64encode(sealed).decode("ascii") if place.table is facts else sealed


def _row(place: _Place, row: tuple[object, ...]) -> SealedRow:
    *keys, sealed = row
    if place.table is facts:
        return SealedRow(place.kind, (str(keys[0]).removeprefix(_PURGE),), base64.b64decode(str(sealed)))
    return SealedRow(place.kind, tuple(map(str, keys)), sealed if isinstance(sealed, bytes) else b"")


def _key(place: _Place, text: str) -> str | int:
    if place.table is facts:
        return _PURGE + text
    return int(text) if place.kind == "batch" and text.isdecimal() else text
