"""What an edit of policies would remove that those in force leave, and the other way round, with the oldest of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Case, Cases, cases_of
from retentiond.domain.hold import HoldIndex
from retentiond.domain.policy import Action, Policy
from retentiond.domain.record import Record, moment
from retentiond.engine import guards
from retentiond.engine.approvals import lists_commitments
from retentiond.engine.context import Context
from retentiond.engine.docket import holds_in_force
from retentiond.engine.scanning import refuse
from retentiond.engine.surveying import survey
from retentiond.errors import ConnectorError, RetentiondError, UsageError
from retentiond.evidence.canonical import rfc3339


@dataclass(frozen=True, slots=True)
class Difference:
    """One dataset under the policy as it is written, against the one that people approved last for it.

    Attributes:
        in_force: SHA-256 of the policy in force; empty where none was ever approved, so that all that is due is more.
        changed: Whether the policy is another one, or a list that it uses.
        more: Records that would go, or go for good, and do not under the policy in force; held ones are not counted.
        less: Records that go under the policy in force, and would not.
        oldest: The start of the clock of the oldest of `more`; None for none.
        trouble: Why it can't be told; empty where it can.
    """

    dataset: str
    policy: str
    in_force: str
    changed: bool
    more: int = 0
    more_bytes: int = 0
    less: int = 0
    oldest: datetime | None = None
    trouble: str = ""


def compare(ctx: Context, policies: tuple[str, ...], at: datetime | None = None) -> tuple[datetime, list[Difference]]:
    """Compare each policy as it is written with the form of it that is in force; nothing is planned or logged.

    Args:
        at: The reference time; None for now.

    Raises:
        UsageError: There is no such policy.
        GuardStopped: The clock is doubtful.
    """
    unknown = [name for name in policies if name not in ctx.policies.policies]
    if unknown:
        known = ", ".join(ctx.policies.policies) or "there are none"
        raise UsageError(f"there is no policy {unknown[0]!r}", where="--policy", remedy=f"one of: {known}")
    now = guards.before_planning(ctx)
    reference = at or now
    if reference < now:
        raise UsageError(f"{rfc3339(reference)} is over", where="--at", remedy="name a time that is to come")
    return reference, list(_differences(ctx, policies, reference))


def _differences(ctx: Context, policies: tuple[str, ...], reference: datetime) -> Iterator[Difference]:
    for dataset in ctx.datamap.datasets.values():
        policy = ctx.policies.of_class(dataset.data_class)
        if policy is None or dataset.follows or (policies and policy.id not in policies):
            continue
        with ctx.ledger.begin() as tx:
            approved = tx.approvals.approved_policy(policy.id, dataset.name)
            text = tx.facts.get(f"canonical:{approved[0]}") if approved else None
        pairs = ((policy.id, policy.sha256),)
        changed = approved not in [(policy.sha256, lists) for lists in lists_commitments(ctx, pairs)]
        bare = Difference(dataset.name, policy.id, approved[0] if approved else "", changed)
        try:
            yield _difference(ctx, bare, policy, _read(ctx, text), reference) if changed else bare
        except RetentiondError as error:
            yield Difference(bare.dataset, bare.policy, bare.in_force, changed, trouble=error.what)


def _read(ctx: Context, text: str | None) -> Policy | None:
    """Return the policy of a canonical form; None where nothing was ever approved."""
    if text is None:
        return None
    if not text.startswith("{"):
        raise ConnectorError("the ledger does not have the text of the policy in force any more")
    return ctx.terms.policy_of(text.encode())


def _difference(
    ctx: Context, bare: Difference, policy: Policy, before: Policy | None, reference: datetime
) -> Difference:
    dataset = ctx.datamap.datasets[bare.dataset]
    refuse(dataset, survey(ctx, dataset))
    new = cases_of(policy, dataset, reference)
    old = cases_of(before, dataset, reference) if before else None
    more = _Sum()
    more.add(_only(ctx, dataset, new, old))
    less = _Sum()
    if old is not None:
        less.add(_only(ctx, dataset, old, new))
    oldest = moment(more.oldest) if more.oldest is not None else None
    return Difference(
        bare.dataset, bare.policy, bare.in_force, changed=True,
        more=more.count, more_bytes=more.size_bytes, less=less.count, oldest=oldest,
    )  # fmt: skip


def _only(ctx: Context, dataset: Dataset, cases: Cases, other: Cases | None) -> Iterator[Record]:
    """Give the records that go by some cases, or go for good by them, and not by the other ones, held ones left out."""
    with ctx.ledger.begin() as tx:
        holds = HoldIndex(holds_in_force(ctx, tx), dataset.name)
    winner: Callable[[Record], int] | None = other.python() if other else None
    for window in ctx.connector(dataset).scan(dataset, cases, frozenset(cases.due)):
        for record, case in window.found:
            known = other.cases[winner(_whole(record, other))] if other and winner else None
            further = known is None or _is_further(cases.cases[case], known)
            if further and not (holds and holds.ids(record)):
                yield record


def _whole(record: Record, cases: Cases) -> Record:
    """Return a record as if everything stood in it that the cases would have redacted."""
    changes = cases.changes()
    whole = replace(record.ties, contents=dict.fromkeys(changes, True)) if changes else record.ties
    return record._replace(ties=whole)


def _is_further(goes: Case, known: Case) -> bool:
    """Tell whether one case removes what another does not."""
    if known.action is None or (goes.action is Action.PURGE and known.action is not Action.PURGE):
        return True
    return goes.change is not None and known.change is not None and goes.change != known.change


@dataclass(slots=True)
class _Sum:
    count: int = 0
    size_bytes: int = 0
    oldest: int | None = None

    def add(self, records: Iterator[Record]) -> None:
        for record in records:
            self.count += 1
            self.size_bytes += record.size_bytes
            if record.clock is not None:
                self.oldest = record.clock if self.oldest is None else min(self.oldest, record.clock)
