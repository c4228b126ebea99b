"""What a customer who leaves is told of what is still there: how much, why, and until when. Never of any matter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from retentiond.engine.holdings import Holding

HELD = "the law forbids removing it for now"
UNDETERMINED = "it cannot be told yet whether it is yours alone"
DUE = "it is going to be removed"
NAMED = "it cannot be removed while other records name it"
UNSEEN = "it could not be looked at"


@dataclass(frozen=True, slots=True)
class DatedPart:
    """Records of an account that leaves which are still there.

    Attributes:
        records: How many; None where nobody could look.
        why: In words that a customer may read.
        first: When the first of them goes; None where there is no date.
        until: When the last of them goes, at the latest; None where there is no date.
    """

    dataset: str
    data_class: str
    records: int | None
    why: str
    first: datetime | None = None
    until: datetime | None = None


def dated_parts(
    first: datetime, until: datetime, found: Iterable[Holding], *, waits: bool = False
) -> tuple[DatedPart, ...]:
    """Return what is still there of an account that leaves, or of a person, by date; what has none comes last.

    Args:
        first, until: When the removal of what nothing keeps begins, and when it has to have ended.
        waits: Whether the last look found nothing that can go: what nothing keeps waits for rows that stay.
    """
    due = DatedPart("", "", None, NAMED) if waits else DatedPart("", "", None, DUE, first, until)
    return tuple(sorted((part for each in found if each.reached for part in _parts(due, each)), key=_by_date))


def _parts(said: DatedPart, found: Holding) -> Iterator[DatedPart]:
    name = (found.dataset, found.data_class)
    if found.trouble:
        yield DatedPart(*name, None, UNSEEN)
        return
    for part in found.kept:
        yield DatedPart(*name, part.records, part.reason, part.first, part.until)
    due = found.records - found.held - sum(part.records for part in found.kept)
    if due:
        yield replace(said, dataset=found.dataset, data_class=found.data_class, records=due)
    if found.held:
        yield DatedPart(*name, found.held, HELD)
    if found.undetermined:
        yield DatedPart(*name, found.undetermined, UNDETERMINED)


def _by_date(part: DatedPart) -> tuple[bool, str, str, str]:
    return part.until is None, part.until.isoformat() if part.until else "", part.dataset, part.why
