"""Slots of schedules: which was taken, and how it ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "slots",
        sa.Column("policy", _TEXT, primary_key=True),
        sa.Column("schedule", _TEXT, primary_key=True),
        sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("taken_at", sa.BigInteger, nullable=False),
        sa.Column("taken_by", _TEXT, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("outcome", _TEXT, nullable=False),
    )


def downgrade() -> None:
    message = "what was logged is not taken back: restore a backup instead"
    raise RuntimeError(message)
