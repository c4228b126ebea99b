"""Connections that are lost, servers that restart, processes that freeze."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from retentiond.errors import LedgerBusy, LedgerError
from retentiond.ledger import Database, SqlLedger, open_ledger, pg_acting, pg_session
from retentiond.ledger.pg_acting import Acting
from tests.contracts.ledger.conftest import findings
from tests.ledger import samples
from tests.ledger.postgresql.wire import Wire, wire_to
from tests.ledger.processes import Starter, go_on, said
from tests.ledger.samples import NOW, Broken
from tests.servers.postgres import Server, started


@contextmanager
def wired(server: Server, database: str) -> Iterator[tuple[Wire, SqlLedger]]:
    with wire_to(server.base / f".s.PGSQL.{server.port}") as wire:
        more = {"host": "127.0.0.1", "port": str(wire.port), "sslmode": "disable", "gssencmode": "disable"}
        ledger = open_ledger(Database(psycopg.conninfo.make_conninfo(server.dsn(database), **more)), create=True)
        try:
            yield wire, ledger
        finally:
            ledger.close()


def test_a_commit_whose_answer_is_lost_is_unknown_and_read_again(postgresql_newest: Server, database: str) -> None:
    with wired(postgresql_newest, database) as (wire, ledger):
        wire.cut_after = b"COMMIT\x00"
        with pytest.raises(LedgerError, match="not known whether the last change") as caught, ledger.begin() as tx:
            tx.entries.stage(b"entry")
        assert "it reads what happened" in caught.value.remedy
        assert wire.cuts == 1
        assert ledger.log_state.size() == 1  # it was committed: whoever had said "nothing happened" would have lied


def test_a_swap_whose_answer_is_lost_is_neither_true_nor_false(postgresql_newest: Server, database: str) -> None:
    with wired(postgresql_newest, database) as (wire, ledger):
        wire.cut_after = b"COMMIT\x00"
        with pytest.raises(LedgerError, match="not known"):
            ledger.log_state.swap_checkpoint(None, b"one")
        assert ledger.log_state.checkpoint() == b"one"
        assert ledger.log_state.swap_checkpoint(None, b"two") is False


def test_a_statement_whose_answer_is_lost_leaves_nothing(postgresql_newest: Server, database: str) -> None:
    with wired(postgresql_newest, database) as (wire, ledger):
        samples.make_plan(ledger)
        wire.cut_after = b"INSERT INTO log_entries"
        with pytest.raises(LedgerError, match="connection to it was lost"), ledger.begin() as tx:
            tx.entries.stage(b"entry")
        assert wire.cuts == 1
        assert ledger.log_state.size() == 1
        assert findings(ledger) == []


def test_a_connection_that_is_lost_before_anything_was_done_is_replaced(
    postgresql_newest: Server, database: str
) -> None:
    with wired(postgresql_newest, database) as (wire, ledger):
        samples.make_plan(ledger)
        wire.cut_after = b"BEGIN"
        with ledger.begin() as tx:
            tx.entries.stage(b"entry")
        assert wire.cuts == 1
        assert ledger.log_state.size() == 2
        assert findings(ledger) == []


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[tuple[Server, SqlLedger]]:
    """A server of the test's own, to restart."""
    del request
    with started() as server, server.database() as name:
        ledger = open_ledger(Database(server.dsn(name)), create=True)
        yield server, ledger
        ledger.close()


def test_a_restart_between_transactions_is_not_noticed(own: tuple[Server, SqlLedger]) -> None:
    server, ledger = own
    samples.make_plan(ledger)
    server.restart("immediate")
    samples.carry_out(ledger)
    server.restart("immediate")
    assert findings(ledger) == []
    assert ledger.log_state.size() == 2


def test_a_restart_inside_a_transaction_leaves_nothing_of_it(own: tuple[Server, SqlLedger]) -> None:
    server, ledger = own
    with ledger.begin() as tx:
        tx.entries.stage(b"committed")
    with pytest.raises(LedgerError, match="connection to it was lost"), ledger.begin() as tx:  # noqa: PT012 - one transaction
        tx.entries.stage(b"not committed")
        server.restart("immediate")
        tx.entries.stage(b"not committed")
    with pytest.raises(LedgerError, match="not known whether"), ledger.begin() as tx:  # noqa: PT012 - as above
        tx.entries.stage(b"not committed")
        server.restart("immediate")
    assert ledger.log_state.entries(0, 9) == [b"committed"]
    assert findings(ledger) == []


def test_a_restart_ends_acting(own: tuple[Server, SqlLedger]) -> None:
    server, ledger = own
    samples.make_plan(ledger)
    with ledger.acting():
        server.restart("immediate")
        with pytest.raises(LedgerBusy, match="lost its lock") as caught, ledger.begin() as tx:
            tx.batches.claim("plan-1", 0, NOW)
        assert caught.value.remedy
        with pytest.raises(LedgerBusy, match="lost its lock"):
            ledger.log_state.checkpoint()
    with ledger.acting(), ledger.begin() as tx:
        assert tx.batches.claim("plan-1", 0, NOW) == 1


def test_a_server_that_is_down_is_named_and_nothing_is_done(own: tuple[Server, SqlLedger]) -> None:
    server, ledger = own
    server.stop("immediate")
    with pytest.raises(LedgerError, match="cannot be reached") as caught, ledger.begin() as tx:
        tx.facts.set("a", "b")
    assert "DSN" in caught.value.remedy
    server.start()


