"""Schemas as they are: owners in several places, JSON paths, other tables, parents, names with dots."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from retentiond.domain.dataset import Child, ClockFormat, DataMap, Shape, TombstoneTarget
from retentiond.domain.jsonpath import JsonPath
from retentiond.domain.owner import OwnerSource, Step, Via, through

from .samples import DATAMAP, OPTIONS, WITH_POSTGRESQL
from .test_datamap import DESIGN

Load = Callable[..., DataMap]

ROWS = """\
stores: {db: {kind: sqlite, path: a.db}}
datasets:
  rows: {store: db, table: t, key: id, class: c, clock: {column: at}%s}
"""
FAMILY = """\
stores: {db: {kind: sqlite, path: a.db}}
datasets:
  keys: {store: db, table: Api_Keys, key: token, class: c, clock: {column: at}, account: user_id}
  requests:
    store: db
    table: requests
    key: [request_id]
    class: c
    clock: {column: at}
    account: {via: main.api_keys, on: {api_key: token}, take: user_id}
  messages:
    store: db
    table: messages
    key: [id]
    class: c
    clock: {column: at}
    tombstone: {table: messages_q}
    parent: {dataset: requests, on: {tenant: tenant_id, request: request_id}}
"""
# As they were before any of these shapes existed: what operators approved stays approved.
DIGESTS = {
    "requests": "37bebf94aca8e7eaf3f66b67381bdb95b0ec01ce3699b1bae712f38955897484",
    "payloads": "c1bcd1315b44f17dbd9aef39343d82f0d9d96f94063006d42ba511619c614816",
    "exports": "d92d93d10ed8dd2f642d77d42cd8430a9f511b2a76d13a3ddb1bf67da07222f7",
}


def canonical(datamap: DataMap, name: str = "rows") -> dict[str, object]:
    found: dict[str, object] = json.loads(datamap.datasets[name].canonical)
    return found


def test_digests_of_what_was_approved_before_do_not_change(datamap_of: Load) -> None:
    assert {name: dataset.sha256 for name, dataset in datamap_of(DATAMAP).datasets.items()} == DIGESTS
    design = datamap_of(DESIGN, WITH_POSTGRESQL).datasets["requests"]
    assert design.sha256 == "aca50cb10d63be79cceb4887036069a80907bc50c7343d0d7b3f391976f2335e"
    assert design.shapes == frozenset()


@pytest.mark.parametrize(
    ("written", "owners", "shapes"),
    [
        ("user", [OwnerSource("user")], set()),
        ("[user]", [OwnerSource("user")], set()),
        ("[user, end_user]", [OwnerSource("user"), OwnerSource("end_user")], {Shape.SEVERAL_OWNERS}),
        (
            "[user, {column: end_user, optional: true}]",
            [OwnerSource("user"), OwnerSource("end_user", optional=True)],
            {Shape.SEVERAL_OWNERS},
        ),
        (
            '{column: meta, json: "$.user.id"}',
            [OwnerSource("meta", JsonPath("$.user.id", ("user", "id")))],
            {Shape.OWNER_IN_JSON},
        ),
        ("{column: owners, array: true}", [OwnerSource("owners", array=True)], {Shape.OWNERS_IN_ARRAY}),
        (
            "{via: api_keys, on: {z: y, api_key: token}, take: user_id}",
            [OwnerSource(via=Via("api_keys", (("api_key", "token"), ("z", "y")), "user_id"))],
            {Shape.OWNER_VIA_TABLE},
        ),
        (
            '{via: {schema: "Sales.EU", name: "Api.Keys"}, on: {api_key: token}, take: user_id}',
            [OwnerSource(via=Via("Api.Keys", (("api_key", "token"),), "user_id", "Sales.EU"))],
            {Shape.OWNER_VIA_TABLE},
        ),
    ],
)
def test_owners(written: str, owners: list[OwnerSource], shapes: set[Shape], datamap_of: Load) -> None:
    dataset = datamap_of(ROWS % f", account: {written}").datasets["rows"]
    assert dataset.owners == tuple(owners)
    assert dataset.shapes == shapes
    assert dataset.has_owner


def test_one_owner_in_a_list_is_one_owner(datamap_of: Load) -> None:
    plain, listed = (datamap_of(ROWS % f", account: {each}").datasets["rows"] for each in ("user", "[user]"))
    assert plain.canonical == listed.canonical


@pytest.mark.parametrize(
    "changed",
    [
        "[user, end_user]",
        "[end_user, user]",
        "[user, {column: end_user, optional: true}]",
        "{column: user, json: $.id}",
        "{column: user, array: true}",
        "{via: t2, on: {a: b}, take: user}",
        "{via: {schema: main, name: t2}, on: {a: b}, take: user}",
    ],
)
def test_each_shape_is_approved_as_such(changed: str, datamap_of: Load) -> None:
    digests = {
        datamap_of(ROWS % f", account: {each}").datasets["rows"].sha256 for each in ("user", changed, "[user, other]")
    }
    assert len(digests) == 3


def test_what_is_not_used_does_not_stand_in_the_canonical_form(datamap_of: Load) -> None:
    found = canonical(datamap_of(ROWS % ', account: [user, {column: meta, json: "$.u"}]'))
    assert found["account"] == [
        {"column": "user", "pattern": None},
        {"column": "meta", "pattern": None, "json": "$.u"},
    ]
    assert "parent" not in found
    assert "json" not in found["clock"]  # type: ignore[operator]


def test_a_clock_inside_json(datamap_of: Load) -> None:
    text = ROWS.replace("{column: at}", '{column: payload, json: "$.meta.created", format: unix-milliseconds}') % ""
    dataset = datamap_of(text).datasets["rows"]
    assert dataset.clock.json == JsonPath("$.meta.created", ("meta", "created"))
    assert dataset.clock.format is ClockFormat.UNIX_MILLISECONDS
    assert dataset.clock.name == "payload.$.meta.created"
    assert dataset.shapes == {Shape.CLOCK_IN_JSON}


def test_a_schema_stands_apart_where_names_hold_dots(datamap_of: Load) -> None:
    text = (
        ROWS.replace("table: t", 'table: {schema: "a.b", name: "c.D"}') % ", tombstone: {table: {schema: q, name: r}}"
    )
    found = datamap_of(text)
    dataset = found.datasets["rows"]
    assert (dataset.schema, dataset.table) == ("a.b", "c.D")
    assert dataset.tombstone == TombstoneTarget(table="r", schema="q")
    assert canonical(found)["table"] == {"schema": "a.b", "name": "c.D"}


def test_children_are_known_to_what_they_wait_for(datamap_of: Load) -> None:
    found = datamap_of(FAMILY).datasets
    on = (("request", "request_id"), ("tenant", "tenant_id"))
    assert found["requests"].children == (Child("messages", "messages", on, quarantine="messages_q"),)
    assert found["keys"].children == (Child("requests", "requests", (("api_key", "token"),)),), "through the owner"
    assert found["messages"].children == ()
    assert Shape.CHILDREN in found["requests"].shapes
    assert Shape.CHILDREN not in found["messages"].shapes


def test_without_a_child_more_could_go_so_its_parent_is_another_dataset(datamap_of: Load) -> None:
    whole = datamap_of(FAMILY)
    parted = datamap_of(FAMILY[: FAMILY.index("    parent:")])
    assert whole.datasets["requests"].sha256 != parted.datasets["requests"].sha256
    assert whole.datasets["keys"].sha256 == parted.datasets["keys"].sha256
    assert canonical(whole, "requests")["children"] == [
        {"dataset": "messages", "on": {"request": "request_id", "tenant": "tenant_id"}}
    ]


def test_a_table_in_another_schema_is_another_table(datamap_of: Load) -> None:
    text = """\
