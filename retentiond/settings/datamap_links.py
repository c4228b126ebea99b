"""How datasets belong together: declared parents, tables in which others find their owner, and whose rows go first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from retentiond.domain.dataset import Child, Parent
from retentiond.domain.owner import OwnerSource, Step, Via, pairs, through
from retentiond.settings.datamap_model import Account, Clock, DataMapFile, DatasetModel, StepModel
from retentiond.settings.document import Trail
from retentiond.settings.problems import Problem, alternatives
from retentiond.settings.tables import TableName
from retentiond.settings.where_model import part

_OWN_COLUMN = "name its column: `{}: COLUMN`"
WHO = {"account": "owner", "user": "user"}
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
    for number, parent in enumerate(dataset.parent or ()):
        if parent.dataset in model.datasets:
            yield Link(name, parent.dataset, pairs(parent.on), (*path, "parent", number))
    if dataset.clock is not None and dataset.clock.via is not None:
        for partner in datasets_of(model, dataset.store, dataset.clock.via):
            if partner != name:
                yield Link(name, partner, pairs(dataset.clock.on or {}), (*path, "clock", "via"))
    for field, number, account in _persons(dataset):
        if account.through is not None:
            yield from _links_through(model, name, account.through, (*path, field, number, "through"))
        for partner in partners_of(model, dataset, account):
            if partner != name and account.on is not None:
                yield Link(name, partner, pairs(account.on), (*path, field, number, "via"))


def _persons(dataset: DatasetModel) -> Iterator[tuple[str, int, Account]]:
    """Yield the places in which owners and their users stand, each with its field and number."""
    for field in WHO:
        yield from ((field, number, place) for number, place in enumerate(places_of(dataset, field)))


def _links_through(model: DataMapFile, name: str, steps: Sequence[StepModel], path: Trail) -> Iterator[Link]:
    """Yield the links of each two datasets that follow each other on the way to an owner."""
    before = [name]
    for number, step in enumerate(steps):
        here = datasets_of(model, model.datasets[name].store, step.table)
        yield from (
            Link(one, other, pairs(step.on), (*path, number)) for one in before for other in here if one != other
        )
        before = here


def partners_of(model: DataMapFile, dataset: DatasetModel, account: Account) -> list[str]:
    """Return the datasets whose table knows the owner; none where that table is nobody's dataset."""
    if account.via is None or account.inherits:
        return []
    return datasets_of(model, dataset.store, account.via)


def datasets_of(model: DataMapFile, store: str, table: TableName) -> list[str]:
    """Return the datasets that a table of a store is, several where each has a part of its rows."""
    if store not in model.stores:
        return []
    kind = model.stores[store].kind
    wanted = same_table(table, kind)
    return [
        name
        for name, other in model.datasets.items()
        if other.store == store and other.table is not None and same_table(other.table, kind) == wanted
    ]


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
                where=part(dataset.where),
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
        for number, parent in enumerate(dataset.parent or ()):
            yield from _parent_problems(model, name, dataset, (parent.dataset, number))
        yield from _clock_problems(model, name, dataset)
        for field, number, account in _persons(dataset):
            path = ("datasets", name, field, number)
            if name in partners_of(model, dataset, account):
                yield Problem((*path, "via"), "the other table is the dataset's own", _OWN_COLUMN.format(field))
            if account.inherits:
                yield from _inheriting_problems(model, dataset, field, (*path, "via"))
            yield from _way_problems(model, name, account.through or (), (*path, "through"))
    yield from _circles(model)


def _clock_problems(model: DataMapFile, name: str, dataset: DatasetModel) -> Iterator[Problem]:
    via = dataset.clock.via if dataset.clock else None
    if via is not None and name in datasets_of(model, dataset.store, via):
        remedy = "name its column: `clock: {column: COLUMN}`"
        yield Problem(("datasets", name, "clock", "via"), "the other table is the dataset's own", remedy)


