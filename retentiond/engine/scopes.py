"""Checks of what people name: accounts, keys of a dataset, or a condition on one."""

from __future__ import annotations

from collections.abc import Sequence

from retentiond.domain.condition import ACCOUNT, ATTRIBUTE, fields
from retentiond.domain.dataset import Dataset
from retentiond.domain.hold import Scope
from retentiond.engine.context import Context
from retentiond.errors import UsageError


def check_scope(ctx: Context, scope: Scope, what: str) -> None:
    """Raise UsageError where a scope names nothing, or a dataset or field that the data map lacks.

    Args:
        what: Whose scope it is, such as `a hold`.
    """
    if scope.dataset and scope.dataset not in ctx.datamap.datasets:
        raise UsageError(
            f"there is no dataset {scope.dataset!r}",
            where="--dataset",
            remedy=f"one of {', '.join(ctx.datamap.datasets)}",
        )
    given = [bool(scope.accounts), bool(scope.keys), scope.condition is not None]
    needs_dataset = bool(scope.keys) or scope.condition is not None
    if given.count(True) != 1 or (needs_dataset and not scope.dataset) or "" in scope.accounts:
        raise UsageError(
            f"{what} names accounts, or keys of a dataset, or a condition on a dataset: one of the three",
            remedy="--account A, or --dataset D --key K, or --dataset D --where EXPR",
        )
    if scope.condition is not None:
        _check_condition(ctx.datamap.datasets[scope.dataset], fields(scope.condition))


def check_texts(option: str, texts: Sequence[str]) -> None:
    """Raise UsageError where a text that people typed is none that a file can hold."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError("a text is not valid Unicode", where=option, remedy="write it in UTF-8") from error


def _check_condition(dataset: Dataset, asked: frozenset[str]) -> None:
    if dataset.follows:
        raise UsageError(
            f"dataset {dataset.name} follows {dataset.follows}, whose rows say what its objects are",
            where="--where",
            remedy=f"--dataset {dataset.follows}: objects stay as long as a held row names them",
        )
    known = {ATTRIBUTE + name for name in dataset.attributes} | ({ACCOUNT} if dataset.has_owner else set())
    if not asked or asked - known:
        names = ", ".join(sorted(name.removeprefix(ATTRIBUTE) for name in known)) or "it has none"
        raise UsageError(
            f"the condition asks for something that dataset {dataset.name} does not have",
            where="--where",
            remedy=f"its fields: {names}",
        )
