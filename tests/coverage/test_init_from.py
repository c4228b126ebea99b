"""`init --from`: stores are looked at and not touched, no secret reaches a file, and `check` reads the draft."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import psycopg
import pytest
from click.testing import CliRunner

from retentiond.bootstrap import open_context
from retentiond.cli import cli
from retentiond.engine.checking import check
from retentiond.errors import ConfigError, ConnectorError
from retentiond.ports.stores import Finding
from tests.coverage.database import Maker
from tests.coverage.facts import ddl
from tests.coverage.schemas import application
from tests.coverage.test_drafting import answered
from tests.engine.office import Quiet

SCHEMA = """
CREATE TABLE accounts (id text PRIMARY KEY, email text, created_at timestamptz NOT NULL);
CREATE TABLE requests (id bigint PRIMARY KEY, account_id text NOT NULL REFERENCES accounts, prompt text, response jsonb,
    payload_key text, tier text, created_at timestamptz NOT NULL, deleted_at timestamptz);
CREATE TABLE "Score's" (request bigint NOT NULL REFERENCES requests ON DELETE CASCADE, "no" int, comment text,
    at timestamp NOT NULL, PRIMARY KEY (request, "no"));
CREATE TABLE schema_migrations (version text PRIMARY KEY);
CREATE INDEX ON requests (created_at); CREATE INDEX ON requests (account_id); CREATE INDEX ON accounts (created_at);
CREATE INDEX ON "Score's" (at);
INSERT INTO accounts VALUES ('SENTINEL', 'SENTINEL@x.example', now());
INSERT INTO requests VALUES (1, 'SENTINEL', 'SENTINEL', '{"SENTINEL": 1}', 'SENTINEL', 'x', now(), NULL);
"""


def init(*words: str) -> dict[str, Any]:
    answer = CliRunner().invoke(cli, ["init", *words, "--json"], standalone_mode=False)
    if answer.exception:
        raise answer.exception
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def findings(config: Path) -> list[Finding]:
    with open_context(config, {}, Quiet(), lambda: False) as ctx:
        return list(check(ctx).findings)


def answer(config: Path) -> None:
    path = config / "datamap.yaml"
    path.write_text(answered(path.read_text("utf-8")), "utf-8")


def written(folder: Path) -> Iterator[str]:
    yield from (path.read_text("utf-8", "replace") for path in folder.rglob("*") if path.is_file())


def test_a_database_is_looked_at_by_a_role_that_sees_no_row_and_nothing_is_written_in_it(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(SCHEMA)
    role = made.server.role()
    dsn = psycopg.conninfo.conninfo_to_dict(made.server.dsn(made.name, role))
    dsn["password"] = "hunter2"
    url = "postgresql:///?" + "&".join(f"{name}={_quoted(value)}" for name, value in dsn.items())
    before = _transactions(made.server, made.name)
    config = tmp_path / "config"
    found = init("--from", url, str(config))
    assert _transactions(made.server, made.name) == before
    texts = [*written(config), json.dumps(found)]
    assert not any("SENTINEL" in text for text in texts)
    assert not any("hunter2" in text for text in texts)
    variable = found["draft"]["stores"][0]["secret_env"]
    by_name = {each["name"]: each for each in found["draft"]["datasets"]}
    assert {name: each["counts"] for name, each in by_name.items()} == {
        "public.Score's": False,
        "public.accounts": True,
        "public.requests": True,
    }
    assert [each["pattern"] for each in found["draft"]["ignored"]] == ["public.schema_migrations"]
    asked = {(each["of"], each["field"]) for each in found["draft"]["questions"]}
    assert ("requests", "account") in asked
    assert ("score-s", "clock") in asked
    monkeypatch.setenv(variable, made.server.dsn(made.name, _acting(made.server, made.name)))
    assert any("Score's" in each.what and "holds data that no dataset names" in each.what for each in findings(config))
    answer(config)
    told = findings(config)
    assert {each.what for each in told if "no policy governs" not in each.what} == set()
    assert "policies: {}" in (config / "policies.yaml").read_text("utf-8")


def _quoted(value: object) -> str:
    return quote(str(value), safe="")


def _transactions(server: Any, name: str) -> int:
    """Return the next transaction number: it moves with each transaction that writes."""
    with server.connect(name) as connection:
        (number,) = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
    return int(number)


def _acting(server: Any, name: str) -> str:
    role: str = server.role()
    with server.connect(name) as connection:
        connection.execute(f"GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}".encode())
    return role


@pytest.mark.parametrize("name", ["litellm", "langfuse", "openwebui"])
def test_public_schemas_on_postgresql_give_a_data_map_whose_tables_are_all_found(
    name: str, make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(ddl(application(name)))
    found = init("--from", f"postgresql:///{made.name}?{_url_of(made.server, made.name)}", str(tmp_path / "c"))
    answer(tmp_path / "c")
    role = _acting(made.server, made.name)
    monkeypatch.setenv(found["draft"]["stores"][0]["secret_env"], made.server.dsn(made.name, role))
    told = {each.what for each in findings(tmp_path / "c")}
    unexpected = {what for what in told if not any(word in what for word in _EXPECTED)}
    not_mappable = {each["name"] for each in found["draft"]["not_mappable"]}
    assert {what for what in unexpected if not any(repr(title) in what for title in not_mappable)} == set()


_EXPECTED = (
    "no closure takes it",
    "no index on the clock",
    "no policy governs",
    "would read all of",
    "looks like request content",
    "no index finds",
)


_CHAIN = """
CREATE TABLE orgs (id uuid PRIMARY KEY, label text, created_at timestamptz NOT NULL);
CREATE TABLE projects (id uuid PRIMARY KEY, org_id uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
    created_at timestamptz NOT NULL);
