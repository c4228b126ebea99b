"""The same on PostgreSQL: a dump made before the closures is put back into the database it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retentiond.domain.decision import named_cases
from retentiond.domain.hold import Scope
from retentiond.engine.approvals import approve
from retentiond.engine.closed import owners_of
from retentiond.engine.holds import add_hold
from tests.engine.leavers import fill
from tests.engine.office import Office, make_office, outcomes
from tests.engine.postgres_office import on_postgresql
from tests.replay.restoring import everything
from tests.replay.test_check import looked
from tests.replay.test_replay import ACCOUNTS, LEAVING, again, age, leave, settle
from tests.servers.postgres import Server


@pytest.fixture
def database(postgresql_newest: Server) -> Iterator[str]:
    with postgresql_newest.database() as name:
        yield name


@pytest.fixture
def office(tmp_path: Path, postgresql_newest: Server, database: str) -> Office:
    made = make_office(tmp_path)
    made.edit("policies.yaml", "max_percent: 95", "max_percent: 100")
    on_postgresql(made, postgresql_newest, database)
    fill(made, ACCOUNTS, requests=3, payload_each=100)
    (tmp_path / "payloads" / "p-0").unlink()
    with made.db() as db:
        db.execute("UPDATE requests SET payload = NULL")
    settle(made)
    return made


def test_a_dump_from_before_the_closures(office: Office, postgresql_newest: Server, database: str) -> None:
    server = postgresql_newest
    dump = server.base / f"{database}.dump"
    server.run("pg_dump", "--format=custom", "-f", str(dump), server.dsn(database))
    leave(office)
    expected = everything(office)
    age(office, hours=3)
    assert looked(office) == []
    server.run("pg_restore", "--clean", "--if-exists", "-d", server.dsn(database), str(dump))
    office.request("since", 0, account=LEAVING[0])  # somebody who came back
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=(LEAVING[1],)), "matter-1", "a reason", None)
    before = everything(office)

    said = "; ".join(looked(office))
    assert "15 records of requests are of closed accounts, and older than the closure" in said
    assert "5 records of feedback are of closed accounts" in said
    assert "records of requests that were removed in the last days are there again, 15 of " in said
    assert everything(office) == before

    waits = again(office)
    assert waits.session.stopped_plan is not None
    with office.open() as ctx:
        approve(ctx, waits.session.stopped_plan.id, None)
    done = again(office)
    assert (done.session.failures, done.session.stops) == ([], [])
    assert outcomes(done.session) == {"requests": {"purged": 12}, "feedback": {"purged": 4}}
    left = everything(office)
    kept = {row[0] for row in left["requests"] - expected["requests"]}
    assert kept == {"since", "r-1-0", "r-1-1", "r-1-2"}
    assert {row[0] for row in left["feedback"] - expected["feedback"]} == {1}
    assert all(expected[name] <= left[name] for name in left)


@pytest.mark.parametrize("plain", [True, False])
def test_owners_are_named_by_the_store_itself(office: Office, plain: bool) -> None:  # noqa: FBT001
    if not plain:
        one = "    account: {}\n    class: feedback"
        office.edit("datamap.yaml", one.format("account"), one.format("[account, rating]"))
    with office.db() as db:
        db.execute("UPDATE feedback SET rating = NULL WHERE id = 3")  # of these not all owners can be read
    with office.open() as ctx:
        dataset = ctx.datamap.datasets["feedback"]
        scanned = ctx.connector(dataset).scan(dataset, named_cases(), frozenset((0,)))
        records = [found.record for window in scanned for found in window.found]
        found = {owner for owners in owners_of(ctx, dataset) for owner in owners}
    assert found == {owner for record in records for owner in record.accounts or record.ties.named}
    assert ACCOUNTS[0] in found
    assert ACCOUNTS[3] in found
    assert ("2" in found) is not plain
