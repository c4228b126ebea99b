from __future__ import annotations

from collections.abc import Iterator

import pytest

from retentiond.ledger import Database, SqlLedger, open_ledger
from tests.ledger.processes import Starter, starter
from tests.servers.postgres import Server


@pytest.fixture
def database(postgresql_newest: Server) -> Iterator[str]:
    with postgresql_newest.database() as name:
        yield name


@pytest.fixture
def place(postgresql_newest: Server, database: str) -> Database:
    return Database(postgresql_newest.dsn(database))


@pytest.fixture
def ledger(place: Database) -> Iterator[SqlLedger]:
    opened = open_ledger(place, create=True)
    yield opened
    opened.close()


@pytest.fixture
def start() -> Iterator[Starter]:
    with starter() as start:
        yield start
