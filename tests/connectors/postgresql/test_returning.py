"""Bringing rows back: refused where something reacts or a row is missing, and never over a row that stands there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from retentiond.domain.condition import ALWAYS
from retentiond.domain.dataset import Dataset, TombstoneTarget
from retentiond.domain.decision import hidden_since, undo_cases
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record, micros
from retentiond.ports.stores import Order
from tests.connectors.postgresql.app import NOW, OLD, TOMBSTONE, App, decide, order, requests

TABLE = (
    "CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, deleted text, parent int);"
    "CREATE INDEX ON requests (created);"
    "CREATE TABLE hidden (LIKE requests, tombstoned_at timestamptz NOT NULL, PRIMARY KEY (id));"
)
HIDDEN = requests(tombstone=TombstoneTarget(column="deleted"))
MOVED = requests(tombstone=TombstoneTarget(table="hidden"))
REACTIONS = (
    "CREATE TRIGGER twice BEFORE INSERT ON requests FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE nothing AS ON INSERT TO requests DO INSTEAD NOTHING",
)
DONE, CHANGED, REFUSED, THERE = Outcome.DONE, Outcome.CHANGED, Outcome.REFUSED, Outcome.ALREADY_THERE


def hidden(app: App, dataset: Dataset, count: int = 4) -> list[Record]:
    app.insert("requests (id, created)", *((number, OLD) for number in range(count)))
    cases = decide(dataset, TOMBSTONE)
    records = sorted(app.scan(dataset, cases)[0])
    assert set(app.open().act(order(dataset, records, cases)).outcomes) == {DONE}
    return records


def returning(dataset: Dataset, records: Sequence[Record]) -> Order:
    cases = hidden_since(undo_cases(ALWAYS, None), (micros(NOW),))
    return Order(dataset, Action.RESTORE, cases, cases.due[0], records, NOW, lambda: None)


def test_a_tombstone_that_is_no_time_is_not_called_visible(make: Callable[[str], App]) -> None:
    app = make(TABLE)
    asked = returning(HIDDEN, hidden(app, HIDDEN))
    app.run("UPDATE requests SET deleted = 'soon' WHERE id = 1")
    assert list(app.open().act(asked).outcomes) == [DONE, CHANGED, DONE, DONE]
    assert app.open().verify(asked).sightings[1] is Sighting.CHANGED


def test_rows_move_back_where_nothing_reacts_and_none_is_missing_or_in_the_way(make: Callable[[str], App]) -> None:
    app = make(TABLE)
    asked = returning(MOVED, hidden(app, MOVED))
    for reaction in REACTIONS:
        app.run(reaction, grant=False)
        acted = app.open().act(asked)
        assert set(acted.outcomes) == {REFUSED}
        assert "acts on every INSERT" in acted.reasons[0]
        app.run("DROP TRIGGER IF EXISTS twice ON requests; DROP RULE IF EXISTS nothing ON requests", grant=False)
    assert set(app.open().verify(asked).sightings) == {Sighting.DUE}
    app.run(
        "CREATE TABLE parents (id int PRIMARY KEY); ALTER TABLE requests ADD CONSTRAINT of_parent"
        " FOREIGN KEY (parent) REFERENCES parents; UPDATE hidden SET parent = 7 WHERE id = 2"
    )
    app.insert("requests (id, created)", (1, NOW))
    acted = app.open().act(asked)
    assert list(acted.outcomes) == [DONE, CHANGED, REFUSED, DONE]
    assert "of_parent" in acted.reasons[2]
    assert list(app.open().verify(asked).sightings) == [
        Sighting.VISIBLE, Sighting.CHANGED, Sighting.DUE, Sighting.VISIBLE,
    ]  # fmt: skip
    assert sorted(app.all("SELECT id FROM hidden")) == [1, 2]
    app.run("INSERT INTO parents VALUES (7)")
    assert list(app.open().act(asked).outcomes) == [THERE, CHANGED, DONE, THERE]
