"""Receipts that were taken back, and keys of receipts that may be destroyed.

A sealed key may be sealed anew or destroyed; one that is destroyed never comes back.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
_MAY_CHANGE = {
    "receipts": {"file", "commitment_key"},
    "runs": {"state", "finished_at", "receipt", "commitment_key"},
}
_STAY = "rows of retractions are history and stay"


def upgrade() -> None:
    op.create_table(
        "retractions",
        sa.Column("receipt_index", _WHOLE, primary_key=True, autoincrement=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("log_index", _WHOLE, nullable=False),
    )
    with_key = sa.text("length(commitment_key) > 0")
    op.create_index("receipts_with_key", "receipts", ["issued_at"], sqlite_where=with_key, postgresql_where=with_key)
    server = op.get_bind().dialect.name == "postgresql"
    for table, may_change in _MAY_CHANGE.items():
        _let_keys_go(table, may_change, server=server)
    _refuse("retractions_stay", "DELETE ON retractions", _STAY, server=server)
    fixed = "this part of retractions is history and is not changed"
    _refuse("retractions_fixed", "UPDATE ON retractions", fixed, server=server)
    if server:
        kept = f"EXECUTE FUNCTION refuse_change('{_STAY}')"
        op.execute(f"CREATE TRIGGER retractions_kept BEFORE TRUNCATE ON retractions {kept}")


def _let_keys_go(table: str, may_change: set[str], *, server: bool) -> None:
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)]
    fixed = ", ".join(f'"{name}"' for name in columns if name not in may_change)
    op.execute(f"DROP TRIGGER {table}_fixed" + (f" ON {table}" if server else ""))
    message = f"this part of {table} is history and is not changed"
    _refuse(f"{table}_fixed", f"UPDATE OF {fixed} ON {table}", message, server=server)
    gone = "length(OLD.commitment_key) = 0"
    message = "a key that was destroyed does not come back"
    _refuse(f"{table}_key_gone", f"UPDATE OF commitment_key ON {table}", message, when=gone, server=server)


def _refuse(name: str, change: str, message: str, *, server: bool, when: str = "") -> None:
    if server:
        call = f"FOR EACH ROW {f'WHEN ({when}) ' if when else ''}EXECUTE FUNCTION refuse_change('{message}')"
    else:
        call = f"{f'WHEN {when} ' if when else ''}BEGIN SELECT RAISE(ABORT, '{message}'); END"
    op.execute(f"CREATE TRIGGER {name} BEFORE {change} {call}")


def downgrade() -> None:
    message = "what was logged is not taken back: restore a backup instead"
    raise RuntimeError(message)
