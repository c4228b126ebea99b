"""Making and upgrading the tables, by the migrations that ship with the program.

Alembic is imported here and nowhere else: a ledger that is up to date is opened without it.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_MIGRATIONS = Path(__file__).parent / "migrations"


def known_revisions() -> frozenset[str]:
    """Return the revisions that this version of the program can upgrade from, and the newest one."""
    return frozenset(script.revision for script in _scripts().walk_revisions())


def newest_revision() -> str | None:
    """Return the revision that `upgrade` leads to."""
    return _scripts().get_current_head()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_MIGRATIONS))


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest revision, inside the connection's transaction."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
