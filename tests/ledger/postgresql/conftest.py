from __future__ import annotations

from collections.abc import Iterator

import pytest

from retentiond.ledger import Database, SqlLedger, open_ledger
from tests.ledger import samples
from tests.ledger.processes import Starter, starter
from tests.servers.postgres import Server


@pytest.fixture(scope="session")
def empty(postgresql_newest: Server) -> Iterator[str]:
    """A database in which a ledger was begun, to be copied: that takes a tenth of the time."""
    with postgresql_newest.database() as name:
        open_ledger(Database(postgresql_newest.dsn(name)), create=True).close()
        yield name


@pytest.fixture(scope="session")
def in_use(postgresql_newest: Server, empty: str) -> Iterator[str]:
    """One more to be copied: a plan that was carried out, one that was not, more events than one page of a check."""
    with postgresql_newest.database(empty) as name:
        ledger = open_ledger(Database(postgresql_newest.dsn(name)))
        samples.make_plan(ledger, "plan-1")
        samples.carry_out(ledger, "plan-1")
        samples.make_plan(ledger, "plan-2", counts=(4,))
        with ledger.begin() as tx:
            for number in range(1, 1_200):
                tx.events.append("k", f"s{number}", samples.NOW, {"n": number})
        ledger.close()
        yield name


@pytest.fixture
def database(request: pytest.FixtureRequest, postgresql_newest: Server) -> Iterator[str]:
    """A database with what the test asks for: a ledger in use, an empty one, or nothing."""
    template = {"used": "in_use", "ledger": "empty"}
    asked = next((made for wanted, made in template.items() if wanted in request.fixturenames), None)
    with postgresql_newest.database(request.getfixturevalue(asked) if asked else "template0") as name:
        yield name


@pytest.fixture
def place(postgresql_newest: Server, database: str) -> Database:
    return Database(postgresql_newest.dsn(database))


@pytest.fixture
def ledger(place: Database) -> Iterator[SqlLedger]:
    opened = open_ledger(place)
    yield opened
    opened.close()


@pytest.fixture
def used(ledger: SqlLedger) -> SqlLedger:
    return ledger


@pytest.fixture
def start() -> Iterator[Starter]:
    with starter() as start:
        yield start
