"""Owners that SQLite names by itself are those that a scan finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from retentiond.domain.decision import named_cases
from retentiond.engine.closed import owners_of
from tests.engine.leavers import fill, names
from tests.engine.office import make_office


@pytest.mark.parametrize("several", [False, True])
def test_owners_are_those_that_a_scan_finds(tmp_path: Path, several: bool) -> None:  # noqa: FBT001
    office = make_office(tmp_path)
    accounts = names(8)
    fill(office, accounts)
    if several:
        one = "    account: {}\n    class: feedback"
        office.edit("datamap.yaml", one.format("account"), one.format("[account, rating]"))
    with office.db() as db:
        db.execute("UPDATE feedback SET rating = NULL WHERE id = 3")
    with office.open() as ctx:
        dataset = ctx.datamap.datasets["feedback"]
        scanned = ctx.connector(dataset).scan(dataset, named_cases(), frozenset((0,)))
        records = [found.record for window in scanned for found in window.found]
        found = {owner for owners in owners_of(ctx, dataset) for owner in owners}
    assert found == {owner for record in records for owner in record.accounts or record.ties.named}
    assert found == {*accounts, *(("0", "1", "2", "4", "5", "6", "7") if several else ())}