stores: {db: {kind: postgresql, dsn_env: X}}
datasets:
  keys: {store: db, table: %s, key: token, class: c, clock: {column: at}}
  rows: {store: db, table: t, key: id, class: c, clock: {column: at},
         account: {via: api_keys, on: {k: token}, take: u}}
"""
    children = {
        name: len(datamap_of(text % name, {**OPTIONS, **WITH_POSTGRESQL}).datasets["keys"].children)
        for name in ("api_keys", "public.api_keys", "{schema: public, name: api_keys}", "audit.api_keys", "API_KEYS")
    }
    assert list(children.values()) == [1, 1, 1, 0, 0]


CHAIN = """\
stores: {db: {kind: sqlite, path: a.db}}
datasets:
  keys: {store: db, table: api_keys, key: token, class: c, clock: {column: at}, account: %s}
  requests: {store: db, table: requests, key: id, class: c, clock: {column: at},
             account: {via: parent}, parent: {dataset: keys, on: {api_key: token}}}
  scores: {store: db, table: scores, key: id, class: c, clock: {column: at},
           account: [{via: parent}, {column: rater, optional: true}], parent: {dataset: requests, on: {request: id}}}
"""


def test_an_owner_is_taken_from_the_parent_however_that_finds_it(datamap_of: Load) -> None:
    found = datamap_of(CHAIN % '[user, {column: meta, json: "$.u", optional: true}]').datasets
    to_keys, to_requests = Step("api_keys", (("api_key", "token"),)), Step("requests", (("request", "id"),))
    user, inside = found["keys"].owners
    assert found["requests"].owners == (through(to_keys, user), through(to_keys, inside))
    assert found["scores"].owners == (
        *(through(to_requests, through(to_keys, each)) for each in (user, inside)),
        OwnerSource("rater", optional=True),
    )
    assert found["scores"].has_owner
    assert found["keys"].children[0].dataset == "requests"


def test_a_child_is_another_dataset_once_its_parent_finds_its_owner_elsewhere(datamap_of: Load) -> None:
    one, other = (datamap_of(CHAIN % each).datasets for each in ("user", "{column: user, array: true}"))
    assert {name for name in one if one[name].sha256 != other[name].sha256} == {"keys", "requests", "scores"}


def test_steps_that_follow_each_other_wait_for_each_other(datamap_of: Load) -> None:
    text = (
        CHAIN % "user"
        + """\
  logs: {store: db, table: logs, key: id, class: c, clock: {column: at},
         account: {through: [{table: main.requests, on: {rid: id}}, {table: api_keys, on: {api_key: token}}], take: u}}
"""
    )
    found = datamap_of(text).datasets
    assert {each.dataset for each in found["requests"].children} == {"logs", "scores"}
    (owner,) = found["logs"].owners
    assert owner.via is not None
    assert [each.table for each in owner.via.steps] == ["main.requests", "api_keys"]


def test_what_is_nobodys_says_why(datamap_of: Load) -> None:
    dataset = datamap_of(ROWS % ", account: {nobody: shared by all}").datasets["rows"]
    assert (dataset.has_owner, dataset.nobody, dataset.owners) == (False, "shared by all", ())
    assert canonical(datamap_of(ROWS % ", account: {nobody: shared}"))["account"] == {
        "column": None, "pattern": None, "nobody": "shared",
    }  # fmt: skip
