"""The log's entries, and the ledger as the log sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import bindparam, func, insert, select, update

from retentiond.ledger.schema import log_checkpoint, log_entries, signed_checkpoints
from retentiond.ledger.session import Session, insert_or

_SIZE = select(func.coalesce(func.max(log_entries.c["index"]) + 1, 0))
_STAGE = insert(log_entries)
_AT = select(log_entries.c.entry).where(log_entries.c["index"] == bindparam("at"))
_ENTRIES = (
    select(log_entries.c.entry)
    .where(log_entries.c["index"] >= bindparam("start"))
    .order_by(log_entries.c["index"])
    .limit(bindparam("at_most"))
)
_CHECKPOINT = select(log_checkpoint.c.note)
_FIRST_CHECKPOINT = insert_or(log_checkpoint, "DO NOTHING")
_SWAP_CHECKPOINT = update(log_checkpoint).where(log_checkpoint.c.note == bindparam("old")).values(note=bindparam("new"))
KEEP_CHECKPOINT = insert(signed_checkpoints)


class SqlEntries:
    """The log's entries."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def stage(self, entry: bytes) -> int:
        """Stage an entry; return the index that it will have in the log. Indexes have no gaps: others wait for them."""
        if self._session.log_size is None:
            self._session.lock_appends()  # until this transaction ends, so that the number stays known
            self._session.log_size = self._session.value(_SIZE)
        index: int = self._session.log_size
        self._session.insert(_STAGE, {"index": index, "entry": entry})
        self._session.log_size = index + 1
        return index

    def at(self, index: int) -> bytes | None:
        """Return the entry that was staged at an index; None where none was."""
        entry: bytes | None = self._session.value(_AT, at=index)
        return entry


class SqlLogState:
    """The ledger as the log sees it. Each call is a transaction of its own: call none inside another.

    Args:
        begin: Begins a transaction.
    """

    def __init__(self, begin: Callable[[], AbstractContextManager[Session]]) -> None:
        self._begin = begin

    def checkpoint(self) -> bytes | None:
        """Return the last checkpoint that was signed; None for a log that has none yet."""
        with self._begin() as session:
            note: bytes | None = session.value(_CHECKPOINT)
        return note

    def swap_checkpoint(self, old: bytes | None, new: bytes) -> bool:
        """Replace the checkpoint if it still is `old`, and keep both; False when another writer was first."""
        with self._begin() as session:
            if old is None:
                swapped = session.change(_FIRST_CHECKPOINT, id=1, note=new) == 1
            else:
                swapped = session.change(_SWAP_CHECKPOINT, old=old, new=new) == 1
            if swapped:
                session.insert(KEEP_CHECKPOINT, {"note": new})
            return swapped

    def size(self) -> int:
        """Return how many entries were ever staged."""
        with self._begin() as session:
            size: int = session.value(_SIZE)
        return size

    def entries(self, start: int, limit: int) -> Sequence[bytes]:
        """Return staged entries by index, from `start`."""
        with self._begin() as session:
            return [row.entry for row in session.rows(_ENTRIES, start=start, at_most=limit)]
