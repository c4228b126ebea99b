"""Check: configuration, stores, permissions, effective retention against promise, coverage. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from retentiond.domain.condition import fields
from retentiond.domain.dataset import ClockFormat, Dataset
from retentiond.domain.decision import cases_of
from retentiond.domain.graph import Graph
from retentiond.domain.period import Period
from retentiond.domain.policy import ContentWindow
from retentiond.domain.promise import EffectiveRetention, Span, StoreTerms, effective_retention
from retentiond.engine import allowed, approvers, guards, restored
from retentiond.engine.context import Context
from retentiond.engine.coverage import Coverage, coverage
from retentiond.engine.docket import astray, holds_in_force
from retentiond.engine.forgetting import manifest_bytes
from retentiond.engine.graphing import graph_findings, graph_notes, graph_of, known_keys, pseudonym_findings
from retentiond.engine.leftovers import ageless, leftovers
from retentiond.engine.overview import unreviewed
from retentiond.engine.surveying import survey
from retentiond.engine.zeroing import zero_findings
from retentiond.errors import ConnectorError, GuardStopped, LogIntegrityError, RetentiondError
from retentiond.ports.stores import Finding, Probing, Survey

_OPEN = "a request of one of them stays open as long as it holds records of the account (declare `user`)"


@dataclass(frozen=True, slots=True)
class Retention:
    """The effective retention of a rule, or of a content window (then `rule` is 0), against its promise, in words."""

    policy: str
    rule: int
    what: str
    effective: str
    promise: str
    fits: bool
    window: int = 0

    @property
    def part(self) -> str:
        """What of the policy it is of, for people."""
        return f"content window {self.window}" if self.window else f"rule {self.rule}"


@dataclass(frozen=True, slots=True)
class Report:
    """What check found.

    Attributes:
        graph: How datasets belong together; of a store that cannot be looked at, what the data map declares.
    """

    findings: tuple[Finding, ...]
    retention: tuple[Retention, ...]
    notes: tuple[str, ...]
    graph: Graph
    coverage: Coverage


def check(ctx: Context) -> Report:
    """Check everything; one failing store does not hide what the others say."""
    findings: list[Finding] = [*_instance(ctx)]
    notes: list[str] = [*_people(ctx), *_commitments(ctx), *_erasures(ctx)]
    try:
        notes.extend(ctx.log.remarks())
    except RetentiondError as error:
        findings.append(Finding(error.what, error.where or "log", error.remedy, refuses=True))
    locks: dict[str, Period] = {}
    for dataset in ctx.datamap.datasets.values():
        try:
            seen = survey(ctx, dataset)
        except ConnectorError as error:
            findings.append(Finding(error.what, error.where or dataset.name, error.remedy, refuses=True))
            continue
        findings.extend(seen.findings)
        findings.extend(_clocks(ctx, dataset) if not any(each.refuses for each in seen.findings) else ())
        notes.extend(_orphans(ctx, dataset))
        notes.extend(_undo(ctx, dataset))
        notes.extend(f"{dataset.name}: {note}" for note in seen.notes)
        if seen.lock is not None:
            locks[dataset.store] = seen.lock
    for probed in _probes(ctx):
        findings.extend(probed.findings)
        notes.extend(probed.notes)
    findings.extend(_reviews(ctx))
    findings.extend(_astray(ctx))
    findings.extend(zero_findings(ctx))
    findings.extend(_replicas(ctx))
    seen = restored.look(ctx)
    findings.extend(seen.findings)
    notes.extend(seen.notes)
    covered = coverage(ctx)
    findings.extend(covered.findings)
    findings.extend(leftovers(ctx))
    findings.extend(ageless(ctx))
    findings.extend(_classes(ctx))
    keys = known_keys(ctx)
    graph = graph_of(ctx, keys)
    findings.extend(graph_findings(graph, keys))
    findings.extend(pseudonym_findings(ctx, graph))
    notes.extend(graph_notes(graph))
    retention = [each for policy in ctx.policies.policies for each in _retention(ctx, policy, locks)]
    findings.extend(_promises(retention))
    return Report(tuple(dict.fromkeys(findings)), tuple(retention), tuple(dict.fromkeys(notes)), graph, covered)


def check_ledger(ctx: Context) -> list[str]:
    """Check the ledger itself, and that the published log agrees with it.

    Raises:
        LedgerBehindLog: The log is ahead of the ledger.
    """
    ctx.log.compare()
    found = [*ctx.ledger.check(), *_beside(ctx)]
    ctx.log.rebuild_check()
    return found


def _beside(ctx: Context) -> Iterator[str]:
    """Look whether journal and bundles have what the ledger knows, and nothing that it does not."""
    written = ctx.journal.names()
    with ctx.ledger.begin() as tx:
        rows, receipts = tx.journal.all(), tx.receipts.all()
        if tx.facts.get(guards.RECOVERY):
            yield "the ledger was recovered, and nobody has signed the list of holds: run `retentiond ledger recover`"
    for row in rows:
        if row.written and ctx.journal.sealed(row.sha256) is None:
            yield f"record {row.sha256} of the journal is missing: `retentiond ledger recover` writes it again"
    for name in sorted(written - {row.sha256 for row in rows}):
        yield f"the ledger does not know record {name} of the journal: it went back in time, run `ledger recover`"
    for receipt in receipts:
        if receipt.file and not Path(receipt.file).exists():
            yield f"the bundle of receipt {receipt.id} is missing: `retentiond ledger recover` writes it again"


def _instance(ctx: Context) -> Iterator[Finding]:
    try:
        guards.check_clock(ctx)
    except GuardStopped as error:
        yield Finding(error.what, "clock", error.remedy, refuses=True, guard=error.guard)
    try:
        guards.check_keys(ctx)
    except GuardStopped as error:
        yield Finding(error.what, error.where, error.remedy, refuses=True, guard=error.guard)
    try:
        ctx.log.compare()
    except LogIntegrityError as error:
        yield Finding(error.what, error.where or "log", error.remedy, refuses=True, guard=error.guard)
    for problem in ctx.ledger.check():
        yield Finding(problem, "ledger", "docs/operations.md says what to do about a ledger's findings", refuses=True)


def _people(ctx: Context) -> Iterator[str]:
    found, changed = allowed.in_force(ctx), approvers.waiting(ctx)
    names = sorted({principal.name for principal in found.principals})
    if changed is not None:
        yield f"the approvers file changed, and is not in force: {changed[1]} signature(s) of it are missing"
    if names:
        yield f"approvers: {', '.join(names)} (file {found.sha256[:16]}…)"
    elif ctx.terms.single_operator:
        yield "single_operator: plans are approved without a signature, and every receipt says so"
    else:
        yield "nobody is named in approvers, so nothing can be approved yet: add a line `NAME ssh-ed25519 AAAA…`"
    if ctx.terms.observe:
        yield "mode: observe; nothing will be removed"


def _commitments(ctx: Context) -> Iterator[str]:
    """Say how long receipts can be opened, and what that takes."""
    receipts, size_bytes = manifest_bytes(ctx)
    yield (
        f"accounts and records are linked to receipts for {ctx.terms.commitments_keep} (`commitments.keep`): the "
        f"manifests of {receipts:,} receipts take {size_bytes:,} bytes, 81 for each record"
    )
    yield (
        f"the ledger keeps names of removed records, and requests for manual purges, for {ctx.terms.identifiers_keep} "
        f"(`identifiers.keep`), and details of events for {ctx.terms.events_keep} (`events.keep`); of closed accounts "
        "it keeps commitments under the replay keys"
    )


def _erasures(ctx: Context) -> Iterator[str]:
    """Say what requests for erasure of single users do not reach, and how long what was written of them is kept."""
    owned = [each for each in ctx.datamap.datasets.values() if not each.follows]
    told = [each for each in owned if each.tells_users]
    for dataset in owned if told else ():
        if dataset.no_users:
            yield f"{dataset.name}: holds no data of users ({dataset.no_users})"
        elif dataset.has_owner and not dataset.tells_users:
            yield f"{dataset.name}: cannot tell an account's users apart, so that {_OPEN}"
    blind = [each.name for each in owned if each.has_owner and not (each.tells_users or each.no_users)]
    if blind and not told:
        yield f"no dataset tells an account's users apart, so that {_OPEN}: {', '.join(blind)}"
    keep = ctx.policies.erasure.keep
    yield f"what is written of a request for erasure is kept for {keep} after its end (`erasure.keep`)"


def _reviews(ctx: Context) -> Iterator[Finding]:
    """Name the holds that should have been reviewed by now, by their ids: matters are confidential."""
    with ctx.ledger.begin() as tx:
        late = unreviewed(tx.holds.active(), ctx.now())
    for hold in late:
        yield Finding(
            "it should have been reviewed by now; it is in force still",
            f"hold {hold}",
            f"`retentiond hold show {hold}`; then `hold review … --until DATE --reason R`, or `hold release …`",
        )


def _astray(ctx: Context) -> Iterator[Finding]:
    """Name the holds on datasets that the data map lacks: nothing is removed as long as there are any."""
    with ctx.ledger.begin() as tx:
        holds = astray(ctx, holds_in_force(ctx, tx))
    for hold in holds:
        what = f"it is on dataset {hold.scope.dataset}, which the data map does not have: nothing is removed"
        yield Finding(what, f"hold {hold.id}", guards.ASTRAY, guard="hold-astray")


def _replicas(ctx: Context) -> Iterator[Finding]:
    """Find the stores that are to wait for replicas of which nothing is known: their runs would never go on."""
    for name, store in ctx.datamap.stores.items():
        if store.pace.replica_lag is None:
            continue
        try:
            pressure = ctx.store(name).pressure()
        except ConnectorError as error:
            yield Finding(error.what, error.where or name, error.remedy)
            continue
        if pressure.replica_lag is None:
            seen = f" ({pressure.looked_at})" if pressure.looked_at else ""
            yield Finding(
                f"how far its replicas are behind is unknown{seen}, and `replica_lag` lets every batch wait for it",
                name,
                "let retentiond's role see the replicas, or remove `pace.replica_lag`",
            )


def _clocks(ctx: Context, dataset: Dataset) -> Iterator[Finding]:
    """Look at the clocks of a dataset's first records, as many as one window of a scan holds."""
    policy = ctx.policies.of_class(dataset.data_class)
    if dataset.follows or policy is None:
        return
    cases = cases_of(policy, dataset, ctx.now())
    try:
        window = next(iter(ctx.connector(dataset).scan(dataset, cases, frozenset())), None)
    except ConnectorError as error:
        yield Finding(error.what, error.where or dataset.name, error.remedy, refuses=True)
        return
    tallies = window.tallies if window else {}
    examined = sum(tally.count for tally in tallies.values())
    absurd = sum(
        tally.count for index, tally in tallies.items() if cases.cases[index].reason == guards.CLOCK_OUT_OF_RANGE
    )
    if absurd > guards.ABSURD_CLOCKS * examined:
        yield Finding(
            f"{absurd} of the first {examined} clocks lie outside {dataset.clock.earliest:%Y-%m-%d} to now: "
            "with more than 0.1 % the dataset is left out of plans",
            f"{dataset.name}, {dataset.clock.name}",
            "declare the clock's `format` and `earliest` as they are, or correct those records",
            refuses=True,
        )


