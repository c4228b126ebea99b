"""Every checkpoint that was ever signed, and which events each anchor in the log is of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# PostgreSQL's texts compare by code point, as SQLite's do, and its whole numbers have 64 bits.
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
_TABLES = ("signed_checkpoints", "anchors")


def upgrade() -> None:
    op.create_table(
        "signed_checkpoints",
        sa.Column("sequence", _WHOLE, primary_key=True, autoincrement=True),
        sa.Column("note", sa.LargeBinary, nullable=False),
    )
    op.execute("INSERT INTO signed_checkpoints (note) SELECT note FROM log_checkpoint")
    op.create_table(
        "anchors",
        sa.Column("log_index", _WHOLE, primary_key=True, autoincrement=False),
        sa.Column("first_event", _WHOLE, nullable=False),
        sa.Column("last_event", _WHOLE, nullable=False),
        sa.Column("root", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    for table in _TABLES:
        _keep(table)


def _keep(table: str) -> None:
    stay, fixed = f"rows of {table} are history and stay", f"this part of {table} is history and is not changed"
    is_there = op.get_bind().dialect.name == "postgresql"
    for name, change, message in (("stay", "DELETE", stay), ("fixed", "UPDATE", fixed)):
        if is_there:
            call = f"FOR EACH ROW EXECUTE FUNCTION refuse_change('{message}')"
        else:
            call = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        op.execute(f"CREATE TRIGGER {table}_{name} BEFORE {change} ON {table} {call}")
    if is_there:
        kept = f"EXECUTE FUNCTION refuse_change('{stay}')"
        op.execute(f"CREATE TRIGGER {table}_kept BEFORE TRUNCATE ON {table} {kept}")


def downgrade() -> None:
    message = "what was logged is not taken back: restore a backup instead"
    raise RuntimeError(message)
