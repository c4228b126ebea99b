"""What catalogues say of tables: to a role that may read no row, of all names, of all that holds rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from retentiond.connectors.s3.connector import open_connector
from retentiond.connectors.s3.options import S3Options
from retentiond.connectors.sqlite import SqliteKind
from retentiond.connectors.sqlite.store import SqliteStore
from retentiond.domain.dataset import Dataset, Store, TombstoneTarget
from retentiond.domain.tableshape import Family, Link
from tests.coverage.database import Maker

NAMES = ("it's", 'say "hi"', "new\nline", "a.b", "*", "\U0001f5d1 \u202e", "%s", "DROP TABLE x; --")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_a_role_that_may_read_no_row_sees_what_the_catalogue_says(make: Maker) -> None:
    made = make(
        """
        CREATE DOMAIN mail AS varchar(320) NOT NULL; CREATE TYPE mood AS ENUM ('a', 'b');
        CREATE TABLE users (id uuid PRIMARY KEY, email mail, feels mood, ip inet, tags text[], note varchar(20)[]);
        CREATE TABLE "Ask" (tenant int, id bigint, user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE, body jsonb,
            code varchar(12), at timestamptz, day date, local timestamp, words tsvector, raw bytea, big oid,
            twice int GENERATED ALWAYS AS (tenant * 2) STORED, PRIMARY KEY (tenant, id)) PARTITION BY RANGE (id);
        CREATE TABLE ask_1 PARTITION OF "Ask" FOR VALUES FROM (0) TO (100);
        CREATE TABLE scores (tenant int, ask bigint, s float,
            FOREIGN KEY (tenant, ask) REFERENCES "Ask" (tenant, id));
        CREATE INDEX ON scores (ask, tenant); CREATE INDEX ON scores (s) WHERE s > 1;
        CREATE UNIQUE INDEX ON scores ((s + 1));
        CREATE MATERIALIZED VIEW m AS SELECT 'secret text' AS prompt; CREATE VIEW v AS SELECT 1 AS prompt;
        INSERT INTO users VALUES ('00000000-0000-0000-0000-000000000001', 'a@b.example'); ANALYZE users;
        """
    )
    found = made.tables()
    assert {name: table.kind for name, table in found.items()} == {
        "public.Ask": "partitioned table",
        "public.m": "materialised view",
        "public.scores": "table",
        "public.users": "table",
    }
    users, ask, scores = (found[f"public.{name}"] for name in ("users", "Ask", "scores"))
    families = {column.name: column.family for column in (*users.columns, *ask.columns)}
    assert families == {
        "id": Family.INTEGER,
        "email": Family.TEXT,
        "feels": Family.ENUM,
        "ip": Family.ADDRESS,
        "tags": Family.TEXT,
        "note": Family.TEXT,
        "tenant": Family.INTEGER,
        "user_id": Family.UUID,
        "body": Family.JSON,
        "code": Family.TEXT,
        "at": Family.TIME_WITH_ZONE,
        "day": Family.DATE,
        "local": Family.TIME,
        "words": Family.SEARCH,
        "raw": Family.BYTES,
        "big": Family.LARGE_OBJECT,
        "twice": Family.INTEGER,
    }
    assert [(each.name, each.size, each.not_null, each.array) for each in users.columns[1:2] + users.columns[4:]] == [
        ("email", 320, True, False),
        ("tags", None, False, True),
        ("note", None, False, True),
    ]
    assert [each.name for each in ask.columns if each.computed] == ["twice"]
    assert (users.rows, users.keys, ask.keys, scores.keys) == (1, (("id",),), (("tenant", "id"),), ())
    assert scores.indexes == (("ask", "tenant"),)
    assert ask.links == (Link(("user_id",), "public", "users", ("id",), "cascade"),)
    assert scores.links == (Link(("tenant", "ask"), "public", "Ask", ("tenant", "id"), "no action"),)


def test_odd_names_come_as_they_are(make: Maker, tmp_path: Path) -> None:
    script = ";".join(f"CREATE TABLE {quoted(name)} ({quoted(name)} text PRIMARY KEY)" for name in NAMES)
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.executescript(script)
    for tables in (make(script).store.tables(), opened(tmp_path).tables()):
        assert sorted(table.name for table in tables) == sorted(NAMES)
        assert all(table.columns[0].name == table.name and table.keys == ((table.name,),) for table in tables)


def test_large_objects_and_other_databases_are_named(make: Maker) -> None:
    made, other = make("CREATE TABLE t (id int)"), make("")
    assert list(made.store.unmapped([], lambda _name: False)) == ["public.t"]
    with made.server.connect(made.name) as connection:
        connection.execute("SELECT lo_from_bytea(0, 'x')")
    assert list(made.store.unmapped([], lambda _name: False)) == ["public.t", "pg_largeobject"]
    assert list(made.store.unmapped([], lambda name: name == "pg_largeobject")) == ["public.t"]
    beside = made.store.neighbours()
    assert beside.separate
    assert other.name in beside.names
    assert made.name not in beside.names


def opened(folder: Path) -> SqliteStore:
    return SqliteKind().open(Store("app", "sqlite", {"path": "a.db"}), folder)


def test_sqlite_says_of_its_tables_what_was_declared(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.executescript(
            """
            CREATE TABLE users (id INTEGER PRIMARY KEY, mail VARCHAR(320) NOT NULL UNIQUE, made DATETIME, ok BOOLEAN,
                j JSON);
            CREATE TABLE asks (tenant, id, who REFERENCES users ON DELETE SET NULL, body TEXT, raw BLOB,
                cost DECIMAL(9, 2),
                PRIMARY KEY (tenant, id)) WITHOUT ROWID;
            CREATE INDEX by_who ON asks (who, lower(body)); CREATE INDEX some ON asks (raw) WHERE raw > 1;
            CREATE VIRTUAL TABLE words USING fts5(body); CREATE VIEW v AS SELECT 1 AS prompt; CREATE TABLE hidden (id);
            """
        )
    store = opened(tmp_path)
    found = {table.title: table for table in store.tables()}
    assert {name: table.kind for name, table in found.items()} == {
        "asks": "table",
        "hidden": "table",
        "users": "table",
        "words": "virtual table",
    }
    users, asks = found["users"], found["asks"]
    assert [(each.family, each.size) for each in users.columns] == [
        (Family.INTEGER, None),
        (Family.TEXT, 320),
        (Family.TIME, None),
        (Family.BOOLEAN, None),
        (Family.JSON, None),
    ]
    assert users.keys == (("id",), ("mail",))
    assert asks.keys == (("tenant", "id"),)
    assert asks.links == (Link(("who",), "", "users", ("id",), "set null"),)
    assert asks.indexes == (("tenant", "id"), ("who",))
    assert {each.family for each in found["words"].columns} == {Family.SEARCH}
    dataset = Dataset("d", "app", "sqlite", "c", table="main.asks", tombstone=TombstoneTarget(table="hidden"))
    assert store.tables_of(dataset) == {"asks", "hidden"}


def test_the_buckets_of_the_account_are_seen_where_that_is_allowed(
    moto_s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client("s3", endpoint_url=moto_s3)
    for name in ("ours", "theirs"):
        client.create_bucket(Bucket=name)
    connector = open_connector(S3Options(bucket="ours", endpoint=moto_s3))
    try:
        assert connector.neighbours().names == ("theirs",)

        def denied(**_asked: object) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListBuckets")

        monkeypatch.setattr(connector._reader.client, "list_buckets", denied)
        beside = connector.neighbours()
    finally:
        connector.close()
    assert beside.names == ()
    assert "s3:ListAllMyBuckets" in beside.unseen or "list the buckets" in beside.unseen
