"""The ledger's tables as the program knows them. Migrations make them; a test holds the two equal."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    Table,
    text,
)

from retentiond.domain.account import AccountState
from retentiond.domain.erasure import ErasureState
from retentiond.domain.plan import Basis, BatchState, RunState, Trigger
from retentiond.domain.policy import Action
from retentiond.ledger.columns import AnyText, Moment, Reference, Structure, Whole, Word
from retentiond.ports.orders import OrderState

REVISION = "0012"
APPLICATION_ID = 0x72746E64  # "rtnd", in the header of the file

metadata = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, AnyText, nullable=False)


def _integer(name: str) -> Column[int]:
    return Column(name, Whole, nullable=False)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _moment(name: str) -> Column[Any]:
    return Column(name, Moment, nullable=False)


def _structure(name: str) -> Column[Any]:
    return Column(name, Structure, nullable=False)


def _id(name: str = "id") -> Column[str]:
    return Column(name, AnyText, primary_key=True)


def _sequence(name: str = "sequence") -> Column[int]:
    return Column(name, Whole, primary_key=True, autoincrement=True)


def _number(name: str) -> Column[int]:
    return Column(name, Whole, primary_key=True, autoincrement=False)


def _reference(name: str, target: str) -> Column[str]:
    # Deferred: a run and its receipt, or a closure and its plans, may be written in either order. These references go
    # round in a circle, so they do not count (use_alter) where tables are sorted.
    return Column(name, Reference, ForeignKey(target, deferrable=True, initially="DEFERRED", use_alter=True))


# A draft is the root of its batches; it becomes a plan when a row of `plans` bears its id.
drafts = Table("drafts", metadata, _id(), _moment("begun_at"))

plans = Table(
    "plans",
    metadata,
    Column("id", AnyText, ForeignKey("drafts.id"), primary_key=True),
    Column("sha256", AnyText, nullable=False, unique=True),
    Column("state", Word(RunState), nullable=False),
    Column("trigger", Word(Trigger), nullable=False),
    _moment("created_at"),
    _moment("expires_at"),
    _moment("reference_time"),
    Column("log_index", Whole, nullable=False, unique=True),
    _bytes("envelope"),
    _bytes("nonce"),
    _structure("policies"),
    _structure("datasets"),
    _integer("records"),
    _integer("approvals_needed"),
    _structure("reasons"),
    _structure("forecasts"),
    _reference("closure", "closures.id"),  # of ledgers before revision 0005; since then see `plan_closures`
    _text("lists"),
    Index("plans_by_state", "state", "log_index"),
    Index("plans_by_closure", "closure", "log_index"),
)

parts = Table(
    "parts",
    metadata,
    Column("plan", AnyText, ForeignKey("plans.id"), primary_key=True),
    _number("ordinal"),
    _text("dataset"),
    _text("policy"),
    _integer("rule"),
    Column("action", Word(Action), nullable=False),
    _text("keep"),
    _moment("cutoff"),
    Column("basis", Word(Basis), nullable=False),
    _integer("case"),
    _integer("due"),
    _integer("size_bytes"),
)

# Of which closures records stand in a plan: one plan serves many, and a closure may need several.
plan_closures = Table(
    "plan_closures",
    metadata,
    Column("closure", AnyText, ForeignKey("closures.id", deferrable=True, initially="DEFERRED"), primary_key=True),
    Column("plan", AnyText, ForeignKey("plans.id"), primary_key=True),
    Index("plan_closures_by_plan", "plan"),
)

batches = Table(
    "batches",
    metadata,
    Column("plan", AnyText, ForeignKey("drafts.id"), primary_key=True),
    _number("ordinal"),
    _integer("part"),
    _integer("group"),
    Column("objects", Boolean, nullable=False),
    _integer("count"),
    Column("state", Word(BatchState), nullable=False),
    _integer("token"),
    _structure("outcomes"),
    _text("reason"),
    Column("claimed_at", Moment),
    Column("ended_at", Moment),
)

# Apart from `batches`, so that a claim does not write some hundred kilobytes again, and a listing does not read them.
batch_identifiers = Table(
    "batch_identifiers",
    metadata,
    Column("plan", AnyText, primary_key=True),
    _number("ordinal"),
    Column("plain", LargeBinary),
    Column("sealed", LargeBinary),
    ForeignKeyConstraint(["plan", "ordinal"], ["batches.plan", "batches.ordinal"]),
    CheckConstraint("plain IS NULL OR sealed IS NULL", name="plain_or_sealed"),
)

runs = Table(
    "runs",
    metadata,
    _id(),
    Column("plan", AnyText, ForeignKey("plans.id"), nullable=False, unique=True),
    Column("state", Word(RunState), nullable=False),
    _moment("started_at"),
    _bytes("commitment_key"),
    Column("finished_at", Moment),
    _reference("receipt", "receipts.id"),
    Index("runs_by_start", "started_at"),
)

approvals = Table(
    "approvals",
    metadata,
    _sequence(),
    _text("plan_sha256"),
    _text("principal"),
    Column("approve", Boolean, nullable=False),
    _text("not_after"),
    _text("signature"),
    _moment("at"),
    _integer("log_index"),
    Index("approvals_by_plan", "plan_sha256", "principal"),
)

used_nonces = Table("used_nonces", metadata, _id("nonce"), _moment("used_at"))

approved_pairs = Table(
    "approved_pairs",
    metadata,
    _sequence(),
    _text("policy"),
    _text("policy_sha256"),
    _text("dataset"),
    _text("dataset_sha256"),
    _text("lists"),
    Index("approved_pairs_by_name", "policy", "dataset"),
)

holds = Table(
    "holds",
    metadata,
    _sequence(),
    Column("id", AnyText, nullable=False, unique=True),
    _bytes("sealed"),
    _moment("placed_at"),
    Column("review_at", Moment),
    Column("released_at", Moment),
    Column("removed_meanwhile", Whole),
    Column("may_be_gone", Whole),
)

hold_epoch = Table("hold_epoch", metadata, _number("id"), _integer("epoch"), CheckConstraint("id = 1", name="one_row"))

closures = Table(
    "closures",
    metadata,
    _sequence(),
    Column("id", AnyText, nullable=False, unique=True),
    _text("commitment"),
    _bytes("account_sealed"),
    Column("state", Word(AccountState), nullable=False),
    _text("reason"),
    _moment("requested_at"),
    _moment("due_at"),
    _moment("deadline_at"),
    _reference("receipt", "receipts.id"),
    Column("begun_at", Moment),
    Column("remainder", Structure),
    Column("jurisdiction", Reference),
    Index("closures_by_commitment", "commitment"),
    Index("closures_by_state", "state", "deadline_at"),
)

erasures = Table(
    "erasures",
    metadata,
    _sequence(),
    Column("id", AnyText, nullable=False, unique=True),
    *map(_text, ("commitment", "of_account")),
    *map(_bytes, ("subject_sealed", "texts_sealed")),
    _text("law"),
    Column("state", Word(ErasureState), nullable=False),
    _text("received_on"),
    *map(_moment, ("asked_at", "first_at", "last_at")),
    Column("confirm_at", Moment),
    _moment("deadline_at"),
    Column("extended_at", Moment),
    Column("begun_at", Moment),
    Column("ended_at", Moment),
    _reference("receipt", "receipts.id"),
    Column("remainder", Structure),
    Column("jurisdiction", Reference),
    Index("erasures_by_commitment", "commitment"),
    Index("erasures_by_account", "of_account"),
    Index("erasures_by_state", "state", "deadline_at"),
)

# As `plan_closures`, of requests for erasure.
plan_erasures = Table(
    "plan_erasures",
    metadata,
    Column("erasure", AnyText, ForeignKey("erasures.id", deferrable=True, initially="DEFERRED"), primary_key=True),
    Column("plan", AnyText, ForeignKey("plans.id"), primary_key=True),
    Index("plan_erasures_by_plan", "plan"),
)

# Word for word as a query says it: only then does an engine see that the index is all it needs.
HAS_KEY = text("length(commitment_key) > 0")

receipts = Table(
    "receipts",
    metadata,
    _id(),
    _text("kind"),
    Column("plan", Reference, ForeignKey("plans.id"), unique=True),
    _reference("closure", "closures.id"),
    _moment("issued_at"),
    _bytes("envelope"),
    _bytes("annex"),
    _text("entry_sha256"),
    Column("log_index", Whole, nullable=False, unique=True),
    _bytes("commitment_key"),
    _text("file"),
    Index("receipts_with_key", "issued_at", sqlite_where=HAS_KEY, postgresql_where=HAS_KEY),
)

# Receipts that were taken back, by the index of their entry: a receipt may be known to the log alone.
retractions = Table(
    "retractions", metadata, _number("receipt_index"), _text("reason"), _moment("at"), _integer("log_index")
)

log_entries = Table("log_entries", metadata, _number("index"), _bytes("entry"))

log_checkpoint = Table(
    "log_checkpoint", metadata, _number("id"), _bytes("note"), CheckConstraint("id = 1", name="one_row")
)

# Each is there since it was signed; the newest stands in `log_checkpoint`, too.
signed_checkpoints = Table("signed_checkpoints", metadata, _sequence(), _bytes("note"))

# Of which events the root in the log is; those of 0 are of a ledger that was lost.
anchors = Table(
    "anchors",
    metadata,
    _number("log_index"),
    _integer("first_event"),
    _integer("last_event"),
    _text("root"),
    _moment("at"),
)

events = Table(
    "events",
    metadata,
    _number("sequence"),
    _moment("at"),
    _text("kind"),
    _text("subject"),
    Column("detail", Structure),
    Column("salt", LargeBinary),
    _bytes("digest"),
)

facts = Table("facts", metadata, _id("name"), _text("value"))

journal = Table(
    "journal",
    metadata,
    _sequence(),
    Column("sha256", AnyText, nullable=False, unique=True),
    _bytes("sealed"),
    Column("log_index", Whole, unique=True),
    Column("written", Boolean, nullable=False),
)

pending = Table(
    "pending",
    metadata,
    _number("log_index"),
    _text("kind"),
    _text("subject"),
    _text("by"),
    _moment("at"),
)

slots = Table(
    "slots",
    metadata,
    _id("policy"),
    _id("schedule"),
    Column("slot", Moment, primary_key=True),
    _moment("taken_at"),
    _text("taken_by"),
    Column("finished_at", Moment),
    _text("outcome"),
)

# A row is there while somebody waits for its end, and no longer: it may name accounts.
orders = Table(
    "orders",
    metadata,
    _id(),
    _moment("asked_at"),
    _integer("asker"),
    _text("verb"),
    _structure("arguments"),
    _structure("offered"),
    Column("state", Word(OrderState), nullable=False),
    _integer("server"),
    _structure("text"),
    _text("signature"),
    _structure("progress"),
    _structure("answer"),
)

# Triggers that keep history from being changed, whoever writes; `check` names those that are gone.
_HISTORY = (
    "plans", "parts", "runs", "approvals", "used_nonces", "approved_pairs", "holds", "closures", "receipts",
    "log_entries", "events", "batches", "journal", "plan_closures", "signed_checkpoints", "anchors", "retractions",
    "erasures", "plan_erasures",
)  # fmt: skip
GUARDS = frozenset(
    (
        *(f"{table}_{guard}" for table in _HISTORY for guard in ("stay", "fixed")),
        "batch_identifiers_stay",
        "batches_frozen",
        "events_in_order",
        "holds_stay_sealed",
        "log_checkpoint_stay",
        "log_entries_in_order",
        "receipts_key_gone",
        "runs_key_gone",
    )
)

# PostgreSQL empties whole tables without looking at rows.
TRUNCATE_GUARDS = frozenset(f"{table}_kept" for table in (*_HISTORY, "batch_identifiers", "log_checkpoint"))


def columns_of(table: Table, row: type[Any]) -> tuple[Column[Any], ...]:
    """Return the table's columns that bear the names of a dataclass's fields."""
    return tuple(table.c[field.name] for field in fields(row))
