"""Guards: what must be true before anything is planned, carried out, or signed. In doubt nothing is removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import cases_of
from retentiond.domain.plan import Basis, RunState
from retentiond.domain.policy import Policy
from retentiond.domain.promise import interval
from retentiond.engine import chains
from retentiond.engine.approvals import check_approval, lists_commitments, others
from retentiond.engine.context import Context
from retentiond.engine.docket import astray, holds_in_force
from retentiond.engine.manual import asked_by, check_asked
from retentiond.errors import ConnectorError, GuardStopped, LedgerBehindLog
from retentiond.evidence.canonical import rfc3339
from retentiond.evidence.entry import plan_entry
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import PlanRow

CLOCK_SLACK = timedelta(minutes=5)
ABSURD_CLOCKS = 0.001
CLOCK_OUT_OF_RANGE = "clock-out-of-range"
CLOCK_HIGH_WATER = "clock_high_water"
RECOVERY = "recovery"
PAUSED = "paused"
CANCELLED = "cancelled"
ASTRAY = (
    "name the dataset as before in datamap.yaml; or place a hold on what is its name now, then `hold release` this one"
)
_PLAN_AGAIN = "make a new plan, and approve it"


def before_planning(ctx: Context, *, signing: bool = True) -> datetime:
    """Check clock, log and keys, and return the run's one reading of the clock.

    Args:
        signing: Whether the keys have to be in force.

    Raises:
        GuardStopped: The clock is doubtful.
        KeyNotInForce: A key that would sign was revoked, or has ended.
        LedgerBehindLog: The ledger is older than its log.
    """
    now = check_clock(ctx)
    ctx.log.compare()
    check_recovered(ctx)
    if signing:
        check_keys(ctx)
    return now


def check_keys(ctx: Context) -> None:
    """Raise KeyNotInForce where what would be done could not be signed."""
    ctx.keys.check()


def before_acting(ctx: Context, plan: PlanRow, *, begun: bool) -> None:
    """Check everything that must hold before the first effect of a run, or before it goes on.

    Raises:
        GuardStopped: One of the guards says no; nothing was removed.
        LedgerBehindLog: The ledger is older than its log.
    """
    now = check_clock(ctx)
    ctx.log.compare()
    check_recovered(ctx)
    check_keys(ctx)
    check_stop(ctx)
    with ctx.ledger.begin() as tx:
        check_paused(tx)
    check_mode(ctx)
    check_own(ctx, plan)
    check_waiting(plan)
    if not begun and not _chain_has_begun(ctx, plan):
        check_fresh(plan, now)
    _check_approvals(ctx, plan)
    check_unchanged(ctx, plan)
    check_holds(ctx)


def check_mode(ctx: Context) -> None:
    """Raise GuardStopped where the instance only observes."""
    if ctx.terms.observe:
        raise GuardStopped(
            "this instance only observes", guard="observe", where="retentiond.yaml", remedy="set `mode: enforce`"
        )


def check_waiting(plan: PlanRow) -> None:
    """Raise GuardStopped for a plan that people have not approved yet."""
    if plan.state is RunState.WAITING:
        raise GuardStopped(
            f"plan {plan.id} waits for approval: {'; '.join(plan.reasons)}",
            guard="approval",
            remedy=f"retentiond approve {plan.id}",
        )


def check_holds(ctx: Context) -> None:
    """Raise GuardStopped where a hold is on a dataset that the data map lacks: one that was renamed is not let go."""
    with ctx.ledger.begin(shared=True) as tx:
        found = astray(ctx, holds_in_force(ctx, tx))
    if found:
        raise GuardStopped(
            f"hold {found[0].id} is on dataset {found[0].scope.dataset}, which the data map does not have: "
            "nobody can tell what it names",
            guard="hold-astray",
            remedy=ASTRAY,
        )


def check_own(ctx: Context, plan: PlanRow) -> None:
    """Raise GuardStopped for a plan that this instance did not make, such as one that was copied into its ledger."""
    with ctx.ledger.begin() as tx:
        entry = tx.entries.at(plan.log_index)
    named = chains.named_by(plan)
    if named != (ctx.terms.instance, plan.id) or entry != plan_entry(plan.sha256):
        raise GuardStopped(
            f"plan {plan.id} is not one that this instance made and logged: its statement names {' and '.join(named)}",
            guard="foreign-plan",
            remedy="retentiond plan",
        )


def check_fresh(plan: PlanRow, now: datetime) -> None:
    """Raise GuardStopped for a plan that was not begun in time."""
    if plan.has_expired(now):
        raise GuardStopped(
            f"plan {plan.id} expired at {rfc3339(plan.expires_at)}", guard="plan-expired", remedy="retentiond plan"
        )


def _chain_has_begun(ctx: Context, plan: PlanRow) -> bool:
    """Tell whether a further plan's chain was begun: it may take longer than a plan may wait."""
    with ctx.ledger.begin() as tx:
        first = chains.first_of(tx, plan)
    return first.id != plan.id and chains.has_begun(first)


