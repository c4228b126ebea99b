"""Opening, making and upgrading a ledger in a database that others use too."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.types import TypeDecorator

from retentiond.errors import LedgerBusy, LedgerError
from retentiond.ledger import Database, SqlLedger, open_for_upgrade, open_ledger, schema, upgrade
from retentiond.ledger import ledger as ledgers
from retentiond.ledger.backend import transaction
from retentiond.ledger.events import SqlFacts
from retentiond.ledger.postgresql import PostgresqlBackend
from retentiond.ledger.session import Session
from tests.contracts.ledger.conftest import findings
from tests.ledger import samples
from tests.servers.postgres import PASSWORD, Server, started

NEXT = """
from alembic import op
import sqlalchemy as sa
revision, down_revision, branch_labels, depends_on = "0006", "0005", None, None
def upgrade():
    op.add_column("facts", sa.Column("note", sa.Text))
"""
ODD = "Ledger \"1\"; DROP 'x' ü🧹"


def raw(place: Database) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(place.dsn, autocommit=True)


def settings(ledger: SqlLedger, *names: str) -> dict[str, str]:
    with transaction(ledger._backend) as connection:
        return {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names}


def test_every_session_is_set_whatever_the_database_says(postgresql_newest: Server) -> None:
    loose = {
        "synchronous_commit": "off", "search_path": "public", "row_security": "on", "lock_timeout": "0",
        "default_transaction_isolation": "serializable", "statement_timeout": "0", "TimeZone": "Asia/Tokyo",
    }  # fmt: skip
    with postgresql_newest.database(**loose) as name:
        ledger = open_ledger(Database(postgresql_newest.dsn(name)), create=True)
        assert settings(ledger, *loose, "idle_in_transaction_session_timeout", "transaction_isolation") == {
            "synchronous_commit": "on", "search_path": '"retentiond", pg_temp', "row_security": "off",
            "lock_timeout": "10s", "default_transaction_isolation": "read committed", "statement_timeout": "1min",
            "TimeZone": "UTC", "idle_in_transaction_session_timeout": "30s", "transaction_isolation": "read committed",
        }  # fmt: skip
        ledger.close()


def test_a_stricter_commit_stays_as_strict(postgresql_newest: Server) -> None:
    with postgresql_newest.database(synchronous_commit="remote_apply") as name:
        ledger = open_ledger(Database(postgresql_newest.dsn(name)), create=True)
        assert settings(ledger, "synchronous_commit") == {"synchronous_commit": "remote_apply"}
        ledger.close()


def test_ledgers_and_other_tables_share_a_database(place: Database) -> None:
    with raw(place) as other:
        other.execute("CREATE TABLE public.plans (mine int)")
        other.execute("CREATE TABLE public.alembic_version (version_num text)")
    first = open_ledger(place, create=True)
    second = open_ledger(Database(place.dsn, ODD), create=True)
    samples.make_plan(first)
    with first.acting(), second.acting():
        samples.carry_out(first)
    with second.begin() as tx:
        assert tx.plans.get("plan-1") is None
    assert findings(first) == findings(second) == []
    with raw(place) as other:
        assert other.execute("SELECT count(*) FROM public.plans").fetchone() == (0,)
        tables = other.execute("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'batches'").fetchall()
    assert sorted(tables) == sorted([("retentiond",), (ODD,)])
    first.close()
    second.close()


def test_a_ledger_that_is_not_there_is_not_made_by_opening_it(place: Database) -> None:
    with pytest.raises(LedgerError, match="there is no ledger of retentiond") as caught:
        open_ledger(place)
    assert "init --ledger-dsn-env" in caught.value.remedy
    with raw(place) as other:
        assert other.execute("SELECT to_regnamespace('retentiond')").fetchone() == (None,)


def test_a_schema_with_tables_of_another_program_is_refused_and_left_as_it_is(place: Database) -> None:
    with raw(place) as other:
        other.execute("CREATE SCHEMA retentiond CREATE TABLE alembic_version (version_num text)")
        other.execute("INSERT INTO retentiond.alembic_version VALUES ('0001')")
    with pytest.raises(LedgerError, match="no ledger of retentiond"):
        open_ledger(place)
    with pytest.raises(LedgerError, match="tables of another program") as caught:
        open_ledger(place, create=True)
    assert "ledger.schema" in caught.value.remedy
    with raw(place) as other:
        assert other.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'retentiond'").fetchall() == [
            ("alembic_version",)
        ]


def test_a_role_without_rights_on_the_database_uses_the_schema_that_it_was_given(
    postgresql_newest: Server, database: str
) -> None:
    role = postgresql_newest.role(PASSWORD)
    place = Database(postgresql_newest.dsn(database, role, PASSWORD))
    with pytest.raises(LedgerError, match="lacks a right") as caught:
        open_ledger(place, create=True)
    assert "grant" in caught.value.remedy
    assert PASSWORD not in f"{caught.value} {caught.value.__cause__}"
    with postgresql_newest.connect(database) as admin:
        admin.execute(f"CREATE SCHEMA retentiond AUTHORIZATION {role}")
    ledger = open_ledger(place, create=True)
    samples.make_plan(ledger)
    samples.carry_out(ledger)
    assert findings(ledger) == []
    ledger.close()


def test_rows_that_row_level_security_would_hide_are_an_error(postgresql_newest: Server, ledger: SqlLedger) -> None:
    role = postgresql_newest.role(PASSWORD)
    database = ledger._backend.database.dsn.split("dbname=")[1].split(" ")[0]  # type: ignore[attr-defined]
    with postgresql_newest.connect(database) as admin:
        admin.execute(f"GRANT USAGE ON SCHEMA retentiond TO {role}")
        admin.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA retentiond TO {role}")
        admin.execute("ALTER TABLE retentiond.holds ENABLE ROW LEVEL SECURITY")
    theirs = open_ledger(Database(postgresql_newest.dsn(database, role, PASSWORD)))
    with pytest.raises(LedgerError, match="row-level security"), theirs.begin() as tx:
        tx.holds.active()
    theirs.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "wrong"}, "password"),
        ({"dbname": "nowhere"}, "nowhere"),
        ({"port": "1"}, "cannot be reached"),
        ({"host": "/nowhere"}, "cannot be reached"),
    ],
)
def test_a_database_that_cannot_be_reached_is_an_error_without_its_password(
    postgresql_newest: Server, changes: dict[str, str], words: str
) -> None:
    given = {"password": PASSWORD} | changes
    dsn = psycopg.conninfo.make_conninfo(postgresql_newest.dsn(password="x"), **given)
    with pytest.raises(LedgerError, match=words) as caught:
        open_ledger(Database(dsn))
    assert caught.value.remedy
    for secret in (PASSWORD, "wrong"):
        assert secret not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"


@pytest.mark.parametrize(
    "dsn", ["s3cr3t", "postgresql://u:s3cr3t@h/x?nonsense=1", "password='s3cr3t", "password=s3cr3t x"]
)
def test_a_dsn_that_is_none_is_refused_and_not_repeated(dsn: str) -> None:
    with pytest.raises(LedgerError, match="DSN cannot be read") as caught:
        open_ledger(Database(dsn))
    assert "s3cr3t" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__ and ''}"
    assert caught.value.__suppress_context__


def test_a_standby_is_refused() -> None:
    with started() as server, server.database() as name:
        open_ledger(Database(server.dsn(name)), create=True).close()
        with server.standby() as standby:
            with pytest.raises(LedgerError, match="the database is a standby") as caught:
                open_ledger(Database(standby.dsn(name)))
            assert "primary" in caught.value.remedy
            standby.promote()
            open_ledger(Database(standby.dsn(name))).close()


def test_a_database_that_may_only_be_read_is_an_error_with_a_remedy(postgresql_newest: Server, database: str) -> None:
    place = Database(postgresql_newest.dsn(database))
    open_ledger(place, create=True).close()
    ledger = open_ledger(place)
    with transaction(ledger._backend) as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        session = Session(connection, ledger._backend)
        with pytest.raises(LedgerError, match="may not be written") as caught:
            SqlFacts(session).set("a", "b")
        assert "primary" in caught.value.remedy
        with pytest.raises(LedgerError, match="nothing of it happened"):
            SqlFacts(session).get("a")
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("BEGIN")
    ledger.close()


def test_what_was_refused_is_not_committed_although_the_block_goes_on(ledger: SqlLedger) -> None:
    """The server answers such a COMMIT with ROLLBACK, and no error."""
    with pytest.raises(LedgerError, match="was rolled back after an error"), ledger.begin() as tx:  # noqa: PT012 - one transaction
        tx.facts.set("a", "b")
        tx.closures.add(samples.closure())
        with pytest.raises(LedgerError, match="refuses a change"):
            tx.closures.add(samples.closure())
    with ledger.begin() as tx:
        assert tx.facts.get("a") is None


def test_a_commit_that_is_answered_with_a_rollback_is_an_error(ledger: SqlLedger) -> None:
    with transaction(ledger._backend) as connection:
        with pytest.raises(LedgerError, match="refuses a change"):
            Session(connection, ledger._backend).change(text("INSERT INTO hold_epoch VALUES (1, 1)"))
        with pytest.raises(LedgerError, match="answered ROLLBACK to a commit") as caught:
            ledger._backend.commit(connection)
        assert caught.value.remedy
        connection.exec_driver_sql("BEGIN")


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A release whose tables are one revision newer."""
    migrations = tmp_path / "migrations"
    shutil.copytree(upgrade._MIGRATIONS, migrations)
    (migrations / "versions" / "v0006_next.py").write_text(NEXT, encoding="utf-8")
    monkeypatch.setattr(upgrade, "_MIGRATIONS", migrations)
    monkeypatch.setattr(ledgers, "REVISION", "0006")


