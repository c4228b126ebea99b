"""Sealed records on their way into journal and log, and changes that wait until their entry is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import bindparam, delete, insert, or_, select, update

from retentiond.ledger.schema import columns_of, journal, pending
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import JournalRow, PendingRow

_ADD = insert(journal)
_RECORDS = select(*columns_of(journal, JournalRow)).order_by(journal.c.sequence)
_NAMES = select(journal.c.sha256)
_UNDELIVERED = _RECORDS.where(or_(journal.c.log_index.is_(None), ~journal.c.written))
_DELIVER = (
    update(journal)
    .where(journal.c.sha256 == bindparam("reference"))
    .values(log_index=bindparam("new_index"), written=bindparam("new_written"))
)

_WAIT = insert(pending)
_WAITING = select(*columns_of(pending, PendingRow)).order_by(pending.c.log_index)
_REMOVE = delete(pending).where(pending.c.log_index == bindparam("of_entry"))


class SqlJournal:
    """Sealed records of the journal."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, record: JournalRow) -> None:
        """Store a record; LedgerError where it is there already."""
        self._session.insert(_ADD, asdict(record))

    def all(self) -> Sequence[JournalRow]:
        """Return all records, oldest first."""
        return [JournalRow(**values_of(row)) for row in self._session.rows(_RECORDS)]

    def names(self) -> frozenset[str]:
        """Return the names of all records."""
        return frozenset(row.sha256 for row in self._session.rows(_NAMES))

    def undelivered(self) -> Sequence[JournalRow]:
        """Return the records that have no file or no entry yet, oldest first."""
        return [JournalRow(**values_of(row)) for row in self._session.rows(_UNDELIVERED)]

    def deliver(self, record: JournalRow) -> None:
        """Note a record's entry, and whether its file stands; NotFound where there is no such record."""
        self._session.change_one(
            f"record {record.sha256} of the journal",
            _DELIVER,
            reference=record.sha256,
            new_index=record.log_index,
            new_written=record.written,
        )


class SqlPending:
    """Changes that wait until their entry is published."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, change: PendingRow) -> None:
        """Store a change."""
        self._session.insert(_WAIT, asdict(change))

    def all(self) -> Sequence[PendingRow]:
        """Return all changes that wait, by their entry."""
        return [PendingRow(**values_of(row)) for row in self._session.rows(_WAITING)]

    def remove(self, log_index: int) -> None:
        """Drop a change that was carried out; NotFound where none waits for that entry."""
        self._session.change_one(f"change that waits for entry {log_index}", _REMOVE, of_entry=log_index)