def _inheriting_problems(model: DataMapFile, dataset: DatasetModel, field: str, path: Trail) -> Iterator[Problem]:
    who = WHO[field]
    if dataset.parent is None:
        remedy = "add `parent: {dataset: …, on: {…}}`; a table that is called parent needs `on` and `take`"
        yield Problem(path, f"it takes its {who} from its parent, and names none", remedy)
        return
    if len(dataset.parent) > 1:
        remedy = f"name the {who}'s own place, or declare one parent"
        yield Problem(path, f"it takes its {who} from its parent, and has several", remedy)
    parent = model.datasets.get(dataset.parent[0].dataset)
    places = places_of(parent, field) if parent else ()
    if parent is not None and (not places or places[0].nobody):
        what = f"it takes its {who} from its parent {dataset.parent[0].dataset!r}, which has none"
        yield Problem(path, what, f"add `{field}:` to the parent, or name the {who}'s own place")


def _way_problems(model: DataMapFile, name: str, steps: Sequence[StepModel], path: Trail) -> Iterator[Problem]:
    """Yield where a way to an owner leads through its own table, or could lose a row that nothing waits for."""
    before = [name]
    for number, step in enumerate(steps):
        here = datasets_of(model, model.datasets[name].store, step.table)
        if name in here:
            remedy = _OWN_COLUMN.format(path[2])
            yield Problem((*path, number, "table"), "the way leads through the dataset's own table", remedy)
        if here and not before:
            what = (
                f"{here[0]!r} could go before the rows whose owner it knows: {steps[number - 1].table.name!r} between"
            )
            remedy = f"describe {steps[number - 1].table.name!r} as a dataset, too"
            yield Problem((*path, number, "table"), f"{what} is no dataset", remedy)
        before = here


def places_of(dataset: DatasetModel, field: str) -> Sequence[Account]:
    """Return what a dataset declares of its owners (`account`) or its users (`user`)."""
    return (dataset.account if field == "account" else dataset.user) or ()


def owners(model: DataMapFile, name: str, field: str = "account") -> tuple[OwnerSource, ...]:
    """Return where the owners of a dataset's rows stand; those that its parent's rows have, by the way to these.

    Args:
        field: `account` for owners, `user` for their users.
    """
    dataset = model.datasets[name]
    found: list[OwnerSource] = []
    for account in places_of(dataset, field):
        if account.inherits and dataset.parent:
            above = dataset.parent[0]
            table = model.datasets[above.dataset].table or TableName(name=" ")
            step = Step(table.name, pairs(above.on), table.schema_name)
            found += (_optional(through(step, each), account) for each in owners(model, above.dataset, field))
        elif not (account.pattern or account.label or account.nobody):
            found.append(_owner(account))
    return tuple(found)


def _optional(source: OwnerSource, account: Account) -> OwnerSource:
    return replace(source, optional=True) if account.optional else source


def _owner(model: Account) -> OwnerSource:
    steps = [Step(each.table.name, pairs(each.on), each.table.schema_name) for each in model.through or ()]
    if model.via is not None:
        steps = [Step(model.via.name, pairs(model.on or {}), model.via.schema_name)]
    via = None
    if steps:
        via = Via(steps[0].table, steps[0].on, model.take or "", steps[0].schema, tuple(steps[1:]))
    return OwnerSource(
        column=model.column or "",
        json=model.json_path,
        array=model.array is True,
        via=via,
        optional=model.optional is True,
    )


def via_of(clock: Clock) -> Via | None:
    """Return the other table in which a clock stands."""
    if clock.via is None:
        return None
    return Via(clock.via.name, pairs(clock.on or {}), clock.take or "", clock.via.schema_name)


def _parent_problems(model: DataMapFile, name: str, dataset: DatasetModel, named: tuple[str, int]) -> Iterator[Problem]:
    written, number = named
    path = ("datasets", name, "parent", number, "dataset")
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