def _orphans(ctx: Context, dataset: Dataset) -> Iterator[str]:
    """Say where objects that no row names can never be decided: a rule asks what only a row can tell."""
    policy = ctx.policies.of_class(dataset.data_class)
    if dataset.follows and policy and any(fields(rule.when) for rule in policy.rules):
        yield f"{dataset.name}: objects that no row names are kept as undetermined, since rules ask what only rows tell"


def _undo(ctx: Context, dataset: Dataset) -> Iterator[str]:
    """Say where a tombstone outlasts what the ledger knows of it: then nobody can tell whether it is ours."""
    target, now = dataset.tombstone, ctx.now()
    if target is None or not (target.column or target.marker):
        return
    deciding = ctx.datamap.datasets[dataset.follows] if dataset.follows else dataset
    policies = [ctx.policies.of_class(each.data_class) for each in (dataset, deciding)]
    graces = [rule.grace for policy in policies if policy for rule in policy.rules if rule.grace]
    longest = min(graces, key=lambda grace: grace.before(now), default=None)
    if longest is not None and longest.before(now) < ctx.terms.identifiers_keep.before(now):
        yield (
            f"{dataset.name}: its grace ({longest}) is longer than `identifiers.keep` ({ctx.terms.identifiers_keep}): "
            "after that nobody can tell which tombstones are ours, and `undo` brings nothing back"
        )


