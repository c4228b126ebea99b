"""Effective retention against the promise: how long a record can really last, for every day on which it may start.

What is reckoned is the worst case of a run that works: the record is due a moment after a run looked, the next run
starts an interval later and takes as long as the longest one did. A tombstone costs that twice, with the grace between.
Then a store may go on holding what was removed: noncurrent versions, Object Lock.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from retentiond.domain.cron import Cron
from retentiond.domain.period import Period
from retentiond.domain.policy import Action, ContentWindow, Policy, Promise, Rule, Schedule

_CYCLE_START = 2000
_CYCLE_YEARS = 400
_DAY = timedelta(days=1)
_LAST_SECOND = _DAY - timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class StoreTerms:
    """What a store adds to the life of a record; None where it adds nothing.

    Attributes:
        longest_run: The longest of the last runs; the policy's `limits.longest_run` counts where that is longer.
        noncurrent: How long it keeps noncurrent versions.
        lock: How long its Object Lock holds.
        backups: How long its backups are kept.
        backups_declared: Whether the data map says anything about backups.
    """

    longest_run: Period | None = None
    noncurrent: Period | None = None
    lock: Period | None = None
    backups: Period | None = None
    backups_declared: bool = True


@dataclass(frozen=True, slots=True)
class Span:
    """The longest life of a record in one place (live, or backups), and how it compares with what was promised.

    Attributes:
        longest: The longest life over all start days.
        promised: What was promised; None where nothing was.
        worst_start: The start day on which the promise is exceeded most, or nearest to it; None where all days are
            alike.
        excess: How much the life exceeds the promise on that day; zero where it fits or nothing was promised.
    """

    longest: timedelta
    promised: Period | None
    worst_start: date | None
    excess: timedelta

    @property
    def fits(self) -> bool:
        """Whether the promise holds for every start day."""
        return not self.excess

    @property
    def text(self) -> str:
        """The longest life in words, such as `28 days 16 hours`."""
        return in_words(self.longest)


@dataclass(frozen=True, slots=True)
class EffectiveRetention:
    """What one rule or content window of a policy comes to.

    Attributes:
        rule: The rule's number; 0 for a window.
        window: The content window's number; 0 for a rule.
        backups: The life in backups; None where the data map does not say how long they are kept.
        backups_unknown: Whether backups were promised and the data map says nothing of them: a finding.
    """

    rule: int
    live: Span
    backups: Span | None
    backups_unknown: bool
    window: int = 0

    @property
    def fits(self) -> bool:
        """Whether the rule or window keeps every promise that can be reckoned."""
        return self.live.fits and (self.backups is None or self.backups.fits)


def effective_retention(policy: Policy, terms: StoreTerms) -> tuple[EffectiveRetention, ...]:
    """Reckon each rule of a policy for datasets of one store, rules in order, then each of its content windows.

    Only a window's own promise counts for it: the policy's is of whole records. A run does one thing to a row, so a
    window waits for those that stand before it, and for a tombstone, where they may come due while it waits.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: The schedule's zone does not exist.
        OverflowError: The periods together reach beyond the year 9999.
    """
    rules = [_of_rule(policy, rule, terms) for rule in policy.rules]
    return (*rules, *(_of_window(policy, window, terms) for window in policy.content))


def interval(schedule: Schedule) -> timedelta:
    """Return the longest time between the starts of two runs.

    Raises:
        ValueError: The interval is given in months, or the cron expression is none.
    """
    if schedule.every is None:
        return Cron.parse(schedule.cron, schedule.zone).longest_gap()
    if schedule.every.months:
        message = f"an interval of {schedule.every} has no fixed length: give it in days or shorter"
        raise ValueError(message)
    return fixed_length(schedule.every)


def fixed_length(period: Period | None) -> timedelta:
    """Return the length of a period's days and seconds; its months are not counted."""
    return timedelta(days=period.days, seconds=period.seconds) if period else timedelta()


def due_after(start: datetime, period: Period) -> datetime:
    """Return the moment after which a record is older than a period: the exact inverse of `Period.before`.

    A day that the month lacks is the first of the next month here, since `before` reaches past it only then.
    """
    moment = start + fixed_length(period)
    if not period.months:
        return moment
    there = _months_alone(period).after(moment)
    if there.day == moment.day:
        return there
    return there.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY


@lru_cache(maxsize=64)
def _months_alone(period: Period) -> Period:
    return Period(months=period.months)


def in_words(length: timedelta) -> str:
    """Return a length in days, hours, minutes and seconds, parts of zero left out."""
    if not length:
        return "0 seconds"
    return str(Period(days=length.days, seconds=length.seconds))


def _of_rule(policy: Policy, rule: Rule, terms: StoreTerms) -> EffectiveRetention:
    promise = rule.promise or policy.promise
    steps = _steps(policy, rule, terms)
    starts = _starts(((*steps, terms.backups), (promise.live,), (promise.backups,)))
    ends = [_lived(start, steps) for start in starts]
    return _against(promise, terms, starts, ends, rule.number)


