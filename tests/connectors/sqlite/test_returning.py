"""Bringing rows back: only ours, only where nothing reacts, and never over a row that stands there by now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from retentiond.domain.condition import ALWAYS
from retentiond.domain.dataset import Dataset, TombstoneTarget
from retentiond.domain.decision import hidden_since, undo_cases
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record, micros
from retentiond.ports.stores import Order
from tests.connectors.sqlite.app import NOW, OLD, TOMBSTONE, App, decide, order, requests

TABLE = "CREATE TABLE requests (id INTEGER PRIMARY KEY, created, deleted);"
QUARANTINE = "CREATE TABLE hidden (id INTEGER PRIMARY KEY, created, deleted, tombstoned_at);"
HIDDEN = requests(tombstone=TombstoneTarget(column="deleted"))
MOVED = requests(tombstone=TombstoneTarget(table="hidden"))
DONE, CHANGED, REFUSED = Outcome.DONE, Outcome.CHANGED, Outcome.REFUSED


def hidden(app: App, dataset: Dataset, count: int = 4) -> list[Record]:
    app.insert("requests (id, created)", *((number, OLD) for number in range(count)))
    cases = decide(dataset, TOMBSTONE)
    records, _ = app.scan(dataset, cases)
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
    assert app.all("SELECT deleted FROM requests WHERE id = 1") == [b"soon"]


@pytest.mark.parametrize("dataset", [HIDDEN, MOVED], ids=["column", "quarantine"])
def test_only_where_rows_move_back_a_trigger_on_insert_matters(make: Callable[[str], App], dataset: Dataset) -> None:
    app = make(TABLE + QUARANTINE)
    asked = returning(dataset, hidden(app, dataset))
    app.run("CREATE TABLE log (x); CREATE TRIGGER t AFTER INSERT ON requests BEGIN INSERT INTO log VALUES (1); END")
    moves = dataset is MOVED
    acted = app.open().act(asked)
    assert set(acted.outcomes) == {REFUSED if moves else DONE}
    assert ("acts on every INSERT" in acted.reasons.get(0, "")) is moves
    assert set(app.open().verify(asked).sightings) == {Sighting.DUE if moves else Sighting.VISIBLE}
    assert app.all("SELECT count(*) FROM log") == [0]


def test_no_row_is_replaced_that_is_in_the_way(make: Callable[[str], App]) -> None:
    table = TABLE.replace("deleted", "deleted, who UNIQUE ON CONFLICT REPLACE")
    app = make(table + QUARANTINE.replace("deleted,", "deleted, who,"))
    records = hidden(app, MOVED)
    app.run(f"UPDATE hidden SET who = 'a' WHERE id = 2; INSERT INTO requests VALUES (9, '{OLD}', NULL, 'a')")
    assert list(app.open().act(returning(MOVED, records)).outcomes) == [DONE, DONE, REFUSED, DONE]
    assert app.all("SELECT id FROM requests ORDER BY id") == [0, 1, 3, 9]
    assert app.all("SELECT id FROM hidden") == [2]


def test_a_row_whose_parent_is_hidden_waits_and_the_others_come_back(make: Callable[[str], App]) -> None:
    table = TABLE.replace("deleted", "deleted, parent REFERENCES parents")
    app = make("CREATE TABLE parents (id INTEGER PRIMARY KEY);" + table + QUARANTINE.replace(
        "deleted,", "deleted, parent,"))  # fmt: skip
    records = hidden(app, MOVED)
    app.run("UPDATE hidden SET parent = 7 WHERE id = 2")
    asked = returning(MOVED, records)
    acted = app.open().act(asked)
    assert list(acted.outcomes) == [DONE, DONE, REFUSED, DONE]
    assert "FOREIGN KEY" in acted.reasons[2]
    assert app.all("SELECT id FROM hidden") == [2]
    app.run("INSERT INTO parents VALUES (7)")
    assert list(app.open().act(asked).outcomes) == [Outcome.ALREADY_THERE] * 2 + [DONE, Outcome.ALREADY_THERE]
    assert app.all("SELECT count(*) FROM hidden") == [0]


def test_a_dataset_that_hides_nothing_any_more_is_refused(make: Callable[[str], App]) -> None:
    app = make(TABLE)
    asked = returning(requests(), hidden(app, HIDDEN))
    assert set(app.open().act(asked).outcomes) == {REFUSED}
    assert app.all("SELECT count(*) FROM requests WHERE deleted IS NULL") == [0]
