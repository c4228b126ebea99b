"""An application's database, as the tests of the connector make it, and what they ask of the connector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from retentiond.connectors.postgresql import PostgresqlKind
from retentiond.connectors.postgresql.store import PostgresqlStore
from retentiond.domain.dataset import ClockSource, Dataset, Store
from retentiond.domain.decision import Cases, cases_of
from retentiond.domain.period import Period
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action, Policy, Rule
from retentiond.domain.record import Record
from retentiond.ports.stores import Acted, Order, Survey, Tally
from tests.servers.postgres import Server

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OLD, YOUNG = "2026-04-01T00:00:00Z", "2026-05-31T00:00:00Z"
REQUESTS = Dataset(
    "requests", "app", "postgresql", "content", ClockSource(column="created"), table="requests", key=("id",)
)
PURGE = Rule(1, Period(days=30))
TOMBSTONE = Rule(1, Period(days=30), then=Action.TOMBSTONE, grace=Period(days=5))


class App:
    """A database and the application that writes it; the connector has roles of its own."""

    def __init__(self, server: Server, database: str, patch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.database = database
        self.patch = patch
        self.role = server.role()
        self.reader = server.role()
        self.store: PostgresqlStore | None = None
        self.dsn(server.dsn(database, self.role))
        patch.setenv("READER_DSN", server.dsn(database, self.reader))

    def dsn(self, dsn: str) -> None:
        self.patch.setenv("APP_DSN", dsn)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        with self.server.session(self.database) as connection:
            yield connection

    def run(self, script: str, *, grant: bool = True) -> None:
        with self.connection() as connection:
            connection.execute(script.encode())
            if grant:
                connection.execute(
                    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {self.role};"
                    f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {self.reader}".encode()
                )

    def insert(self, table: str, *rows: Sequence[object]) -> None:
        with self.connection() as connection, connection.cursor() as cursor:
            marks = ", ".join("%s" for _ in rows[0])
            cursor.executemany(f"INSERT INTO {table} VALUES ({marks})".encode(), rows)

    def all(self, select: str) -> list[Any]:
        """Return the first column of a query."""
        with self.connection() as connection:
            return [row[0] for row in connection.execute(select.encode())]

    def open(self, window_rows: int = 3, **options: str) -> PostgresqlStore:
        """Return the open store, one for the whole test."""
        if self.store is None:
            given = options or {"dsn_env": "APP_DSN", "verify_dsn_env": "READER_DSN"}
            self.store = PostgresqlKind(window_rows).open(Store("app", "postgresql", given), Path())
        return self.store

    def close(self) -> None:
        if self.store is not None:
            self.store.close()

    # --- what the engine would ask ---

    def scan(self, dataset: Dataset, cases: Cases) -> tuple[list[Record], dict[int, Tally]]:
        records: list[Record] = []
        tallies: dict[int, Tally] = {}
        for window in self.open().scan(dataset, cases, frozenset(cases.due)):
            records += [found.record for found in window.found]
            for case, tally in window.tallies.items():
                tallies[case] = tallies.get(case, Tally()).plus(tally)
        return records, tallies

    def due(self, dataset: Dataset) -> list[Record]:
        return self.scan(dataset, decide(dataset, PURGE))[0]

    def doubts(self, dataset: Dataset, cases: Cases | None = None) -> dict[str, int]:
        """Return how many records are undetermined, by reason."""
        cases = cases or decide(dataset, PURGE)
        _, tallies = self.scan(dataset, cases)
        reasons = {case: "name" if case < 0 else cases.reason(case).reason for case in tallies}
        return {reasons[case]: tally.count for case, tally in tallies.items() if case < 3 and case not in cases.due}

    def purge(self, dataset: Dataset, records: Sequence[Record]) -> tuple[Acted, list[Sighting]]:
        asked = order(dataset, records)
        acted = self.open().act(asked)
        return acted, list(self.open().verify(asked).sightings)

    def purge_all(self, dataset: Dataset) -> None:
        """Purge everything that is due and see that it is gone."""
        records = self.due(dataset)
        acted, sightings = self.purge(dataset, records)
        assert set(acted.outcomes) <= {Outcome.DONE}, acted
        assert set(sightings) <= {Sighting.ABSENT}

    def survey(self, dataset: Dataset) -> Survey:
        return self.open().survey(dataset)

    def refusals(self, dataset: Dataset) -> list[tuple[str, str]]:
        found = self.survey(dataset).findings
        assert all(finding.where == dataset.name and finding.remedy for finding in found)
        return [(finding.what, finding.remedy) for finding in found if finding.refuses]


def decide(dataset: Dataset, *rules: Rule, at: datetime = NOW) -> Cases:
    return cases_of(Policy("p", "content", rules), dataset, at)


def order(
    dataset: Dataset, records: Iterable[Record], cases: Cases | None = None, fence: Callable[[], None] = lambda: None
) -> Order:
    """Return the order to do the first thing that the cases make due; to purge what is old where none are given."""
    cases = cases or decide(dataset, PURGE)
    action = cases.reason(cases.due[0]).action
    assert action is not None
    return Order(dataset, action, cases, cases.due[0], list(records), NOW, fence)


def requests(**changes: Any) -> Dataset:
    return replace(REQUESTS, **changes)
