"""The contract suite on PostgreSQL tables of each version: tombstones by column and by table, partitions, all names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from retentiond.connectors.postgresql import PostgresqlKind
from retentiond.domain.dataset import ClockSource, Dataset, Store, TombstoneTarget
from retentiond.domain.owner import OwnerSource
from retentiond.domain.record import Key
from retentiond.ports.stores import Connector
from retentiond.testing.contract import (
    AttributeContract,
    ChangeContract,
    ConnectorContract,
    DenialContract,
    DoubtContract,
    FailureContract,
    TombstoneContract,
)
from retentiond.testing.contract_redact import PseudonymContract, RedactContract
from retentiond.testing.contract_undo import DeniedRestoreContract, FailingRestoreContract, RestoreContract
from retentiond.testing.harness import Entry
from tests.servers.postgres import Server

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KIND = PostgresqlKind(window_rows=7)


class PostgresqlHarness:
    """A table whose rows are named by one text column."""

    now = NOW
    table = "requests"
    script = """
        CREATE TABLE requests (id text PRIMARY KEY, owner text, created timestamptz, flagged bool, deleted timestamptz);
        CREATE INDEX ON requests (created);
    """
    tombstone = TombstoneTarget(column="deleted")
    sql = "requests"

    def __init__(self, server: Server, database: str, patch: pytest.MonkeyPatch) -> None:
        self._server = server
        self._database = database
        self._patch = patch
        self.role = server.role()
        self.reader = server.role()
        self._patch.setenv("APP_DSN", server.dsn(database, self.role))
        self._patch.setenv("READER_DSN", server.dsn(database, self.reader))
        self._patch.setenv("NOWHERE_DSN", "host=127.0.0.1 port=1 dbname=x connect_timeout=2")
        with self.app() as app:
            app.execute(self.script.encode())
            app.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {self.role}".encode())
            app.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {self.reader}".encode())

    @property
    def dataset(self) -> Dataset:
        return Dataset(
            "requests",
            "app",
            "postgresql",
            "request-content",
            clock=ClockSource(column="created"),
            table=self.table,
            key=("id",),
            owners=(OwnerSource("owner"),),
            attributes={"flagged": "flagged"},
            tombstone=self.tombstone,
        )

    @contextmanager
    def app(self) -> Iterator[psycopg.Connection[Any]]:
        with self._server.session(self._database) as connection:
            yield connection

    def all(self, select: str) -> list[Any]:
        with self.app() as app:
            return [row[0] for row in app.execute(select.encode())]

    def connect(self) -> Connector:
        return KIND.open(Store("app", "postgresql", {"dsn_env": "APP_DSN", "verify_dsn_env": "READER_DSN"}), Path())

    def connect_to_nothing(self) -> Connector:
        return KIND.open(Store("app", "postgresql", {"dsn_env": "NOWHERE_DSN"}), Path())

    def accepts(self, name: str) -> bool:
        return "\0" not in name

    def put(self, entry: Entry) -> Key:
        created = None if entry.age_days is None else NOW - timedelta(days=entry.age_days)
        values = (entry.name, entry.account, created, entry.flagged)
        with self.app() as app:
            app.execute(f"INSERT INTO {self.sql} (id, owner, created, flagged) VALUES (%s, %s, %s, %s)", values)
        return (entry.name,)

    def spell(self, key: Key) -> str:
        return str(key[0])

    def left(self) -> frozenset[Key]:
        return frozenset((each,) for each in self.all(f"SELECT id FROM {self.sql}"))

    def visible(self) -> frozenset[Key]:
        return frozenset((each,) for each in self.all(f"SELECT id FROM {self.sql} WHERE deleted IS NULL"))

    def take_away(self, key: Key) -> None:
        with self.app() as app:
            app.execute(f"DELETE FROM {self.sql} WHERE id = %s", key)

    def take_away_hidden(self, key: Key) -> None:
        self.take_away(key)

    def reuse(self, key: Key) -> None:
        with self.app() as app:
            if app.execute(f"UPDATE {self.sql} SET deleted = NULL WHERE id = %s", key).rowcount:
                app.execute(f"UPDATE {self.sql} SET owner = 'anew' WHERE id = %s", key)
            else:
                self.put(Entry(str(key[0]), account="anew"))

    def is_young(self, key: Key) -> bool:
        with self.app() as app:
            found = app.execute(f"SELECT owner, deleted FROM {self.sql} WHERE id = %s", key).fetchall()
        return found == [("anew", None)]

    def renew(self, key: Key) -> None:
        with self.app() as app:
            app.execute(f"UPDATE {self.sql} SET created = %s WHERE id = %s", (NOW - timedelta(days=5), *key))

    def add_stray(self) -> str:
        with self.app() as app:
            app.execute('CREATE SCHEMA "o ther"; CREATE TABLE "o ther"."stray ""one""" (x int)')
            app.execute('CREATE VIEW "a view" AS SELECT 1')
        return 'o ther.stray "one"'

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Let the server take no connections, and end those that are open."""
        with self._server.connect() as other:
            for role in (self.role, self.reader):
                other.execute(f"ALTER ROLE {role} NOLOGIN".encode())
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role])
            yield
            for role in (self.role, self.reader):
                other.execute(f"ALTER ROLE {role} LOGIN".encode())

    @contextmanager
    def denying(self) -> Iterator[None]:
        with self.app() as app:
            app.execute(f"REVOKE DELETE, UPDATE ON ALL TABLES IN SCHEMA public FROM {self.role}".encode())
            yield


class MovingHarness(PostgresqlHarness):
    """Hidden rows move to another table; names are what nobody expects."""

    table = 'Re"quests.%s'
    sql = '"Re""quests.%%s"'
    script = """
        CREATE TABLE "Re""quests.%s" (
            id text PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, owner varchar(2000), created timestamp,
            flagged int, deleted text, twice text GENERATED ALWAYS AS (owner || owner) STORED
        );
        CREATE INDEX ON "Re""quests.%s" (created);
        CREATE TABLE "hid'den" (LIKE "Re""quests.%s" INCLUDING GENERATED, "tombstoned_at" timestamptz NOT NULL,
            PRIMARY KEY ("id"));
    """
    tombstone = TombstoneTarget(table="public.hid'den")

    def put(self, entry: Entry) -> Key:
        flagged = None if entry.flagged is None else int(entry.flagged)
        created = None if entry.age_days is None else (NOW - timedelta(days=entry.age_days)).replace(tzinfo=None)
        with self.app() as app:
            app.execute(
                f"INSERT INTO {self.sql} (id, owner, created, flagged) VALUES (%s, %s, %s, %s)",
                (entry.name, entry.account, created, flagged),
            )
        return (entry.name,)

    def all(self, select: str) -> list[Any]:
        return super().all(select.replace("%%", "%"))

    def left(self) -> frozenset[Key]:
        return super().left() | frozenset((each,) for each in self.all('SELECT id FROM "hid\'den"'))

    def visible(self) -> frozenset[Key]:
        return super().left()

    def take_away_hidden(self, key: Key) -> None:
        with self.app() as app:
            app.execute('DELETE FROM "hid\'den" WHERE id = %s', key)


class PartitionedHarness(PostgresqlHarness):
    """Partitions by owner, a clock in text, and a key of three columns of which one is made up."""

    table = "app.Requests"
    sql = 'app."Requests"'
    script = """
        CREATE SCHEMA app;
        CREATE TABLE app."Requests" (
            id text, part uuid, number int2 DEFAULT 7, owner text, created text, flagged text, deleted timestamp,
            PRIMARY KEY (part, number, id)
        ) PARTITION BY HASH (part);
        CREATE TABLE app.r0 PARTITION OF app."Requests" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE app.r1 PARTITION OF app."Requests" FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    """

    @property
    def dataset(self) -> Dataset:
        return replace(super().dataset, key=("id", "part", "number"))

    def __init__(self, server: Server, database: str, patch: pytest.MonkeyPatch) -> None:
        super().__init__(server, database, patch)
        with self.app() as app:
            app.execute(f"GRANT USAGE ON SCHEMA app TO {self.role}, {self.reader}".encode())
            app.execute(f'GRANT SELECT, UPDATE, DELETE ON app."Requests" TO {self.role}'.encode())
            app.execute(f'GRANT SELECT ON app."Requests" TO {self.reader}'.encode())

    @contextmanager
    def denying(self) -> Iterator[None]:
        with self.app() as app:
            app.execute(f'REVOKE DELETE, UPDATE ON app."Requests" FROM {self.role}'.encode())
            yield

    def put(self, entry: Entry) -> Key:
        created = "soon" if entry.age_days is None else (NOW - timedelta(days=entry.age_days)).isoformat()
        key = (entry.name, uuid4(), 7)
        with self.app() as app:
            app.execute(
                f"INSERT INTO {self.sql} (id, part, owner, created, flagged) VALUES (%s, %s, %s, %s, %s)",
                (*key[:2], entry.account, created, None if entry.flagged is None else str(entry.flagged).lower()),
            )
        return key

    def spell(self, key: Key) -> str:
        import json  # noqa: PLC0415

        return json.dumps([str(part) for part in key])

    def left(self) -> frozenset[Key]:
        with self.app() as app:
            return frozenset(app.execute(f"SELECT id, part, number FROM {self.sql}".encode()))

    def visible(self) -> frozenset[Key]:
        with self.app() as app:
            return frozenset(app.execute(f"SELECT id, part, number FROM {self.sql} WHERE deleted IS NULL".encode()))

    def take_away(self, key: Key) -> None:
        super().take_away(key[:1])

    def reuse(self, key: Key) -> None:
        super().reuse(key[:1])

    def is_young(self, key: Key) -> bool:
        return super().is_young(key[:1])

    def renew(self, key: Key) -> None:
        with self.app() as app:
            created = (NOW - timedelta(days=5)).isoformat()
            app.execute(f"UPDATE {self.sql} SET created = %s WHERE id = %s", (created, key[0]))


class _AllContracts(
    ConnectorContract,
    ChangeContract,
    DoubtContract,
    TombstoneContract,
    RestoreContract,
    DenialContract,
    DeniedRestoreContract,
    FailureContract,
    FailingRestoreContract,
):
    """Everything that is asked of a table."""

    make: type[PostgresqlHarness]

    @pytest.fixture
    def harness(self, postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresqlHarness]:
        with postgresql.database() as database:
            yield self.make(postgresql, database, monkeypatch)


class TestTable(_AllContracts, AttributeContract):
    make = PostgresqlHarness


class TestQuarantine(_AllContracts, AttributeContract):
    make = MovingHarness


class TestPartitions(_AllContracts):
    make = PartitionedHarness


class ContentHarness(PostgresqlHarness):
    """A table whose rows have content: JSON stands in it as jsonb, in which everything can be read."""

    script = """
        CREATE TABLE requests (id text PRIMARY KEY, owner text, created timestamptz, flagged bool, deleted timestamptz,
            prompt text, meta jsonb, other text);
        CREATE INDEX ON requests (created);
    """

    def write(self, key: Key, prompt: str | None, meta: str | None, other: str | None) -> None:
        with self.app() as app:
            values = (prompt, meta, other, key[0])
            app.execute(f"UPDATE {self.sql} SET prompt = %s, meta = %s, other = %s WHERE id = %s", values)

    def read(self, key: Key) -> tuple[str | None, str | None, str | None]:
        with self.app() as app:
            select = f"SELECT prompt, meta::text, other FROM {self.sql} WHERE id = %s"
            (found,) = app.execute(select, key[:1]).fetchall()
        return found[0], found[1], found[2]

    def owner(self, key: Key) -> str | None:
        with self.app() as app:
            ((found,),) = app.execute(f"SELECT owner FROM {self.sql} WHERE id = %s", key[:1]).fetchall()
        return None if found is None else str(found)

    def damage(self, _key: Key) -> bool:
        return False


class PartedContentHarness(PartitionedHarness, ContentHarness):
    """The same in partitions, as json: a name may stand twice in it."""

    script = PartitionedHarness.script.replace("owner text", "owner text, prompt text, meta json, other varchar(3000)")

    def accepts(self, name: str) -> bool:
        """Leave out what makes a json unreadable: such a row is undetermined, and never said to be redacted."""
        return super().accepts(name) and "\\u0000" not in name

    def read(self, key: Key) -> tuple[str | None, str | None, str | None]:
        return super().read(key[:1])

    def damage(self, key: Key) -> bool:
        self.write(key, "a prompt", '{"a": [], "a": [0, {"b c": "twice"}]}', None)
        return True


class _ContentContracts(RedactContract, PseudonymContract):
    make: type[PostgresqlHarness]

    @pytest.fixture
    def harness(self, postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresqlHarness]:
        with postgresql.database() as database:
            yield self.make(postgresql, database, monkeypatch)


class TestContent(_ContentContracts):
    make = ContentHarness


class TestContentInPartitions(_ContentContracts):
    make = PartedContentHarness
