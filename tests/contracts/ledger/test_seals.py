"""What is sealed in the ledger is found by the key's mark, and replaced only as it was read."""

from __future__ import annotations

import base64

import pytest

from retentiond.errors import NotFound
from retentiond.ledger import SqlLedger
from retentiond.ports.seals import SealedRow
from tests.ledger import samples

OLD, NEW = b"\x02oldkey..", b"\x02newkey.."


def test_everything_sealed_is_found_until_it_is_under_the_mark(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    samples.carry_out(ledger)
    with ledger.begin() as tx:
        tx.closures.add(samples.closure())
        tx.facts.set("purge:plan-1", base64.b64encode(OLD + b"purge").decode())
        tx.facts.set("other", "not sealed")
    found: list[SealedRow] = []
    with ledger.begin() as tx:
        while rows := tx.seals.not_under(NEW, 1):
            (row,) = rows
            found.append(row)
            tx.seals.replace(row, NEW + row.sealed)
    assert [(each.kind, *each.key) for each in found] == [
        ("run", "run-1"),
        ("receipt", "receipt-1"),
        ("batch", "plan-1", "0"),
        ("batch", "plan-1", "1"),
        ("closure", "closure-1"),
        ("purge", "plan-1"),
    ]
    assert {each.context for each in found} >= {b"run/run-1", b"batch/plan-1/1", b"purge/plan-1"}
    with ledger.begin() as tx:
        receipt = tx.receipts.get("receipt-1")
        assert receipt is not None
        assert receipt.commitment_key == NEW + samples.receipt().commitment_key
        assert tx.batches.identifiers("plan-1", 1).startswith(NEW)
        assert tx.facts.get("purge:plan-1") == base64.b64encode(NEW + OLD + b"purge").decode()
        with pytest.raises(NotFound, match="as it was read"):
            tx.seals.replace(found[0], OLD)  # somebody else was first


def test_what_was_destroyed_is_nothing_to_seal(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.closures.add(samples.closure())
        tx.closures.cancel("closure-1")
        assert tx.seals.not_under(NEW, 5) == []
