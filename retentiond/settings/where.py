"""`--where`: a condition on the records of one dataset, in the grammar of `when`."""

from __future__ import annotations

from retentiond.domain.condition import ACCOUNT, Condition
from retentiond.domain.dataset import DataMap
from retentiond.errors import UsageError
from retentiond.settings.document import parse_document
from retentiond.settings.problems import raise_first
from retentiond.settings.when import WhenReader

OPTION = "--where"


def read_where(text: str, dataset: str, datamap: DataMap) -> Condition:
    """Return the condition that a text such as `{tier: gold, flagged: true}` writes.

    Raises:
        ConfigError: It is no condition, or asks for a field that the dataset does not have; with line and column.
        UsageError: There is no such dataset, or the text is not UTF-8.
    """
    known = datamap.datasets.get(dataset)
    if known is None:
        remedy = f"--dataset, one of {', '.join(datamap.datasets)}"
        raise UsageError("a condition is about the records of one dataset", where=OPTION, remedy=remedy)
    fields = frozenset((*known.attributes, *((ACCOUNT,) if known.has_owner else ())))
    document = parse_document(OPTION, text.encode("utf-8", "surrogateescape"))
    reader = WhenReader({}, lambda field: [] if field in fields else [dataset], fields)
    clause = reader.read(document.root, (), "the condition")
    raise_first(document, reader.problems)
    if clause is None:
        raise UsageError("the condition says nothing", where=OPTION, remedy="write {field: value}")
    return clause.condition
