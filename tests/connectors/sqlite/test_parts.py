"""Tables that are several datasets, clocks in other tables, and links of text with numbers, in SQLite."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from retentiond.domain.part import Part
from tests.connectors import parts
from tests.connectors.sqlite.app import PURGE, App, decide, requests

TABLE = "CREATE TABLE requests (id INTEGER PRIMARY KEY, created, kind COLLATE NOCASE, n);"
NOTES = "CREATE TABLE notes (id INTEGER PRIMARY KEY, of, kind); CREATE INDEX i ON notes (of);"
STEPS = (
    "CREATE TABLE threads (id TEXT, started); CREATE INDEX i ON threads (id);"
    "CREATE TABLE steps (id INTEGER PRIMARY KEY, thread);"
)
PROMPTS = requests(where=parts.PARTS[0][0])


@pytest.fixture
def app(make: Callable[[str], App]) -> App:
    made = make(TABLE + NOTES)
    made.insert("requests", *parts.ROWS)
    return made


@pytest.mark.parametrize(("where", "expected"), parts.PARTS, ids=str)
def test_a_part_is_told_by_its_column(app: App, where: Part, expected: set[int]) -> None:
    parts.a_part_is_told_by_its_column(app, requests(where=where), expected)


def test_a_row_that_left_the_part_has_changed_and_is_not_gone(app: App) -> None:
    parts.a_row_that_left_the_part_has_changed_and_is_not_gone(app, PROMPTS)


def test_a_parent_waits_for_children_of_its_own_kind_only(app: App) -> None:
    app.insert("notes", (1, 1, "Prompt"), (2, 2, "Run"))
    parts.a_parent_waits_for_children_of_its_own_kind_only(app, requests(where=PROMPTS.where, children=(parts.CHILD,)))


def test_only_the_rows_of_the_part_are_counted_and_only_their_owners_told(app: App) -> None:
    parts.only_the_rows_of_the_part_are_counted_and_only_their_owners_told(app, PROMPTS)


def test_leftovers_are_told(app: App) -> None:
    parts.leftovers_are_told(app, PROMPTS)


def test_a_clock_stands_in_another_table(make: Callable[[str], App]) -> None:
    parts.a_clock_stands_in_another_table(make(STEPS), requests(table="steps", clock=parts.ELSEWHERE))


def test_rows_without_a_clock_are_never_due(make: Callable[[str], App]) -> None:
    dataset = requests(table="steps", clock=parts.NO_CLOCK)
    parts.rows_without_a_clock_are_never_due(make(STEPS), dataset, decide(dataset, PURGE))


@pytest.mark.parametrize(("here", "there"), [("TEXT", "INTEGER"), ("INTEGER", "TEXT"), ("", "TEXT"), ("", "INTEGER")])
def test_a_number_and_its_decimals_are_one_value(make: Callable[[str], App], here: str, there: str) -> None:
    app = make(
        f"CREATE TABLE users (id {there}, name); CREATE INDEX i ON users (id);"
        f"CREATE TABLE requests (id INTEGER PRIMARY KEY, created, who {here});"
    )
    app.insert("users", (7, "seven"), ("08", "eight with a nought"), (" 9", "nine after a blank"))
    app.insert("requests", (1, parts.OLD, 7), (2, parts.OLD, "7"), (3, parts.OLD, "8"), (4, parts.OLD, "9"))
    app.insert("requests", (5, parts.OLD, "7.0x"), (6, parts.OLD, "x"), (7, parts.OLD, None))
    assert {record.key[0]: record.account for record in app.due(requests(owners=parts.OWNER))} == _exact(app)


def _exact(app: App) -> dict[int, str]:
    """Say who is found where values are written alike, whatever their types."""
    rows = app.all("SELECT r.id || '=' || u.name FROM requests r JOIN users u ON r.who || '' = u.id || ''")
    return {int(number): name for number, name in (row.decode().split("=") for row in rows)}


@pytest.mark.parametrize(("here", "there"), [("TEXT", "INTEGER"), ("INTEGER", "TEXT"), ("", "TEXT")])
def test_links_of_text_and_numbers_are_found_by_the_index(make: Callable[[str], App], here: str, there: str) -> None:
    app = make(
        f"CREATE TABLE users (id {there}, name); CREATE INDEX i ON users (id);"
        f"CREATE TABLE requests (id INTEGER PRIMARY KEY, created, who {here});"
    )
    app.insert("users", *((n, f"user {n}") for n in range(20_000)))
    app.insert("requests", *((n, parts.OLD, n) for n in range(4_000)))
    found = app.due(requests(owners=parts.OWNER))  # minutes where each row reads the other table
    assert {record.account for record in found} == {f"user {n}" for n in range(4_000)}
