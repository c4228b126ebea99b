"""deploy/postgresql is enough, and no right of it can be left out: else something stops and says what to grant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import psycopg
import pytest

from retentiond.domain.dataset import ClockSource, Dataset, TombstoneTarget
from retentiond.domain.owner import OwnerSource, Via
from retentiond.domain.plan import Outcome, Sighting
from retentiond.errors import ConnectorError, LedgerError
from retentiond.ledger import Database, open_ledger
from tests.connectors.postgresql import app as asking
from tests.connectors.postgresql.app import OLD, YOUNG, App
from tests.contracts.ledger.conftest import findings
from tests.deploy.grants import FOLDER, ROLES, Right, rights, statements
from tests.ledger import samples
from tests.servers.postgres import Server, started

VARIABLES = {
    "purge": {"table": "api_requests"},
    "tombstone-column": {"table": "api_requests", "column": "deleted_at"},
    "tombstone-table": {"table": "api_requests_quarantine"},
    "owner": {"table": "api_keys"},
    "replica-lag": {},
}
TABLE = """
CREATE TABLE public.api_requests (
    request_id text, created_at timestamptz, account_id text, api_key text, deleted_at timestamptz, {key}
) {how};
CREATE INDEX ON public.api_requests (created_at);
"""
WHOLE = TABLE.format(key="PRIMARY KEY (request_id)", how="")
PARTED = (
    TABLE.format(key="PRIMARY KEY (request_id, created_at)", how="PARTITION BY RANGE (created_at)")
    + """
CREATE TABLE public.old PARTITION OF public.api_requests FOR VALUES FROM (MINVALUE) TO ('2026-05-01');
CREATE TABLE public.young PARTITION OF public.api_requests FOR VALUES FROM ('2026-05-01') TO (MAXVALUE);
"""
)
HIDDEN = """
CREATE TABLE public.api_requests_quarantine (
    LIKE public.api_requests, tombstoned_at timestamptz NOT NULL, PRIMARY KEY (request_id)
);
"""
KEYS = """
CREATE TABLE public.api_keys (token text PRIMARY KEY, account_id text);
INSERT INTO public.api_keys VALUES ('k', 'a');
"""
# As in a database that somebody has hardened, so that every right counts.
HARDENED = "REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC;"
REQUESTS = Dataset(
    "requests", "app", "postgresql", "content", ClockSource(column="created_at"), table="api_requests",
    key=("request_id",), owners=(OwnerSource("account_id"),),
)  # fmt: skip
VIA = Via("api_keys", (("api_key", "token"),), "account_id")


@dataclass(frozen=True)
class Shape:
    """A way to declare the table, what it takes in the database, and which files of statements it takes."""

    name: str
    dataset: Dataset
    script: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


SHAPES = (
    Shape("purge", REQUESTS, WHOLE, ("purge",)),
    Shape("partitions", replace(REQUESTS, key=("request_id", "created_at")), PARTED, ("purge",)),
    Shape(
        "column",
        replace(REQUESTS, tombstone=TombstoneTarget(column="deleted_at")),
        WHOLE,
        ("purge", "tombstone-column"),
    ),
    Shape(
        "quarantine",
        replace(REQUESTS, tombstone=TombstoneTarget(table="api_requests_quarantine")),
        WHOLE + HIDDEN,
        ("purge", "tombstone-table"),
    ),
    Shape("owner", replace(REQUESTS, owners=(OwnerSource(via=VIA),)), WHOLE + KEYS, ("purge", "owner")),
)


@dataclass
class Hardened:
    """An application's database in which nobody has rights but those that were granted."""

    app: App

    def run(self, script: str) -> None:
        self.app.run(script, grant=False)

    def grant(self, *files: str) -> list[Right]:
        roles = {ROLES[0]: self.app.role, ROLES[1]: self.app.reader}
        known = {"DBNAME": self.app.database, "schema": "public"}
        given = [each for file in files for each in statements(file, known | VARIABLES[file], roles)]
        self.run(";".join(given))
        return list(rights(given))

    def again(self) -> App:
        """Return the application with connections to come, as after a start."""
        self.app.close()
        self.app.store = None
        return self.app


@contextmanager
def database_of(server: Server, script: str, patch: pytest.MonkeyPatch) -> Iterator[Hardened]:
    with server.database() as database:
        app = App(server, database, patch)
        app.run(HARDENED.format(database=database) + script, grant=False)
        with closing(app):
            yield Hardened(app)


def tables(dataset: Dataset) -> list[str]:
    hidden = dataset.tombstone.table if dataset.tombstone else ""
    return [f"public.{name}" for name in (dataset.table, hidden) if name]


