"""Foreign keys with CASCADE or SET NULL: rows that were declared go first, and others are never followed to."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread

import pytest

from retentiond.domain.dataset import Child, Cleared
from retentiond.domain.part import Only, Part
from retentiond.domain.plan import Outcome, Sighting
from tests.connectors.postgresql.app import OLD, YOUNG, App, order, requests

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
    make_on_ends: Callable[[str], App], how: str
) -> None:
    app = made(make_on_ends, how)
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
    ("child", "where"),
    [
        ((("id", "id"),), ()),  # a link of other columns finds other rows
        ((("request", "id"), ("note", "note")), ()),
        ((("request", "id"),), (Only("note", ("x",)),)),
    ],
)
def test_a_link_that_does_not_find_all_of_them_is_refused(
    make: Callable[[str], App], child: tuple[tuple[str, str], ...], where: Part
) -> None:
    app = make(TABLE.replace("created timestamptz", "created timestamptz, note text") + ITEMS.format("CASCADE"))
    app.run("CREATE INDEX ON items (request, note)")
    ((what, remedy),) = app.refusals(requests(children=(Child("items", "items", child, where=where),)))
    assert 'would CASCADE rows of public.items ("request")' in what
    assert "parent: {dataset: requests, on: {request: id}}" in remedy


def test_a_server_that_does_not_count_is_refused(make: Callable[[str], App]) -> None:
    app = made(make, "CASCADE")
    with app.connection() as db:
        db.execute(f"ALTER ROLE {app.role} SET track_counts = off".encode())
    ((what, remedy),) = app.refusals(PARENT)
    assert "does not count" in what
    assert "track_counts = on" in remedy


# --- rows of one table that refer to each other --------------------------------------------------------------------

EVERY = ("NO ACTION", "RESTRICT", *FOLLOWED, "NO ACTION DEFERRABLE INITIALLY DEFERRED")
THREAD = (
    "CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, parent int REFERENCES requests ON DELETE {});"
    "CREATE INDEX ON requests (created); CREATE INDEX ON requests (parent);"
)


@pytest.mark.parametrize("how", EVERY)
def test_threads_go_whole_and_rows_that_others_refer_to_stay(make: Callable[[str], App], how: str) -> None:
    """Rows 0 to 19 are one thread, and so are 20 to 39, of which the last is young."""
    app = make(THREAD.format(how))
    app.insert("requests", *((n, OLD if n < 39 else YOUNG, n - 1 if n % 20 else None) for n in range(40)))
    app.open()._pace.rows = 7
    assert app.refusals(requests()) == []
    records = app.due(requests())
    acted, sightings = app.purge(requests(), records)
    told = dict(zip((record.key[0] for record in records), acted.outcomes, strict=True))
    assert {told[n] for n in range(20)} == {Outcome.DONE}
    assert {told[n] for n in range(20, 39)} == {Outcome.BLOCKED}
    assert sightings.count(Sighting.ABSENT) == 20
    assert app.all("SELECT id FROM requests ORDER BY 1") == list(range(20, 40))
    assert app.all("SELECT parent FROM requests ORDER BY id") == [None, *range(20, 39)]


@pytest.mark.parametrize("how", ["NO ACTION", "CASCADE"])
def test_threads_are_taken_together_whatever_the_order_of_keys(make: Callable[[str], App], how: str) -> None:
    """Each statement takes some rows only, and in each thread the keys are in no order."""
    app = make(THREAD.format(how))
    mixed = [n * 37 % 199 for n in range(199)]
    app.insert("requests", *((mixed[n], OLD, mixed[n - 1] if n % 50 else None) for n in range(199)))
    app.open()._pace.rows = 10
    app.purge_all(requests())
    assert app.all("SELECT id FROM requests") == []


def test_rows_that_answer_each_other_in_a_circle_go_together(make: Callable[[str], App]) -> None:
    app = make(THREAD.format("NO ACTION DEFERRABLE INITIALLY DEFERRED"))
    app.run(
        "BEGIN; INSERT INTO requests VALUES (1, '2026-04-01', 3), (2, '2026-04-01', 1), (3, '2026-04-01', 2); COMMIT"
    )
    app.purge_all(requests())
    assert app.all("SELECT id FROM requests") == []


@pytest.mark.parametrize("how", FOLLOWED)
def test_an_answer_that_comes_while_the_statement_waits_is_never_taken_along(
    make: Callable[[str], App], how: str
) -> None:
    app = make(THREAD.format(how))
    app.insert("requests", *((n, OLD, None) for n in range(4)))
    records = app.due(requests())
    with app.connection() as other:
        with other.transaction():
            other.execute("INSERT INTO requests VALUES (9, now(), 3)")
            late = Thread(target=lambda: app.purge(requests(), records))
            late.start()
            while not app.all("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                time.sleep(0.001)
        late.join()
    assert app.all("SELECT id FROM requests ORDER BY 1") == [3, 9]
    assert app.all("SELECT parent FROM requests WHERE id = 9") == [3]


TALKS = "CREATE TABLE talks (id int, last int REFERENCES requests ON DELETE {}); CREATE INDEX ON talks (last);"


def test_a_column_that_may_be_emptied_is(make: Callable[[str], App]) -> None:
    app = make(TABLE + TALKS.format("SET NULL"))
    app.insert("requests", (1, OLD), (2, YOUNG))
    app.insert("talks", (1, 1), (2, 2))
    ((_, remedy),) = app.refusals(requests())
    assert "clears: [{table: public.talks, column: last}]" in remedy
    told = requests(clears=(Cleared("talks", "last"),))
    assert app.refusals(told) == []
    app.purge_all(told)
    assert app.all("SELECT last FROM talks ORDER BY id") == [None, 2]


CALLED = """
    CREATE TABLE other (id int); INSERT INTO other VALUES (1); GRANT DELETE ON other TO PUBLIC;
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.other; RETURN NULL; END';
    {}
