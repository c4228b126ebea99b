"""What can be wrong with a ledger itself: where it stands, its tables, and what they say of each other."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator

from sqlalchemy import bindparam, select, text

from retentiond.ledger.backend import Backend
from retentiond.ledger.events import event_digest
from retentiond.ledger.schema import REVISION, columns_of, events
from retentiond.ledger.session import Session, values_of
from retentiond.ledger.trouble import translated
from retentiond.ports.rows import EventRow

_AT_MOST = 100  # findings of one kind: the first tell the story
_PAGE = 1_000
_ENTRY_HAS = re.compile(r"@entry_has ([^@]+)@")

# Each query yields what is wrong; its columns fill the words before it. What stands in @…@ is the engine's own.
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
           WHERE "index" = plans.log_index AND @entry_has 'sha256:' || plans.sha256@)""",
    ),
    (
        "receipt {0} is not the one that entry {1} of the log names",
        """SELECT id, log_index FROM receipts WHERE NOT EXISTS (SELECT 1 FROM log_entries
           WHERE "index" = receipts.log_index AND @entry_has 'sha256:' || receipts.entry_sha256@)""",
    ),
    (
        "the retraction of the receipt of entry {0} is not the one that entry {1} of the log names",
        """SELECT receipt_index, log_index FROM retractions WHERE NOT EXISTS (SELECT 1 FROM log_entries
           WHERE "index" = retractions.log_index
           AND @entry_has 'retract ' || retractions.receipt_index || ' ' || retractions.reason@)""",
    ),
    (
        "plan {0} counts {1} records, its batches {2}",
        """SELECT id, records, planned FROM (SELECT id, records, (SELECT coalesce(sum(count), 0) FROM batches
           WHERE plan = plans.id) AS planned FROM plans) AS p WHERE records <> planned""",
    ),
    (
        "plan {0} counts {1} records, its parts {2}",
        """SELECT id, records, planned FROM (SELECT id, records, (SELECT coalesce(sum(due), 0) FROM parts
           WHERE plan = plans.id) AS planned FROM plans) AS p WHERE records <> planned""",
    ),
    (
        "batch {1} of plan {0} has {2} records and {3} outcomes",
        """SELECT plan, ordinal, count, ended FROM (SELECT plan, ordinal, count,
           @sum_of_outcomes@ AS ended FROM batches
           WHERE state IN ('verified', 'receipted', 'carried-over')) AS b WHERE count <> ended""",
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
           WHERE receipts.plan IS NULL OR receipts.plan <> runs.plan""",
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
        "erasure {0} is done, and has no receipt",
        "SELECT id FROM erasures WHERE state = 'done' AND receipt IS NULL",
    ),
    (
        "erasure {0} is {1}, and still holds the person",
        """SELECT id, state FROM erasures
           WHERE state IN ('done', 'refused', 'cancelled') AND length(subject_sealed) > 0""",
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


def findings(session: Session, backend: Backend) -> Iterator[str]:
    """Yield what is wrong with a ledger, the file or database first.

    Raises:
        LedgerError: It cannot be read further.
    """
    with translated(session.where):
        yield from list(backend.findings(session.connection))
    yield from _revision(session)
    for words, query in _CONTRADICTIONS:
        for row in session.rows(text(f"SELECT * FROM ({_in_words_of(backend, query)}) AS found LIMIT {_AT_MOST}")):  # noqa: S608 - from above
            yield words.format(*row)
    yield from _events(session)


def _in_words_of(backend: Backend, query: str) -> str:
    words = backend.check_words
    query = query.replace("@sum_of_outcomes@", words.sum_of_outcomes)
    return _ENTRY_HAS.sub(lambda found: words.entry_has.format(found[1]), query)


def _revision(session: Session) -> Iterator[str]:
    revision = session.value(text("SELECT version_num FROM alembic_version"))
    if revision != REVISION:
        yield f"the tables are of revision {revision}, and this program works with {REVISION}"


def _events(session: Session) -> Iterator[str]:
    after = 0
    while rows := session.rows(_EVENTS_AFTER, after=after):
        for row in rows:
            values = values_of(row)
            salt, digest = values.pop("salt"), values.pop("digest")
            if salt is not None and not hmac.compare_digest(event_digest(EventRow(**values), salt), digest):
                yield f"event {row.sequence} is not what it was when it was written"
        after = rows[-1].sequence
