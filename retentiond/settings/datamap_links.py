"""Which datasets' rows go before which: declared parents, and tables in which others find their owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from retentiond.domain.dataset import Child, Parent
from retentiond.domain.owner import pairs
from retentiond.settings.datamap_model import Account, DataMapFile, DatasetModel, TableName
from retentiond.settings.document import Trail
from retentiond.settings.problems import Problem, alternatives

_DEFAULT_SCHEMAS = {"sqlite": "main", "postgresql": "public"}


@dataclass(frozen=True, slots=True)
class Link:
    """Rows of `child` go before the rows of `parent` that have equal values; `path` is where the data map says so."""

    child: str
    parent: str
    on: tuple[tuple[str, str], ...]
    path: Trail


def same_table(table: TableName, kind: str) -> tuple[str, str]:
    """Return a table's schema and name as two names of it compare: SQLite knows no case."""
    default = _DEFAULT_SCHEMAS.get(kind, "")
    schema, name = table.schema_name, table.name
    if not schema and kind == "sqlite":
        name = name.removeprefix("main.")
    elif not schema and "." in name:
        schema, _, name = name.partition(".")
    found = (schema or default, name)
    return (found[0].casefold(), found[1].casefold()) if kind == "sqlite" else found


def links(model: DataMapFile) -> list[Link]:
    """Return all links between datasets of one store, each once."""
    found = (link for name, dataset in model.datasets.items() for link in _links_of(model, name, dataset))
    return list({(link.child, link.parent, link.on): link for link in found}.values())


def _links_of(model: DataMapFile, name: str, dataset: DatasetModel) -> Iterator[Link]:
    path: Trail = ("datasets", name)
    if dataset.parent is not None and dataset.parent.dataset in model.datasets:
        yield Link(name, dataset.parent.dataset, pairs(dataset.parent.on), (*path, "parent"))
    for field, number, account in _persons(dataset):
        partner = partner_of(model, dataset, account)
        if partner is not None and partner != name and account.on is not None:
            yield Link(name, partner, pairs(account.on), (*path, field, number, "via"))


def _persons(dataset: DatasetModel) -> Iterator[tuple[str, int, Account]]:
    """Yield the places in which owners and their users stand, each with its field and number."""
    for field, places in (("account", dataset.account), ("user", dataset.user)):
        yield from ((field, number, place) for number, place in enumerate(places or ()))


def partner_of(model: DataMapFile, dataset: DatasetModel, account: Account) -> str | None:
    """Return the dataset whose table knows the owner; None where that table is nobody's dataset."""
    if account.via is None or dataset.store not in model.stores:
        return None
    kind = model.stores[dataset.store].kind
    wanted = same_table(account.via, kind)
    for name, other in model.datasets.items():
        if other.store == dataset.store and other.table is not None and same_table(other.table, kind) == wanted:
            return name
    return None


def children(model: DataMapFile) -> Mapping[str, tuple[Child, ...]]:
    """Return, by dataset, whose rows go before its own."""
    found: dict[str, list[Child]] = {}
    for link in links(model):
        dataset = model.datasets[link.child]
        table = dataset.table or TableName(name=" ")
        hidden = dataset.tombstone.table if dataset.tombstone else None
        found.setdefault(link.parent, []).append(
            Child(
                dataset=link.child,
                table=table.name,
                on=link.on,
                schema=table.schema_name,
                quarantine=hidden.name if hidden else "",
                quarantine_schema=hidden.schema_name if hidden else "",
            )
        )
    return {name: tuple(sorted(each, key=lambda child: (child.dataset, child.on))) for name, each in found.items()}


def parents(model: DataMapFile, name: str) -> tuple[Parent, ...]:
    """Return which rows go after those of a dataset."""
    return tuple(sorted((Parent(link.parent, link.on) for link in links(model) if link.child == name), key=_order))


def _order(parent: Parent) -> tuple[str, tuple[tuple[str, str], ...]]:
    return parent.dataset, parent.on


def link_problems(model: DataMapFile) -> Iterator[Problem]:
    """Yield parents that cannot be, and circles, in which nothing could go first."""
    for name, dataset in model.datasets.items():
        if dataset.parent is not None:
            yield from _parent_problems(model, name, dataset, dataset.parent.dataset)
        for field, number, account in _persons(dataset):
            if partner_of(model, dataset, account) == name:
                path = ("datasets", name, field, number, "via")
                yield Problem(path, "the other table is the dataset's own", f"name its column: `{field}: COLUMN`")
    yield from _circles(model)


def _parent_problems(model: DataMapFile, name: str, dataset: DatasetModel, written: str) -> Iterator[Problem]:
    path = ("datasets", name, "parent", "dataset")
    parent = model.datasets.get(written)
    if parent is None:
        remedy = alternatives(written, model.datasets, "datasets of this data map")
        yield Problem(path, f"there is no dataset {written!r}", remedy)
    elif written == name:
        yield Problem(path, "a dataset cannot be its own parent", "remove `parent`: its rows go by their own clock")
    elif parent.store != dataset.store:
        what = f"the parent {written!r} is in another store, {parent.store!r}"
        yield Problem(path, what, "only rows of one store can be looked at together: remove `parent`")
    elif parent.table is None:
        yield Problem(path, f"{written!r} holds objects, no rows", "objects of a row are `blobs` and `follows`")


def _circles(model: DataMapFile) -> Iterator[Problem]:
    found = [link for link in links(model) if link.child != link.parent]
    parents: dict[str, set[str]] = {}
    for link in found:
        parents.setdefault(link.child, set()).add(link.parent)
    for link in found:
        if link.child in _above(link.parent, parents):
            what = f"{link.child!r} goes before {link.parent!r}, and {link.parent!r} before {link.child!r}"
            yield Problem(link.path, what, "remove one of these links: nothing in a circle could go first")
            return


def _above(name: str, parents: Mapping[str, set[str]]) -> set[str]:
    """Return a dataset and everything that goes after it."""
    seen: set[str] = set()
    pending = [name]
    while pending:
        each = pending.pop()
        if each not in seen:
            seen.add(each)
            pending.extend(parents.get(each, ()))
    return seen