def _classes(ctx: Context) -> Iterator[Finding]:
    governed = {policy.data_class for policy in ctx.policies.policies.values()}
    for dataset in ctx.datamap.datasets.values():
        if dataset.data_class not in governed and dataset.clock.format is not ClockFormat.NONE:
            yield Finding(
                f"no policy governs class {dataset.data_class}, so nothing of it ever goes",
                f"dataset {dataset.name}",
                "write a policy for the class in policies.yaml",
            )


def _probes(ctx: Context) -> Iterator[Survey]:
    for store in ctx.datamap.stores.values():
        try:
            connector = ctx.store(store.name)
        except ConnectorError:
            continue  # a finding of each of its datasets already
        if isinstance(connector, Probing):
            yield connector.probe()


def _retention(ctx: Context, policy_id: str, locks: Mapping[str, Period]) -> Iterator[Retention]:
    policy = ctx.policies.policies[policy_id]
    stores = dict.fromkeys(
        dataset.store for dataset in ctx.datamap.datasets.values() if dataset.data_class == policy.data_class
    )
    for name in stores:
        store = ctx.datamap.stores[name]
        terms = StoreTerms(lock=locks.get(name), backups=store.backups_keep, backups_declared=store.backups_declared)
        in_store = [window.number for window in policy.content if name in _stores_of(ctx, window)]
        for found in effective_retention(policy, terms):
            if found.window and found.window not in in_store:
                continue
            ways = [(f"live in {name}", found.live), (f"backups of {name}", found.backups)]
            for what, span in ways:
                if span is not None:
                    yield _line(policy_id, found, what, span)
            if found.backups is None and found.backups_unknown:
                where = (policy_id, found.rule, f"backups of {name}")
                yield Retention(*where, "unknown", "some time", fits=False, window=found.window)


def _stores_of(ctx: Context, window: ContentWindow) -> set[str]:
    return {ctx.datamap.datasets[name].store for name in window.datasets}


def _line(policy: str, found: EffectiveRetention, what: str, span: Span) -> Retention:
    return Retention(policy, found.rule, what, span.text, str(span.promised or ""), span.fits, found.window)


def _promises(retention: list[Retention]) -> Iterator[Finding]:
    for each in retention:
        if not each.fits:
            yield Finding(
                f"{each.what} {'content' if each.window else 'a record'} may last {each.effective}, and {each.promise} "
                "is promised",
                f"policy {each.policy}, {each.part}",
                "shorten keep, grace, schedule, limits.longest_run or backups, or promise less",
            )