@pytest.mark.usefixtures("next_release")
def test_an_older_ledger_is_upgraded_only_when_somebody_says_so(place: Database) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledgers, "REVISION", "0005")
        old = PostgresqlBackend(place)
        with pytest.MonkeyPatch.context() as before:
            before.setattr(upgrade, "_MIGRATIONS", Path(upgrade.__file__).parent / "migrations")
            old.create()
        old.close()
    with pytest.raises(LedgerError, match="revision 0005, older than this program") as caught:
        open_ledger(place)
    assert "`retentiond ledger upgrade`" in caught.value.remedy
    with raw(place) as other:
        assert other.execute("SELECT version_num FROM retentiond.alembic_version").fetchone() == ("0005",)
    ledger, second = open_for_upgrade(place), open_for_upgrade(place)
    with second.acting(), pytest.raises(LedgerBusy):
        ledger.upgrade()
    assert ledger.upgrade() is True
    assert ledger.upgrade() is False
    with raw(place) as other:
        assert other.execute("SELECT version_num FROM retentiond.alembic_version").fetchone() == ("0006",)
        other.execute("SELECT note FROM retentiond.facts")
    opened = open_ledger(place)
    samples.make_plan(opened)
    for each in (ledger, second, opened):
        each.close()


def test_a_ledger_of_a_newer_release_is_refused(ledger: SqlLedger, place: Database) -> None:
    with raw(place) as other:
        other.execute("UPDATE retentiond.alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerError, match="revision 9999, which this program does not know"):
        open_ledger(place)
    with pytest.raises(LedgerError, match="does not know"):
        ledger.upgrade()


def test_a_migration_that_fails_leaves_nothing(place: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    real = upgrade.upgrade

    def half(connection: object) -> None:
        real(connection)
        connection.exec_driver_sql("SELECT * FROM nowhere")

    monkeypatch.setattr(upgrade, "upgrade", half)
    with pytest.raises(LedgerError, match="nowhere"):
        open_ledger(place, create=True)
    with raw(place) as other:
        assert other.execute("SELECT to_regnamespace('retentiond')").fetchone() == (None,)
    monkeypatch.undo()
    open_ledger(place, create=True).close()


def test_the_migrations_make_the_tables_that_the_program_knows(postgresql: Server) -> None:
    def differs(context: MigrationContext, *found: Any) -> bool:
        """Whether the types of a column differ, collations and all."""
        there, ours = found[2], found[3]
        if isinstance(ours, TypeDecorator):
            ours = ours.load_dialect_impl(context.dialect)
        return str(there.compile(context.dialect)) != str(ours.compile(context.dialect))

    with postgresql.database() as name:
        ledger = open_ledger(Database(postgresql.dsn(name)), create=True)
        with transaction(ledger._backend) as connection:
            options = {"compare_server_default": True, "compare_type": differs}
            found = compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata)
            query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
            triggers = connection.exec_driver_sql(query).scalars().all()
        ledger.close()
    assert found == []
    assert set(triggers) == schema.GUARDS | schema.TRUNCATE_GUARDS