"""


@pytest.mark.parametrize(
    ("reacts", "says"),
    [
        ("CREATE TRIGGER t AFTER UPDATE ON talks EXECUTE FUNCTION f()", "trigger 't' of public.talks acts"),
        ("CREATE TRIGGER t AFTER UPDATE OF last ON talks EXECUTE FUNCTION f()", "trigger 't' of public.talks acts"),
        ("CREATE RULE r AS ON UPDATE TO talks DO ALSO DELETE FROM other", "rule 'r' of public.talks acts"),
        ("CREATE TRIGGER t AFTER UPDATE OF id OR DELETE ON talks EXECUTE FUNCTION f()", ""),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_what_reacts_to_a_column_that_is_emptied_is_refused(
    make: Callable[[str], App], reacts: str, says: str, *, late: bool
) -> None:
    app = make(TABLE + TALKS.format("SET NULL"))
    app.insert("requests", (1, OLD), (2, OLD))
    app.insert("talks", (1, 1), (2, 2))
    told = requests(clears=(Cleared("talks", "last"),))
    first, second = app.due(told)
    if late:  # after the tables were looked at
        assert app.purge(told, [first])[0].outcomes == (Outcome.DONE,)
    app.run(CALLED.format(reacts), grant=False)  # a grant changes all tables
    assert all(says in what and remedy for what, remedy in app.refusals(told))
    acted, _ = app.purge(told, [second])
    assert acted.outcomes == (Outcome.REFUSED if says else Outcome.DONE,)
    assert says in acted.reasons.get(0, "")
    assert app.all("SELECT id FROM other") == [1]


def test_what_comes_between_the_look_and_the_statement_undoes_it(make: Callable[[str], App]) -> None:
    app = make(TABLE + TALKS.format("SET NULL"))
    app.insert("requests", (1, OLD))
    app.insert("talks", (1, 1))
    told = requests(clears=(Cleared("talks", "last"),))
    records = app.due(told)
    comes = CALLED.format("CREATE TRIGGER t AFTER UPDATE ON talks EXECUTE FUNCTION f()")
    acted = app.open().act(order(told, records, fence=lambda: app.run(comes, grant=False)))
    assert acted.outcomes == (Outcome.REFUSED,)
    assert app.all("SELECT last FROM talks") == app.all("SELECT id FROM other") == [1]


@pytest.mark.parametrize(
    ("how", "clears", "says"),
    [
        ("CASCADE", Cleared("talks", "last"), "would CASCADE"),
        ("SET NULL", Cleared("talks", "id"), "would SET NULL"),
        ("SET NULL", Cleared("requests", "id"), "would SET NULL"),
        ("SET NULL", Cleared("talks", "Last"), "no column 'Last' for its clears"),
        ("SET NULL", Cleared("nothing", "last"), "no table 'nothing'"),
    ],
)
def test_nothing_else_may_be(make: Callable[[str], App], how: str, clears: Cleared, says: str) -> None:
    app = make(TABLE + TALKS.format(how))
    ((what, _), *_) = app.refusals(requests(clears=(clears,)))
    assert says in what
