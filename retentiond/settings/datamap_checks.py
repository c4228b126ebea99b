"""The data map against itself: what each dataset needs, and what two of them must not share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from retentiond.domain.keypattern import KeyPattern
from retentiond.domain.part import apart
from retentiond.settings.datamap_links import WHO, link_problems, places_of, same_table
from retentiond.settings.datamap_model import Account, DataMapFile, DatasetModel
from retentiond.settings.datamap_triggers import trigger_problems
from retentiond.settings.document import Trail
from retentiond.settings.problems import Problem, alternatives
from retentiond.settings.where_model import part


@dataclass(frozen=True, slots=True)
class _Shape:
    """What datasets of a kind of store are made of."""

    tables: bool
    tombstones: tuple[str, ...]


_TABLES = _Shape(tables=True, tombstones=("column", "table"))
_SHAPES: Mapping[str, _Shape] = {
    "sqlite": _TABLES,
    "postgresql": _TABLES,
    "files": _Shape(tables=False, tombstones=("directory",)),
    "s3": _Shape(tables=False, tombstones=("marker",)),
}
_ONLY_TABLES = ("key", "blobs", "parent", "where", "clears", "triggers")
_LABELLED = frozenset(("s3",))
_ONLY_OBJECTS = ("key_pattern", "keys", "follows")


def check_datamap(model: DataMapFile, options: Mapping[str, object], problems: list[Problem]) -> None:
    """Add what is wrong with a valid data map to the problems.

    Args:
        options: The validated options of each store.
    """
    for name, dataset in model.datasets.items():
        problems.extend(_dataset_problems(model, name, dataset))
    for number, ignored in enumerate(model.ignore):
        if ignored.store not in model.stores:
            problems.append(_no_store(("ignore", number, "store"), ignored.store, model))
    problems.extend(link_problems(model))
    problems.extend(_same_stores(model, options))
    for left, right in combinations(model.datasets, 2):
        problems.extend(_overlap(model, left, right))


def _dataset_problems(model: DataMapFile, name: str, dataset: DatasetModel) -> Iterator[Problem]:
    path = ("datasets", name)
    store = model.stores.get(dataset.store)
    if store is None:
        yield _no_store((*path, "store"), dataset.store, model)
        return
    shape = _SHAPES.get(store.kind) or _Shape(tables=dataset.table is not None, tombstones=())
    yield from _place_problems(path, dataset, store.kind, shape)
    yield from _tombstone_problems(path, dataset, store.kind, shape)
    yield from _clock_problems(path, dataset, shape)
    yield from _label_problems(path, dataset, store.kind, shape)
    yield from _pattern_problems(path, dataset, shape)
    yield from _link_problems(model, name, dataset)
    yield from _user_problems(path, dataset)
    yield from trigger_problems(model, path, dataset)


def _user_problems(path: Trail, dataset: DatasetModel) -> Iterator[Problem]:
    """Yield what says of users that cannot be so: they are users of somebody."""
    if dataset.user and not dataset.user[0].nobody and not dataset.account:
        what = "it says whose of an account's users a record is, and of no account"
        yield Problem((*path, "user"), what, "declare `account:` too: a user is named inside an account", key=True)


def _no_store(path: Trail, name: str, model: DataMapFile) -> Problem:
    return Problem(path, f"there is no store {name!r}", alternatives(name, model.stores, "stores of this data map"))


def _place_problems(path: Trail, dataset: DatasetModel, kind: str, shape: _Shape) -> Iterator[Problem]:
    wrong, right = ("prefix", "table") if shape.tables else ("table", "prefix")
    if getattr(dataset, wrong) is not None:
        what = f"a store of the kind {kind} has no {wrong}"
        yield Problem((*path, wrong), what, f"write `{right}:` in its place", key=True)
    elif getattr(dataset, right) is None:
        more = "" if shape.tables else ", which may be ''"
        yield Problem(path, f"it says no {right}", f"add `{right}:`{more}")
    for field in _ONLY_OBJECTS if shape.tables else _ONLY_TABLES:
        if getattr(dataset, field):
            what = f"{field!r} is for {'buckets and directories' if shape.tables else 'tables'}"
            yield Problem((*path, field), what, "remove it", key=True)
    if shape.tables:
        yield from _key_problems(path, dataset)
    else:
        yield from _prefix_problems((*path, "prefix"), dataset.prefix or "")


def _key_problems(path: Trail, dataset: DatasetModel) -> Iterator[Problem]:
    if not dataset.key:
        yield Problem(
            path if "key" not in dataset.model_fields_set else (*path, "key"),
            "it has no key columns",
            "add `key: [column]`: what identifies a row",
        )
    if len(set(dataset.key)) < len(dataset.key):
        yield Problem((*path, "key"), "a column stands twice in the key", "name each once")


def _prefix_problems(path: Trail, prefix: str) -> Iterator[Problem]:
    if "\x00" in prefix or prefix.startswith("/") or any(part in (".", "..") for part in prefix.split("/")):
        yield Problem(
            path, f"{prefix!r} leads out of the store", "write what keys begin with, without a leading / and without .."
        )


def _tombstone_problems(path: Trail, dataset: DatasetModel, kind: str, shape: _Shape) -> Iterator[Problem]:
    if dataset.tombstone is None:
        return
    trail = (*path, "tombstone")
    way = dataset.tombstone.way
    if shape.tombstones and way not in shape.tombstones:
        yield Problem(
            trail,
            f"a store of the kind {kind} hides nothing by {way}",
            f"write one with {' or '.join(shape.tombstones)}",
        )
    elif way == "directory":
        yield from _quarantine_problems(trail, dataset.tombstone.directory or "", dataset.prefix or "")
    elif way == "table" and dataset.tombstone.table == dataset.table:
        yield Problem(
            trail, "the quarantine table is the dataset's own table", "name another table of the same columns"
        )


def _quarantine_problems(path: Trail, directory: str, prefix: str) -> Iterator[Problem]:
    parts = directory.strip("/").split("/")
    if directory.startswith("/") or any(part in ("", ".", "..") for part in parts):
        yield Problem(
            path,
            f"{directory!r} leads out of the store",
            "write a directory below the store's root, such as .quarantine",
        )
    elif prefix.startswith("/".join(parts) + "/"):
        yield Problem(
            path, f"the dataset's prefix lies inside the quarantine {directory!r}", "choose a directory of its own"
        )


def _clock_problems(path: Trail, dataset: DatasetModel, shape: _Shape) -> Iterator[Problem]:
    clock = dataset.clock
    remedy = "write `clock: {column: …}`" if shape.tables else "write `clock: modified`, or `clock: {pattern: …}`"
    if clock is None:
        if dataset.follows is None:
            yield Problem(path, "it has no clock, so nothing in it would ever be due", remedy)
    elif clock.none and not shape.tables:
        yield Problem((*path, "clock"), "an object always has a clock", remedy)
    elif shape.tables and clock.column is None and not (clock.label or clock.via or clock.none):
        yield Problem((*path, "clock"), "the clock of a table stands in a column", remedy)
    elif not shape.tables and (clock.column is not None or clock.via is not None):
        yield Problem((*path, "clock"), "an object has no columns", remedy)


def _label_problems(path: Trail, dataset: DatasetModel, kind: str, shape: _Shape) -> Iterator[Problem]:
    """Yield what asks for tags or metadata where there are none, and for columns of objects."""
    columns = any(isinstance(each, str) for each in dataset.attributes.values())
    if columns and not shape.tables:
        remedy = "write {tag: …} or {metadata: …} in a bucket, or remove it"
        yield Problem((*path, "attributes"), "'attributes' in columns is for tables", remedy, key=True)
    if kind in _LABELLED or kind not in _SHAPES:
        return
    asked = {
        "clock": bool(dataset.clock and dataset.clock.label),
        "account": any(each.label for each in dataset.account or ()),
        "user": any(each.label for each in dataset.user or ()),
        "attributes": any(not isinstance(each, str) for each in dataset.attributes.values()),
    }
    for field in (name for name, wanted in asked.items() if wanted):
        yield Problem((*path, field), f"a store of the kind {kind} has no tags or metadata", "only a bucket has them")


def _in_key(accounts: list[Account] | None) -> str | None:
    return next((each.pattern for each in accounts or () if each.pattern is not None), None)


def _pattern_problems(path: Trail, dataset: DatasetModel, shape: _Shape) -> Iterator[Problem]:
    named = {"account": _in_key(dataset.account), "user": _in_key(dataset.user)}
    clock = dataset.clock.pattern if dataset.clock else None
    if shape.tables:
        for field in (field for field, part in named.items() if part is not None):
            yield Problem((*path, field), f"the {WHO[field]} of a row stands in a column", f"write `{field}: column`")
        return
    for field in WHO:
        places = places_of(dataset, field)
        if places and named[field] is None and not (places[0].label or places[0].nobody):
            remedy = f"write `{field}: {{pattern: …}}`, or in a bucket {{tag: …}} or {{metadata: …}}"
            yield Problem((*path, field), "an object has no columns", remedy)
    if dataset.key_pattern is None:
        for field, value in (*named.items(), ("clock", clock)):
            if value is not None:
                yield Problem(
                    (*path, field), f"there is no key_pattern that {value!r} could stand in", "add `key_pattern:`"
                )
        return
    try:
        pattern = KeyPattern.parse(dataset.key_pattern)
    except ValueError as error:
        remedy = "write it like 'requests/{account}/{date:%Y/%m/%d}/{request_id}.json'"
        yield Problem((*path, "key_pattern"), str(error), remedy)
        return
    yield from _named_parts(path, dataset, pattern)


def _named_parts(path: Trail, dataset: DatasetModel, pattern: KeyPattern) -> Iterator[Problem]:
    clock = dataset.clock.pattern if dataset.clock else None
    for field, named in (("account", _in_key(dataset.account)), ("user", _in_key(dataset.user))):
        if named is not None and named not in pattern.names - pattern.times:
            remedy = alternatives(named, pattern.names - pattern.times, "names in the pattern")
            yield Problem((*path, field), f"the key_pattern has no {{{named}}}", remedy)
    if clock is not None and clock not in pattern.times:
        remedy = alternatives(clock, pattern.times, "times in the pattern, such as {date:%Y-%m-%d}")
        yield Problem((*path, "clock"), f"the key_pattern has no time called {clock!r}", remedy)
    if not pattern.literal_prefix.startswith(dataset.prefix or ""):
        what = f"the key_pattern does not begin with the prefix {dataset.prefix!r}"
        yield Problem((*path, "key_pattern"), what, "patterns are of whole keys: begin it with the prefix")


def _link_problems(model: DataMapFile, name: str, dataset: DatasetModel) -> Iterator[Problem]:
    path = ("datasets", name)
    if dataset.blobs:
        yield from _blob_problems(model, name, dataset, (*path, "blobs", "dataset"))
    if dataset.follows is None:
        return
    leader = model.datasets.get(dataset.follows)
    if leader is None:
        yield _no_dataset((*path, "follows"), dataset.follows, model)
    elif leader.blobs is None or leader.blobs.dataset != name:
        what = f"it follows {dataset.follows!r}, whose rows name no objects of it"
        yield Problem((*path, "follows"), what, f"add `blobs: {{column: …, dataset: {name}}}` to {dataset.follows!r}")
    elif leader.data_class != dataset.data_class:
        what = f"it follows {dataset.follows!r}, which is of the class {leader.data_class!r}"
        yield Problem((*path, "class"), what, "what goes with a row is of the row's class")


def _blob_problems(model: DataMapFile, name: str, dataset: DatasetModel, path: Trail) -> Iterator[Problem]:
    target = dataset.blobs.dataset if dataset.blobs else ""
    follower = model.datasets.get(target)
    if follower is None:
        yield _no_dataset(path, target, model)
    elif follower.follows != name:
        yield Problem(path, f"the dataset {target!r} does not follow {name!r}", f"add `follows: {name}` to {target!r}")


def _no_dataset(path: Trail, name: str, model: DataMapFile) -> Problem:
    return Problem(
        path, f"there is no dataset {name!r}", alternatives(name, model.datasets, "datasets of this data map")
    )


def _same_stores(model: DataMapFile, options: Mapping[str, object]) -> Iterator[Problem]:
    for left, right in combinations(options, 2):
        if model.stores[left].kind == model.stores[right].kind and options[left] == options[right]:
            what = f"the stores {left!r} and {right!r} are one and the same"
            yield Problem(("stores", right), what, "declare it once: its records would count twice", key=True)


def _overlap(model: DataMapFile, left: str, right: str) -> Iterator[Problem]:
    one, other = model.datasets[left], model.datasets[right]
    if one.store != other.store:
        return
    remedy = "give each record one dataset: its removal would be planned twice"
    kind = model.stores[one.store].kind if one.store in model.stores else ""
    if one.table is not None and other.table is not None:
        if same_table(one.table, kind) == same_table(other.table, kind) and not apart(
            part(one.where), part(other.where)
        ):
            if one.where or other.where:
                remedy = "let one column tell them apart: `where: {COLUMN: VALUE}` in both, with other values"
            yield Problem(("datasets", right, "table"), f"the dataset {left!r} is this table already", remedy)
        for hidden, name, table, shown in ((one, left, other.table, right), (other, right, one.table, left)):
            quarantine = hidden.tombstone.table if hidden.tombstone else None
            if quarantine is not None and same_table(quarantine, kind) == same_table(table, kind):
                what = f"this table is the quarantine of {name!r}, and belongs to that dataset"
                yield Problem(("datasets", shown, "table"), what, remedy)
    if one.prefix is not None and other.prefix is not None and _nested(one.prefix, other.prefix):
        what = f"the prefixes of {left!r} and {right!r} overlap: {one.prefix!r}, {other.prefix!r}"
        yield Problem(("datasets", right, "prefix"), what, remedy)


def _nested(left: str, right: str) -> bool:
    return left.startswith(right) or right.startswith(left)
