"""The first ledger: plans, batches, runs, approvals, holds, closures, receipts, the log's entries, events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPLICATION_ID = 0x72746E64

# What may be changed in a row of history; everything else of it is fixed.
_MAY_CHANGE: dict[str, set[str]] = {
    "plans": {"state"},
    "parts": set(),
    "runs": {"state", "finished_at", "receipt"},
    "approvals": set(),
    "used_nonces": set(),
    "approved_pairs": set(),
    "holds": {"released_at"},
    "closures": {"account_sealed", "state", "receipt"},
    "receipts": {"file"},
    "log_entries": set(),
}


def _text(name: str, *, unique: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, unique=unique)


def _integer(name: str, *, unique: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, unique=unique)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _bytes(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=nullable)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _key(name: str, target: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text, *([sa.ForeignKey(target)] if target else []), primary_key=True)


def _sequence(name: str = "sequence") -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True)


def _reference(name: str, target: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, sa.ForeignKey(target, deferrable=True, initially="DEFERRED"))


def upgrade() -> None:
    op.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    _create_plans()
    _create_batches()
    _create_runs()
    _create_approvals()
    _create_holds_and_closures()
    _create_receipts()
    _create_log_and_events()
    for table, may_change in _MAY_CHANGE.items():
        _fix(table, may_change)
    _guard_batches()
    _guard_log_and_events()


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
        sa.Column("ordinal", sa.Integer, primary_key=True),
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
        sa.Column("ordinal", sa.Integer, primary_key=True),
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
        sa.Column("ordinal", sa.Integer, primary_key=True),
        _bytes("plain", nullable=True),
        _bytes("sealed", nullable=True),
        sa.ForeignKeyConstraint(["plan", "ordinal"], ["batches.plan", "batches.ordinal"]),
        sa.CheckConstraint("plain IS NULL OR sealed IS NULL", name="plain_or_sealed"),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        _key("id"),
        sa.Column("plan", sa.Text, sa.ForeignKey("plans.id"), nullable=False, unique=True),
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
    op.create_table("hold_epoch", _sequence("id"), _integer("epoch"), sa.CheckConstraint("id = 1", name="one_row"))
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
        sa.Column("plan", sa.Text, sa.ForeignKey("plans.id"), unique=True),
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
    op.create_table("log_entries", _sequence("index"), _bytes("entry"))
    op.create_table("log_checkpoint", _sequence("id"), _bytes("note"), sa.CheckConstraint("id = 1", name="one_row"))
    op.create_table(
        "events",
        _sequence(),
        _moment("at"),
        _text("kind"),
        _text("subject"),
        sa.Column("detail", sa.Text),
        _bytes("salt", nullable=True),
        _bytes("digest"),
    )
    op.create_table("facts", _key("name"), _text("value"))


def _refuse(name: str, when: str, message: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{message}'); END")


def _stay(table: str) -> None:
    _refuse(f"{table}_stay", f"DELETE ON {table}", f"rows of {table} are history and stay")


def _fix(table: str, may_change: set[str]) -> None:
    _stay(table)
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)]
    fixed = ", ".join(f'"{name}"' for name in columns if name not in may_change)
    _refuse(f"{table}_fixed", f"UPDATE OF {fixed} ON {table}", f"this part of {table} is history and is not changed")


def _guard_batches() -> None:
    planned = "EXISTS (SELECT 1 FROM plans WHERE id = {}.plan)"
    for table in ("batches", "batch_identifiers"):
        message = "the batches of a plan are history and stay"
        _refuse(f"{table}_stay", f"DELETE ON {table} WHEN {planned.format('OLD')}", message)
    _refuse("batches_frozen", f"INSERT ON batches WHEN {planned.format('NEW')}", "a plan takes no more batches")
    _refuse(
        "batches_fixed",
        'UPDATE OF plan, ordinal, part, "group", objects, count ON batches',
        "what a batch was planned as is not changed",
    )


def _guard_log_and_events() -> None:
    _stay("log_checkpoint")
    _stay("events")
    same = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in ("sequence", "at", "kind", "subject", "digest"))
    forgets = f"{same} AND NEW.detail IS NULL AND NEW.salt IS NULL"
    _refuse(
        "events_fixed",
        f"UPDATE ON events WHEN NOT ({forgets})",
        "of an event only detail and salt may be forgotten, both at once",
    )
    # A conflicting INSERT OR REPLACE fires no DELETE trigger; out of order it does not get that far.
    for table, column, first in (("log_entries", "index", 0), ("events", "sequence", 1)):
        following = f'(SELECT coalesce(max("{column}") + 1, {first}) FROM {table})'  # noqa: S608 - names from the line above
        _refuse(
            f"{table}_in_order",
            f'INSERT ON {table} WHEN NEW."{column}" IS NOT {following}',
            f"rows of {table} follow each other without a gap",
        )
