"""datamap.yaml: read, validated, checked against itself, and turned into the values that the engine works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel

from retentiond.domain.dataset import (
    BlobLink,
    Child,
    Cleared,
    ClockFormat,
    ClockSource,
    DataMap,
    Dataset,
    Downstream,
    Ignored,
    Store,
    TombstoneTarget,
)
from retentiond.domain.owner import OwnerSource
from retentiond.domain.pace import AT_ANY_PACE
from retentiond.settings.canonical import canonical, digest
from retentiond.settings.datamap_checks import check_datamap
from retentiond.settings.datamap_links import children, owners, parents, via_of
from retentiond.settings.datamap_model import Clock, DataMapFile, DatasetModel, StoreModel, label_of
from retentiond.settings.datamap_triggers import triggers
from retentiond.settings.document import read_document
from retentiond.settings.problems import Problem, alternatives, declared, raise_first, validated
from retentiond.settings.where_model import part

_Whose: TypeAlias = tuple[tuple[OwnerSource, ...], tuple[OwnerSource, ...]]  # owners, and their users


def load_datamap(path: Path, option_models: Mapping[str, type[BaseModel]]) -> DataMap:
    """Read the data map.

    Args:
        path: The file, such as `config/datamap.yaml`.
        option_models: For each installed kind of store, the model of its connector's options.

    Raises:
        ConfigError: The file is wrong; the first thing that is stands in `where`, the others in the text.
    """
    document = read_document(path)
    model = declared(DataMapFile, document)
    problems: list[Problem] = []
    options = _options(model, option_models, problems)
    check_datamap(model, options, problems)
    raise_first(document, problems)
    stores = {name: _store(name, each, options[name]) for name, each in model.stores.items()}
    before = children(model)
    datasets = {
        name: replace(
            _dataset(
                name, each, stores[each.store], before.get(name, ()), (owners(model, name), owners(model, name, "user"))
            ),
            parents=parents(model, name),
            triggers=triggers(model, each),
        )
        for name, each in model.datasets.items()
    }
    ignore = tuple(Ignored(each.store, each.pattern, each.reason) for each in model.ignore)
    downstream = tuple(Downstream(each.what, each.owner, each.expires) for each in model.downstream)
    return DataMap(stores, datasets, ignore, downstream, refuse_unmapped=model.unmapped == "refuse")


def _options(
    model: DataMapFile, option_models: Mapping[str, type[BaseModel]], problems: list[Problem]
) -> Mapping[str, Mapping[str, object]]:
    """Return the validated options of each store; stores whose options are wrong are left out."""
    found = {}
    for name, store in model.stores.items():
        kind = option_models.get(store.kind)
        if kind is None:
            remedy = alternatives(store.kind, option_models, "installed kinds")
            problems.append(
                Problem(("stores", name, "kind"), f"no connector of the kind {store.kind!r} is installed", remedy)
            )
            continue
        options = validated(kind, store.model_extra or {}, ("stores", name), problems)
        if options is not None:
            found[name] = options.model_dump(mode="json")
    return found


def _store(name: str, model: StoreModel, options: Mapping[str, object]) -> Store:
    keep = model.backups.keep if model.backups else None
    pace = model.pace.pace() if model.pace else AT_ANY_PACE
    return Store(name, model.kind, options, keep, model.backups is not None, pace)


def _dataset(name: str, given: DatasetModel, store: Store, before: Sequence[Child], whose: _Whose) -> Dataset:
    model = given if given.clock else given.model_copy(update={"clock": Clock(modified=True)})
    link = BlobLink(model.blobs.column, model.blobs.dataset) if model.blobs else None
    return Dataset(
        name=name,
        store=store.name,
        store_kind=store.kind,
        data_class=model.data_class,
        clock=_clock(model.clock),
        table=model.table.name if model.table else "",
        schema=model.table.schema_name if model.table else "",
        prefix=model.prefix or "",
        key=tuple(model.key),
        key_pattern=model.key_pattern or "",
        owners=whose[0],
        nobody=next((each.nobody for each in model.account or () if each.nobody), ""),
        account_field=next((each.pattern or each.label for each in model.account or ()), ""),
        users=whose[1],
        user_field=next((each.pattern or each.label for each in model.user or ()), ""),
        no_users=next((each.nobody for each in model.user or () if each.nobody), ""),
        attributes={
            name: each if isinstance(each, str) else label_of(each.tag, each.metadata)
            for name, each in model.attributes.items()
        },
        tombstone=_tombstone(model),
        blobs=link,
        follows=model.follows or "",
        write_once=model.keys is not None,
        canonical=canonical(_canonical(name, model, store, before, whose)),
        children=tuple(before),
        where=part(model.where),
        clears=tuple(Cleared(each.table.name, each.column, each.table.schema_name) for each in model.clears or ()),
    )


def _canonical(
    name: str, model: DatasetModel, store: Store, before: Sequence[Child], whose: _Whose
) -> Mapping[str, object]:
    """Return what is approved and published: with it the dataset moves to another database or bucket only visibly.

    The store's own options count by their digest, since the canonical form is published. Datasets that go first count,
    too: without one of them, more could go. So does where its parents have the owners that it takes from them.
    """
    found = {
        "name": name,
        **model.model_dump(mode="json", by_alias=True),
        "store_kind": store.kind,
        "store_sha256": digest({"kind": store.kind, "options": store.options}),
    }
    if before:
        found["children"] = [_child(child) for child in before]
    for name_of, places, sources in (("owners", model.account, whose[0]), ("users", model.user, whose[1])):
        if any(each.inherits for each in places or ()):
            found[name_of] = [_way(each) for each in sources]
    return found


def _child(child: Child) -> Mapping[str, object]:
    said = [{"column": only.column, "values": list(only.values), "others": only.others} for only in child.where]
    return {"dataset": child.dataset, "on": dict(child.on), **({"where": said} if said else {})}


def _way(source: OwnerSource) -> Mapping[str, object]:
    """Return how an owner is found that stands in another table."""
    steps = source.via.steps if source.via else ()
    return {
        "through": [{"schema": step.schema, "table": step.table, "on": dict(step.on)} for step in steps],
        "take": source.via.take if source.via else source.column,
        "json": source.json.text if source.json else None,
        "array": source.array,
        "optional": source.optional,
    }


def _clock(model: Clock | None) -> ClockSource:
    if model is None or model.modified:
        return ClockSource(ClockFormat.MODIFIED, earliest=(model or Clock(modified=True)).earliest)
    if model.none:
        return ClockSource(ClockFormat.NONE)
    if model.pattern is not None:
        return ClockSource(ClockFormat.PATTERN, field=model.pattern, zone=model.zone, earliest=model.earliest)
    return ClockSource(
        model.format,
        column=model.column or "",
        field=model.label,
        zone=model.zone,
        earliest=model.earliest,
        json=model.json_path,
        via=via_of(model),
    )


def _tombstone(model: DatasetModel) -> TombstoneTarget | None:
    if model.tombstone is None:
        return None
    target = model.tombstone
    return TombstoneTarget(
        target.column or "",
        target.table.name if target.table else "",
        target.directory or "",
        marker=target.marker is True,
        schema=target.table.schema_name if target.table else "",
    )
