"""Orders: verbs that people ask the daemon to carry out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
_TEXTS = ("verb", "arguments", "offered", "state", "text", "signature", "progress", "answer")


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("asker", _WHOLE, nullable=False),
        sa.Column("server", _WHOLE, nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in _TEXTS),
    )


def downgrade() -> None:
    message = "what was logged is not taken back: restore a backup instead"
    raise RuntimeError(message)
