"""Zero retention, watched: what each check found of the rules that promise it, and since when they were kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from retentiond.domain.condition import python_reading
from retentiond.domain.policy import Policy, Rule
from retentiond.domain.record import Record
from retentiond.domain.zero import Finding as Found
from retentiond.domain.zero import Stretch, Watch, checked, kept_since, terms_of, was_missed, zero_rules
from retentiond.engine.context import Context
from retentiond.engine.counting import Count
from retentiond.evidence.canonical import Json, optional_rfc3339, rfc3339
from retentiond.ports.ledger import Transaction
from retentiond.ports.stores import Finding
from retentiond.telemetry import logger


@dataclass(frozen=True, slots=True)
class ZeroStatus:
    """How a rule stands. `missed`: whether its next check should have been by now."""

    policy: str
    rule: int
    watch: Watch
    missed: bool


def remember_checks(ctx: Context, counts: Sequence[Count], at: datetime) -> None:
    """Remember what a look at datasets found of rules that promise zero retention, and tell of violations.

    Args:
        counts: Of the datasets that could be looked at; a rule was checked where none of its class is missing.
        at: The reference time.
    """
    policies = {count.policy for count in counts}
    for policy in (each for each in ctx.policies.policies.values() if each.id in policies):
        of_policy = [count for count in counts if count.policy == policy.id]
        names = {count.dataset.name for count in of_policy}
        whole = all(each.name in names for each in ctx.datamap.datasets.values() if _governs(policy, each.data_class))
        for rule in zero_rules(policy):
            _remember(ctx, policy, rule, of_policy, at, whole=whole)


def zero_status(ctx: Context, tx: Transaction, now: datetime) -> Iterator[ZeroStatus]:
    """Give how each rule stands, by policy."""
    for policy, rule in _promising(ctx.policies.policies.values()):
        watch = _read(tx, policy, rule)
        current = watch if watch is not None and watch.terms == terms_of(policy, rule) else Watch("")
        missed = current.checked_at is not None and was_missed(policy, rule, current.checked_at, now)
        yield ZeroStatus(policy.id, rule.number, current, missed)


def zero_findings(ctx: Context) -> Iterator[Finding]:
    """Find the rules whose promise is broken now, or that are not checked any more."""
    with ctx.ledger.begin() as tx:
        found = list(zero_status(ctx, tx, ctx.now()))
    for each in found:
        where, watch = f"{each.policy}, rule {each.rule}", each.watch
        if watch.violations:
            what = f"{watch.violations:,} records stayed longer than zero retention lets them, at the last check"
            yield Finding(what, where, "`retentiond status` and `run`: see why the checks before did not remove them")
        if each.missed and watch.checked_at is not None:
            what = f"zero retention was not checked since {rfc3339(watch.checked_at)}"
            yield Finding(what, where, "see that the daemon runs, and what `retentiond status` says that it waits for")


def broken_promises(
    ctx: Context, policies: Iterable[Policy], account: str | None, start: datetime, end: datetime
) -> Iterator[str]:  # fmt: skip
    """Say why nobody can attest that zero retention was kept in a period.

    Args:
        account: Whom it is asked of; a rule that can't be its own is left out. None for everybody.
    """
    with ctx.ledger.begin() as tx:
        for policy, rule in _promising(policies):
            if account is not None and python_reading(rule.when)(Record((), account=account)) is False:
                continue
            for why in kept_since(_read(tx, policy, rule), policy, rule, start, end):
                yield f"zero retention of policy {policy.id}, rule {rule.number}: {why}"


def promises(ctx: Context, policies: Iterable[Policy]) -> list[Json]:
    """Return what an auditor is told of the rules that promise zero retention."""
    told: list[Json] = []
    with ctx.ledger.begin() as tx:
        for policy, rule in _promising(policies):
            watch = _read(tx, policy, rule) or Watch("")
            told.append(
                {
                    "policy": policy.id,
                    "rule": rule.number,
                    "keptSince": optional_rfc3339(watch.since),
                    "checkedAt": optional_rfc3339(watch.checked_at),
                }
            )
    return told


def _remember(ctx: Context, policy: Policy, rule: Rule, counts: Sequence[Count], at: datetime, *, whole: bool) -> None:
    late = [(count.dataset.name, count.too_old[rule.number]) for count in counts if rule.number in count.too_old]
    found = Found(
        violations=sum(tally.count for _, tally in late),
        oldest=min((tally.oldest for _, tally in late if tally.oldest is not None), default=None),
        undetermined=sum(count.doubts[0] + count.doubts[rule.number] for count in counts),
        whole=whole,
    )
    with ctx.ledger.begin() as tx:
        watch = checked(_read(tx, policy, rule), policy, rule, found, at)
        _write(tx, policy, rule, watch)
        for dataset, tally in late:
            detail = {"rule": rule.number, "dataset": dataset, "records": tally.count, "age": watch.worst_seconds}
            tx.events.append("zero-retention.violated", policy.id, at, detail)
    if found.violations:
        known = {"policy": policy.id, "rule": rule.number, "records": found.violations}
        logger().warning("zero-retention", **known, oldest_seconds=watch.worst_seconds)


def _promising(policies: Iterable[Policy]) -> Iterator[tuple[Policy, Rule]]:
    return ((policy, rule) for policy in policies for rule in zero_rules(policy))


def _governs(policy: Policy, data_class: str) -> bool:
    return data_class == policy.data_class


def _read(tx: Transaction, policy: Policy, rule: Rule) -> Watch | None:
    fact = tx.facts.get(_name(policy, rule))
    if not fact:
        return None
    written: dict[str, Any] = json.loads(fact)
    ended = json.loads(tx.facts.get(_name(policy, rule, "ended")) or "[]")
    stretches = (Stretch(_time(since), _time(until), why) for since, until, why in ended)
    times = {name: _time(written[name]) if written[name] else None for name in _TIMES}
    return Watch(**{**written, **times, "ended": tuple(stretches)})


def _write(tx: Transaction, policy: Policy, rule: Rule, watch: Watch) -> None:
    """Keep a watch; the times that ended are kept apart, since few checks add one."""
    times = {name: moment.isoformat() if (moment := getattr(watch, name)) else None for name in _TIMES}
    counts = {name: getattr(watch, name) for name in _COUNTS}
    tx.facts.set(_name(policy, rule), json.dumps({**counts, **times}))
    ended = [[each.since.isoformat(), each.until.isoformat(), each.why] for each in watch.ended]
    text = json.dumps(ended)
    if ended and text != tx.facts.get(_name(policy, rule, "ended")):
        tx.facts.set(_name(policy, rule, "ended"), text)


_TIMES = ("checked_at", "since", "slot", "last_violation_at")
_COUNTS = ("terms", "violations", "worst_seconds", "undetermined", "total", "counted")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _name(policy: Policy, rule: Rule, what: str = "watch") -> str:
    return f"zero-retention-{what}:{policy.id}:{rule.number}"
