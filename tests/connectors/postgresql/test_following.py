"""Foreign keys with CASCADE or SET NULL: rows that were declared go first, and others are never followed to."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread

import pytest

from retentiond.domain.dataset import Child
from retentiond.domain.plan import Outcome
from tests.connectors.postgresql.app import OLD, App, requests

TABLE = "CREATE TABLE requests (id int PRIMARY KEY, created timestamptz); CREATE INDEX ON requests (created);"
ITEMS = (
    "CREATE TABLE items (id int PRIMARY KEY, request int REFERENCES requests ON DELETE {}, note text);"
    "CREATE INDEX ON items (request);"
)
FOLLOWED = ("CASCADE", "SET NULL", "SET DEFAULT")
PARENT = requests(children=(Child("items", "items", (("request", "id"),)),))


def made(make: Callable[[str], App], how: str) -> App:
    app = make(TABLE + ITEMS.format(how))
    app.insert("requests", *((n, OLD) for n in range(6)))
    return app


@pytest.mark.parametrize("how", FOLLOWED)
def test_rows_that_were_declared_keep_what_the_database_would_follow(
    make_on_each: Callable[[str], App], how: str
) -> None:
    app = made(make_on_each, how)
    app.insert("items", (1, 3, "kept"))
    assert app.refusals(PARENT) == []
    acted, _ = app.purge(PARENT, app.due(PARENT))
    assert acted.outcomes.count(Outcome.DONE) == 5
    assert acted.outcomes[3] is Outcome.BLOCKED
    assert app.all("SELECT id FROM requests") == [3]
    assert app.all("SELECT request FROM items") == [3]


@pytest.mark.parametrize("how", FOLLOWED)
def test_a_row_that_is_added_while_the_statement_waits_is_never_taken_along(
    make: Callable[[str], App], how: str
) -> None:
    """The statement cannot see it, and the foreign key would follow to it."""
    app = made(make, how)
    records = app.due(PARENT)
    with app.connection() as other:
        with other.transaction():
            other.execute("INSERT INTO items VALUES (1, 3, 'late')")
            late = Thread(target=lambda: ended.append(app.purge(PARENT, records)[0]))
            ended: list[object] = []
            late.start()
            while not app.all("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                time.sleep(0.001)
        late.join()
    assert app.all("SELECT id FROM requests") == [3]
    assert app.all("SELECT request FROM items") == [3]


@pytest.mark.parametrize(
    ("child", "says"),
    [
        ((("id", "id"),), "parent: {dataset: requests, on: {request: id}}"),  # a link of other columns finds other rows
        ((("request", "id"), ("note", "note")), "parent: {dataset: requests, on: {request: id}}"),
    ],
)
def test_a_link_that_does_not_find_all_of_them_is_refused(
    make: Callable[[str], App], child: tuple[tuple[str, str], ...], says: str
) -> None:
    app = make(TABLE.replace("created timestamptz", "created timestamptz, note text") + ITEMS.format("CASCADE"))
    app.run("CREATE INDEX ON items (request, note)")
    ((what, remedy),) = app.refusals(requests(children=(Child("items", "items", child),)))
    assert 'would CASCADE rows of public.items ("request")' in what
    assert says in remedy


def test_a_server_that_does_not_count_is_refused(make: Callable[[str], App]) -> None:
    app = made(make, "CASCADE")
    with app.connection() as db:
        db.execute(f"ALTER ROLE {app.role} SET track_counts = off".encode())
    ((what, remedy),) = app.refusals(PARENT)
    assert "does not count" in what
    assert "track_counts = on" in remedy
