"""Requests for erasure, and which plans serve them.

Who asked stands sealed until the request ends, and what was written of it until its own time is over.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
_FIXED = (
    "sequence", "id", "commitment", "of_account", "law", "received_on", "asked_at", "first_at", "last_at", "confirm_at",
)  # fmt: skip


def _text(name: str, *, unique: bool = False) -> sa.Column[str]:
    return sa.Column(name, _TEXT, nullable=False, unique=unique)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("sequence", _WHOLE, primary_key=True, autoincrement=True),
        _text("id", unique=True),
        _text("commitment"),
        _text("of_account"),
        sa.Column("subject_sealed", sa.LargeBinary, nullable=False),
        sa.Column("texts_sealed", sa.LargeBinary, nullable=False),
        _text("law"),
        _text("state"),
        _text("received_on"),
        _moment("asked_at"),
        _moment("first_at"),
        _moment("last_at"),
        _moment("confirm_at", nullable=True),
        _moment("deadline_at"),
        _moment("extended_at", nullable=True),
        _moment("begun_at", nullable=True),
        _moment("ended_at", nullable=True),
        sa.Column("receipt", _TEXT, sa.ForeignKey("receipts.id", deferrable=True, initially="DEFERRED")),
        sa.Column("remainder", _TEXT),
    )
    op.create_index("erasures_by_commitment", "erasures", ["commitment"])
    op.create_index("erasures_by_account", "erasures", ["of_account"])
    op.create_index("erasures_by_state", "erasures", ["state", "deadline_at"])
    reference = sa.ForeignKey("erasures.id", deferrable=True, initially="DEFERRED")
    op.create_table(
        "plan_erasures",
        sa.Column("erasure", _TEXT, reference, primary_key=True),
        sa.Column("plan", _TEXT, sa.ForeignKey("plans.id"), primary_key=True),
    )
    op.create_index("plan_erasures_by_plan", "plan_erasures", ["plan"])
    _guard("erasures", f"UPDATE OF {', '.join(_FIXED)} ON erasures")
    _guard("plan_erasures", "UPDATE ON plan_erasures")


def _guard(table: str, change: str) -> None:
    stay = f"rows of {table} are history and stay"
    server = op.get_bind().dialect.name == "postgresql"
    rules = (
        (f"{table}_stay", f"DELETE ON {table}", stay),
        (f"{table}_fixed", change, f"this part of {table} is history and is not changed"),
    )
    for name, what, message in rules:
        if server:
            call = f"FOR EACH ROW EXECUTE FUNCTION refuse_change('{message}')"
        else:
            call = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        op.execute(f"CREATE TRIGGER {name} BEFORE {what} {call}")
    if server:
        op.execute(f"CREATE TRIGGER {table}_kept BEFORE TRUNCATE ON {table} EXECUTE FUNCTION refuse_change('{stay}')")


def downgrade() -> None:
    message = "what was logged is not taken back: restore a backup instead"
    raise RuntimeError(message)
