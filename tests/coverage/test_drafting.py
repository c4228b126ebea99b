"""Drafts of data maps: what is guessed of a table, what is asked, and what counts without an answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retentiond.bootstrap.parts import ConnectorKinds, OptionModels
from retentiond.domain.dataset import BlobLink, DataMap
from retentiond.domain.draft import Draft, DraftDataset, DraftStore
from retentiond.domain.drafting import SeenStore, draft
from retentiond.domain.tableshape import ColumnShape, Family, Link, TableShape
from retentiond.settings import load_datamap
from retentiond.settings.datamap_draft import draft_text
from tests.coverage import measure
from tests.coverage.schemas import HELD_OUT, TUNED, application

STORE = DraftStore("app", "sqlite", {"path": "/x/a.db"})
ID = ColumnShape("id", "bigint", Family.INTEGER, not_null=True)
TZ, INT = Family.TIME_WITH_ZONE, Family.INTEGER
MADE = ColumnShape("created_at", "timestamptz", TZ)


def column(name: str, family: Family = Family.TEXT, kind: str = "", **more: Any) -> ColumnShape:
    return ColumnShape(name, kind or family.value, family, **more)


def table(
    *columns: ColumnShape, name: str = "chats", keys: tuple[tuple[str, ...], ...] = (("id",),), **more: Any
) -> TableShape:
    return TableShape("", name, "table", (ID, *columns), keys, **more)


def drafted(*tables: TableShape) -> Draft:
    return draft([SeenStore(STORE, tables)])


def only(*columns: ColumnShape, **more: Any) -> DraftDataset:
    (found,) = drafted(table(*columns, **more)).datasets
    return found


def guess(found: DraftDataset, field: str) -> Any:
    """Return what is guessed of a field, of which something is."""
    made = found.guess(field)
    assert made is not None
    return made


def answered(text: str) -> str:
    """Answer every question as it was proposed."""
    return re.sub(r"^#\?", "  ", text, flags=re.MULTILINE)


def loaded(folder: Path, text: str) -> DataMap:
    path = folder / "datamap.yaml"
    path.write_text(text, "utf-8")
    return load_datamap(path, OptionModels(ConnectorKinds()))


def test_what_the_store_itself_says_counts_and_the_rest_is_asked(tmp_path: Path) -> None:
    found = only(MADE, column("prompt"), column("account_id"), column("deleted_at", TZ), column("tier"))
    assert found.stands
    by_field = {each.field: each for each in found.guesses}
    assert {name: each.value for name, each in by_field.items()} == {
        "table": "chats",
        "key": ["id"],
        "clock": {"column": "created_at"},
        "account": "account_id",
        "class": "request-content",
        "attributes": {"tier": "tier"},
        "tombstone": {"column": "deleted_at"},
    }
    assert {name for name, each in by_field.items() if each.question} == {"account", "attributes", "tombstone"}
    text = draft_text(drafted(table(MADE, column("prompt"), column("account_id"))))
    plain, after = (loaded(tmp_path, each).datasets["chats"] for each in (text, answered(text)))
    assert (plain.has_owner, after.plain_owner) == (False, "account_id")


@pytest.mark.parametrize(
    ("columns", "value", "asks"),
    [
        ([column("createdAt", Family.TIME)], {"column": "createdAt", "zone": "UTC"}, "names no time zone"),
        ([column("created", Family.DATE)], {"column": "created", "zone": "UTC"}, "in which time zone does it end"),
        ([column("created_at", INT, "int8")], {"column": "created_at", "format": "unix-milliseconds"}, "unit"),
        ([column("created_at", INT, "int4")], {"column": "created_at", "format": "unix-seconds"}, "unit"),
        ([column("sent_ns", Family.INTEGER)], {"column": "sent_ns", "format": "unix-nanoseconds"}, "unit"),
        ([column("created", Family.TEXT)], {"column": "created"}, "is it always ISO 8601"),
        ([column("updated_at", TZ)], {"column": "updated_at"}, "retention period starts"),
        ([column("seen", TZ), MADE], {"column": "created_at"}, ""),
        ([column("inserted_at", TZ), MADE], {"column": "created_at"}, "when a record's retention"),
        ([column("start_time", TZ), column("end_time", TZ)], {"column": "start_time"}, "?"),
    ],
)  # fmt: skip
def test_clocks(columns: list[ColumnShape], value: dict[str, str], asks: str) -> None:
    found = only(*columns, column("prompt"))
    clock = guess(found, "clock")
    assert clock.value == value
    assert asks in clock.question
    assert found.stands is (not clock.question)
    assert set(clock.others) == {each.name for each in columns} - {value["column"]}


def test_a_duration_is_no_clock_and_without_any_there_is_no_dataset() -> None:
    found = drafted(table(column("duration_ms", Family.INTEGER), column("prompt")))
    assert found.datasets == ()
    what = "no column looks like a time, and none like an owner"
    assert [(each.title, each.why) for each in found.not_mappable] == [("chats", what)]


def test_rows_without_a_time_but_with_an_owner_may_go_with_their_account(tmp_path: Path) -> None:
    found = drafted(table(column("account_id"), column("prompt")))
    assert loaded(tmp_path, draft_text(found)).datasets == {}
    after = loaded(tmp_path, answered(draft_text(found))).datasets["chats"]
    assert after.plain_owner == "account_id"
    assert "go with their account only" in guess(found.datasets[0], "clock").question


def test_keys() -> None:
    both = column("tenant", not_null=True)
    composite = only(both, MADE, column("prompt"), keys=(("tenant", "id"), ("id",)))
    assert guess(composite, "key").value == ["tenant", "id"]
    maybe = guess(only(MADE, column("prompt"), column("ref"), keys=(("ref",),)), "key")
    assert (maybe.value, maybe.stands) == (["ref"], False)
    assert "'ref' ever NULL" in maybe.question
    (none,) = drafted(table(MADE, column("prompt"), keys=())).not_mappable
    assert (none.why, "primary key" in none.remedy) == ("no key names a row", True)


def test_owners_stand_in_the_row_in_an_array_or_in_another_table() -> None:
    plain = guess(only(MADE, column("user_id"), column("tenant_id"), column("prompt")), "account")
    assert (plain.value, plain.others, plain.stands) == ("tenant_id", ("user_id",), False)
    both = only(MADE, column("user_id"), column("tenant_id"), column("prompt"))
    assert (guess(both, "user").value, guess(both, "user").stands) == ("user_id", False)
    assert only(MADE, column("user_id"), column("prompt")).guess("user") is None
    array = guess(only(MADE, column("members"), column("user_id", array=True), column("prompt")), "account")
    assert array.value == {"column": "user_id", "array": True}
    keys = table(MADE, column("user_id"), name="api_keys")
    link = Link(("key_id",), "", "api_keys", ("id",))
    found = drafted(keys, table(MADE, column("key_id", Family.INTEGER), column("prompt"), links=(link,)))
    via = guess(next(each for each in found.datasets if each.name == "chats"), "account")
    assert via.value == {"via": "api_keys", "on": {"key_id": "id"}, "take": "user_id"}


def test_rows_go_before_those_that_they_name_and_never_in_a_circle(tmp_path: Path) -> None:
    def linked(name: str, to: str) -> TableShape:
        other = column("other", Family.INTEGER)
        return table(MADE, other, column("prompt"), name=name, links=(Link(("other",), "", to, ("id",), "cascade"),))

    found = drafted(
        linked("messages", "chats"), linked("chats", "turns"), linked("turns", "messages"), linked("x", "x")
    )
    parents = {each.name: guess(each, "parent").value["dataset"] for each in found.datasets if each.guess("parent")}
    assert parents == {"messages": "chats", "chats": "turns"}
    assert loaded(tmp_path, draft_text(found)).datasets["chats"].parents[0].dataset == "turns"


def test_a_parent_counts_only_where_its_dataset_does(tmp_path: Path) -> None:
    link = Link(("chat",), "", "chats", ("id",))
    naive = table(column("created_at", Family.TIME), column("prompt"))
    found = drafted(
        naive, table(MADE, column("chat", Family.INTEGER), column("content"), name="messages", links=(link,))
    )
    text = draft_text(found)
    assert list(loaded(tmp_path, text).datasets) == ["messages"]
    both = loaded(tmp_path, answered(text)).datasets
    assert both["messages"].parents[0].dataset == "chats"


def test_all_rows_that_the_database_would_take_along_or_empty_are_parents(tmp_path: Path) -> None:
    def to(where: str, on_delete: str) -> Link:
        return Link((where,), "", where, ("id",), on_delete)

    links = (to("users", "cascade"), to("folders", "set null"), to("colours", "no action"), to("turns", "no action"))
    users, folders, colours = (table(MADE, column("email"), name=each) for each in ("users", "folders", "colours"))
    turns = table(column("created_at", Family.TIME), column("prompt"), name="turns")
    chats = table(MADE, column("prompt"), *(column(each.table, INT) for each in links), links=links)
    text = draft_text(drafted(users, folders, colours, turns, chats))
    assert "answer the questions of 'turns' first" in text
    parents = loaded(tmp_path, answered(text)).datasets["chats"].parents
    assert {each.dataset for each in parents} == {"users", "folders", "turns"}, "nothing is taken of colours"


def test_owners_are_found_at_any_remove_and_a_project_is_no_account(tmp_path: Path) -> None:
    def linked(name: str, to: str, *columns: ColumnShape, sure: bool = True) -> TableShape:
        return table(
            column(f"{to}_id", INT, not_null=sure), *columns, name=name, links=(Link((f"{to}_id",), "", to, ("id",)),)
        )

    project = table(MADE, column("org_id", INT), column("name"), name="project")
    run = linked("run", "project", MADE, column("prompt"))
    twice = (*linked("score", "user", sure=False).links, *linked("score", "run").links)
    score = table(
        column("user_id", INT), column("run_id", INT, not_null=True), column("kind"), name="score", links=twice
    )
    user = linked("user", "org", MADE, column("email"))
    org = table(MADE, column("name"), name="org")
    flag = linked("flag", "score", column("colour"))
    either = (Link(("writer",), "", "user", ("id",)), Link(("place",), "", "project", ("id",)))
    note = table(
        MADE, column("writer", INT), column("place", INT, not_null=True), column("text"), name="note", links=either
    )
    found = drafted(project, run, score, user, org, flag, note)
    owners = {each.name: guess(each, "account") for each in found.datasets}
    assert {name: each.value for name, each in owners.items()} == {
        "project": "org_id",
        "run": {"via": "project", "on": {"project_id": "id"}, "take": "org_id"},
        "score": {"via": "user", "on": {"user_id": "id"}, "take": "org_id"},
        "user": "org_id",
        "org": "id",
        "note": {"via": "project", "on": {"place": "id"}, "take": "org_id"},
        "flag": {
            "through": [{"table": "score", "on": {"score_id": "id"}}, {"table": "user", "on": {"user_id": "id"}}],
            "take": "org_id",
        },
    }
    assert (owners["run"].others, owners["run"].stands) == (("project_id",), False)
    assert not found.ignored, "a table of which a foreign key leads to an owner is somebody's"
    assert all(each.has_owner for each in loaded(tmp_path, answered(draft_text(found))).datasets.values())


def test_a_rows_own_name_is_no_account() -> None:
    own = only(
        MADE, column("uid", not_null=True), column("creator_id", INT), column("content"), keys=(("id",), ("uid",))
    )
    assert guess(own, "account").value == "creator_id"
    assert guess(only(MADE, column("uid"), column("content")), "account").value == "uid"


def test_what_is_no_data_of_requests_is_proposed_to_be_ignored(tmp_path: Path) -> None:
    odd = table(MADE, column("label"), name="colours[*]?")
    found = drafted(table(name="alembic_version"), odd)
    assert [(each.title, each.pattern) for each in found.ignored] == [
        ("alembic_version", "alembic_version"),
        ("colours[*]?", "colours[[][*]][?]"),
    ]
    text = draft_text(found)
    assert loaded(tmp_path, text).ignore == ()
    assert [each.pattern for each in loaded(tmp_path, answered(text)).ignore] == [
        each.pattern for each in found.ignored
    ]


def test_views_and_foreign_tables_that_hold_rows_are_told_with_a_remedy() -> None:
    shapes = [
        TableShape("", kind, kind, (ID, MADE)) for kind in ("materialised view", "foreign table", "virtual table")
    ]
    assert [each.title for each in drafted(*shapes).not_mappable] == [each.name for each in shapes]


def test_objects_are_tied_to_the_only_rows_that_seem_to_name_them(tmp_path: Path) -> None:
    rows = table(MADE, column("payload_key"), column("rating"), name="feedback_requests")
    bucket = SeenStore(DraftStore("b", "s3", {"bucket": "payloads"}), prefixes=("in/",), overwrites=True)
    found = draft([SeenStore(STORE, (rows,)), bucket])
    plain, after = (loaded(tmp_path, each) for each in (draft_text(found), answered(draft_text(found))))
    assert plain.datasets["feedback-requests"].blobs is None
    assert after.datasets["feedback-requests"].blobs == BlobLink("payload_key", "in")
    assert (after.datasets["in"].follows, after.datasets["in"].write_once) == ("feedback-requests", True)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES, NAMES, st.sampled_from(["", "public", 'Odd "schema\n']))
def test_whatever_names_hold_they_are_read_back_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, name: str, key: str, clock: str, schema: str
) -> None:
    if key == clock or ".$." in key + "\n" + clock:
        return
    clock = f"created_at {clock}"
    columns = (column(key, not_null=True), column(clock, TZ), column("prompt"), column("user_id"))
    shape = TableShape(schema, name, "table", columns, ((key,),))
    kind = (
        {"kind": "postgresql", "options": {"dsn_env": "APP_DSN"}}
        if schema
        else {"kind": STORE.kind, "options": STORE.options}
    )
    text = draft_text(draft([SeenStore(DraftStore("app", **kind), (shape,))]))
    folder = tmp_path_factory.mktemp("map")
    assert "\n#? " in text or "#?" in text
    loaded(folder, text)
    (found,) = loaded(folder, answered(text)).datasets.values()
    assert found.key == (key,)
    assert found.clock.column == clock
    assert found.plain_owner == "user_id"
    plain = f"{schema}.{name}"
    assert (found.schema, found.table) in ((schema, name), ("", plain if schema else name))


@pytest.mark.parametrize("name", [TUNED, *HELD_OUT])
def test_drafts_of_public_schemas_load_as_they_are_and_with_every_question_answered(name: str, tmp_path: Path) -> None:
    found = draft([SeenStore(DraftStore("app", "sqlite", {"path": "/x"}), tuple(application(name).tables))])
    text = draft_text(found)
    plain, after = loaded(tmp_path, text), loaded(tmp_path, answered(text))
    assert set(plain.datasets) == {each.name for each in found.datasets if each.stands}
    assert set(after.datasets) == {each.name for each in found.datasets}
    tables = {each.table for each in after.datasets.values()} | {each.title for each in found.not_mappable}
    assert tables | {each.title for each in found.ignored} == {each.title for each in application(name).tables}
    clock, owner = measure.guesses(application(name))
    assert clock >= 0.9
    assert owner >= 0.8
