"""Data maps of tables that are several datasets, of clocks in other tables and of none, and of several parents."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from retentiond.connectors.postgresql.kind import PostgresqlOptions
from retentiond.domain.dataset import Cleared, ClockFormat, DataMap, LetTrigger, Parent, Shape, Written
from retentiond.domain.owner import Via
from retentiond.domain.part import Only, apart
from retentiond.errors import ConfigError

Load = Callable[..., DataMap]

STORES = "stores: {db: {kind: sqlite, path: a.db}}\ndatasets:\n"
ROWS = "  {}: {{store: db, table: notes, key: id, class: c, clock: {{column: at}}{}}}\n"
ITEMS = "  items: {store: db, table: items, key: id, class: c, clock: {column: at}}\n"


def two(one: str, other: str) -> str:
    return STORES + ROWS.format("one", one) + ROWS.format("other", other)


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("{kind: Prompt}", (Only("kind", ("Prompt",)),)),
        ("{kind: {in: [Prompt], missing: true}}", (Only("kind", ("Prompt", None)),)),
        ("{kind: {in: [Prompt]}}", (Only("kind", ("Prompt",)),)),
        ("{kind: {not: [Prompt, Run]}}", (Only("kind", ("Prompt", "Run"), others=True),)),
        ("{kind: {missing: true}}", (Only("kind", (None,)),)),
        ("{flag: true}", (Only("flag", (True,)),)),
        ("{n: [1, 2], kind: 'null'}", (Only("kind", ("null",)), Only("n", (1, 2)))),
    ],
)
def test_a_part_is_what_columns_say(written: str, means: tuple[Only, ...], datamap_of: Load) -> None:
    dataset = datamap_of(STORES + ROWS.format("notes", f", where: {written}")).datasets["notes"]
    assert dataset.where == means
    assert dataset.shapes == {Shape.PART_OF_TABLE}


@pytest.mark.parametrize(
    ("one", "other", "disjoint"),
    [
        ("{kind: A}", "{kind: B}", True),
        ("{kind: A}", "{kind: {not: [A]}}", True),
        ("{kind: {not: [A, B]}}", "{kind: [A, B]}", True),
        ("{kind: A, n: 1}", "{kind: A, n: 2}", True),
        ("{kind: {missing: true}}", "{kind: {not: [A], missing: true}}", True),
        ("{kind: {missing: true}}", "{kind: {not: [A]}}", False),
        ("{n: 1}", "{n: true}", True),  # of one column one of them is refused, whatever its type is
        ("{kind: A}", "{kind: [A, B]}", False),
        ("{kind: A}", "{n: 1}", False),
        ("{kind: {not: [A]}}", "{kind: {not: [B]}}", False),
        ("{kind: A}", "{kind: {not: [B]}}", False),
    ],
)
def test_two_datasets_of_a_table_share_no_row(one: str, other: str, disjoint: bool, datamap_of: Load) -> None:  # noqa: FBT001
    text = two(f", where: {one}", f", where: {other}")
    if not disjoint:
        with pytest.raises(ConfigError, match="is this table already") as told:
            datamap_of(text)
        assert "with other values" in str(told.value.remedy)
        return
    parts = [dataset.where for dataset in datamap_of(text).datasets.values()]
    assert apart(*parts)
    assert apart(*reversed(parts))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (", where: {}", "it names no column"),
        (", where: {kind: []}", "is empty"),
        (", where: {kind: [A, 1]}", "values of one type"),
        (", where: {kind: {in: [A], not: [B]}}", "neither one of some values nor none"),
        (", where: {kind: {}}", "neither one of some values nor none"),
        (', where: {kind: "\\0"}', "no database holds"),
        (", where: {n: 1.5}", ""),
        (", where: {kind: null}", "is blank"),
        (", clock: {via: t, on: {a: b}}", "needs `via`, `on` and `take`"),
        (", clock: {via: t, on: {a: b}, take: c, column: d}", "exactly one of"),
        (", clock: {via: notes, on: {a: b}, take: c}", "the dataset's own"),
        (", clock: {none: true, zone: UTC}", "neither format nor zone"),
        (", clock: never", "write modified, none"),
        (", parent: []", "no parent is named"),
        (", clears: []", "is empty"),
        (", clears: [{table: t}]", "'column' is missing"),
        (", parent: [{dataset: items, on: {a: b}}, {dataset: items, on: {a: b}}]", "named twice"),
        (", parent: [{dataset: nothing, on: {a: b}}]", "no dataset 'nothing'"),
    ],
)
def test_what_cannot_be_is_told(more: str, says: str, datamap_of: Load) -> None:
    rows = ROWS.format("notes", more)
    if "clock: " in more:
        rows = rows.replace("clock: {column: at}, ", "")
    with pytest.raises(ConfigError) as told:
        datamap_of(STORES + ITEMS + rows)
    assert says in f"{told.value} {told.value.remedy}"


def test_several_parents_and_one(datamap_of: Load) -> None:
    more = STORES + ITEMS + ITEMS.replace("items", "tags")
    one = "{dataset: items, on: {item: id}}"
    both = datamap_of(more + ROWS.format("notes", f", parent: [{one}, {{dataset: tags, on: {{tag: id}}}}]"))
    assert both.datasets["notes"].parents == (Parent("items", (("item", "id"),)), Parent("tags", (("tag", "id"),)))
    assert [child.dataset for child in both.datasets["tags"].children] == ["notes"]
    plain, listed = (datamap_of(more + ROWS.format("notes", f", parent: {each}")) for each in (one, f"[{one}]"))
    assert plain.datasets["notes"].canonical == listed.datasets["notes"].canonical


def test_a_clock_in_another_table_and_none(datamap_of: Load) -> None:
    there = (
        STORES
        + ITEMS
        + ROWS.format("notes", "").replace(
            "{column: at}", "{via: items, on: {item: id}, take: at, format: unix-seconds}"
        )
    )
    datamap = datamap_of(there)
    clock = datamap.datasets["notes"].clock
    assert clock.via == Via("items", (("item", "id"),), "at")
    assert clock.name == "items.at"
    assert [child.dataset for child in datamap.datasets["items"].children] == ["notes"]
    none = datamap_of(STORES + ROWS.format("notes", "").replace("{column: at}", "none")).datasets["notes"]
    assert none.clock.format is ClockFormat.NONE
    assert none.clock.name == "none"


def test_what_the_database_may_empty_is_approved_as_such(datamap_of: Load) -> None:
    plain, clears = (
        datamap_of(STORES + ROWS.format("notes", more)).datasets["notes"]
        for more in ("", ", clears: [{table: talks, column: last}]")
    )
    assert clears.clears == (Cleared("talks", "last"),)
    assert clears.shapes == {Shape.CLEARS}
    assert plain.sha256 != clears.sha256


TRIGGERS = """
stores: {{db: {{kind: postgresql, dsn_env: DSN}}}}
datasets:
  notes: {{store: db, table: notes, key: id, class: c, clock: {{column: at}}{}}}
  history: {{store: db, table: public.history, key: id, class: c, clock: {{column: at}}}}
