"""How a store is reached: connection strings that stay secret, settings that hold, connections that come back."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from retentiond.connectors.postgresql import PostgresqlKind, PostgresqlOptions, connector
from retentiond.connectors.postgresql.session import Session
from retentiond.domain.dataset import Store
from retentiond.errors import ConnectorError
from tests.connectors.postgresql.app import OLD, App, requests
from tests.servers.postgres import PASSWORD, started

TABLE = "CREATE TABLE requests (id int PRIMARY KEY, created timestamptz); CREATE INDEX ON requests (created);"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dsn_env": "A", "dsn_file": "b"},
        {"dsn_env": "A", "verify_dsn_env": "A", "verify_dsn_file": "b"},
        {"dsn": "postgresql://x:secret@y/z"},
        {"dsn_env": "postgresql://x:secret@y/z"},
        {"dsn_env": ""},
        {"dsn_file": ""},
        {"dsn_file": "a\0b"},
    ],
)
def test_options_name_one_place_each(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        PostgresqlOptions.model_validate(options)


@pytest.mark.parametrize("options", [{"dsn_env": "A"}, {"dsn_file": "a", "verify_dsn_env": "B"}])
def test_options_that_are_right(options: dict[str, str]) -> None:
    assert PostgresqlOptions.model_validate(options).model_dump(exclude_none=True) == options


def test_a_connection_string_that_is_not_there_says_where_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    (tmp_path / "bytes").write_bytes(b"\xff")
    monkeypatch.setenv("BLANK", " ")
    for options in ({"dsn_env": "NOT_SET"}, {"dsn_env": "BLANK"}, *({"dsn_file": n} for n in ("no", "empty", "bytes"))):
        with pytest.raises(ConnectorError) as raised:
            connector.open(Store("app", "postgresql", options), tmp_path)
        assert raised.value.where == "app"
        assert raised.value.remedy


def test_a_connection_string_in_a_file(make: Callable[[str], App], tmp_path: Path) -> None:
    app = make(TABLE)
    (tmp_path / "dsn").write_text(app.server.dsn(app.database, app.role) + "\n", encoding="utf-8")
    store = PostgresqlKind().open(Store("app", "postgresql", {"dsn_file": "dsn"}), tmp_path)
    assert store.survey(requests()).findings == ()
    store.close()


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://user:hunter2@127.0.0.1:1/x?connect_timeout=2",
        "host=127.0.0.1 port=1 password='hunter2 \\'and\" more' user=x connect_timeout=2",
        "postgresql://user:hunter2@[::1/x",
        "hunter2 is no connection string",
        "password=hunter2 port=many",
    ],
)
def test_no_error_repeats_a_secret(dsn: str) -> None:
    session = Session(dsn, "app")
    with pytest.raises(ConnectorError) as raised, session.transaction():
        pass
    told = "".join(traceback.format_exception(raised.value))
    assert "hunter2" not in str(raised.value)
    assert "hunter2" not in told.split("retentiond.errors.ConnectorError")[-1]
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert raised.value.remedy


def test_a_wrong_password_is_told_from_a_server_that_is_down(make: Callable[[str], App]) -> None:
    app = make(TABLE)
    refused = Session(app.server.dsn(app.database, app.role, "hunter2"), "app")
    with pytest.raises(ConnectorError, match="password") as raised, refused.transaction():
        pass
    assert not raised.value.transient
    absent = Session("host=127.0.0.1 port=1 connect_timeout=2", "app")
    with pytest.raises(ConnectorError) as raised, absent.transaction():
        pass
    assert raised.value.transient


SETTINGS = {
    "row_security": "off",
    "search_path": "pg_catalog, pg_temp",
    "TimeZone": "UTC",
    "lock_timeout": "100ms",
    "statement_timeout": "10s",
    "application_name": "retentiond",
    "transaction_isolation": "read committed",
    "synchronous_commit": "on",
    "DateStyle": "ISO, YMD",
}
HOSTILE = (
    "ALTER DATABASE {} SET row_security = on; ALTER DATABASE {} SET search_path = 'public';"
    "ALTER DATABASE {} SET datestyle = 'German'; ALTER DATABASE {} SET synchronous_commit = off;"
    "ALTER DATABASE {} SET default_transaction_isolation = 'serializable'; ALTER DATABASE {} SET lock_timeout = 0;"
    "ALTER DATABASE {} SET bytea_output = 'escape'; ALTER DATABASE {} SET timezone = 'America/New_York';"
    "ALTER DATABASE {} SET standard_conforming_strings = off; ALTER DATABASE {} SET extra_float_digits = -10;"
    "ALTER DATABASE {} SET intervalstyle = 'iso_8601'"
)


def test_settings_hold_whatever_the_database_says(make_on_ends: Callable[[str], App]) -> None:
    app = make_on_ends(TABLE)
    app.run(HOSTILE.replace("{}", app.database))
    session = Session(app.server.dsn(app.database, app.role), "app")
    with session.transaction() as tx:
        found = {name: tx.value("SELECT current_setting(%(name)s)", {"name": name}) for name in SETTINGS}
    session.close()
    assert found == SETTINGS
    app.insert("requests", (1, OLD), (2, "infinity"), (3, None))
    app.purge_all(requests())
    assert app.all("SELECT id FROM requests ORDER BY 1") == [2, 3]


def test_a_verifying_session_is_read_only_by_itself(make: Callable[[str], App]) -> None:
    app = make(TABLE)
    session = Session(app.server.dsn(app.database, app.reader), "app", read_only=True)
    with session.transaction() as tx:
        assert tx.value("SELECT current_setting('default_transaction_read_only')") == "on"
        assert tx.value("SELECT current_setting('transaction_read_only')") == "on"
    session.close()


def test_a_function_that_shadows_one_of_ours_is_not_called(make: Callable[[str], App]) -> None:
    app = make(TABLE)
    app.run(
        "CREATE FUNCTION public.lower(x text) RETURNS text LANGUAGE sql AS 'SELECT 1/0::text::int || x';"
        "CREATE FUNCTION public.timezone(z text, x timestamp) RETURNS timestamptz LANGUAGE sql AS 'SELECT now()';"
        f"ALTER ROLE {app.role} SET search_path = public, pg_catalog"
    )
    app.insert("requests", (1, OLD))
    app.purge_all(requests())


def test_a_session_comes_back_after_the_server_restarted() -> None:
    with started() as server:
        session = Session(server.dsn(), "app")
        with session.transaction() as tx:
            assert tx.value("SELECT 1") == 1
        server.restart("immediate")
        with pytest.raises(Exception, match=r"terminat|closed|lost|connection"), session.transaction() as tx:
            tx.value("SELECT 1")
        with session.transaction() as tx:
            assert tx.value("SELECT 1") == 1
        session.close()


def test_a_session_that_finds_another_database_refuses(make: Callable[[str], App]) -> None:
    app, other = make(TABLE), make(TABLE)
    session = Session(app.server.dsn(app.database), "app")
    with session.transaction():
        pass
    session._dsn = app.server.dsn(other.database)
    session.close()
    with pytest.raises(ConnectorError, match="another database"), session.transaction():
        pass


def test_passwords_that_need_quoting_work(make: Callable[[str], App]) -> None:
    app = make(TABLE)
    app.dsn(app.server.dsn(app.database, app.role, PASSWORD))
    assert app.refusals(requests()) == []
