"""Append-only events, each with a salted digest, and small named facts."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, insert, null, select, update

from retentiond.domain.record import micros
from retentiond.ledger.columns import canonical
from retentiond.ledger.schema import columns_of, events, facts
from retentiond.ledger.session import Session, insert_or, values_of
from retentiond.ledger.trouble import translated
from retentiond.ports.rows import DigestRow, EventRow

SALT_BYTES = 32

_NEXT = select(func.coalesce(func.max(events.c.sequence) + 1, 1))
_APPEND = insert(events)
_NEWEST = select(*columns_of(events, EventRow)).order_by(events.c.sequence.desc()).limit(bindparam("at_most"))
# From the newest back: the events of one day are looked at, not all.
_LAST_BEFORE = (
    select(events.c.sequence).where(events.c.at < bindparam("moment")).order_by(events.c.sequence.desc()).limit(1)
)
_DIGESTS = (
    select(events.c.sequence, events.c.at, events.c.digest, events.c.salt.is_(None).label("forgotten"))
    .where(events.c.sequence > bindparam("after"))
    .order_by(events.c.sequence)
    .limit(bindparam("at_most"))
)
_FORGET = (
    update(events)
    .where(events.c.at < bindparam("before"), events.c.sequence <= bindparam("up_to"), events.c.salt.is_not(None))
    .values(detail=null(), salt=null())
)
_GET_FACT = select(facts.c.value).where(facts.c.name == bindparam("of_name"))
_SET_FACT = insert_or(facts, "(name) DO UPDATE SET value = excluded.value")


def event_digest(event: EventRow, salt: bytes) -> bytes:
    """Return SHA-256 of salt and event, the event as canonical JSON with its time in microseconds since the epoch."""
    written = {
        "sequence": event.sequence,
        "at": micros(event.at),
        "kind": event.kind,
        "subject": event.subject,
        "detail": event.detail,
    }
    return hashlib.sha256(salt + canonical(written)).digest()


class SqlEvents:
    """Append-only events. Of one whose retention period is over, only that it happened and its digest are left."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(self, kind: str, subject: str, at: datetime, detail: Mapping[str, object] | None = None) -> None:
        """Append an event; `detail` never holds a key, a row or a token."""
        self._session.lock_appends()
        event = EventRow(self._session.value(_NEXT), at, kind, subject, dict(detail or {}))
        salt = secrets.token_bytes(SALT_BYTES)
        with translated(self._session.where):
            digest = event_digest(event, salt)
        row = {
            "sequence": event.sequence,
            "at": at,
            "kind": kind,
            "subject": subject,
            "detail": event.detail,
            "salt": salt,
            "digest": digest,
        }
        self._session.insert(_APPEND, row)

    def newest(self, limit: int) -> Sequence[EventRow]:
        """Return the newest events first; `detail` is empty where it was forgotten."""
        rows = self._session.rows(_NEWEST, at_most=limit)
        return [EventRow(**{**values_of(row), "detail": row.detail or {}}) for row in rows]

    def last_before(self, moment: datetime) -> int:
        """Return the number of the last event that bears an earlier time; 0 where there is none."""
        number: int | None = self._session.value(_LAST_BEFORE, moment=moment)
        return number or 0

    def digests(self, after: int, limit: int) -> Sequence[DigestRow]:
        """Return the digests of the events that follow a number."""
        return [DigestRow(**values_of(row)) for row in self._session.rows(_DIGESTS, after=after, at_most=limit)]

    def forget(self, before: datetime, up_to: int) -> int:
        """Forget detail and salt of events of before a time, up to a number; return how many."""
        return self._session.change(_FORGET, before=before, up_to=up_to)


class SqlFacts:
    """Small named values, such as the highest time ever seen."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, name: str) -> str | None:
        """Return a value, or None."""
        value: str | None = self._session.value(_GET_FACT, of_name=name)
        return value

    def set(self, name: str, value: str) -> None:
        """Set a value."""
        self._session.change(_SET_FACT, name=name, value=value)