ignore: [{{store: db, pattern: public.counter*, reason: numbers}}]
"""
KINDS = {"postgresql": PostgresqlOptions}
DIGEST = "0123456789abcdef" * 4


def test_a_trigger_is_let_with_the_tables_that_it_writes_into(datamap_of: Load) -> None:
    more = f', triggers: {{"it\'s": {{digest: {DIGEST}, writes: [history, {{schema: public, name: counters}}]}}}}'
    let, plain = (datamap_of(TRIGGERS.format(each), KINDS).datasets["notes"] for each in (more, ""))
    written = (Written("history", "", mapped=True), Written("counters", "public", mapped=False))
    assert let.triggers == (LetTrigger("it's", DIGEST, written),)
    assert let.shapes == {Shape.TRIGGERS}
    assert let.sha256 != plain.sha256
    assert "triggers" not in json.loads(plain.canonical)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (f"{{t: {{digest: {DIGEST}, writes: [audit]}}}}", "'audit', which no dataset has and nothing ignores"),
        (f"{{t: {{digest: {DIGEST}, writes: [other.counters]}}}}", "which no dataset has"),
        (f"{{t: {{digest: {DIGEST}, writes: [notes]}}}}", "the table that it acts on"),
        (f"{{t: {{digest: {DIGEST.upper()}}}}}", "should match pattern"),
        ("{t: {writes: [history]}}", "digest"),
        ("{}", "is empty"),
    ],
)
def test_a_trigger_that_writes_where_nobody_looks_is_refused(given: str, says: str, datamap_of: Load) -> None:
    with pytest.raises(ConfigError) as told:
        datamap_of(TRIGGERS.format(f", triggers: {given}"), KINDS)
    assert says in f"{told.value} {told.value.where} {told.value.remedy}"


def test_sqlite_lets_no_trigger(datamap_of: Load) -> None:
    with pytest.raises(ConfigError, match="lets no trigger act"):
        datamap_of(STORES + ROWS.format("notes", f", triggers: {{t: {{digest: {DIGEST}}}}}"))


def test_a_part_is_approved_as_such_and_so_is_that_of_a_child(datamap_of: Load) -> None:
    child = ", parent: {dataset: items, on: {item: id}}"
    found = []
    for where in ("", ", where: {kind: A}", ", where: {kind: B}"):
        datasets = datamap_of(STORES + ITEMS + ROWS.format("notes", child + where)).datasets
        found.append((datasets["notes"].sha256, datasets["items"].sha256))
    assert len({notes for notes, _ in found}) == len({items for _, items in found}) == len(found)
    plain = json.loads(datamap_of(STORES + ITEMS + ROWS.format("notes", child)).datasets["items"].canonical)
    assert plain["children"] == [{"dataset": "notes", "on": {"item": "id"}}]


def test_every_part_of_a_table_waits_for_those_who_find_their_owner_in_it(datamap_of: Load) -> None:
    via = ", account: {via: notes, on: {note: id}, take: who}"
    text = two(", where: {kind: A}", ", where: {kind: B}") + ITEMS.replace("{column: at}", "{column: at}" + via)
    datasets = datamap_of(text).datasets
    assert [[child.dataset for child in datasets[name].children] for name in ("one", "other")] == [["items"]] * 2
