"""Matters are confidential: what a hold is of stands sealed, and a hold has a date for its review.

No key is at hand here, so what older programs wrote is moved as it is, behind a zero byte; whoever opens the ledger
with its keys next seals it. The columns that it stood in go.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
_SET = sa.text("UPDATE holds SET sealed = :sealed WHERE id = :id")
_MAY_CHANGE = {"sealed", "review_at", "released_at", "removed_meanwhile", "may_be_gone"}


def upgrade() -> None:
    server = op.get_bind().dialect.name == "postgresql"
    rows = op.get_bind().execute(sa.text("SELECT id, matter, scope, reason FROM holds")).all()
    sealed = {name: _plain(matter, scope, reason, server=server) for name, matter, scope, reason in rows}
    if server:
        op.execute("DROP TRIGGER holds_fixed ON holds")
        _change(sealed)
    else:
        _make_anew(sealed)
        _refuse("holds_stay", "DELETE ON holds", "rows of holds are history and stay", server)
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns("holds")]
    fixed = ", ".join(f'"{name}"' for name in columns if name not in _MAY_CHANGE)
    _refuse("holds_fixed", f"UPDATE OF {fixed} ON holds", "this part of holds is history and is not changed", server)
    message = "what a hold is of stays, and stays sealed"
    _refuse("holds_stay_sealed", "UPDATE OF sealed ON holds", message, server, "length(NEW.sealed) < 2")


def _new_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("review_at", sa.BigInteger),
        sa.Column("removed_meanwhile", _WHOLE),
        sa.Column("may_be_gone", _WHOLE),
    ]


def _change(sealed: dict[str, bytes]) -> None:
    """Change the table where it stands."""
    op.add_column("holds", sa.Column("sealed", sa.LargeBinary))
    for name, plain in sealed.items():
        op.get_bind().execute(_SET, {"sealed": plain, "id": name})
    op.alter_column("holds", "sealed", nullable=False)
    for column in _new_columns():
        op.add_column("holds", column)
    for gone in ("matter", "scope", "reason"):
        op.drop_column("holds", gone)


def _make_anew(sealed: dict[str, bytes]) -> None:
    """Make another table and have it take the place: SQLite changes no column of one that is there."""
    op.create_table(
        "new_holds",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("placed_at", sa.BigInteger, nullable=False),
        sa.Column("released_at", sa.BigInteger),
        *_new_columns(),
    )
    copied = "sequence, id, placed_at, released_at"
    op.execute(f"INSERT INTO new_holds ({copied}, sealed) SELECT {copied}, x'' FROM holds")
    op.execute("DROP TABLE holds")
    op.execute("ALTER TABLE new_holds RENAME TO holds")
    for name, plain in sealed.items():
        op.get_bind().execute(_SET, {"sealed": plain, "id": name})


def _plain(matter: str, scope: str, reason: str, *, server: bool) -> bytes:
    said = {
        "matter": _text(matter, server=server),
        "reason": _text(reason, server=server),
        "scope": json.loads(scope),
    }
    return b"\x00" + json.dumps(said, ensure_ascii=False).encode()


def _text(stored: str, *, server: bool) -> str:
    """Return a text as it was typed: PostgreSQL's have no NUL, which stands there as U+001A and 0."""
    return stored.replace("\x1a0", "\x00").replace("\x1a1", "\x1a") if server else stored


def _refuse(name: str, change: str, message: str, server: bool, when: str = "") -> None:  # noqa: FBT001 - an engine
    if server:
        call = f"FOR EACH ROW {f'WHEN ({when}) ' if when else ''}EXECUTE FUNCTION refuse_change('{message}')"
    else:
        call = f"{f'WHEN {when} ' if when else ''}BEGIN SELECT RAISE(ABORT, '{message}'); END"
    op.execute(f"CREATE TRIGGER {name} BEFORE {change} {call}")


def downgrade() -> None:
    message = "what was logged is not taken back: restore a backup instead"
    raise RuntimeError(message)
