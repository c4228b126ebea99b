"""Bringing hidden objects back: our delete marker is taken away by its version id, and nothing else ever is.

Only a marker that the ledger calls ours, that is still the latest of its key, and that lies directly on the version
which it was put on. What comes to lie on the key between the look and the request makes the removal of that marker
harmless: it shows nothing and hides nothing any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from retentiond.connectors.s3.bucket import CALL, Bucket, Trouble
from retentiond.connectors.s3.judging import Judge
from retentiond.connectors.s3.names import Name, requests_for, text_of
from retentiond.connectors.s3.sheet import Sheet
from retentiond.domain.plan import Outcome, Sighting
from retentiond.ports.stores import Acted, Order

NO_MARK = "nobody can tell any more whether its delete marker is ours"
NOT_THAT = "it is not hidden by our marker alone, or its grace is over"
_COVERED = "something came to lie on it meanwhile"
_BEFORE = {
    Sighting.ABSENT: (Outcome.ALREADY_GONE, ""),
    Sighting.VISIBLE: (Outcome.ALREADY_THERE, ""),
    Sighting.CHANGED: (Outcome.CHANGED, NOT_THAT),
}


class Returning:
    """One order being carried out.

    Args:
        reader: The bucket as it is looked at.
        writer: The bucket as it is changed, by a client that sends nothing twice by itself.
    """

    def __init__(self, order: Order, reader: Bucket, writer: Bucket) -> None:
        self._order = order
        self._reader = reader
        self._writer = writer
        self._judge = Judge(order)
        self._sheet = Sheet(len(order.records))
        self._names = [Name(text_of(each), order.marks.get(n, "")) for n, each in enumerate(order.records)]

    def run(self) -> Acted:
        """Carry it out.

        Raises:
            ConnectorError: Nothing can be said of any record.
        """
        due = self._look_first()
        for positions in requests_for([self._names[index] for index in due], CALL):
            self._uncover([due[position] for position in positions])
        return self._sheet.acted()

    def _look_first(self) -> list[int]:
        """Note what is not to be brought back, and return the rest."""
        sight = self._judge.look(self._reader, self._order.records)
        if sight.failure and sight.nothing:
            raise sight.failure
        due = []
        for index, record in enumerate(self._order.records):
            seen = sight.of(record)
            if seen in _BEFORE:
                self._sheet.note(index, *_BEFORE[seen])
            elif seen is Sighting.UNKNOWN:
                self._sheet.note(index, Outcome.UNKNOWN, sight.unanswered)
            elif not self._names[index].version:
                self._sheet.note(index, Outcome.REFUSED, NO_MARK)
            else:
                due.append(index)
        return due

    def _uncover(self, indexes: Sequence[int]) -> None:
        self._order.fence()
        trouble = self._writer.erase([self._names[index] for index in indexes])
        if trouble is not None and trouble.malformed and len(indexes) > 1:
            # One key that the server cannot read must not keep the others.
            middle = len(indexes) // 2
            self._uncover(indexes[:middle])
            self._uncover(indexes[middle:])
        else:
            self._look_after(indexes, trouble)

    def _look_after(self, indexes: Sequence[int], trouble: Trouble | None) -> None:
        """Tell what came back by looking: the answer does not say it reliably."""
        sight = self._judge.look(self._reader, [self._order.records[index] for index in indexes])
        for index in indexes:
            match sight.of(self._order.records[index]):
                case Sighting.VISIBLE:
                    self._sheet.note(index, Outcome.DONE)
                case Sighting.UNKNOWN:
                    self._sheet.note(index, Outcome.UNKNOWN, sight.unanswered)
                case Sighting.DUE:
                    self._sheet.note(index, *_stayed(trouble))
                case _:
                    self._sheet.note(index, Outcome.CHANGED, _COVERED)


def _stayed(trouble: Trouble | None) -> tuple[Outcome, str]:
    why = trouble.why if trouble else "the server said that it removed the marker, and it is there"
    return (Outcome.REFUSED if trouble and trouble.final else Outcome.UNKNOWN), why
