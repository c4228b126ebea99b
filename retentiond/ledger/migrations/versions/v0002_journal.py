"""Records of the journal and their way into journal and log; changes that wait for their entry to be published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# PostgreSQL's texts compare by code point, as SQLite's do, and its whole numbers have 64 bits.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
_STAY = "rows of journal are history and stay"
_FIXED = "this part of journal is history and is not changed"


def upgrade() -> None:
    op.create_table(
        "journal",
        sa.Column("sequence", _WHOLE, primary_key=True, autoincrement=True),
        sa.Column("sha256", _TEXT, nullable=False, unique=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("log_index", _WHOLE, unique=True),
        sa.Column("written", sa.Boolean, nullable=False),
    )
    op.create_table(
        "pending",
        sa.Column("log_index", _WHOLE, primary_key=True, autoincrement=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("by", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    rules = (
        ("journal_stay", "DELETE ON journal", _STAY),
        ("journal_fixed", "UPDATE OF sequence, sha256, sealed ON journal", _FIXED),
    )
    for name, change, message in rules:
        if op.get_bind().dialect.name == "postgresql":
            call = f"FOR EACH ROW EXECUTE FUNCTION refuse_change('{message}')"
        else:
            call = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        op.execute(f"CREATE TRIGGER {name} BEFORE {change} {call}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE TRIGGER journal_kept BEFORE TRUNCATE ON journal EXECUTE FUNCTION refuse_change('{_STAY}')")


def downgrade() -> None:
    message = "what was logged is not taken back: restore a backup instead"
    raise RuntimeError(message)
