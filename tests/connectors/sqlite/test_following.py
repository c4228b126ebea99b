"""Foreign keys with CASCADE or SET NULL: rows that were declared go first, and others are never followed to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from retentiond.domain.dataset import Child
from retentiond.domain.plan import Outcome
from tests.connectors.sqlite.app import OLD, App, requests

TABLE = "CREATE TABLE requests (id INTEGER PRIMARY KEY, created);"
ITEMS = (
    "CREATE TABLE items (id INTEGER PRIMARY KEY, request REFERENCES Requests {} ON DELETE {});"
    "CREATE INDEX i ON items (request);"
)
PARENT = requests(children=(Child("items", "items", (("request", "id"),)),))


@pytest.mark.parametrize("how", ["CASCADE", "SET NULL", "SET DEFAULT"])
@pytest.mark.parametrize("named", ["", "(ID)"])
def test_rows_that_were_declared_keep_what_the_database_would_follow(
    make: Callable[[str], App], how: str, named: str
) -> None:
    app = make(TABLE + ITEMS.format(named, how))
    app.insert("requests", *((n, OLD) for n in range(6)))
    app.insert("items", (1, 3))
    assert app.refusals(PARENT) == []
    acted, _ = app.purge(PARENT, app.due(PARENT))
    assert acted.outcomes.count(Outcome.DONE) == 5
    assert acted.outcomes[3] is Outcome.BLOCKED
    assert app.all("SELECT id FROM requests") == [3]
    assert app.all("SELECT request FROM items") == [3]


@pytest.mark.parametrize(
    "child", [Child("items", "items", (("id", "id"),)), Child("other", "other", (("request", "id"),))]
)
def test_a_link_that_does_not_find_all_of_them_is_refused(make: Callable[[str], App], child: Child) -> None:
    other = "CREATE TABLE other (request); CREATE INDEX o ON other (request);"
    app = make(TABLE + ITEMS.format("", "CASCADE") + other)
    ((what, remedy),) = app.refusals(requests(children=(child,)))
    assert "would CASCADE rows of 'items' (request)" in what
    assert "parent: {dataset: requests, on: {request: id}}" in remedy
