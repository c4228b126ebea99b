"""Commitment keys of runs and receipts may be sealed anew: they are no fixed part of their rows any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MAY_CHANGE = {
    "runs": {"state", "finished_at", "receipt", "commitment_key"},
    "receipts": {"file", "commitment_key"},
}


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for table, may_change in _MAY_CHANGE.items():
        columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)]
        fixed = ", ".join(f'"{name}"' for name in columns if name not in may_change)
        message = f"this part of {table} is history and is not changed"
        op.execute(f"DROP TRIGGER {table}_fixed" + (f" ON {table}" if is_postgresql else ""))
        if is_postgresql:
            call = f"FOR EACH ROW EXECUTE FUNCTION refuse_change('{message}')"
        else:
            call = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        op.execute(f"CREATE TRIGGER {table}_fixed BEFORE UPDATE OF {fixed} ON {table} {call}")


def downgrade() -> None:
    message = "what was logged is not taken back: restore a backup instead"
    raise RuntimeError(message)
