"""Tombstones: our delete marker on top of exactly the version that the plan names.

No S3 server lets a marker depend on what it covers. So it is looked before and after, and a marker that came to lie on
a version uploaded in between is taken away again by its version id.
"""

from __future__ import annotations

from collections.abc import Sequence

from retentiond.connectors.s3.bucket import Bucket, Trouble
from retentiond.connectors.s3.judging import Judge, Sight
from retentiond.connectors.s3.names import Name, name_of, requests_for, unsafe
from retentiond.connectors.s3.sheet import Sheet
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.record import Record
from retentiond.ports.stores import Acted, Order

# Few, so that little time passes between the looks.
CALL = 100


class Hiding:
    """One order being carried out.

    Args:
        reader: The bucket as it is looked at.
        writer: The bucket as it is changed, by a client that sends nothing twice: a second marker would stay.
    """

    def __init__(self, order: Order, reader: Bucket, writer: Bucket) -> None:
        self._order = order
        self._reader = reader
        self._writer = writer
        self._judge = Judge(order)
        self._sheet = Sheet(len(order.records))

    def run(self) -> Acted:
        """Carry it out.

        Raises:
            ConnectorError: Nothing can be said of any record.
        """
        for call in requests_for([name_of(record) for record in self._order.records], CALL):
            due = self._look_first(call)
            if due:
                self._hide(due)
        return self._sheet.acted()

    def _records(self, indexes: Sequence[int]) -> list[Record]:
        return [self._order.records[index] for index in indexes]

    def _look_first(self, indexes: Sequence[int]) -> list[int]:
        """Note what is not to be hidden, and return the rest."""
        sight = self._judge.look(self._reader, self._records(indexes))
        if sight.failure and sight.nothing and self._sheet.empty:
            raise sight.failure
        due = []
        for index in indexes:
            outcome, reason = _before(self._order.records[index], sight)
            if outcome is None:
                due.append(index)
            else:
                self._sheet.note(index, outcome, reason)
        return due

    def _hide(self, indexes: Sequence[int]) -> None:
        records = self._records(indexes)
        self._order.fence()
        markers, trouble = self._writer.hide([name_of(record).key for record in records])
        sight = self._judge.look(self._reader, records)
        for index, record in zip(indexes, records, strict=True):
            self._sheet.note(index, *self._after(record, sight, markers, trouble))

    def _after(
        self, record: Record, sight: Sight, markers: frozenset[str], trouble: Trouble | None
    ) -> tuple[Outcome, str, str]:
        """Return a record's outcome, words, and the version id of our marker on it."""
        versions = sight.versions(record)
        if versions is None:
            return Outcome.UNKNOWN, sight.unanswered, ""
        if versions and versions[0].version in markers:
            marker, *beneath = versions
            if beneath and beneath[0].version == name_of(record).version:
                return Outcome.DONE, "", marker.version
            return *self._uncover(Name(marker.key, marker.version)), ""
        if sight.of(record) is Sighting.HIDDEN:
            return *_hidden_unseen(trouble), ""
        return *_not_hidden(record, sight, trouble), ""

    def _uncover(self, marker: Name) -> tuple[Outcome, str]:
        # No fence: this undoes what we did to a version that no plan names, and that must not stay hidden.
        trouble = self._writer.erase([marker])
        if trouble is None:
            return Outcome.CHANGED, "another version stood in its place, and our marker was taken away again"
        return Outcome.CHANGED, f"another version stands in its place, hidden by our marker: {trouble.why}"


def _before(record: Record, sight: Sight) -> tuple[Outcome | None, str]:
    """Return an outcome for a record that is not to be hidden, else None."""
    name = name_of(record)
    versions = sight.versions(record)
    match sight.of(record):
        case Sighting.UNKNOWN:
            return Outcome.UNKNOWN, sight.unanswered
        case Sighting.ABSENT:
            return Outcome.ALREADY_GONE, ""
        case Sighting.HIDDEN:
            return Outcome.CHANGED, "it was hidden already"
        case Sighting.DUE if versions and versions[0].version == name.version:
            if unsafe(name.key):
                return Outcome.REFUSED, "no request can name its key and be sure to reach no other"
            return None, ""
        case _:
            return Outcome.CHANGED, "it is not the current version any more, or not due"


def _not_hidden(record: Record, sight: Sight, trouble: Trouble | None) -> tuple[Outcome, str]:
    if sight.of(record) is Sighting.DUE:
        why = trouble.why if trouble else "the server said that it put a marker, and there is none"
        return (Outcome.REFUSED if trouble and trouble.final else Outcome.UNKNOWN), why
    return Outcome.CHANGED, "it was removed or covered by a younger version meanwhile"


def _hidden_unseen(trouble: Trouble | None) -> tuple[Outcome, str]:
    """Return the outcome for a record on which there is a marker that no answer called ours."""
    if trouble is not None and not trouble.final:
        return Outcome.UNKNOWN, f"there is a marker, and nobody can tell whose: {trouble.why}"
    return Outcome.CHANGED, "somebody else hid it meanwhile"