def carried_out(app: App, dataset: Dataset) -> bool:
    """Put two rows there, and say whether the old one goes as the dataset says, and is seen to be gone."""
    app.run(f"TRUNCATE {', '.join(tables(dataset))}", grant=False)
    app.insert("public.api_requests", ("old", OLD, "a", "k", None), ("new", YOUNG, "b", "k", None))
    cases = asking.decide(dataset, asking.TOMBSTONE if dataset.tombstone else asking.PURGE)
    records, _ = app.scan(dataset, cases)
    asked = asking.order(dataset, records, cases)
    acted, seen = app.open().act(asked), app.open().verify(asked).sightings
    wanted = Sighting.HIDDEN if dataset.tombstone else Sighting.ABSENT
    return [record.key[0] for record in records] == ["old"] and (list(acted.outcomes), list(seen)) == (
        [Outcome.DONE],
        [wanted],
    )


def missing(app: App, dataset: Dataset) -> list[str]:
    """Return the remedies of whatever keeps the dataset from being planned."""
    try:
        return [finding.remedy for finding in app.survey(dataset).findings]
    except ConnectorError as error:
        return [error.remedy]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_these_rights_are_enough_and_none_can_be_left_out(
    postgresql: Server, monkeypatch: pytest.MonkeyPatch, shape: Shape
) -> None:
    with database_of(postgresql, shape.script, monkeypatch) as made:
        granted = made.grant(*shape.parts)
        assert made.app.survey(shape.dataset).findings == ()
        assert carried_out(made.app, shape.dataset)
        for right in granted:
            made.run(right.revoke)
            remedies = missing(made.again(), shape.dataset)
            assert remedies, right
            assert all(remedy.startswith("GRANT ") for remedy in remedies), (right, remedies)
            for remedy in remedies:
                made.run(remedy)
            assert missing(made.again(), shape.dataset) == [], right
        assert carried_out(made.app, shape.dataset)


def test_every_file_of_statements_is_tried() -> None:
    assert {path.stem for path in FOLDER.glob("*.sql")} == {*VARIABLES, "roles", "ledger", "people"}


def test_the_lag_of_replicas_takes_one_right_more(postgresql_newest: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with database_of(postgresql_newest, WHOLE, monkeypatch) as made, made.app.server.standby():
        made.grant("purge")
        refused = made.app.open().pressure()
        assert (refused.replica_lag, "GRANT pg_read_all_stats" in refused.looked_at) == (None, True)
        made.grant("replica-lag")
        assert "may not see" not in made.again().open().pressure().looked_at


def test_without_the_system_identifier_only_its_name_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with started() as server, database_of(server, WHOLE, monkeypatch) as made:
        made.grant("purge")
        made.run("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC")
        assert carried_out(made.app, REQUESTS)
        asked = asking.order(REQUESTS, [])
        assert set(made.app.open().verify(asked).position or {}) == {"timeline", "lsn"}
        server.restart()
        with pytest.raises(ConnectorError, match="going down"):  # of the connection that was
            made.app.survey(REQUESTS)
        with pytest.raises(ConnectorError, match="another database"):
            made.app.survey(REQUESTS)
        assert made.again().survey(REQUESTS).findings == ()


@pytest.fixture
def own(postgresql_newest: Server) -> Iterator[tuple[Server, str, Database]]:
    """A database for a ledger alone in which its role has the rights of ledger.sql."""
    role, server = postgresql_newest.role(), postgresql_newest
    with server.database() as database, server.connect(database) as admin:
        admin.execute(HARDENED.format(database=database).encode())
        for statement in statements("ledger", {"DBNAME": database}, {ROLES[2]: role}):
            admin.execute(statement.encode())
        yield server, role, Database(server.dsn(database, role))


def test_a_ledger_needs_a_schema_of_its_own_and_nothing_else(own: tuple[Server, str, Database]) -> None:
    _, _, place = own
    ledger = open_ledger(place, create=True)
    samples.make_plan(ledger)
    samples.carry_out(ledger)
    assert findings(ledger) == []
    ledger.close()
    with psycopg.connect(place.dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE public.mine (id int)")


@pytest.mark.parametrize(
    ("revoke", "what", "remedy"),
    [
        ("REVOKE CONNECT ON DATABASE {database} FROM {role}", "CONNECT privilege", "DSN"),
        ("ALTER SCHEMA retentiond OWNER TO postgres", "lacks a right", "grant"),
        ("DROP SCHEMA retentiond", "lacks a right", "grant"),
    ],
)
def test_a_ledger_without_one_of_its_rights_is_not_begun(
    own: tuple[Server, str, Database], revoke: str, what: str, remedy: str
) -> None:
    server, role, place = own
    database = place.dsn.split("dbname=")[1].split(" ")[0]
    with server.connect(database) as admin:
        admin.execute(revoke.format(database=database, role=role).encode())
    with pytest.raises(LedgerError, match=what) as caught:
        open_ledger(place, create=True)
    assert remedy in caught.value.remedy
