"""The graph of datasets: what goes before what, against an oracle that tries all orders; circles; who has no owner."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations

from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.dataset import BlobLink, DataMap, Dataset, Parent
from retentiond.domain.graph import Graph, Link, Origin, reached
from retentiond.domain.jsonpath import JsonPath
from retentiond.domain.owner import OwnerSource, Step, Via, through

NAMES = ("a", "b", "c", "d")
ON = (("x", "y"),)
pairs = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES))


def dataset(name: str, **more: object) -> Dataset:
    return Dataset(name, "db", "sqlite", "content", table=name, **more)  # type: ignore[arg-type]


def datamap(*datasets: Dataset) -> DataMap:
    return DataMap({}, {each.name: each for each in datasets})


def key(child: str, parent: str) -> Link:
    return Link(child, parent, ON, Origin.FOREIGN_KEY)


def possible(links: Sequence[tuple[str, str]]) -> bool:
    """Whether any order of all four has each child before its parent."""
    return any(
        all(order.index(child) < order.index(parent) for child, parent in links) for order in permutations(NAMES)
    )


@given(st.lists(pairs, max_size=8))
def test_each_key_counts_as_long_as_some_order_keeps_all_of_them(keys: list[tuple[str, str]]) -> None:
    taken: list[tuple[str, str]] = []
    for child, parent in dict.fromkeys(keys):
        if child != parent and possible([*taken, (child, parent)]):
            taken.append((child, parent))
    graph = Graph(datamap(*map(dataset, NAMES)), [key(*each) for each in keys])
    order = [each.name for each in graph.children_first()]
    assert sorted(order) == sorted(NAMES)
    assert all(order.index(child) < order.index(parent) for child, parent in taken)
    assert {(link.child, link.parent) for link in graph.links if link not in graph.idle} == set(taken)
    for link, circle in graph.circles():
        assert (circle[0], circle[-1]) == (link.parent, link.child)
        assert set(pairwise(circle)) <= set(taken), "the circle is of links that count"


def test_without_links_the_data_map_says_the_order() -> None:
    assert [each.name for each in Graph(datamap(*map(dataset, "bca"))).children_first()] == ["b", "c", "a"]


def test_what_is_declared_wins_over_what_the_database_knows() -> None:
    declared = datamap(dataset("a"), dataset("b", parents=(Parent("a", ON),)))
    graph = Graph(declared, [key("a", "b"), key("b", "a"), key("a", "a")])
    assert [each.name for each in graph.children_first()] == ["b", "a"]
    assert graph.idle == (key("a", "b"), key("a", "a"))
    assert graph.circles() == ((key("a", "b"), ("b", "a")),)
    assert [link.origin for link in graph.links if link.child == "b"] == [Origin.DECLARED], "told once"


def test_objects_go_before_the_rows_that_name_them() -> None:
    objects = Dataset("blobs", "disk", "files", "content", follows="rows")
    rows = dataset("rows", owners=(OwnerSource("u"),), blobs=BlobLink("p", "blobs"))
    graph = Graph(datamap(rows, objects))
    assert [each.name for each in graph.children_first()] == ["blobs", "rows"]
    assert not list(graph.ownerless()), "objects are whose the rows are"
    assert reached(graph.datamap, objects) == ("rows names it, column u",)


def test_who_has_no_owner() -> None:
    owned = dataset("requests", owners=(OwnerSource("u"),))
    child = dataset("scores", parents=(Parent("requests", ON),))
    excused = dataset("models", nobody="shared", parents=(Parent("requests", ON),))
    apart = Dataset("health", "db", "sqlite", "logs", table="health")
    alike = dataset("drafts")
    files = Dataset("files", "disk", "files", "content", follows="shared")
    shared = dataset("shared", nobody="of the service itself", blobs=BlobLink("p", "files"))
    found = dict(Graph(datamap(owned, child, excused, apart, alike, shared, files)).ownerless())
    assert found == {"scores": "requests", "drafts": "", "health": ""}, "a class of its own is no reason to be missed"
    assert dict(Graph(datamap(owned, apart), [key("health", "requests")]).ownerless()) == {"health": "requests"}
    assert not dict(Graph(datamap(apart, dataset("more"))).ownerless()), "where nothing has an owner nobody is asked"


def test_an_account_that_is_the_name_of_another_accounts_row_is_found() -> None:
    projects = dataset("projects", owners=(OwnerSource("org"),))
    runs = dataset("runs", owners=(OwnerSource("project"),))
    scores = dataset("scores", owners=(OwnerSource(via=Via("runs", (("run", "id"),), "project")),))
    right = dataset("notes", owners=(OwnerSource(via=Via("projects", (("project", "id"),), "org")),))
    both = dataset("shares", owners=(OwnerSource("project"), OwnerSource("org")))
    named = Link("runs", "projects", (("project", "id"),), Origin.FOREIGN_KEY)
    keys = [named, *(Link(each, "projects", (("project", "id"),), Origin.FOREIGN_KEY) for each in ("notes", "shares"))]
    datasets = (projects, runs, scores, right, both)
    assert list(Graph(datamap(*datasets), keys).estranged()) == [("runs", named), ("scores", named)]
    own = (dataset("projects", owners=(OwnerSource("id"),)), dataset("projects", nobody="the service's"))
    for there in own:
        assert not list(Graph(datamap(*datasets[1:], there), keys).estranged()), (
            "its name is the account, or it has none"
        )


def test_an_owner_is_found_the_way_that_the_parent_finds_it() -> None:
    step = Step("feedback", (("feedback_id", "id"),), "app")
    plain = OwnerSource("user", optional=True)
    assert through(step, plain) == OwnerSource(via=Via("feedback", step.on, "user", "app"), optional=True)
    known = OwnerSource(via=Via("keys", (("k", "token"),), "u", "s", (Step("users", (("uid", "id"),)),)))
    found = through(step, known)
    assert found.via is not None
    assert [each.table for each in found.via.steps] == ["feedback", "keys", "users"]
    assert (found.via.take, found.via.steps[1].schema) == ("u", "s")
    inside = OwnerSource("meta", JsonPath.parse("$.u"), array=True)
    assert through(step, inside) == OwnerSource(
        json=inside.json, array=True, via=Via("feedback", step.on, "meta", "app")
    )
    (said,) = reached(datamap(), dataset("x", owners=(through(step, inside),)))
    assert said == "via feedback by feedback_id = id, column meta $.u (a list)"
