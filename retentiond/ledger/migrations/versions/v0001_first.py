"""The first ledger: plans, batches, runs, approvals, holds, closures, receipts, the log's entries, events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from retentiond.ledger.migrations.guards_0001 import guard_history

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPLICATION_ID = 0x72746E64

# PostgreSQL's texts compare by code point, as SQLite's do, and its whole numbers have 64 bits.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def _text(name: str, *, unique: bool = False) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=False, unique=unique)


def _integer(name: str, *, unique: bool = False) -> sa.Column[int]:
    return sa.Column(name, _WHOLE, nullable=False, unique=unique)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _bytes(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=nullable)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _key(name: str, target: str = "") -> sa.Column[str]:
    return sa.Column(name, _TEXT, *([sa.ForeignKey(target)] if target else []), primary_key=True)


def _sequence(name: str = "sequence") -> sa.Column[int]:
    return sa.Column(name, _WHOLE, primary_key=True, autoincrement=True)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, _WHOLE, primary_key=True, autoincrement=False)


def _reference(name: str, target: str) -> sa.Column[str]:
    if _on_postgresql():  # its table may not be there yet: `_refer` follows
        return sa.Column(name, _TEXT)
    return sa.Column(name, _TEXT, sa.ForeignKey(target, deferrable=True, initially="DEFERRED"))


def _refer(table: str, column: str, target: str) -> None:
    op.create_foreign_key(
        f"{table}_{column}_fkey", table, target, [column], ["id"], deferrable=True, initially="DEFERRED"
    )


def _on_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def upgrade() -> None:
    if not _on_postgresql():
        op.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    _create_plans()
    _create_batches()
    _create_runs()
    _create_approvals()
    _create_holds_and_closures()
    _create_receipts()
    _create_log_and_events()
    if _on_postgresql():
        _finish_on_postgresql()
    guard_history()


def downgrade() -> None:
    message = "there is nothing before the first ledger: restore a backup instead"
    raise RuntimeError(message)


def _create_plans() -> None:
    op.create_table("drafts", _key("id"), _moment("begun_at"))
    op.create_table(
        "plans",
        _key("id", "drafts.id"),
        _text("sha256", unique=True),
        _text("state"),
        _text("trigger"),
        _moment("created_at"),
        _moment("expires_at"),
        _moment("reference_time"),
        _integer("log_index", unique=True),
        _bytes("envelope"),
        _bytes("nonce"),
        _text("policies"),
        _text("datasets"),
        _integer("records"),
        _integer("approvals_needed"),
        _text("reasons"),
        _text("forecasts"),
        _reference("closure", "closures.id"),
        _text("lists"),
    )
    op.create_index("plans_by_state", "plans", ["state", "log_index"])
    op.create_index("plans_by_closure", "plans", ["closure", "log_index"])
    op.create_table(
        "parts",
        _key("plan", "plans.id"),
        _number("ordinal"),
        _text("dataset"),
        _text("policy"),
        _integer("rule"),
        _text("action"),
        _text("keep"),
        _moment("cutoff"),
        _text("basis"),
        _integer("case"),
        _integer("due"),
        _integer("size_bytes"),
    )


def _create_batches() -> None:
    op.create_table(
        "batches",
        _key("plan", "drafts.id"),
        _number("ordinal"),
        _integer("part"),
        _integer("group"),
        _flag("objects"),
        _integer("count"),
        _text("state"),
        _integer("token"),
        _text("outcomes"),
        _text("reason"),
        _moment("claimed_at", nullable=True),
        _moment("ended_at", nullable=True),
    )
    op.create_table(
        "batch_identifiers",
        _key("plan"),
        _number("ordinal"),
        _bytes("plain", nullable=True),
        _bytes("sealed", nullable=True),
        sa.ForeignKeyConstraint(["plan", "ordinal"], ["batches.plan", "batches.ordinal"]),
        sa.CheckConstraint("plain IS NULL OR sealed IS NULL", name="plain_or_sealed"),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        _key("id"),
        sa.Column("plan", _TEXT, sa.ForeignKey("plans.id"), nullable=False, unique=True),
        _text("state"),
        _moment("started_at"),
        _bytes("commitment_key"),
        _moment("finished_at", nullable=True),
        _reference("receipt", "receipts.id"),
    )
    op.create_index("runs_by_start", "runs", ["started_at"])


def _create_approvals() -> None:
    op.create_table(
        "approvals",
        _sequence(),
        _text("plan_sha256"),
        _text("principal"),
        _flag("approve"),
        _text("not_after"),
        _text("signature"),
        _moment("at"),
        _integer("log_index"),
    )
    op.create_index("approvals_by_plan", "approvals", ["plan_sha256", "principal"])
    op.create_table("used_nonces", _key("nonce"), _moment("used_at"))
    op.create_table(
        "approved_pairs",
        _sequence(),
        _text("policy"),
        _text("policy_sha256"),
        _text("dataset"),
        _text("dataset_sha256"),
        _text("lists"),
    )
    op.create_index("approved_pairs_by_name", "approved_pairs", ["policy", "dataset"])


def _create_holds_and_closures() -> None:
    op.create_table(
        "holds",
        _sequence(),
        _text("id", unique=True),
        _text("matter"),
        _text("scope"),
        _moment("placed_at"),
        _text("reason"),
        _moment("released_at", nullable=True),
    )
    op.create_table("hold_epoch", _number("id"), _integer("epoch"), sa.CheckConstraint("id = 1", name="one_row"))
    op.execute("INSERT INTO hold_epoch (id, epoch) VALUES (1, 0)")
    op.create_table(
        "closures",
        _sequence(),
        _text("id", unique=True),
        _text("commitment"),
        _bytes("account_sealed"),
        _text("state"),
        _text("reason"),
        _moment("requested_at"),
        _moment("due_at"),
        _moment("deadline_at"),
        _reference("receipt", "receipts.id"),
    )
    op.create_index("closures_by_commitment", "closures", ["commitment"])
    op.create_index("closures_by_state", "closures", ["state", "deadline_at"])


def _create_receipts() -> None:
    op.create_table(
        "receipts",
        _key("id"),
        _text("kind"),
        sa.Column("plan", _TEXT, sa.ForeignKey("plans.id"), unique=True),
        _reference("closure", "closures.id"),
        _moment("issued_at"),
        _bytes("envelope"),
        _bytes("annex"),
        _text("entry_sha256"),
        _integer("log_index", unique=True),
        _bytes("commitment_key"),
        _text("file"),
    )


def _create_log_and_events() -> None:
    op.create_table("log_entries", _number("index"), _bytes("entry"))
    op.create_table("log_checkpoint", _number("id"), _bytes("note"), sa.CheckConstraint("id = 1", name="one_row"))
    op.create_table(
        "events",
        _number("sequence"),
        _moment("at"),
        _text("kind"),
        _text("subject"),
        sa.Column("detail", _TEXT),
        _bytes("salt", nullable=True),
        _bytes("digest"),
    )
    op.create_table("facts", _key("name"), _text("value"))


def _finish_on_postgresql() -> None:
    for table, column, target in (
        ("plans", "closure", "closures"),
        ("runs", "receipt", "receipts"),
        ("closures", "receipt", "receipts"),
        ("receipts", "closure", "closures"),
    ):
        _refer(table, column, target)
    for column in ("plain", "sealed"):  # compressed or sealed already
        op.execute(f"ALTER TABLE batch_identifiers ALTER COLUMN {column} SET STORAGE EXTERNAL")
