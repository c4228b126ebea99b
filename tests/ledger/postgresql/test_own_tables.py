"""A ledger that shares its database with a store: `check` asks nobody to describe the ledger's own tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from retentiond.bootstrap import Names, initialise, open_context
from retentiond.clock import SystemClock
from retentiond.engine.checking import check
from retentiond.ledger import Database, open_ledger
from tests.engine.office import Quiet
from tests.servers.postgres import Server

DATAMAP = """
stores: {app: {kind: postgresql, dsn_env: APP_DSN, backups: none}}
datasets:
  requests:
    {store: app, table: requests, key: [id], clock: {column: created, earliest: 2020-01-01}, class: content}
unmapped: refuse
"""
POLICIES = """
policies:
  content:
    {class: content, rules: [{keep: 20 days}], schedule: every 6 hours, limits: {max_percent: 95}}
closure: {grace: none, deadline: 30 days, limits: {max_percent: 95}}
"""
REQUESTS = "CREATE TABLE requests (id int PRIMARY KEY, created timestamptz); CREATE INDEX ON requests (created);"


@dataclass
class Shared:
    """A database with a store's table and a ledger, each worked on by a role of its own."""

    server: Server
    database: str
    config: Path
    environ: dict[str, str]
    role: str
    owner: str

    def run(self, script: str) -> None:
        with self.server.connect(self.database) as db:
            db.execute(script.encode())

    def unmapped(self) -> list[str]:
        """Name the tables that `check` wants to be described."""
        with open_context(self.config, self.environ, Quiet(), lambda: False) as ctx:
            found = check(ctx).findings
        assert [each for each in found if each.where == "requests"] == []
        return [each.what.split("'")[1] for each in found if "no dataset names" in each.what]


@contextmanager
def shared(server: Server, root: Path, database: str, ledger: str, patch: pytest.MonkeyPatch) -> Iterator[Shared]:
    """Begin an instance.

    Args:
        database: Where the store's table lies.
        ledger: The database of the ledger.
    """
    role, owner = server.role(), server.role()
    environ = {"LEDGER_DSN": server.dsn(ledger, owner)}
    patch.setenv("APP_DSN", server.dsn(database, role))
    with server.connect() as admin:
        admin.execute(f"GRANT CREATE ON DATABASE {ledger} TO {owner}".encode())
    made = Shared(server, database, root / "config", environ, role, owner)
    made.run(REQUESTS)
    made.run(f"GRANT SELECT, DELETE ON requests TO {role}")
    names = Names(ledger_dsn_env="LEDGER_DSN")
    initialise(made.config, state="..", names=names, clock=SystemClock(), environ=environ)
    (made.config / "datamap.yaml").write_text(DATAMAP, "utf-8")
    (made.config / "policies.yaml").write_text(POLICIES, "utf-8")
    yield made


@pytest.fixture
def beside(postgresql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    with postgresql.database() as name, shared(postgresql, tmp_path, name, name, monkeypatch) as made:
        yield made


def test_the_ledgers_own_tables_are_not_unmapped(beside: Shared) -> None:
    assert beside.unmapped() == []


def test_tables_of_others_are_even_in_the_ledgers_schema(beside: Shared) -> None:
    beside.run(
        "CREATE TABLE loose (id int); CREATE TABLE retentiond.notes (id int); CREATE TABLE public.plans (id int)"
    )
    assert beside.unmapped() == ["public.loose", "public.plans", "retentiond.notes"]


def test_the_ledger_of_another_instance_is_somebody_elses(beside: Shared) -> None:
    ours = beside.unmapped()
    open_ledger(Database(beside.server.dsn(beside.database), "other"), create=True).close()
    theirs = [name for name in beside.unmapped() if name not in ours]
    assert "other.plans" in theirs
    assert {name.partition(".")[0] for name in theirs} == {"other"}


def test_a_role_that_may_not_ask_for_the_system_knows_the_database_still(beside: Shared) -> None:
    """Only one of the roles may read the cluster's identifier, as where a hardened server grants it to monitoring."""
    function = "FUNCTION pg_catalog.pg_control_system()"
    beside.run(f"REVOKE EXECUTE ON {function} FROM PUBLIC; GRANT EXECUTE ON {function} TO {beside.owner}")
    assert beside.unmapped() == []
    beside.run(f"REVOKE EXECUTE ON {function} FROM {beside.owner}")
    assert beside.unmapped() == []


def test_tables_of_the_same_names_in_another_database_are_unmapped(
    postgresql_newest: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        postgresql_newest.database() as one,
        postgresql_newest.database() as other,
        shared(postgresql_newest, tmp_path, one, other, monkeypatch) as made,
    ):
        made.run("CREATE SCHEMA retentiond; CREATE TABLE retentiond.plans (id int)")
        assert made.unmapped() == ["retentiond.plans"]
