"""Tables that are several datasets, clocks in other tables, and links of text with numbers, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from retentiond.domain.dataset import Child, TombstoneTarget
from retentiond.domain.part import Only, Part
from retentiond.domain.plan import Outcome
from tests.connectors import parts
from tests.connectors.postgresql.app import PURGE, App, decide, requests

TABLE = (
    "CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, kind text, n bigint);"
    "CREATE INDEX ON requests (created);"
)
NOTES = "CREATE TABLE notes (id int PRIMARY KEY, of int, kind text); CREATE INDEX ON notes (of);"
STEPS = (
    "CREATE TABLE threads (id text, started timestamptz); CREATE INDEX ON threads (id);"
    "CREATE TABLE steps (id int PRIMARY KEY, thread text);"
)
PROMPTS = requests(where=parts.PARTS[0][0])


@pytest.fixture
def app(make: Callable[[str], App]) -> App:
    made = make(TABLE + NOTES)
    made.insert("requests", *parts.ROWS)
    return made


def test_a_part_is_told_by_its_column(app: App) -> None:
    for where, expected in parts.PARTS:
        parts.a_part_is_told_by_its_column(app, requests(where=where), expected)


@pytest.mark.parametrize("kind", ["varchar(20)", "word", "kinds"])
def test_a_part_is_told_byte_for_byte_in_any_type_of_text(make: Callable[[str], App], kind: str) -> None:
    types = "CREATE DOMAIN word AS text; CREATE TYPE kinds AS ENUM ('Prompt', 'prompt', 'Run');"
    app = make(types + TABLE.replace("kind text", f"kind {kind}"))
    app.insert("requests", *(row for row in parts.ROWS if row[2] in ("Prompt", "prompt", "Run", None)))
    parts.a_part_is_told_by_its_column(app, PROMPTS, {1, 2})
    parts.a_part_is_told_by_its_column(app, requests(where=(Only("kind", ("Prompt",), others=True),)), {3, 4, 6})


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ((Only("kind", (1,)),), "'kind' of type text with a value of another type"),
        ((Only("n", ("1",)),), "'n' of type bigint"),
        ((Only("n", (True,)),), "'n' of type bigint"),
        ((Only("created", ("x",)),), "'created' of type timestamp with time zone"),
        ((Only("Kind", ("x",)),), "no column 'Kind' for its where"),
    ],
)
def test_a_part_that_cannot_be_told_is_refused(app: App, where: Part, says: str) -> None:
    ((what, _),) = app.refusals(requests(where=where))
    assert says in what
    ((what, _),) = app.refusals(requests(children=(Child("requests", "requests", (("id", "id"),), where=where),)))
    assert says.removesuffix("where") in what


def test_a_row_that_left_the_part_has_changed_and_is_not_gone(app: App) -> None:
    parts.a_row_that_left_the_part_has_changed_and_is_not_gone(app, PROMPTS)


def test_a_parent_waits_for_children_of_its_own_kind_only(app: App) -> None:
    app.insert("notes", (1, 1, "Prompt"), (2, 2, "Run"))
    parts.a_parent_waits_for_children_of_its_own_kind_only(app, replace(PROMPTS, children=(parts.CHILD,)))


def test_a_part_may_be_hidden_in_a_quarantine(app: App) -> None:
    app.run("CREATE TABLE hidden (LIKE requests, tombstoned_at timestamptz NOT NULL, PRIMARY KEY (id))")
    app.insert("hidden", (8, parts.OLD, "Run", 1, parts.OLD), (9, parts.OLD, "Prompt", 1, parts.OLD))
    dataset = replace(PROMPTS, tombstone=TombstoneTarget(table="hidden"))
    assert parts.keys(app.due(dataset)) == {1, 2, 9}
    acted, _ = app.purge(dataset, app.due(dataset))
    assert set(acted.outcomes) == {Outcome.DONE}
    assert app.all("SELECT id FROM hidden") == [8]


def test_only_the_rows_of_the_part_are_counted_and_only_their_owners_told(app: App) -> None:
    parts.only_the_rows_of_the_part_are_counted_and_only_their_owners_told(app, PROMPTS)


def test_leftovers_are_told(app: App) -> None:
    parts.leftovers_are_told(app, PROMPTS)


def test_a_clock_stands_in_another_table(make_on_ends: Callable[[str], App]) -> None:
    parts.a_clock_stands_in_another_table(make_on_ends(STEPS), requests(table="steps", clock=parts.ELSEWHERE))


def test_rows_without_a_clock_are_never_due(make: Callable[[str], App]) -> None:
    dataset = requests(table="steps", clock=parts.NO_CLOCK)
    parts.rows_without_a_clock_are_never_due(make(STEPS), dataset, decide(dataset, PURGE))


UUID = "0b9ad9a2-6b7c-4a4d-9f64-00c04fd430c8"
TEXTS = (UUID, UUID.upper(), UUID.replace("-", ""), UUID.replace("-", "").upper())
NUMBERS = ("7", "9223372036854775807", "-12", "0")


@pytest.mark.parametrize(
    ("here", "there", "known", "same", "other"),
    [
        ("text", "uuid", (UUID,), TEXTS, ("", "x", UUID + "0", "{" + UUID + "}")),
        ("uuid", "text", TEXTS[1:2], (UUID,), ("0b9ad9a2-6b7c-4a4d-9f64-00c04fd430c9",)),
        ("uuid", "varchar(40)", TEXTS[2:3], (UUID,), ()),
        ("text", "bigint", NUMBERS, NUMBERS, ("07", " 7", "7.0", "9223372036854775808", "-0", "1e3", "\u0667")),
        ("text", "int", NUMBERS[:1], NUMBERS[:1], ("9223372036854775807", "8")),
        ("bigint", "text", ("7", "07", "x"), ("7",), ("8",)),
    ],
)
def test_text_stands_for_numbers_and_uuids(
    make: Callable[[str], App],
    here: str,
    there: str,
    known: tuple[str, ...],
    same: tuple[str, ...],
    other: tuple[str, ...],
) -> None:
    app = make(
        f"CREATE TABLE users (id {there} PRIMARY KEY, name text, created timestamptz); CREATE INDEX ON users (created);"
        f"CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, who {here});"
        "CREATE INDEX ON requests (created); CREATE INDEX ON requests (who);"
    )
    app.insert("users", *((each, "somebody", parts.OLD) for each in known))
    app.insert("requests", *((n, parts.OLD, each) for n, each in enumerate((*same, *other))))
    dataset = requests(owners=parts.OWNER)
    assert app.refusals(dataset) == []
    assert parts.keys(app.due(dataset)) == set(range(len(same)))
    parent = requests(table="users", children=(Child("r", "requests", (("who", "id"),)),))
    assert app.refusals(parent) == []
    users = app.due(parent)
    kept = {f"{each}" for each in app.purge(parent, users)[0].outcomes}
    assert kept <= {"blocked", "done"}
    assert len(app.all("SELECT id FROM users")) == (1 if len(same) == 1 or "uuid" in there else len(same))
    app.run(f"DELETE FROM requests WHERE id < {len(same)}")
    app.purge(parent, app.due(parent))
    assert app.all("SELECT id FROM users") == []


def test_other_types_are_no_link(make: Callable[[str], App]) -> None:
    app = make(
        "CREATE TABLE users (id bytea PRIMARY KEY, name text);"
        "CREATE TABLE requests (id int PRIMARY KEY, created timestamptz, who text); CREATE INDEX ON requests (created);"
    )
    ((what, remedy),) = app.refusals(requests(owners=parts.OWNER))
    assert "have not one type" in what
    assert "text with integers or uuid" in remedy


def test_copies_beside_the_table_are_named(app: App) -> None:
    assert not any("large objects" in finding.what for finding in app.survey(PROMPTS).findings)
    app.run("CREATE MATERIALIZED VIEW latest AS SELECT * FROM requests; SELECT lo_from_bytea(0, 'a prompt')")
    seen = app.survey(PROMPTS)
    (found,) = (finding for finding in seen.findings if "large objects" in finding.what)
    assert found.what.startswith("1 large objects")
    assert not found.refuses
    assert "materialised view public.latest keeps what its rows said until REFRESH MATERIALIZED VIEW" in seen.notes
