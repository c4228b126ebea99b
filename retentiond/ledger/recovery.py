"""Adopting what the published log says, in a ledger that went back in time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, insert, select, update

from retentiond.ledger.entries import KEEP_CHECKPOINT
from retentiond.ledger.schema import log_checkpoint, log_entries
from retentiond.ledger.session import Session

_ADOPT = insert(log_entries)
_HAS_CHECKPOINT = select(log_checkpoint.c.id)
_FIRST_CHECKPOINT = insert(log_checkpoint)
_NEXT_CHECKPOINT = update(log_checkpoint).values(note=bindparam("new_note"))


class SqlRecovery:
    """Adopting what the published log says."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def adopt_entries(self, start: int, entries: Sequence[bytes]) -> None:
        """Add entries that were read from the published log; LedgerError where one stands at such an index already."""
        rows = [{"index": index, "entry": entry} for index, entry in enumerate(entries, start)]
        self._session.insert(_ADOPT, rows)
        self._session.log_size = None

    def adopt_checkpoint(self, note: bytes) -> None:
        """Take the published checkpoint as the last one that was signed."""
        if self._session.value(_HAS_CHECKPOINT) is None:
            self._session.insert(_FIRST_CHECKPOINT, {"id": 1, "note": note})
        else:
            self._session.change(_NEXT_CHECKPOINT, new_note=note)
        self._session.insert(KEEP_CHECKPOINT, {"note": note})
