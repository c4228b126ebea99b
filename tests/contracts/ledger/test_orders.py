"""Orders: one is taken once, and whatever is told to somebody who is gone is told to nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from retentiond.errors import NotFound
from retentiond.ledger import SqlLedger
from retentiond.ports.orders import OrderRow, OrderState
from tests.ledger.samples import NOW

ORDER = OrderRow("order-1", NOW, 2**31 - 1, "account close", {"account_id": "a\x00\u202eb", "at": None}, [["ssh", "k"]])
TEXT = {"text": "retentiond-request/v1\n", "public": ["ssh", "k"]}


def test_an_order_is_taken_once_signed_and_answered(ledger: SqlLedger) -> None:
    with ledger.orders() as orders:
        orders.add(ORDER)
        assert orders.get(ORDER.id) == ORDER
        assert orders.take(ORDER.id, 7)
        assert not orders.take(ORDER.id, 8)
        with pytest.raises(NotFound):
            orders.sign(ORDER.id, "before it was asked for")
    with ledger.orders() as orders:
        orders.ask(ORDER.id, TEXT)
        orders.sign(ORDER.id, "signature")
        orders.tell(ORDER.id, {"what": "purging", "done": 3})
        taken = replace(ORDER, server=7, text=TEXT, signature="signature", progress={"what": "purging", "done": 3})
        assert orders.get(ORDER.id) == replace(taken, state=OrderState.SIGNED)
        orders.finish(ORDER.id, {"exit": 0})
    with ledger.orders() as orders:
        assert orders.all() == [replace(taken, state=OrderState.DONE, answer={"exit": 0})]
        orders.remove(ORDER.id)
        assert orders.all() == []


def test_one_that_was_put_back_is_taken_by_another(ledger: SqlLedger) -> None:
    with ledger.orders() as orders:
        orders.add(replace(ORDER, id="order-2", asked_at=NOW + timedelta(seconds=1)))
        orders.add(ORDER)
        assert orders.take(ORDER.id, 7)
        orders.put_back(ORDER.id)
        assert [(each.id, each.server) for each in orders.all()] == [("order-1", 0), ("order-2", 0)]
        assert orders.take(ORDER.id, 8)


def test_nothing_is_told_to_somebody_who_is_gone(ledger: SqlLedger) -> None:
    with ledger.orders() as orders:
        assert not orders.take("gone", 7)
        orders.tell("gone", {})
        orders.finish("gone", {"exit": 0})
        with pytest.raises(NotFound):
            orders.ask("gone", TEXT)
        assert orders.all() == []
