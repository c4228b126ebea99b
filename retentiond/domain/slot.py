"""Slots: when a schedule has a run, reckoned from the time alone, so that all replicas find the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from retentiond.domain.cron import Cron
from retentiond.domain.period import Period
from retentiond.domain.policy import Policy, Schedule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAIN = "main"


def schedules(policy: Policy) -> Mapping[str, Schedule]:
    """Return a policy's schedules by name: `main`, and the number of each rule that is checked more often."""
    own = {
        str(number): Schedule(every=rule.check_every)
        for number, rule in enumerate(policy.rules)
        if rule.check_every is not None
    }
    return {MAIN: policy.schedule, **own}


def slot_of(schedule: Schedule, moment: datetime) -> datetime:
    """Return the slot that a moment lies in, as the time of its beginning.

    Slots of an interval are counted from 1970-01-01T00:00Z; those of a cron expression begin when it fires.
    """
    if schedule.every is None:
        return Cron.parse(schedule.cron, schedule.zone).last(moment)
    if not schedule.every.months:
        length = schedule.every.length()
        return EPOCH + (moment - EPOCH) // length * length
    return _calendar_slot(schedule.every, moment)


def _calendar_slot(every: Period, moment: datetime) -> datetime:
    first = every.after(EPOCH) - EPOCH
    count = max(0, (moment - EPOCH) // first)
    while _start(every, count) > moment:
        count -= 1
    while _start(every, count + 1) <= moment:
        count += 1
    return _start(every, count)


def _start(every: Period, count: int) -> datetime:
    """Return when an interval begins; all are counted from the first, so that no month's end is worn off."""
    if not count:
        return EPOCH
    return Period(every.months * count, every.days * count, every.seconds * count).after(EPOCH)
