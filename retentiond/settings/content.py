"""Content windows of a policy: checked against the datasets that they are of, and turned into what the engine needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from retentiond.domain.condition import ALWAYS
from retentiond.domain.content import Change, Target
from retentiond.domain.dataset import Dataset
from retentiond.domain.policy import Action, ContentWindow, Promise
from retentiond.settings.content_model import ContentModel
from retentiond.settings.document import Trail
from retentiond.settings.problems import Problem, alternatives
from retentiond.settings.when import Clause

_OWNER = "account"


def windows_of(
    models: Sequence[ContentModel], datasets: Sequence[Dataset], clauses: Mapping[int, Clause]
) -> tuple[ContentWindow, ...]:
    """Return the content windows of a policy.

    Args:
        datasets: Those of its class.
        clauses: The condition of each window that has one, by its index.
    """
    return tuple(_window(index, model, datasets, clauses.get(index)) for index, model in enumerate(models))


def _window(index: int, model: ContentModel, datasets: Sequence[Dataset], clause: Clause | None) -> ContentWindow:
    names = frozenset(dataset.name for dataset in _of(model, datasets))
    return ContentWindow(
        number=index + 1,
        after=model.after,
        change=Change(model.targets, required=model.datasets is not None or len(names) == 1),
        datasets=names,
        action=Action(model.word),
        keys=model.keys,
        when=clause.condition if clause else ALWAYS,
        promise=Promise(model.promise.live, model.promise.backups) if model.promise else None,
        text=clause.text if clause else "every record",
    )


def _of(model: ContentModel, datasets: Sequence[Dataset]) -> list[Dataset]:
    """Return the datasets that a window is of: those it names, else all tables of the class."""
    wanted = model.datasets
    tables = [each for each in datasets if each.table and (wanted is None or each.name in wanted)]
    if model.pseudonymise is None or wanted is not None:
        return tables
    return [each for each in tables if set(model.pseudonymise) & _plain_owners(each)]


def _plain_owners(dataset: Dataset) -> set[str]:
    return {owner.column for owner in dataset.owners if owner.is_plain}


def window_problems(
    path: Trail, model: ContentModel, datasets: Sequence[Dataset], others: Iterable[Dataset]
) -> Iterator[Problem]:
    """Yield what is wrong with a window, looked at by itself.

    Args:
        datasets: Those of its class.
        others: All datasets.
    """
    tables = [dataset.name for dataset in datasets if dataset.table]
    for number, name in enumerate(model.datasets or ()):
        if name not in tables:
            what = f"{name!r} is no table of this class"
            yield Problem((*path, "datasets", number), what, alternatives(name, tables, "tables of the class"))
    if datasets and not tables:
        what = "nothing can be redacted in the objects of a bucket or the files of a directory"
        yield Problem((*path, model.word), what, "remove the window; a rule removes whole objects", key=True)
    if model.pseudonymise is not None:
        yield from _owner_problems((*path, model.word), model.pseudonymise, _of(model, datasets), others)
    for dataset in _of(model, datasets):
        for target in model.targets:
            for role, needed in _roles(dataset):
                if needed.overlaps(target) and not (target.pseudonym and role == _OWNER):
                    what = f"{target.name!r} is the {role} of the dataset {dataset.name!r}"
                    yield Problem((*path, model.word), what, "leave it out: no row could be told or judged without it")


def _owner_problems(
    path: Trail, columns: Sequence[str], datasets: Sequence[Dataset], others: Iterable[Dataset]
) -> Iterator[Problem]:
    """Yield columns that are not an account as it is, and those that other datasets find their accounts in."""
    if not datasets:
        yield Problem(path, f"no table of the class has its account in {columns[0]!r}", "name a column of `account:`")
    for dataset in datasets:
        for column in columns:
            if column not in _plain_owners(dataset):
                what = f"{column!r} does not hold the account of {dataset.name!r} as it is"
                yield Problem(path, what, "name a column of `account:`, redact it, or name the `datasets:`")
    for other in others:
        for via in (owner.via for owner in other.owners if owner.via):
            taken = [each for each in datasets if (each.store, each.table) == (other.store, via.table)]
            if taken and via.take in columns:
                what = f"the dataset {other.name!r} finds its account in {via.take!r} of {taken[0].name!r}"
                yield Problem(path, what, "it would be nobody's any more: leave this column as it is")


def order_problems(path: Trail, models: Sequence[ContentModel]) -> Iterator[Problem]:
    """Yield the windows that never count, since an earlier one without a condition governs what they redact."""
    for index, model in enumerate(models):
        for earlier in models[:index]:
            apart = model.datasets and earlier.datasets and not set(model.datasets) & set(earlier.datasets)
            if earlier.when is None and not apart and Change(earlier.targets).overlaps(Change(model.targets)):
                what = f"window {index + 1} never counts: an earlier one without `when` redacts the same of every row"
                yield Problem((*path, index), what, "put it first, or remove it")


def _roles(dataset: Dataset) -> Iterator[tuple[str, Target]]:
    """Yield what else the places of a row are needed for."""
    for column in dataset.key:
        yield "key", Target(column)
    yield "clock", Target(dataset.clock.column, dataset.clock.json)
    for owner in dataset.owners:
        for column in [mine for mine, _ in owner.via.on] if owner.via else [owner.column]:
            yield _OWNER, Target(column, owner.json)
    for name, column in dataset.attributes.items():
        yield f"attribute {name!r}", Target(column)
    if dataset.tombstone and dataset.tombstone.column:
        yield "tombstone", Target(dataset.tombstone.column)
    if dataset.blobs:
        yield "name of an object", Target(dataset.blobs.column)
    for parent in dataset.parents:
        yield from ((f"link to {parent.dataset}", Target(mine)) for mine, _ in parent.on)
    for child in dataset.children:
        yield from ((f"link from {child.dataset}", Target(theirs)) for _, theirs in child.on)
