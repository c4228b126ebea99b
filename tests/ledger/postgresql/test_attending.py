"""Who is there: those whose connection stands, and who were heard of lately."""

from __future__ import annotations

import pytest

from retentiond.ledger import Database, SqlLedger, open_ledger, pg_attending
from retentiond.ports.orders import OrderRow, Role
from tests.ledger.samples import NOW
from tests.servers.postgres import Server

ORDER = OrderRow("order-1", NOW, 1, "run", {}, [])


def test_whoever_attends_is_seen_until_they_leave(ledger: SqlLedger) -> None:
    assert ledger.attendants(Role.SERVING) == frozenset()
    with ledger.attending(Role.SERVING) as one, ledger.attending(Role.SERVING) as two:
        with ledger.attending(Role.ASKING) as asker:
            assert ledger.attendants(Role.SERVING) == {one, two}
            assert ledger.attendants(Role.ASKING) == {asker}
        assert ledger.attendants(Role.ASKING) == frozenset()
    assert ledger.attendants(Role.SERVING) == frozenset()


def test_ledgers_of_one_database_do_not_see_each_others(postgresql_newest: Server, database: str) -> None:
    places = [Database(postgresql_newest.dsn(database), schema) for schema in ("one", "two")]
    one, two = (open_ledger(place, create=True) for place in places)
    with one.attending(Role.SERVING) as number:
        assert one.attendants(Role.SERVING) == {number}
        assert two.attendants(Role.SERVING) == frozenset()
    one.close()
    two.close()


def test_whoever_stands_still_is_not_there(
    ledger: SqlLedger, postgresql_newest: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_attending, "LEASE_SECONDS", 1)  # and its renewal comes later than that
    with ledger.attending(Role.SERVING) as number, postgresql_newest.connect(database) as connection:
        assert ledger.attendants(Role.SERVING) == {number}
        connection.execute("SELECT pg_sleep(1.5)")
        assert ledger.attendants(Role.SERVING) == frozenset()


def test_orders_wait_for_no_other_transaction(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.facts.set("a", "b")
        with ledger.orders() as orders:
            orders.add(ORDER)
        with ledger.orders() as orders:
            assert orders.get(ORDER.id) == ORDER
