"""Policies: what was promised of a class of data, and the rules that keep the promise. The first match wins."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from retentiond.domain.condition import ALWAYS, Condition
from retentiond.domain.content import Change
from retentiond.domain.period import Period
from retentiond.domain.statute import DEFAULT_TERMS, ErasureTerms

MAX_RECORDS = 5_000_000
ONE_HOUR = Period(seconds=3600)
TWO_HOURS = Period(seconds=7200)
TWO_WEEKS = Period(days=14)
THIRTY_DAYS = Period(days=30)


class Action(StrEnum):
    """What is done to a record that is due; RESTORE, which people ask for, brings back what a tombstone hides."""

    PURGE = "purge"
    TOMBSTONE = "tombstone"
    REDACT = "redact"
    PSEUDONYMISE = "pseudonymise"
    RESTORE = "restore"


REMOVING = frozenset((Action.PURGE, Action.TOMBSTONE))
"""What takes a record away from its place; the others leave it, and whatever it names or is named by."""


CHANGING = frozenset((Action.REDACT, Action.PSEUDONYMISE))
"""What changes parts of a record."""


@dataclass(frozen=True, slots=True)
class Promise:
    """The longest time that anything may be recoverable, as told to customers; None where nothing is promised."""

    live: Period | None = None
    backups: Period | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy.

    Attributes:
        number: Its place in the policy, from 1.
        keep: The retention period, counted from the start of a record's clock.
        then: Purge, or tombstone first and purge after the grace.
        grace: Between tombstone and purge; None for none.
        zero_retention: Whether the rule promises zero retention; the floor does not apply to it.
        check_every: Interval of its own schedule; None to go with the policy's.
        promise: In place of the policy's promise; None to take that.
        text: The rule's condition in words, for people.
    """

    number: int
    keep: Period
    when: Condition = ALWAYS
    then: Action = Action.PURGE
    grace: Period | None = None
    zero_retention: bool = False
    check_every: Period | None = None
    promise: Promise | None = None
    text: str = "everything else"


@dataclass(frozen=True, slots=True)
class ContentWindow:
    """A part of records that goes sooner than they do.

    Attributes:
        number: Its place among the policy's windows, from 1.
        after: How long the part is kept, counted from the start of a record's clock.
        datasets: The datasets that it is of.
        promise: In place of the policy's promise, which is of whole records; None where nothing is promised of it.
        text: The window's condition in words, for people.
        keys: How long a key of pseudonyms lasts; None for as long as nobody replaces it.
    """

    number: int
    after: Period
    change: Change
    datasets: frozenset[str]
    action: Action = Action.REDACT
    when: Condition = ALWAYS
    promise: Promise | None = None
    text: str = "every record"
    keys: Period | None = None


@dataclass(frozen=True, slots=True)
class Obligation:
    """What has to be kept of accounts that have left, and how long; it goes by itself when that time is over.

    Attributes:
        number: Its place among those of its class, from 1.
        keep: How long, counted from the start of a record's clock.
        from_closure: Whether it counts from the day on which the closure, or the erasure, was asked for instead.
        reason: Why, in words that a customer may read.
        when: Of which records.
        jurisdictions: Of which accounts, by where they belong; empty for all.
        erasures: Whether it binds requests for erasure, too.
    """

    number: int
    keep: Period
    reason: str
    when: Condition = ALWAYS
    jurisdictions: tuple[str, ...] = ()
    from_closure: bool = False
    erasures: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one plan; beyond them it needs approval. `longest_run` is the least that a run is reckoned to last."""

    max_records: int = MAX_RECORDS
    max_percent: float = 10
    longest_run: Period = TWO_HOURS


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a policy's runs start: an interval, or a cron expression in a zone."""

    every: Period | None = None
    cron: str = ""
    zone: str = "UTC"


SIX_HOURLY = Schedule(every=Period(seconds=6 * 3600))


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy.

    Attributes:
        lists: Named lists that the rules use, with their members.
        content: Parts of records that go sooner.
        kept: What is kept of accounts that have left, and of people who asked for erasure.
        floor: Nothing younger is removed by age.
        canonical: The validated policy, RFC 8785 JSON; published beside the log under its SHA-256.
    """

    id: str
    data_class: str
    rules: tuple[Rule, ...]
    promise: Promise = Promise()
    schedule: Schedule = SIX_HOURLY
    limits: Limits = Limits()
    floor: Period = ONE_HOUR
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    canonical: bytes = b""
    content: tuple[ContentWindow, ...] = ()
    kept: tuple[Obligation, ...] = ()

    @property
    def sha256(self) -> str:
        """Lower-case hex SHA-256 of the canonical form."""
        return hashlib.sha256(self.canonical).hexdigest()

    def period_of(self, rule: int, window: int = 0) -> str:
        """Return how long a content window, else a rule, keeps, as ISO 8601; empty where there is neither."""
        periods = [each.after for each in self.content if each.number == window]
        periods += [each.keep for each in self.rules if each.number == rule]
        return periods[0].iso() if periods else ""

    def windows(self, dataset: str) -> tuple[ContentWindow, ...]:
        """Return the content windows of a dataset."""
        return tuple(window for window in self.content if dataset in window.datasets)


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """How accounts leave that belong to a jurisdiction; `accounts`: those of which that is known beforehand."""

    grace: Period | None
    deadline: Period
    accounts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ClosureTerms:
    """How accounts leave: grace, deadline, and caps of one day; where they belong, by its name, grace and deadline."""

    grace: Period | None = TWO_WEEKS
    deadline: Period = THIRTY_DAYS
    per_day: int = 500
    max_percent: float | None = None
    jurisdictions: Mapping[str, Jurisdiction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies, how accounts leave, and how requests for erasure are answered.

    A plan takes at most `plan_records`; what is due beyond makes a chain.
    """

    policies: Mapping[str, Policy]
    closure: ClosureTerms = ClosureTerms()
    plan_records: int = MAX_RECORDS
    erasure: ErasureTerms = DEFAULT_TERMS

    def of_class(self, data_class: str) -> Policy | None:
        """Return the policy that governs a class, or None."""
        return next((policy for policy in self.policies.values() if policy.data_class == data_class), None)
