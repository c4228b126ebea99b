"""Statutory clocks: by which moment a request must be answered.

A period in months ends with the day of the last month that bears the number of the day of receipt, or with the last
day of that month where it has none; the day of receipt itself does not count, and the last day ends at 24:00 where
whoever answers is (Regulation (EEC, Euratom) No 1182/71, article 3; GDPR, article 12(3)). Days are calendar days
(Cal. Civ. Code section 10; section 1798.130(a)(2)). No period is lengthened for weekends and holidays, though some laws
would: whoever answers earlier is never late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from retentiond.domain.period import Period

ONE_WEEK = Period(days=7)
THREE_YEARS = Period(months=36)
_SATURDAY = 5
_BURN_DOWN = (0, 1, 3, 7, 14, 30, 60, 90)


@dataclass(frozen=True, slots=True)
class Law:
    """The time that a law gives.

    Attributes:
        id: As a request names it.
        name: As people name it.
        answer: Within what time a request is answered: months, days, or both.
        extension: By how much that may be extended, once; None where it may not.
        confirm: Within how many business days its receipt is confirmed; None where that is not asked for.
    """

    id: str
    name: str
    answer: Period
    extension: Period | None = None
    confirm: int | None = None


BUILT_IN: Mapping[str, Law] = {
    "gdpr": Law("gdpr", "GDPR, article 17", Period(months=1), Period(months=2)),
    "ccpa": Law("ccpa", "CCPA/CPRA, section 1798.105", Period(days=45), Period(days=45), 10),
}


@dataclass(frozen=True, slots=True)
class ErasureTerms:
    """How requests for erasure are answered.

    Attributes:
        laws: The laws that a request may name, by id.
        zone: IANA zone of whoever answers: there a day of receipt, and a deadline, begin and end.
        alert_before: How long before a deadline people are told.
        per_day: How many requests may begin on one day.
        max_percent: The most of a dataset that one request may take without approval; None for anything.
        keep: How long after its end the texts of a request are kept.
    """

    laws: Mapping[str, Law]
    zone: str = "UTC"
    alert_before: Period = ONE_WEEK
    per_day: int = 100
    max_percent: float | None = None
    keep: Period = THREE_YEARS


DEFAULT_TERMS = ErasureTerms(BUILT_IN)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The moments of one request.

    Attributes:
        first: The end of the time without an extension.
        last: The end with it; `first` where there can be none.
        confirm: By when receipt is confirmed; None where that is not asked for.
    """

    first: datetime
    last: datetime
    confirm: datetime | None = None


def deadlines(law: Law, received: date, zone: str) -> Deadlines:
    """Return the deadlines of a request, in UTC.

    The extension begins where the first time ends, so that 31 January gives 28 February and then 28 April.

    Args:
        received: The day of receipt in that zone.
        zone: IANA zone of whoever answers.

    Raises:
        ValueError: They lie outside the years 1 to 9999.
    """
    try:
        first = last_day(received, law.answer)
        last = last_day(first, law.extension) if law.extension else first
        confirm = end_of_day(business_days(received, law.confirm), zone) if law.confirm else None
        return Deadlines(end_of_day(first, zone), end_of_day(last, zone), confirm)
    except OverflowError as error:
        message = f"a request of {received} has no deadline within the calendar"
        raise ValueError(message) from error


def last_day(start: date, period: Period) -> date:
    """Return the last day of a period that begins after a day."""
    return period.after(datetime.combine(start, time(), UTC)).date()


def business_days(start: date, count: int) -> date:
    """Return the day that is so many business days after another: Monday to Friday, holidays among them."""
    day = start
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < _SATURDAY
    return day


def end_of_day(day: date, zone: str) -> datetime:
    """Return when a day ends in a zone: at its midnight, at the earlier one where the clock passes it twice."""
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)


def burn_down(open_deadlines: Iterable[datetime], now: datetime) -> list[tuple[int, int]]:
    """Return (days, count): how many requests end within so many days from now; past their deadline with 0 days."""
    left = [(deadline - now) for deadline in open_deadlines]
    return [(days, sum(each <= timedelta(days=days) for each in left)) for days in _BURN_DOWN]
