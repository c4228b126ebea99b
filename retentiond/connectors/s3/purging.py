"""Purging: exact versions, looked at before, in calls of a thousand; delete markers when nothing is left beneath."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from retentiond.connectors.s3.bucket import CALL, Bucket, Name, Trouble, requests_for
from retentiond.connectors.s3.judging import Judge, name_of
from retentiond.connectors.s3.sheet import Sheet
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.versions import MARKER
from retentiond.ports.stores import Acted, Order

_PAUSES_SECONDS = (0.2, 1.0)
_STAYS = "the marker is not due any more, or its key still holds data"
_NOT_DUE = "it is not due any more"


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
        self._sheet = Sheet(len(order.records))

    def run(self) -> Acted:
        """Carry it out.

        Raises:
            ConnectorError: Nothing can be said of any record.
        """
        indexes = range(len(self._order.records))
        markers = [index for index in indexes if self._order.records[index].place == MARKER]
        others = [index for index in indexes if self._order.records[index].place != MARKER]
        for stage in (others, markers):
            self._remove(self._look_first(stage))
        return self._sheet.acted()

    def _look_first(self, indexes: Sequence[int]) -> list[int]:
        """Note what is not to be removed, and return the rest."""
        records = [self._order.records[index] for index in indexes]
        sight = self._judge.look(self._reader, records)
        if sight.seen.failure and not sight.seen.versions and self._sheet.empty:
            raise sight.seen.failure
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
                    self._sheet.note(index, Outcome.CHANGED, _STAYS if record.place == MARKER else _NOT_DUE)
        return due

    def _remove(self, indexes: Sequence[int]) -> None:
        keys = [name_of(self._order.records[index]).key for index in indexes]
        for positions in requests_for(keys, CALL):
            call = [indexes[position] for position in positions]
            trouble = self._erase(call)
            if trouble is None:
                for index in call:
                    self._sheet.note(index, Outcome.DONE)
            else:
                self._look_after(call, trouble)

    def _erase(self, indexes: Sequence[int]) -> Trouble | None:
        names = [name_of(self._order.records[index]) for index in indexes]
        trouble = self._fenced(names)
        for seconds in _PAUSES_SECONDS:
            if trouble is None or trouble.final:
                break
            self._pause(seconds)
            trouble = self._fenced(names)
        return trouble

    def _fenced(self, names: Sequence[Name]) -> Trouble | None:
        self._order.fence()
        return self._writer.erase(names)

    def _look_after(self, indexes: Sequence[int], trouble: Trouble) -> None:
        """Tell what went and what did not by looking: the answer does not say it reliably."""
        sight = self._judge.look(self._reader, (self._order.records[index] for index in indexes))
        for index in indexes:
            seen = sight.of(self._order.records[index])
            if seen is Sighting.ABSENT:
                self._sheet.note(index, Outcome.DONE)
            elif seen is Sighting.UNKNOWN or not trouble.final:
                self._sheet.note(index, Outcome.UNKNOWN, trouble.why)
            else:
                self._sheet.note(index, Outcome.REFUSED, trouble.why)