def acting_backends(server: Server) -> list[int]:
    with server.connect() as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'retentiond acting %'"
        ).fetchall()
    return [pid for (pid,) in rows]


def end_acting(server: Server) -> None:
    (pid,) = acting_backends(server)
    with server.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_whose_lock_is_lost_stops_before_anybody_else_acts(postgresql_newest: Server, ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    with ledger.acting():
        with ledger.begin() as tx:
            token = tx.batches.claim("plan-1", 0, NOW)
        end_acting(postgresql_newest)
        with pytest.raises(LedgerBusy, match="lost its lock"), ledger.begin() as tx:
            tx.batches.mark_acted("plan-1", 0, token)
    with ledger.begin() as tx:
        assert tx.batches.of_plan("plan-1")[0].state == "claimed"


def test_whoever_finds_a_later_term_stops_although_its_lock_seems_held(ledger: SqlLedger, place: Database) -> None:
    """After a failover the lock's connection can live on at a server that is no primary any more."""
    samples.make_plan(ledger)
    with ledger.acting():
        with psycopg.connect(place.dsn, autocommit=True) as other:
            other.execute("UPDATE retentiond.facts SET value = value::int + 1 WHERE name = 'acting:term'")
        with pytest.raises(LedgerBusy, match="another process has acted"), ledger.begin() as tx:
            tx.batches.claim("plan-1", 0, NOW)


ACT = """
from retentiond.errors import LedgerError
with ledger.acting():
    with ledger.begin() as tx:
        token = tx.batches.claim("plan-1", 0, NOW)
    say(token)
    wait()
    try:
        with ledger.begin() as tx:
            say(tx.batches.token("plan-1", 0))
    except LedgerError as error:
        say(type(error).__name__)
wait()
"""


def test_a_frozen_process_does_not_act_when_it_wakes_up(
    postgresql_newest: Server, ledger: SqlLedger, place: Database, start: Starter
) -> None:
    samples.make_plan(ledger)
    frozen = start(ACT, place)
    assert said(frozen) == "1"
    frozen.send_signal(signal.SIGSTOP)
    with pytest.raises(LedgerBusy), ledger.acting():
        pytest.fail("two act")
    end_acting(postgresql_newest)
    with ledger.acting():
        with ledger.begin() as tx:
            assert tx.batches.claim("plan-1", 0, NOW) == 2
        frozen.send_signal(signal.SIGCONT)
        go_on(frozen)
        assert said(frozen) == "LockLost"
        with ledger.begin() as tx:
            assert tx.batches.token("plan-1", 0) == 2


FREEZE_INSIDE = """
from retentiond.errors import LedgerError
with ledger.acting():
    try:
        with ledger.begin() as tx:
            say("inside")
            wait()
            say(tx.batches.claim("plan-1", 0, NOW))
        say("committed")
    except LedgerError as error:
        say(type(error).__name__)
wait()
"""


def test_a_process_that_froze_inside_a_transaction_is_ended_before_another_acts(
    postgresql_newest: Server, ledger: SqlLedger, place: Database, start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_session, "LOCK_SECONDS", 1)
    samples.make_plan(ledger)
    code = "from retentiond.ledger import pg_session\npg_session.IDLE_SECONDS = 3\nledger.close()\n" + FREEZE_INSIDE
    frozen = start(code, place)
    assert said(frozen) == "inside"
    frozen.send_signal(signal.SIGSTOP)
    end_acting(postgresql_newest)
    began = time.monotonic()
    with pytest.raises(LedgerError, match="locked by another process"), ledger.acting():
        pytest.fail("acting while another one is inside a transaction")
    while time.monotonic() - began < 10:  # the server ends its transaction
        try:
            with ledger.acting(), ledger.begin() as tx:
                assert tx.batches.claim("plan-1", 0, NOW) == 1
                break
        except LedgerError:
            time.sleep(0.1)
    frozen.send_signal(signal.SIGCONT)
    go_on(frozen)
    assert said(frozen) == "LedgerError"
    with ledger.begin() as tx:
        assert tx.batches.token("plan-1", 0) == 1


def test_the_lock_is_let_go_of_at_the_end(postgresql_newest: Server, ledger: SqlLedger, tmp_path: Path) -> None:
    del tmp_path
    for _ in range(3):
        with ledger.acting():
            assert len(acting_backends(postgresql_newest)) == 1


def test_what_a_block_raises_is_not_hidden_by_a_connection_that_was_lost(own: tuple[Server, SqlLedger]) -> None:
    server, ledger = own
    with pytest.raises(Broken), ledger.begin() as tx:  # noqa: PT012 - one transaction
        tx.entries.stage(b"not committed")
        server.restart("immediate")
        raise Broken
    assert ledger.log_state.size() == 0


def test_whoever_stands_still_for_longer_than_the_lease_is_followed_by_another(
    place: Database, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_acting, "LEASE_SECONDS", 1)
    monkeypatch.setattr(pg_acting, "_ASK_SECONDS", 0.2)
    other = open_ledger(place)
    with ledger.acting():
        time.sleep(2)
        with pytest.raises(LedgerBusy), other.acting():
            pass
        monkeypatch.setattr(Acting, "require_lock", lambda _: None)  # it asks no more, as a frozen one
        time.sleep(2)
        monkeypatch.undo()
        with other.acting():
            pass
        with pytest.raises(LedgerBusy, match="lost its lock"), ledger.begin():
            pass
    other.close()
