"""The scan: every version and delete marker once, the versions of a key decided together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import itemgetter

from retentiond.connectors.s3.labels import Reading
from retentiond.connectors.s3.listing import Version
from retentiond.domain.decision import Cases
from retentiond.domain.policy import Action
from retentiond.domain.record import Record, key_bytes
from retentiond.domain.versions import MARKER, markers_last
from retentiond.ports.stores import UNNAMEABLE, Found, Tally, Window

WINDOW = 5_000


def windows(keys: Iterable[list[Version]], reading: Reading, cases: Cases, wanted: frozenset[int]) -> Iterator[Window]:
    """Yield the windows of a scan.

    Args:
        keys: All versions of one key after the other, newest first.
        wanted: The cases whose records are handed out: the oldest version of a key first, so that none gets another
            version on top of it while it waits, and delete markers last.
    """
    winner = cases.python()
    removes = frozenset(index for index in wanted if index >= 0 and cases.reason(index).action is Action.PURGE)
    for group in _groups(keys):
        exact = reading.records([versions for versions in group if versions[0].exact])
        records = (record for versions in exact for record in reversed(versions))
        decided = markers_last(((record, winner(record)) for record in records), removes, len(cases.cases) - 1)
        blurred = reading.records([versions for versions in group if not versions[0].exact])
        unsure = [record for versions in blurred for record in versions]
        due = [Found(record, case) for record, case in decided if case in wanted]
        due.sort(key=_markers_last_within_a_key)
        yield Window(tuple(due), _tallies(decided, unsure))


def _groups(keys: Iterable[list[Version]]) -> Iterator[list[list[Version]]]:
    """Yield keys in groups that have about so many versions together."""
    group: list[list[Version]] = []
    size = 0
    for versions in keys:
        group.append(versions)
        size += len(versions)
        if size >= WINDOW:
            yield group
            group, size = [], 0
    yield group


def _markers_last_within_a_key(found: Found) -> tuple[object, bool]:
    return key_bytes(found.record.key), found.record.place == MARKER


def _tallies(decided: Iterable[tuple[Record, int]], unsure: list[Record]) -> dict[int, Tally]:
    won: defaultdict[int, list[Record]] = defaultdict(list)
    for record, case in decided:
        won[case].append(record)
    if unsure:
        won[UNNAMEABLE] = unsure
    return {case: _tally(records) for case, records in sorted(won.items(), key=itemgetter(0))}


def _tally(records: list[Record]) -> Tally:
    oldest = min((record.clock for record in records if record.clock is not None), default=None)
    return Tally(len(records), sum(record.size_bytes for record in records), oldest)
