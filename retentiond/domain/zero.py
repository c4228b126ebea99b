"""Zero retention as an invariant: how long a record may be there between two checks, and since when that was so.

A rule is checked once in each of its slots. What was due when the slot before began had to go then at the latest: where
it is found at a check, the promise was broken. That needs policy and time alone, so anybody can reckon it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from retentiond.domain.policy import Policy, Rule, Schedule
from retentiond.domain.record import micros, moment
from retentiond.domain.slot import slot_of

MOST_ENDED = 1_000
_JUST_BEFORE = timedelta(microseconds=1)


def zero_rules(policy: Policy) -> tuple[Rule, ...]:
    """Return the rules that promise zero retention."""
    return tuple(rule for rule in policy.rules if rule.zero_retention)


def slot_before(policy: Policy, rule: Rule, at: datetime) -> datetime:
    """Return when the slot before the one of a time began."""
    schedule = Schedule(every=rule.check_every) if rule.check_every else policy.schedule
    return slot_of(schedule, slot_of(schedule, at) - _JUST_BEFORE)


def too_old(policy: Policy, at: datetime) -> Mapping[int, int]:
    """Return, by rule, the latest clock (microseconds since the epoch) that may not be found any more at a check."""
    return {rule.number: micros(rule.keep.before(slot_before(policy, rule, at))) for rule in zero_rules(policy)}


def was_missed(policy: Policy, rule: Rule, last: datetime, at: datetime) -> bool:
    """Tell whether too much time went by since the last check: a slot without one, and a longest run besides."""
    return last < policy.limits.longest_run.before(slot_before(policy, rule, at))


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found of a rule.

    Attributes:
        violations: Records that should have gone with an earlier check.
        oldest: The earliest clock among them, in microseconds since the epoch.
        undetermined: Records of which nobody can tell whether the rule is theirs, or how old they are.
        whole: Whether every dataset of the policy was looked at.
    """

    violations: int = 0
    oldest: int | None = None
    undetermined: int = 0
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the promise was kept: checked in time, all of it, and nothing found. `why` it ended."""

    since: datetime
    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of one rule's promise.

    Attributes:
        terms: What the rule promises; another promise begins anew.
        checked_at: When all of it was last checked; None for never.
        since: Since when it was kept without a break; None while it is broken.
        violations, worst_seconds, undetermined: Of the last check: records, the age of the oldest, what can't be told.
        total: Violations of all checks; a record that stays counts again at the check of each slot.
        counted: How many of these the present slot's checks have added.
        slot: The slot of the last check.
        ended: Times in which it was kept, up to the last `MOST_ENDED`.
    """

    terms: str
    checked_at: datetime | None = None
    since: datetime | None = None
    violations: int = 0
    worst_seconds: int = 0
    undetermined: int = 0
    total: int = 0
    counted: int = 0
    slot: datetime | None = None
    last_violation_at: datetime | None = None
    ended: tuple[Stretch, ...] = ()

    def broken(self, until: datetime, why: str) -> Watch:
        """Return it with the present stretch ended."""
        if self.since is None:
            return self
        ended = (*self.ended, Stretch(self.since, until, why))[-MOST_ENDED:]
        return replace(self, since=None, ended=ended)


def terms_of(policy: Policy, rule: Rule) -> str:
    """Return what a rule promises, in a form to be compared."""
    schedule = policy.schedule
    interval = rule.check_every or schedule.every
    return f"{rule.keep.iso()} {interval.iso() if interval else f'{schedule.cron} {schedule.zone}'} {rule.text}"


def checked(known: Watch | None, policy: Policy, rule: Rule, found: Finding, at: datetime) -> Watch:
    """Return what is known of a rule after a check."""
    terms = terms_of(policy, rule)
    watch = known or Watch(terms)
    last = watch.checked_at
    if watch.terms != terms:
        watch = replace(watch.broken(last or at, "the rule was changed"), terms=terms)
    elif last is not None and was_missed(policy, rule, last, at):
        watch = watch.broken(last, "a check was missed")
    slot = slot_before(policy, rule, at)
    counted = watch.counted if slot == watch.slot else 0
    more = max(found.violations - counted, 0)
    worst = int((at - moment(found.oldest)).total_seconds()) if found.oldest is not None else 0
    watch = replace(
        watch,
        violations=found.violations,
        worst_seconds=worst,
        undetermined=found.undetermined,
        total=watch.total + more,
        counted=counted + more,
        slot=slot,
    )
    if found.violations:
        watch = replace(watch.broken(last or at, f"{found.violations:,} records stayed too long"), last_violation_at=at)
    if not found.whole:
        return watch
    since = at if watch.since is None and not found.violations else watch.since
    return replace(watch, checked_at=at, since=since)


def kept_since(watch: Watch | None, policy: Policy, rule: Rule, start: datetime, end: datetime) -> tuple[str, ...]:
    """Return why nobody can say that a rule's promise was kept all through a period; nothing where it was."""
    if watch is None or watch.checked_at is None or watch.terms != terms_of(policy, rule):
        return ("it was not checked in its present form yet",)
    current = watch.since is not None and watch.since <= start and not was_missed(policy, rule, watch.checked_at, end)
    if current or any(each.since <= start and end <= each.until for each in watch.ended):
        return ()
    troubles = [
        f"{each.why} after {each.until:%Y-%m-%dT%H:%M:%SZ}"
        for each in watch.ended
        if each.since <= end and each.until >= start
    ]
    if watch.since is not None and watch.since <= end and was_missed(policy, rule, watch.checked_at, end):
        troubles.append(f"a check was missed after {watch.checked_at:%Y-%m-%dT%H:%M:%SZ}")
    found = watch.last_violation_at
    if found is not None and start <= found <= end:
        troubles.append(f"records stayed too long, found last at {found:%Y-%m-%dT%H:%M:%SZ}")
    return tuple(dict.fromkeys(troubles)) or ("no check is known of all of that time",)