CREATE TABLE runs (id uuid PRIMARY KEY, project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE, input jsonb,
    template uuid, created_at timestamptz NOT NULL);
CREATE TABLE verdicts (run uuid REFERENCES runs ON DELETE CASCADE, slot int, labels text[], PRIMARY KEY (run, slot));
CREATE TABLE votes (run uuid, kind text, comment text, created_at timestamptz NOT NULL, PRIMARY KEY (run, kind));
"""


def test_a_draft_follows_every_account_through_a_chain_and_check_names_what_it_does_not(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, config = make(_CHAIN), tmp_path / "c"
    found = init("--from", f"postgresql:///{made.name}?{_url_of(made.server, made.name)}", str(config))
    assert (found["draft"]["ignored"], found["draft"]["not_mappable"]) == ([], [])
    answer(config)
    monkeypatch.setenv(
        found["draft"]["stores"][0]["secret_env"], made.server.dsn(made.name, _acting(made.server, made.name))
    )
    no_closure = "other datasets have owners, and it has none: no closure takes it"
    told = {(each.where, each.what) for each in findings(config)}
    told = {each for each in told if not any(word in each[1] for word in (*_EXPECTED[1:], "bear no time"))}
    assert told == {("dataset votes", no_closure)}
    path = config / "datamap.yaml"
    text = path.read_text("utf-8")
    chained = '{via: {schema: public, name: projects}, "on": {project_id: id}, take: org_id}'
    path.write_text(text.replace(chained, "project_id"), "utf-8")
    lost = {each.where for each in findings(config) if "no closure of that one takes it" in each.what}
    assert lost == {"dataset runs"}


def _url_of(server: Any, name: str) -> str:
    dsn = psycopg.conninfo.conninfo_to_dict(server.dsn(name, server.role()))
    return "&".join(f"{key}={_quoted(value)}" for key, value in dsn.items() if key != "dbname")


def test_a_file_stays_byte_for_byte_and_its_draft_passes_check(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(ddl(application("anythingllm")))
        db.execute("PRAGMA journal_mode = wal")
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    found = init("--from", f"sqlite:{path}", str(tmp_path / "config"))
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()} == before
    assert len(found["draft"]["datasets"]) == 30
    assert not any(each.refuses and "no index" not in each.what for each in findings(tmp_path / "config"))
    answer(tmp_path / "config")
    told = [each.what for each in findings(tmp_path / "config")]
    assert [what for what in told if not any(word in what for word in _EXPECTED)] == []


def test_buckets_and_directories_beside_a_table(tmp_path: Path, moto_s3: str) -> None:
    client = boto3.client("s3", endpoint_url=moto_s3)
    client.create_bucket(Bucket="payloads")
    client.put_object(Bucket="payloads", Key="in/SENTINEL.json", Body=b"SENTINEL")
    (tmp_path / "disk" / "out").mkdir(parents=True)
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute(
            "CREATE TABLE requests (id INTEGER PRIMARY KEY, account_id TEXT, s3_key TEXT, prompt TEXT, created_at TEXT)"
        )
        db.execute("CREATE INDEX made ON requests (created_at)")
    sources = (str(tmp_path / "app.db"), "s3://payloads")
    words = [word for source in sources for word in ("--from", source)]
    found = init(*words, "--endpoint", moto_s3, str(tmp_path / "config"))
    assert not any("SENTINEL" in text for text in written(tmp_path / "config"))
    assert [each["name"] for each in found["draft"]["datasets"]] == ["requests", "payloads/in/"]
    answer(tmp_path / "config")
    with open_context(tmp_path / "config", {}, Quiet(), lambda: False) as ctx:
        assert ctx.datamap.datasets["in"].follows == "requests"
        assert [each.what for each in check(ctx).findings if "no policy" not in each.what] == []
    other = init("--from", str(tmp_path / "disk"), str(tmp_path / "other"))
    assert [each["name"] for each in other["draft"]["datasets"]] == ["disk/out/"]


@pytest.mark.parametrize(
    ("source", "kind", "says"),
    [
        ("mysql://x/y", ConfigError, "no store that can be looked at"),
        ("", ConfigError, "no store that can be looked at"),
        pytest.param("x" * 5000, ConfigError, "no store that can be looked at", id="longer than any path"),
        pytest.param("sqlite:" + "x" * 5000, ConnectorError, "there is no database file", id="longer than any file"),
        ("sqlite:/nowhere/\n.db", ConnectorError, "there is no database file"),
        ("s3://-", ConnectorError, "no bucket"),
        ("postgresql://u:hunter2@127.0.0.1:1/x", ConnectorError, "no connection"),
    ],
)
def test_what_cannot_be_looked_at_leaves_nothing_behind(
    source: str, kind: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=says) as caught:
        init("--from", source, str(tmp_path / "config"))
    assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x" * 5000)
    with pytest.raises(ConnectorError, match="not a database"):
        init("--from", str(tmp_path / "x"), str(tmp_path / "config"))
