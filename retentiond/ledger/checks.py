"""What can be wrong with a ledger itself: its file, its tables, and what they say of each other."""

from __future__ import annotations

import hmac
from collections.abc import Iterator

from sqlalchemy import Executable, bindparam, select, text

from retentiond.ledger.events import event_digest
from retentiond.ledger.schema import GUARDS, REVISION, columns_of, events
from retentiond.ledger.session import Session, values_of
from retentiond.ports.rows import EventRow

_AT_MOST = 100  # findings of one kind: the first tell the story
_PAGE = 1_000

# Each query yields what is wrong; its columns fill the words before it.
_CONTRADICTIONS = (
    (
        "the log lacks entry {0}",
        """SELECT "index" + 1 FROM log_entries AS e WHERE "index" < (SELECT max("index") FROM log_entries)
           AND NOT EXISTS (SELECT 1 FROM log_entries WHERE "index" = e."index" + 1)
           UNION ALL SELECT 0 WHERE (SELECT min("index") FROM log_entries) > 0""",
    ),
    (
        "event {0} is missing",
        """SELECT sequence + 1 FROM events AS e WHERE sequence < (SELECT max(sequence) FROM events)
           AND NOT EXISTS (SELECT 1 FROM events WHERE sequence = e.sequence + 1)
           UNION ALL SELECT 1 WHERE (SELECT min(sequence) FROM events) > 1""",
    ),
    (
        "plan {0} is not the one that entry {1} of the log names",
        """SELECT id, log_index FROM plans WHERE NOT EXISTS (SELECT 1 FROM log_entries
           WHERE "index" = plans.log_index AND instr(CAST(entry AS TEXT), 'sha256:' || plans.sha256))""",
    ),
    (
        "receipt {0} is not the one that entry {1} of the log names",
        """SELECT id, log_index FROM receipts WHERE NOT EXISTS (SELECT 1 FROM log_entries
           WHERE "index" = receipts.log_index AND instr(CAST(entry AS TEXT), 'sha256:' || receipts.entry_sha256))""",
    ),
    (
        "plan {0} counts {1} records, its batches {2}",
        """SELECT id, records, planned FROM (SELECT id, records, (SELECT coalesce(sum(count), 0) FROM batches
           WHERE plan = plans.id) AS planned FROM plans) WHERE records <> planned""",
    ),
    (
        "plan {0} counts {1} records, its parts {2}",
        """SELECT id, records, planned FROM (SELECT id, records, (SELECT coalesce(sum(due), 0) FROM parts
           WHERE plan = plans.id) AS planned FROM plans) WHERE records <> planned""",
    ),
    (
        "batch {1} of plan {0} has {2} records and {3} outcomes",
        """SELECT plan, ordinal, count, ended FROM (SELECT plan, ordinal, count,
           (SELECT coalesce(sum(value), 0) FROM json_each(outcomes)) AS ended FROM batches
           WHERE state IN ('verified', 'receipted', 'carried-over')) WHERE count <> ended""",
    ),
    (
        "batch {1} of plan {0} has ended, and still holds plain identifiers",
        """SELECT plan, ordinal FROM batches JOIN batch_identifiers USING (plan, ordinal)
           WHERE state IN ('verified', 'receipted', 'carried-over') AND plain IS NOT NULL""",
    ),
    (
        "batch {1} of plan {0} is {2}, and its identifiers are gone",
        """SELECT b.plan, b.ordinal, b.state FROM batches AS b JOIN plans ON plans.id = b.plan
           LEFT JOIN batch_identifiers AS i ON i.plan = b.plan AND i.ordinal = b.ordinal
           WHERE b.state IN ('planned', 'claimed', 'acted') AND plans.state <> 'cancelled' AND i.plain IS NULL""",
    ),
    (
        "run {0} is {1}, but batch {2} of it is {3}",
        """SELECT runs.id, runs.state, ordinal, batches.state FROM runs JOIN batches ON batches.plan = runs.plan
           WHERE runs.state IN ('done', 'partial') AND batches.state IN ('planned', 'claimed', 'acted', 'verified')""",
    ),
    (
        "run {0} is {1}, and has no receipt",
        "SELECT id, state FROM runs WHERE state IN ('done', 'partial') AND receipt IS NULL",
    ),
    (
        "run {0} names receipt {1}, which is of another plan",
        """SELECT runs.id, runs.receipt FROM runs JOIN receipts ON receipts.id = runs.receipt
           WHERE receipts.plan IS NOT runs.plan""",
    ),
    (
        "receipt {0} is of plan {1}, and no run of that plan has it",
        """SELECT id, plan FROM receipts WHERE plan IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM runs WHERE receipt = receipts.id)""",
    ),
    (
        "closure {0} is closed, and has no receipt",
        "SELECT id FROM closures WHERE state = 'closed' AND receipt IS NULL",
    ),
    (
        "closure {0} is closed, and still holds the account",
        "SELECT id FROM closures WHERE state = 'closed' AND length(account_sealed) > 0",
    ),
    (
        "the epoch of holds is missing",
        "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM hold_epoch)",
    ),
)

_EVENTS_AFTER = (
    select(*columns_of(events, EventRow), events.c.salt, events.c.digest)
    .where(events.c.sequence > bindparam("after"))
    .order_by(events.c.sequence)
    .limit(_PAGE)
)


def findings(session: Session) -> Iterator[str]:
    """Yield what is wrong with a ledger, the file first.

    Raises:
        LedgerError: It cannot be read further.
    """
    yield from _file(session)
    yield from _tables(session)
    for words, query in _CONTRADICTIONS:
        for row in session.rows(text(f"SELECT * FROM ({query}) LIMIT {_AT_MOST}")):  # noqa: S608 - from above
            yield words.format(*row)
    yield from _events(session)


def _file(session: Session) -> Iterator[str]:
    for line in _column(session, text(f"PRAGMA integrity_check({_AT_MOST})")):
        if line != "ok":
            yield f"the file is damaged: {line}"
    for row in session.rows(text("PRAGMA foreign_key_check")):
        yield "row {1} of {0} names a row of {2} that is not there".format(*row)


def _tables(session: Session) -> Iterator[str]:
    revision = session.value(text("SELECT version_num FROM alembic_version"))
    if revision != REVISION:
        yield f"the tables are of revision {revision}, and this program works with {REVISION}"
    triggers = _column(session, text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
    for name in sorted(GUARDS - set(triggers)):
        yield f"the trigger {name}, which keeps history from being changed, is gone"


def _events(session: Session) -> Iterator[str]:
    after = 0
    while rows := session.rows(_EVENTS_AFTER, after=after):
        for row in rows:
            values = values_of(row)
            salt, digest = values.pop("salt"), values.pop("digest")
            if salt is not None and not hmac.compare_digest(event_digest(EventRow(**values), salt), digest):
                yield f"event {row.sequence} is not what it was when it was written"
        after = rows[-1].sequence


def _column(session: Session, query: Executable) -> list[str]:
    return [row[0] for row in session.rows(query)]
