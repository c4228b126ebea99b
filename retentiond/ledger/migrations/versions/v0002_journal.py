"""Records of the journal and their way into journal and log; changes that wait for their entry to be published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "journal",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("sha256", sa.Text, nullable=False, unique=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("log_index", sa.Integer, unique=True),
        sa.Column("written", sa.Boolean, nullable=False),
    )
    op.create_table(
        "pending",
        sa.Column("log_index", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        _guard()


def downgrade() -> None:
    message = "what was logged is not taken back: restore a backup instead"
    raise RuntimeError(message)


def _guard() -> None:
    rules = (
        ("journal_stay", "DELETE ON journal", "rows of journal are history and stay"),
        (
            "journal_fixed",
            "UPDATE OF sequence, sha256, sealed ON journal",
            "this part of journal is history and is not changed",
        ),
    )
    for name, when, message in rules:
        op.execute(f"CREATE TRIGGER {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{message}'); END")