def check_clock(ctx: Context) -> datetime:
    """Return the present time, after comparing it with the latest that was ever seen, and with the stores' clocks.

    Raises:
        GuardStopped: The clock ran backwards, or may be far ahead.
    """
    now = ctx.now()
    stores = store_times(ctx)
    with ctx.ledger.begin() as tx:
        seen = tx.facts.get(CLOCK_HIGH_WATER)
        latest = datetime.fromisoformat(seen) if seen else now
        _check_behind(now, latest)
        _check_stores(now, stores)
        if not stores:
            _check_unconfirmed(ctx, now, latest)
        if seen is None or now > latest:
            tx.facts.set(CLOCK_HIGH_WATER, now.isoformat())
    return now


def check_recovered(ctx: Context) -> None:
    """Raise GuardStopped as long as nobody signed the list of holds of a ledger that was recovered.

    Raises:
        LedgerBehindLog: The journal has records that neither ledger nor log knows.
    """
    with ctx.ledger.begin() as tx:
        pending = tx.facts.get(RECOVERY)
    if pending:
        raise GuardStopped(
            "the ledger was recovered, and nobody has signed the list of holds yet",
            guard="recovery",
            remedy="`retentiond ledger recover` shows the list, and how to sign it",
        )
    check_journal(ctx)


def check_journal(ctx: Context) -> None:
    """Raise LedgerBehindLog where the journal has records that neither ledger nor log knows: both went back in time."""
    written = ctx.journal.names()  # before the ledger is read, which has each record first
    with ctx.ledger.begin() as tx:
        strange = written - tx.journal.names()
    if strange:
        raise LedgerBehindLog(
            f"the journal has {len(strange)} records that the ledger does not know: the ledger went back in time",
            where="journal",
            remedy="nothing was removed or signed; put back the newest ledger, or `retentiond ledger recover`",
        )


def store_times(ctx: Context) -> dict[str, datetime]:
    """Return what time it is by the clocks of those stores that have one; one that can't be reached says nothing."""
    found = {}
    for name in ctx.datamap.stores:
        try:
            said = ctx.store(name).now()
        except ConnectorError:
            continue
        if said is not None:
            found[name] = said
    return found


def _check_behind(now: datetime, latest: datetime) -> None:
    """Raise GuardStopped where the clock says less than what was seen before."""
    if now < latest - CLOCK_SLACK:
        raise GuardStopped(
            f"the clock says {rfc3339(now)}, but {rfc3339(latest)} was seen before",
            guard="clock",
            remedy="set the machine's clock right; if it was far ahead before, two people say `retentiond clock reset`",
        )


def _check_stores(now: datetime, stores: Mapping[str, datetime]) -> None:
    """Raise GuardStopped where a store's clock is behind ours."""
    for name, said in stores.items():
        if now > said + CLOCK_SLACK:
            raise GuardStopped(
                f"the clock says {rfc3339(now)}, but store {name} says {rfc3339(said)}",
                guard="clock-ahead",
                where=name,
                remedy="set the clocks of this machine and of the store right",
            )


def _check_unconfirmed(ctx: Context, now: datetime, latest: datetime) -> None:
    """Raise GuardStopped for a time far after the latest that was seen, which no store confirms."""
    bound = ctx.terms.clock_ahead.length() + longest_gap(ctx)
    if now > latest + bound:
        raise GuardStopped(
            f"the clock says {rfc3339(now)}, more than {bound} after {rfc3339(latest)}, the last time that was seen, "
            "and no store can tell the time",
            guard="clock-ahead",
            remedy="set the machine's clock right; if it is right, two people say `retentiond clock reset --now TIME`",
        )


def longest_gap(ctx: Context) -> timedelta:
    """Return the longest time from one run to the next, of all schedules."""
    return max((interval(policy.schedule) for policy in ctx.policies.policies.values()), default=timedelta())


def check_stop(ctx: Context) -> None:
    """Raise GuardStopped while the stop file exists."""
    stop = ctx.terms.stop_file
    if stop is not None and stop.exists():
        raise GuardStopped(
            f"the stop file {stop} exists", guard="stop-file", where=str(stop), remedy="remove it to go on"
        )


def check_paused(tx: Transaction) -> None:
    """Raise GuardStopped while people have paused everything; inside a transaction, so that it is looked at at once."""
    if tx.facts.get(PAUSED):
        raise GuardStopped(
            "everything is paused",
            guard="paused",
            remedy="`retentiond status` says since when; `retentiond resume`, with a signature, then `retentiond run`",
        )