def _of_window(policy: Policy, window: ContentWindow, terms: StoreTerms) -> EffectiveRetention:
    promise = window.promise or Promise()
    before = [each for each in policy.content if each.number < window.number and each.datasets & window.datasets]
    chains = [(each.after, _run(policy, terms)) for each in (*before, window)]
    hiding = [(rule.keep, _run(policy, terms)) for rule in policy.rules if rule.then is Action.TOMBSTONE]
    starts = _starts(((*chains[-1], terms.backups), *chains, *hiding, (promise.live,), (promise.backups,)))
    ends = [_done(start, policy, [*before, window], terms) for start in starts]
    return _against(promise, terms, starts, ends, 0, window.number)


def _done(start: datetime, policy: Policy, windows: Sequence[ContentWindow], terms: StoreTerms) -> datetime:
    """Return when the last of some windows is done: each waits a run for everything that may be due before it."""
    run = _run(policy, terms)
    hiding = [due_after(start, rule.keep) for rule in policy.rules if rule.then is Action.TOMBSTONE]
    others = [(due, due + run) for due in hiding]
    end = start
    for window in windows:
        due = due_after(start, window.after)
        end = due + run
        for begins, ends in sorted(others):
            if begins < end and ends > due:
                end += run
        others.append((due, end))
    return end


def _against(
    promise: Promise,
    terms: StoreTerms,
    starts: Sequence[datetime],
    ends: Sequence[datetime],
    rule: int,
    window: int = 0,
) -> EffectiveRetention:
    """Compare when records end, for each of their starts, with what is promised."""
    live = _span(starts, ends, promise.live)
    unknown = promise.backups is not None and not terms.backups_declared
    if not terms.backups_declared:
        return EffectiveRetention(rule, live, None, unknown, window)
    kept = [_lived(end, (terms.backups,)) for end in ends] if terms.backups else ends
    return EffectiveRetention(rule, live, _span(starts, kept, promise.backups), unknown, window)


_Step = Period | timedelta


def _steps(policy: Policy, rule: Rule, terms: StoreTerms) -> tuple[_Step, ...]:
    """Return what a record lives through, in order."""
    run = _run(policy, terms, rule.check_every)
    steps: list[_Step | None] = [rule.keep, run]
    if rule.then is Action.TOMBSTONE:
        steps += [rule.grace, run]
    steps += [terms.noncurrent, terms.lock]
    return tuple(step for step in steps if step)


def _run(policy: Policy, terms: StoreTerms, check_every: Period | None = None) -> timedelta:
    """Return how long it takes from one run's look to the end of the next run."""
    every = fixed_length(check_every) if check_every else interval(policy.schedule)
    return every + max(fixed_length(policy.limits.longest_run), fixed_length(terms.longest_run))


def _lived(start: datetime, steps: Sequence[_Step]) -> datetime:
    for step in steps:
        start = start + step if isinstance(step, timedelta) else due_after(start, step)
    return start


def _span(starts: Sequence[datetime], ends: Sequence[datetime], promised: Period | None) -> Span:
    longest = max(end - start for start, end in zip(starts, ends, strict=True))
    if promised is None:
        return Span(longest, None, None, timedelta())
    excesses = [end - promised.after(start) for start, end in zip(starts, ends, strict=True)]
    worst = max(range(len(starts)), key=excesses.__getitem__)
    alike = min(excesses) == excesses[worst]
    return Span(longest, promised, None if alike else starts[worst].date(), max(excesses[worst], timedelta()))


def _starts(chains: Sequence[Sequence[_Step | None]]) -> Sequence[datetime]:
    """Return start times among which is a worst one: one for all where no calendar month is involved.

    Args:
        chains: What follows one another from a start, for each end that is reckoned.
    """
    if not any(isinstance(step, Period) and step.months for chain in chains for step in chain):
        return (datetime(_CYCLE_START, 1, 1, tzinfo=UTC),)
    return _days(max(_years(chain) for chain in chains))


def _years(chain: Sequence[_Step | None]) -> int:
    """Return how many calendar years a chain can touch, the start's own among them."""
    months = sum(step.months for step in chain if isinstance(step, Period))
    fixed = sum((step if isinstance(step, timedelta) else fixed_length(step) for step in chain if step), timedelta())
    return months // 12 + fixed.days // 365 + 3


@lru_cache(maxsize=4)
def _days(years: int) -> tuple[datetime, ...]:
    """Return the first and last second of every day that stands for one of the calendar's cycle of 400 years."""
    days = []
    for year in _telling_years(years):
        day = datetime(year, 1, 1, tzinfo=UTC)
        while day.year == year:
            days += [day, day + _LAST_SECOND]
            day += _DAY
    return tuple(days)


def _telling_years(years: int) -> tuple[int, ...]:
    """Return the years of a cycle that differ in which of the years that follow are leap years; others repeat them."""
    window = min(years, _CYCLE_YEARS)
    seen: dict[tuple[bool, ...], int] = {}
    for year in range(_CYCLE_START, _CYCLE_START + _CYCLE_YEARS):
        seen.setdefault(tuple(isleap(later) for later in range(year, year + window)), year)
    return tuple(seen.values())
