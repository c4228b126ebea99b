"""The same instance, its tables in a database of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from tests.engine.office import Office, Timed
from tests.servers.postgres import Server

SCHEMA = """
CREATE TABLE requests (
    id text PRIMARY KEY, account text, created timestamptz, flagged int, payload text, deleted timestamptz
);
CREATE INDEX ON requests (created);
CREATE TABLE feedback (id int PRIMARY KEY, account text, created timestamptz, rating int);
CREATE INDEX ON feedback (created);
"""


class _Connection:
    """A connection that takes the marks of SQLite, in which an office writes its statements."""

    def __init__(self, real: psycopg.Connection[Any]) -> None:
        self._real = real

    def execute(self, statement: str, values: Sequence[object] | None = None) -> psycopg.Cursor[Any]:
        return self._real.execute(statement.replace("?", "%s").encode(), values)

    def close(self) -> None:
        self._real.close()


def on_postgresql(office: Office, server: Server, database: str) -> Office:
    """Move the tables of an office, which are empty, to a database; one role acts there, and another one verifies."""
    role, reader = server.role(), server.role()
    for name, user in (("app.dsn", role), ("reader.dsn", reader)):
        (office.root / name).write_text(server.dsn(database, user), "utf-8")
    where = "{kind: postgresql, dsn_file: ../app.dsn, verify_dsn_file: ../reader.dsn, backups: none}"
    office.edit("datamap.yaml", "{kind: sqlite, path: ../app.db, backups: none}", where)
    office.every = lambda connector: Timed(connector, office.clock)

    def connect(root: Path) -> _Connection:
        del root
        return _Connection(server.connect(database))

    office.connect = connect
    with office.db() as db:
        db.execute(SCHEMA)
        db.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
        db.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")
    return office
