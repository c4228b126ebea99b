"""Tables that are several datasets, clocks in other tables, and links of text with numbers: what both databases do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from retentiond.domain.dataset import Child, ClockFormat, ClockSource, Dataset
from retentiond.domain.decision import Cases, cases_of
from retentiond.domain.owner import OwnerSource, Via
from retentiond.domain.part import Only, Part
from retentiond.domain.period import Period
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Policy, Rule
from retentiond.domain.record import Record
from retentiond.ports.stores import Acted, Tally

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OLD, YOUNG = "2026-04-01T00:00:00Z", "2026-05-31T00:00:00Z"
PARTS: list[tuple[Part, set[int]]] = [
    ((Only("kind", ("Prompt",)),), {1, 2}),
    ((Only("kind", ("Prompt", "it's %s")),), {1, 2, 5}),
    ((Only("kind", ("Prompt",), others=True),), {3, 4, 5, 6, 7}),
    ((Only("kind", (None,)),), {4}),
    ((Only("kind", (None, "Run")),), {3, 4}),
    ((Only("kind", (None, "Run"), others=True),), {1, 2, 5, 6, 7}),
    ((Only("kind", ("prompt",)),), {6}),
    ((Only("n", (1,)),), {1, 4}),
    ((Only("n", (2**62,), others=True),), {1, 2, 3, 4, 5, 6, 7}),
    ((Only("n", (1,)), Only("kind", ("Prompt",))), {1}),
    ((Only("kind", ("nothing of the kind",)),), set()),
]
ROWS = (
    (1, OLD, "Prompt", 1),
    (2, OLD, "Prompt", 2),
    (3, OLD, "Run", 3),
    (4, OLD, None, 1),
    (5, OLD, "it's %s", None),
    (6, OLD, "prompt", 0),
    (7, OLD, "Prompt ", 0),
)


class App(Protocol):
    """What the tests of either connector have."""

    def run(self, script: str) -> None: ...
    def insert(self, table: str, *rows: Sequence[object]) -> None: ...
    def all(self, select: str) -> list[Any]: ...
    def open(self) -> Any: ...
    def due(self, dataset: Dataset) -> list[Record]: ...
    def doubts(self, dataset: Dataset) -> dict[str, int]: ...
    def scan(self, dataset: Dataset, cases: Cases) -> tuple[list[Record], dict[int, Tally]]: ...
    def purge(self, dataset: Dataset, records: Sequence[Record]) -> tuple[Acted, list[Sighting]]: ...


def keys(records: Sequence[Record]) -> set[Any]:
    return {record.key[0] for record in records}


def a_part_is_told_by_its_column(app: App, requests: Dataset, expected: set[int]) -> None:
    assert keys(app.due(requests)) == expected
    for number in range(1, 8):
        assert bool(app.open().find(requests, str(number))) == (number in expected)


def a_row_that_left_the_part_has_changed_and_is_not_gone(app: App, requests: Dataset) -> None:
    records = app.due(requests)
    app.run("UPDATE requests SET kind = 'Run' WHERE id = 2")
    acted, sightings = app.purge(requests, records)
    assert acted.outcomes == (Outcome.DONE, Outcome.CHANGED)
    assert sightings == [Sighting.ABSENT, Sighting.CHANGED]
    assert app.all("SELECT id FROM requests ORDER BY 1") == [2, 3, 4, 5, 6, 7]


def a_parent_waits_for_children_of_its_own_kind_only(app: App, requests: Dataset) -> None:
    acted, _ = app.purge(requests, app.due(requests))
    assert acted.outcomes == (Outcome.BLOCKED, Outcome.DONE)
    assert acted.reasons[0]


def leftovers_are_told(app: App, requests: Dataset) -> None:
    some = ((Only("kind", ("Prompt", "Run")),), (Only("kind", ("it's %s", None)),))
    assert app.open().leftover(requests, some)
    assert not app.open().leftover(requests, (*some, (Only("kind", ("prompt", "Prompt ")),)))
    assert not app.open().leftover(requests, (some[0], (Only("kind", ("Prompt", "Run"), others=True),)))


def only_the_rows_of_the_part_are_counted_and_only_their_owners_told(app: App, requests: Dataset) -> None:
    """So many that the windows in which nothing is due are only counted."""
    app.insert("requests", *((10 + n, YOUNG, "Prompt" if n % 3 else "Run", n % 3) for n in range(60)))
    app.run("DELETE FROM requests WHERE id < 10")
    dataset = replace(requests, owners=(OwnerSource("n"),))
    found, tallies = app.scan(dataset, cases_of(Policy("p", "content", (Rule(1, Period(days=30)),)), dataset, NOW))
    assert found == []
    assert all(case >= 0 for case in tallies)
    assert sum(tally.count for tally in tallies.values()) == 40
    assert {owner for some in app.open().owners(dataset) for owner in some} == {"1", "2"}


CHILD = Child("notes", "notes", (("of", "id"),), where=(Only("kind", ("Prompt",)),))
ELSEWHERE = ClockSource(via=Via("threads", (("thread", "id"),), "started"))
NO_CLOCK = ClockSource(ClockFormat.NONE)


def a_clock_stands_in_another_table(app: App, requests: Dataset) -> None:
    app.insert("threads", ("t1", OLD), ("t2", YOUNG), ("t3", OLD), ("t3", YOUNG), ("t4", None), ("t4", OLD))
    app.insert("steps", (1, "t1"), (2, "t2"), (3, "t3"), (4, "t4"), (5, "nobody's"), (6, None), (7, "t1"))
    assert keys(app.due(requests)) == {1, 7}
    assert app.doubts(requests) == {"clock-unreadable": 4}
    records = app.due(requests)
    app.run("DELETE FROM threads WHERE id = 't2'; UPDATE steps SET thread = 't2' WHERE id = 7")
    acted, sightings = app.purge(requests, records)
    assert acted.outcomes == (Outcome.DONE, Outcome.CHANGED)
    assert sightings == [Sighting.ABSENT, Sighting.CHANGED]


def rows_without_a_clock_are_never_due(app: App, requests: Dataset, cases: Cases) -> None:
    app.insert("steps", (1, "t1"), (2, None))
    found, tallies = app.scan(requests, cases)
    assert found == []
    assert {cases.reason(case).reason: tally.count for case, tally in tallies.items()} == {"no-clock": 2}


OWNER = (OwnerSource(via=Via("users", (("who", "id"),), "name")),)