def is_cancelled(ctx: Context, plan: PlanRow) -> bool:
    """Tell whether somebody cancelled a run that was begun: what is left of it is carried over."""
    with ctx.ledger.begin() as tx:
        return bool(tx.facts.get(f"{CANCELLED}:{plan.id}"))


def check_unchanged(ctx: Context, plan: PlanRow) -> None:
    """Raise GuardStopped where a policy or dataset is not the one that the plan is bound to."""
    _check_policies(ctx, plan)
    _check_datasets(ctx, plan)
    _check_lists(ctx, plan)
    _check_cases(ctx, plan)


def _check_policies(ctx: Context, plan: PlanRow) -> None:
    for name, sha256 in plan.policies:
        policy = ctx.policies.policies.get(name)
        if policy is None or policy.sha256 != sha256:
            raise GuardStopped(
                f"policy {name} changed after plan {plan.id} was made", guard="policy-changed", remedy=_PLAN_AGAIN
            )


def _check_datasets(ctx: Context, plan: PlanRow) -> None:
    for name, sha256 in plan.datasets:
        dataset = ctx.datamap.datasets.get(name)
        if dataset is None or dataset.sha256 != sha256:
            raise GuardStopped(
                f"dataset {name} changed after plan {plan.id} was made", guard="dataset-changed", remedy=_PLAN_AGAIN
            )


def _check_lists(ctx: Context, plan: PlanRow) -> None:
    if plan.lists not in lists_commitments(ctx, plan.policies):
        raise GuardStopped(
            f"a named list changed after plan {plan.id} was made", guard="policy-changed", remedy=_PLAN_AGAIN
        )


def _check_cases(ctx: Context, plan: PlanRow) -> None:
    """Raise GuardStopped where this version of the program reads a policy otherwise than the one that made the plan."""
    with ctx.ledger.begin() as tx:
        parts = [part for part in tx.plans.parts(plan.id) if part.basis is Basis.POLICY]
    for part in parts:
        dataset = ctx.datamap.datasets[part.dataset]
        said = cases_of(ctx.policies.policies[part.policy], dataset, plan.reference_time).cases
        case = said[part.case] if part.case < len(said) else None
        if case is None or (case.action, case.rule, case.cutoff) != (part.action, part.rule, part.cutoff):
            raise GuardStopped(
                f"policy {part.policy} is read otherwise than when plan {plan.id} was made, by another version",
                guard="policy-changed",
                remedy=_PLAN_AGAIN,
            )


def check_files_unchanged(ctx: Context) -> None:
    """Raise GuardStopped where policies, data map or approvers changed on disk since they were read."""
    if ctx.terms.config_changed():
        raise GuardStopped(
            "policies.yaml, datamap.yaml or approvers changed while the run was under way",
            guard="policy-changed",
            remedy="`retentiond run` goes on if the change does not concern this plan, else make a new plan",
        )


def approval_reasons(
    ctx: Context, tx: Transaction, policies: Iterable[Policy], datasets: Iterable[Dataset]
) -> list[str]:
    """Return why the present policies and datasets need approval: each pair that was never approved as it stands."""
    reasons = []
    by_class = {policy.data_class: policy for policy in policies}
    for dataset in datasets:
        policy = by_class.get(dataset.data_class)
        if policy is None:
            continue
        pair = ((policy.id, policy.sha256), (dataset.name, dataset.sha256))
        if not any(tx.approvals.is_approved(*pair, lists) for lists in lists_commitments(ctx, pair[:1])):
            reasons.append(f"policy {policy.id} for dataset {dataset.name} was not approved in its present form")
    return reasons


def check_size(records: int, most: int) -> None:
    """Raise GuardStopped where what can't be parted, a row and its objects, has more records than a plan may hold."""
    if records > most:
        raise GuardStopped(
            f"a row and the objects that it names are {records:,} records, which go together; a plan holds {most:,}",
            guard="plan-size",
            remedy="raise `limits.chain_records` in policies.yaml, or remove noncurrent versions of its objects first",
        )


def _check_approvals(ctx: Context, plan: PlanRow) -> None:
    """Count approvals again; a further plan of a chain is approved with the first, whose statement must name it."""
    with ctx.ledger.begin() as tx:
        rows = tx.approvals.of_plan(chains.first_of(tx, plan).sha256)
        asked = asked_by(ctx, tx, plan)
    check_asked(ctx, plan)
    given = set()
    for row in rows:
        if row.approve:
            check_approval(ctx, row)
            given.add(row.principal)
    _check_enough(plan, len(others(given, asked)))


def _check_enough(plan: PlanRow, given: int) -> None:
    """Raise GuardStopped where fewer people approved than a plan needs, whatever its state says."""
    if given < plan.approvals_needed:
        raise GuardStopped(
            f"plan {plan.id} needs {plan.approvals_needed} approvals and has {given}",
            guard="approval",
            remedy=_PLAN_AGAIN,
        )
