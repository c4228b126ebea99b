"""One plan serves many closures; a closure says when it began, and what the last look found of its account.

What stood in `plans.closure` is taken over. The column stays, since plans are history, and is not written any more.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_STAY = "rows of plan_closures are history and stay"
_FIXED = "this part of plan_closures is history and is not changed"


def upgrade() -> None:
    op.create_table(
        "plan_closures",
        sa.Column(
            "closure", _TEXT, sa.ForeignKey("closures.id", deferrable=True, initially="DEFERRED"), primary_key=True
        ),
        sa.Column("plan", _TEXT, sa.ForeignKey("plans.id"), primary_key=True),
    )
    op.create_index("plan_closures_by_plan", "plan_closures", ["plan"])
    op.execute("INSERT INTO plan_closures (closure, plan) SELECT closure, id FROM plans WHERE closure IS NOT NULL")
    op.add_column("closures", sa.Column("begun_at", sa.BigInteger))
    op.add_column("closures", sa.Column("remainder", _TEXT))
    op.execute("UPDATE closures SET begun_at = due_at WHERE state IN ('closing', 'closed')")
    rules = (
        ("plan_closures_stay", "DELETE ON plan_closures", _STAY),
        ("plan_closures_fixed", "UPDATE ON plan_closures", _FIXED),
    )
    for name, change, message in rules:
        if op.get_bind().dialect.name == "postgresql":
            call = f"FOR EACH ROW EXECUTE FUNCTION refuse_change('{message}')"
        else:
            call = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        op.execute(f"CREATE TRIGGER {name} BEFORE {change} {call}")
    if op.get_bind().dialect.name == "postgresql":
        kept = f"EXECUTE FUNCTION refuse_change('{_STAY}')"
        op.execute(f"CREATE TRIGGER plan_closures_kept BEFORE TRUNCATE ON plan_closures {kept}")


def downgrade() -> None:
    message = "what was logged is not taken back: restore a backup instead"
    raise RuntimeError(message)
