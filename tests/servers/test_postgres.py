"""The servers of the tests themselves: real, of the version they say, apart from each other, and gone afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.servers.postgres import PASSWORD, Server, installations, is_alive, started


def test_each_server_is_of_the_version_that_it_says(postgresql: Server) -> None:
    with postgresql.connect() as connection:
        assert connection.info.server_version // 10_000 == postgresql.version


def test_versions_16_and_18_are_there() -> None:
    assert {16, 18} <= {each.version for each in installations()}


def test_databases_are_empty_and_apart(postgresql_newest: Server) -> None:
    with postgresql_newest.database() as one, postgresql_newest.database() as other:
        with postgresql_newest.connect(one) as connection:
            connection.execute("CREATE TABLE t (id int)")
        with postgresql_newest.connect(other) as connection, pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT 1 FROM t")


def test_tcp_asks_for_the_password(postgresql_newest: Server) -> None:
    with psycopg.connect(postgresql_newest.dsn(password=PASSWORD)) as connection:
        assert connection.info.host == "127.0.0.1"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgresql_newest.dsn(password="wrong"))


def test_a_killed_server_comes_back_with_what_was_committed() -> None:
    with started() as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS id")
        server.kill()
        server.start()
        with server.connect() as connection:
            assert connection.execute("SELECT id FROM t").fetchall() == [(7,)]


def test_a_standby_follows_and_can_be_promoted() -> None:
    with started() as server, server.standby() as standby:
        with standby.connect() as connection:
            assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        standby.promote()
        with standby.connect() as connection:
            assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)


def test_a_server_goes_with_the_process_that_started_it_however_that_ends() -> None:
    script = (
        "import sys, time\n"
        "from tests.servers.postgres import started\n"
        "with started() as server:\n"
        "    print(server.pid, server.base, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid, base = process.stdout.readline().split()
        assert Path(base).exists()
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(base).exists() or is_alive(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
