"""What a plan looks at of a dataset: all of it, or only the records whose keys somebody named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Cases
from retentiond.domain.hold import Scope
from retentiond.domain.record import Record, key_bytes
from retentiond.domain.versions import markers_last
from retentiond.ports.stores import Connector, Found, Tally, Window


def windows(
    connector: Connector, dataset: Dataset, cases: Cases, scope: Scope | None, more: frozenset[int] = frozenset()
) -> Iterator[Window]:
    """Examine a dataset and give what is due in it, in windows; where keys are named, only what has one of them.

    Args:
        more: Further cases whose records are given, where no keys are named.

    Raises:
        ConnectorError: The dataset could not be read completely.
    """
    keys = scope.keys if scope is not None else ()
    if not keys:
        yield from connector.scan(dataset, cases, more.union(cases.due))
    elif dataset.children:  # only a scan tells which rows stand in the way of one
        names = {key_bytes(record.key) for key in keys for record in found_by(connector, dataset, key)}
        for window in connector.scan(dataset, cases, frozenset(range(len(cases.cases)))):
            yield _window(dataset, cases, [each for each in window.found if key_bytes(each.record.key) in names])
    else:
        winner = cases.python()
        for key in keys:
            records = found_by(connector, dataset, key)
            yield _window(dataset, cases, [Found(record, winner(record)) for record in records])


def found_by(connector: Connector, dataset: Dataset, key: bytes) -> Sequence[Record]:
    """Return the records of a key as somebody typed it."""
    return connector.find(dataset, key.decode("utf-8", "surrogateescape"))


def _window(dataset: Dataset, cases: Cases, found: Iterable[Found]) -> Window:
    """Return what was found as a scan would, markers last where objects have versions."""
    due = frozenset(cases.due)
    settled = found if dataset.table else markers_last(found, due, len(cases.cases) - 1)
    tallies: dict[int, Tally] = {}
    chosen = []
    for record, case in settled:
        tallies[case] = tallies.get(case, Tally()).plus(Tally(1, record.size_bytes, record.clock))
        if case in due:
            chosen.append(Found(record, case))
    return Window(tuple(chosen), tallies)
