"""Foreign keys with CASCADE or SET NULL: rows that were declared go first, and others are never followed to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from retentiond.domain.dataset import Child, Cleared
from retentiond.domain.part import Only
from retentiond.domain.plan import Outcome, Sighting
from tests.connectors.sqlite.app import OLD, YOUNG, App, requests

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
    "child",
    [
        Child("items", "items", (("id", "id"),)),
        Child("other", "other", (("request", "id"),)),
        Child("items", "items", (("request", "id"),), where=(Only("id", (1,)),)),
    ],
)
def test_a_link_that_does_not_find_all_of_them_is_refused(make: Callable[[str], App], child: Child) -> None:
    other = "CREATE TABLE other (request); CREATE INDEX o ON other (request);"
    app = make(TABLE + ITEMS.format("", "CASCADE") + other)
    ((what, remedy),) = app.refusals(requests(children=(child,)))
    assert "would CASCADE rows of 'items' (request)" in what
    assert "parent: {dataset: requests, on: {request: id}}" in remedy


EVERY = ("NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION DEFERRABLE INITIALLY DEFERRED")
THREAD = (
    "CREATE TABLE requests (id INTEGER PRIMARY KEY, created, parent INTEGER REFERENCES requests ON DELETE {});"
    "CREATE INDEX i ON requests (parent);"
)


@pytest.mark.parametrize("how", EVERY)
def test_threads_go_whole_and_rows_that_others_refer_to_stay(make: Callable[[str], App], how: str) -> None:
    """Rows 0 to 19 are one thread, and so are 20 to 39, of which the last is young."""
    app = make(THREAD.format(how))
    app.insert("requests", *((n, OLD if n < 39 else YOUNG, n - 1 if n % 20 else None) for n in range(40)))
    assert app.refusals(requests()) == []
    records = app.due(requests())
    acted, sightings = app.purge(requests(), records)
    told = dict(zip((record.key[0] for record in records), acted.outcomes, strict=True))
    assert {told[n] for n in range(20)} == {Outcome.DONE}
    assert {told[n] for n in range(20, 39)} == {Outcome.BLOCKED}
    assert sightings.count(Sighting.ABSENT) == 20
    assert app.all("SELECT id FROM requests ORDER BY 1") == list(range(20, 40))
    assert app.all("SELECT parent FROM requests ORDER BY id") == [None, *range(20, 39)]


TALKS = (
    "CREATE TABLE talks (id INTEGER, last INTEGER REFERENCES requests ON DELETE {}); CREATE INDEX t ON talks (last);"
)


def test_a_column_that_may_be_emptied_is(make: Callable[[str], App]) -> None:
    app = make(TABLE + TALKS.format("SET NULL"))
    app.insert("requests", (1, OLD), (2, YOUNG))
    app.insert("talks", (1, 1), (2, 2), (3, 1))
    ((_, remedy),) = app.refusals(requests())
    assert "clears: [{table: talks, column: last}]" in remedy
    told = requests(clears=(Cleared("Talks", "last"),))
    assert app.refusals(told) == []
    app.purge_all(told)
    assert app.all("SELECT last FROM talks ORDER BY id") == [None, 2, None]


@pytest.mark.parametrize(
    ("how", "clears"),
    [
        ("CASCADE", Cleared("talks", "last")),
        ("SET NULL", Cleared("talks", "id")),
        ("SET NULL", Cleared("other", "last")),
    ],
)
def test_nothing_else_may_be(make: Callable[[str], App], how: str, clears: Cleared) -> None:
    app = make(TABLE + TALKS.format(how))
    ((what, _), *_) = app.refusals(requests(clears=(clears,)))
    assert f"would {how}" in what
