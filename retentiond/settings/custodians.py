"""The file of `hold add --file`: custodian by custodian, what is preserved of whom."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from retentiond.domain.condition import ACCOUNT, Condition
from retentiond.domain.dataset import DataMap
from retentiond.domain.hold import Custody, custodies
from retentiond.settings.document import Trail, parse_document
from retentiond.settings.problems import Problem, alternatives, declared, raise_first
from retentiond.settings.values import Declared, Text
from retentiond.settings.when import WhenReader

OPTION = "--file"


class CustodianModel(Declared):
    """One custodian: the person or account whose data it is, and which of it."""

    custodian: Text
    datasets: list[Text] = Field(default_factory=list, min_length=1)
    accounts: list[Text] = Field(default_factory=list, min_length=1)
    keys: list[Text] = Field(default_factory=list, min_length=1)
    where: Any = None


class CustodiansFile(Declared):
    """A matter's custodians."""

    custodians: list[CustodianModel] = Field(min_length=1)


def read_custodians(text: str, datamap: DataMap) -> tuple[Custody, ...]:
    """Return what a file of custodians names.

    Raises:
        ConfigError: It is no such file, or names a dataset or field that the data map lacks; with line and column.
    """
    document = parse_document(OPTION, text.encode("utf-8", "surrogateescape"))
    file = declared(CustodiansFile, document)
    problems: list[Problem] = []
    found: list[Custody] = []
    for number, each in enumerate(file.custodians):
        path: Trail = ("custodians", number)
        problems += _unknown(each, path, datamap)
        keys = tuple(key.encode() for key in each.keys)
        conditions = _conditions(each, path, datamap, problems)
        if sum((bool(each.accounts), bool(keys), each.where is not None)) > 1:
            problems.append(
                Problem(path, "accounts, keys and a condition are named together", "write an entry for each of them")
            )
        elif (keys or each.where is not None) and not each.datasets:
            problems.append(Problem(path, "keys and conditions are of a dataset", "add `datasets: [NAME]`"))
        elif not problems:
            found += custodies(each.custodian, each.datasets, each.accounts, keys, conditions)
    raise_first(document, problems)
    return tuple(found)


def _unknown(each: CustodianModel, path: Trail, datamap: DataMap) -> list[Problem]:
    return [
        Problem(
            (*path, "datasets", place),
            f"there is no dataset {name!r}",
            alternatives(name, datamap.datasets, "datasets"),
        )
        for place, name in enumerate(each.datasets)
        if name not in datamap.datasets
    ]


def _conditions(
    each: CustodianModel, path: Trail, datamap: DataMap, problems: list[Problem]
) -> tuple[Condition, ...]:  # fmt: skip
    """Return the condition for each dataset; none where no condition is written, or it can't be read."""
    if each.where is None:
        return ()
    found = []
    for name in each.datasets:
        if (dataset := datamap.datasets.get(name)) is None:
            continue
        fields = frozenset((*dataset.attributes, *((ACCOUNT,) if dataset.has_owner else ())))
        reader = WhenReader({}, _lacking(name, fields), fields)
        clause = reader.read(each.where, (*path, "where"), "the condition")
        problems += reader.problems
        found += [clause.condition] if clause else []
    return tuple(found)


def _lacking(dataset: str, fields: frozenset[str]) -> Any:  # noqa: ANN401 - what WhenReader asks
    return lambda field: [] if field in fields else [dataset]
