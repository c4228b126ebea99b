"""Purging: exact versions, objects and uploads, looked at before, in calls of a thousand.

Delete markers go last, when nothing is left beneath; what another upload may replace is looked at once more right
before each call; what is locked is not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from retentiond.connectors.s3.bucket import CALL, Bucket, Trouble
from retentiond.connectors.s3.judging import Judge
from retentiond.connectors.s3.locks import Locks
from retentiond.connectors.s3.names import is_marker, name_of, requests_for, unsafe
from retentiond.connectors.s3.records import replaceable
from retentiond.connectors.s3.sheet import Sheet
from retentiond.domain.plan import Outcome, Sighting
from retentiond.ports.stores import Acted, Order

_PAUSES_SECONDS = (0.2, 1.0)
_STAYS = "the marker is not due any more, or its key still holds data"
_NOT_DUE = "it is not due any more"
_OTHER = "another object bears its name by now, or it is not due any more"
_UNSAFE = "no request can name its key and be sure to reach no other"


class Purge:
    """One order being carried out.

    Args:
        reader: The bucket as it is looked at.
        writer: The bucket as it is changed, by a client that sends nothing twice by itself.
        pause: Waits so many seconds.
    """

    def __init__(self, order: Order, reader: Bucket, writer: Bucket, pause: Callable[[float], None]) -> None:
        self._order = order
        self._reader = reader
        self._writer = writer
        self._pause = pause
        self._judge = Judge(order)
        self._locks = Locks(reader, order.at)
        self._sheet = Sheet(len(order.records))
        self._names = [name_of(record) for record in order.records]

    def run(self) -> Acted:
        """Carry it out.

        Raises:
            ConnectorError: Nothing can be said of any record.
        """
        markers, fragile, firm = list[int](), list[int](), list[int]()
        for index, record in enumerate(self._order.records):
            (markers if is_marker(record) else fragile if replaceable(record) else firm).append(index)
        self._remove(self._look_first(firm))
        for start in range(0, len(fragile), CALL):
            self._remove(self._look_first(fragile[start : start + CALL]))
        self._remove(self._look_first(markers))
        return self._sheet.acted()

    def _look_first(self, indexes: Sequence[int]) -> list[int]:
        """Note what is not to be removed, and return the rest."""
        records = [self._order.records[index] for index in indexes]
        sight = self._judge.look(self._reader, records)
        if sight.failure and sight.nothing and self._sheet.empty:
            raise sight.failure
        due = []
        for index, record in zip(indexes, records, strict=True):
            match sight.of(record):
                case Sighting.DUE:
                    due.append(index)
                case Sighting.ABSENT:
                    self._sheet.note(index, Outcome.ALREADY_GONE)
                case Sighting.UNKNOWN:
                    self._sheet.note(index, Outcome.UNKNOWN, sight.unanswered)
                case _:
                    self._sheet.note(index, Outcome.CHANGED, self._why_not(index))
        return self._unlocked(due)

    def _why_not(self, index: int) -> str:
        record = self._order.records[index]
        return _STAYS if is_marker(record) else _OTHER if replaceable(record) else _NOT_DUE

    def _unlocked(self, indexes: Sequence[int]) -> list[int]:
        """Note what is locked, and what no request can safely name; return the rest."""
        free = []
        locks = self._locks.of([self._names[index] for index in indexes])
        for index, lock in zip(indexes, locks, strict=True):
            record = self._order.records[index]
            if lock:
                self._sheet.note(index, Outcome.REFUSED, lock)
            elif not record.version and unsafe(self._names[index].key):
                self._sheet.note(index, Outcome.REFUSED, _UNSAFE)
            else:
                free.append(index)
        return free

    def _remove(self, indexes: Sequence[int]) -> None:
        names = [self._names[index] for index in indexes]
        for positions in requests_for(names, CALL):
            self._remove_together([indexes[position] for position in positions])

    def _remove_together(self, call: Sequence[int]) -> None:
        trouble = self._erase(call)
        if trouble is None:
            for index in call:
                self._sheet.note(index, Outcome.DONE)
        elif trouble.malformed and len(call) > 1:
            # One key that the server cannot read must not keep the others.
            middle = len(call) // 2
            self._remove_together(call[:middle])
            self._remove_together(call[middle:])
        else:
            self._look_after(call, trouble)

    def _erase(self, indexes: Sequence[int]) -> Trouble | None:
        trouble = self._fenced(indexes)
        for seconds in _PAUSES_SECONDS:
            if trouble is None or trouble.final:
                break
            self._pause(seconds)
            trouble = self._fenced(indexes)
        return trouble

    def _fenced(self, indexes: Sequence[int]) -> Trouble | None:
        self._order.fence()
        return self._writer.erase([self._names[index] for index in indexes])

    def _look_after(self, indexes: Sequence[int], trouble: Trouble) -> None:
        """Tell what went and what did not by looking: the answer does not say it reliably."""
        sight = self._judge.look(self._reader, (self._order.records[index] for index in indexes))
        stayed = []
        for index in indexes:
            seen = sight.of(self._order.records[index])
            if seen is Sighting.ABSENT:
                self._sheet.note(index, Outcome.ALREADY_GONE if trouble.absent else Outcome.DONE)
            elif seen is Sighting.UNKNOWN or not trouble.final:
                self._sheet.note(index, Outcome.UNKNOWN, trouble.why)
            else:
                stayed.append(index)
        locks = self._locks.of([self._names[index] for index in stayed])
        for index, lock in zip(stayed, locks, strict=True):
            self._sheet.note(index, Outcome.REFUSED, lock or trouble.why)
