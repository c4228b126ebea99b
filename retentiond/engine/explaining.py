"""Why one record is kept, held or due: every rule tried on it, which one won, when it goes, what holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from retentiond.domain.condition import python_reading
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Case, Cases, Disposition, asked_by, cases_of
from retentiond.domain.hold import HoldIndex
from retentiond.domain.policy import Action, ContentWindow, Policy
from retentiond.domain.record import Record, moment
from retentiond.engine.context import Context
from retentiond.engine.docket import holds_in_force
from retentiond.errors import NotFound, UsageError
from retentiond.evidence.canonical import rfc3339
from retentiond.ports.stores import Redacting


@dataclass(frozen=True, slots=True)
class Explanation:
    """What policy and holds say of one record now.

    Attributes:
        rule: The rule that won, from 1; None where none did.
        due_at: When the next thing is done to it if nothing changes; None where that cannot be told.
        holds: Ids of what holds it; matters are confidential.
        trail: Each case in order, in words.
        content: The clocks of its parts, which go sooner than it does.
    """

    record: Record
    disposition: Disposition
    reason: str
    rule: int | None
    due_at: datetime | None
    holds: tuple[str, ...]
    trail: tuple[str, ...]
    content: tuple[PartClock, ...] = ()


@dataclass(frozen=True, slots=True)
class PartClock:
    """What one content window says of a record.

    Attributes:
        state: `there`, `gone`, `unreadable`, or `other` where the window is not of this record.
        due_at: When the part goes; None where it is gone, or that can't be told.
    """

    window: int
    action: str
    targets: tuple[str, ...]
    state: str
    due_at: datetime | None


def explain(ctx: Context, dataset_name: str, key: str) -> list[Explanation]:
    """Explain a record; of an object, each of its versions.

    Raises:
        UsageError: There is no such dataset, or no policy governs it.
        NotFound: The dataset has no such record.
    """
    dataset = ctx.datamap.datasets.get(dataset_name)
    if dataset is None:
        raise UsageError(f"there is no dataset {dataset_name!r}", remedy=f"one of {', '.join(ctx.datamap.datasets)}")
    policy = ctx.policies.of_class(dataset.data_class)
    if policy is None:
        raise UsageError(f"no policy governs class {dataset.data_class}", where=dataset_name, remedy="write one")
    records = ctx.connector(dataset).find(dataset, key)
    if not records:
        raise NotFound(f"dataset {dataset_name} has no record {key!r}", remedy="keys are typed as the store has them")
    with ctx.ledger.begin() as tx:
        holds = HoldIndex(holds_in_force(ctx, tx), dataset_name)
    cases = cases_of(policy, dataset, ctx.now())
    return [
        _explain(record, dataset, policy, cases, holds.ids(record))
        for record in _with_contents(ctx, dataset, cases, records)
    ]


def _with_contents(ctx: Context, dataset: Dataset, cases: Cases, records: Sequence[Record]) -> list[Record]:
    """Return records with what stands in them of that which content windows redact."""
    connector, changes = ctx.connector(dataset), cases.changes()
    if not changes or not isinstance(connector, Redacting):
        return list(records)
    found = zip(records, connector.contents(dataset, changes, records), strict=True)
    return [record._replace(ties=replace(record.ties, contents=contents)) for record, contents in found]


def _explain(record: Record, dataset: Dataset, policy: Policy, cases: Cases, holding: tuple[str, ...]) -> Explanation:
    winner = cases.python()(record)
    case = cases.cases[winner]
    held = bool(holding) and case.action is not None
    trail = [_line(each, record, index == winner) for index, each in enumerate(cases.cases[: winner + 1])]
    waits = ((each.dataset, each.live + each.hidden) for each in record.ties.standing)
    trail.extend(f"{count} rows of {name} that name it go before it" for name, count in waits if count)
    if dataset.follows:
        trail.append(f"follows {dataset.follows}: where a row names it, that row's clock, owner and rule count")
    return Explanation(
        record=record,
        disposition=Disposition.HELD if held else case.disposition,
        reason=case.reason,
        rule=case.rule or None,
        due_at=_due_at(record, case, policy),
        holds=holding,
        trail=tuple(trail),
        content=tuple(_part(record, case, window, policy, dataset) for window in policy.windows(dataset.name)),
    )


def _part(record: Record, case: Case, window: ContentWindow, policy: Policy, dataset: Dataset) -> PartClock:
    governs = python_reading(asked_by(window, policy.windows(dataset.name)))(record)
    stands = record.ties.contents.get(window.change)
    state = {True: "there", False: "gone", None: "unreadable"}[stands] if governs is not False else "other"
    due_at = None
    doubtful = case.disposition is Disposition.UNDETERMINED and not case.rule  # such as by a clock that is not real
    if state == "there" and governs and record.clock is not None and not doubtful:
        start = moment(record.clock)
        due_at = max(window.after.due(start), policy.floor.due(start))
    return PartClock(window.number, window.action.value, window.change.names, state, due_at)


def _line(case: Case, record: Record, wins: bool) -> str:  # noqa: FBT001 - reads as a sentence
    truth = {True: "true", False: "false", None: "unknown"}[python_reading(case.when)(record)]
    rule = f"rule {case.rule}, " if case.rule else ""
    rule += f"content window {case.window}, " if case.window else ""
    cutoff = f" (cutoff {rfc3339(case.cutoff)})" if case.cutoff else ""
    return f"{rule}{case.reason}: {truth}{cutoff}" + (f", so {case.disposition}" if wins else "")


def _due_at(record: Record, case: Case, policy: Policy) -> datetime | None:
    if record.clock is None or not case.rule or case.disposition is Disposition.UNDETERMINED:
        return None
    rule = policy.rules[case.rule - 1]
    start = moment(record.clock)
    aged = rule.keep.due(start) if rule.zero_retention else max(rule.keep.due(start), policy.floor.due(start))
    if rule.then is not Action.TOMBSTONE or record.tombstoned is None:
        return aged
    hidden = moment(record.tombstoned)
    try:
        return max(aged, rule.grace.due(hidden) if rule.grace else hidden)
    except OverflowError:  # hidden at the end of the calendar: once it is old, nobody can tell when its grace is over
        return None
