"""Receipts: what a run did, bound to evidence, signed, and in the log before anybody gets it."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from retentiond.domain.dataset import Dataset
from retentiond.domain.plan import Part, RunState
from retentiond.domain.policy import Action
from retentiond.domain.record import moment
from retentiond.domain.waiting import read_wait
from retentiond.engine import chains, failover, manifest
from retentiond.engine.attempts import begin_manifests
from retentiond.engine.batches import Work
from retentiond.engine.bundles import write_bundle
from retentiond.engine.context import Context, new_id
from retentiond.engine.docket import matters_of
from retentiond.engine.identifiers import Ended, Final
from retentiond.engine.itemrows import done_of
from retentiond.engine.items import item_rows, read_all
from retentiond.engine.manual import manual_of
from retentiond.engine.positions import Verification, decode_verification
from retentiond.engine.preparing import NOTHING_PREPARED
from retentiond.engine.residue import SecondLook
from retentiond.errors import ConnectorError, LedgerError
from retentiond.evidence import annex as annexes
from retentiond.evidence.canonical import canonical_json
from retentiond.evidence.entry import receipt_entry
from retentiond.evidence.envelope import sign
from retentiond.evidence.levels import EvidenceLevel
from retentiond.evidence.statement import (
    Approval,
    Digest,
    Issuer,
    NotCovered,
    Receipt,
    RunFacts,
    approvals_sha256,
    receipt_statement,
)
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import BatchRow, ReceiptRow, RunRow
from retentiond.ports.stores import Remnant
from retentiond.telemetry import logger


@dataclass(slots=True)
class _Sum:
    """What became of one part, added up over its batches."""

    outcomes: Counter[str] = field(default_factory=Counter)
    size_bytes: int = 0
    held: Counter[str] = field(default_factory=Counter)
    carried: Counter[str] = field(default_factory=Counter)
    hidden_from: int | None = None
    hidden_to: int | None = None

    def add(self, ended: Ended) -> None:
        self.outcomes.update(ended.counts())
        done = done_of(ended)
        self.size_bytes += sum(done.size_bytes)
        self._hidden([each for each in done.tombstoned if each is not None] if any(done.tombstoned) else [])
        for place, reason in ended.reasons.items():
            if ended.finals[place] is Final.HELD:
                self.held[reason] += 1
            elif ended.finals[place] is Final.CARRIED_OVER:
                self.carried[reason] += 1

    def _hidden(self, times: list[int]) -> None:
        if times:
            self.hidden_from = min(times if self.hidden_from is None else (self.hidden_from, *times))
            self.hidden_to = max(times if self.hidden_to is None else (self.hidden_to, *times))


def issue_run_receipt(ctx: Context, run: RunRow, work: Work) -> ReceiptRow:
    """Issue the one receipt of a run whose batches have all ended; the run ends in the same transaction.

    Raises:
        PurgeNotVerified: The second look gave no complete answer; nothing is issued.
        LedgerBehindLog: The ledger is older than its log; nothing is signed.
    """
    if run.receipt:
        return _finish_bundle(ctx, run.receipt)
    failover.look_back(ctx, work)
    with ctx.ledger.begin() as tx:
        batches = tx.batches.of_plan(work.plan.id)
    key = ctx.wrapping.open(run.commitment_key, run_context(run.id))
    receipt_id = new_id(ctx.now())
    begin_manifests(ctx, manifest_directory(ctx), [receipt_id])
    look, sums = SecondLook(ctx, work), dict[int, _Sum]()
    tree = _write_manifest(ctx, work, receipt_id, key, _added_up(sums, look.through(batches)))
    residue = look.residue()
    # After the second look, which has read every purged record again, also those of a process that died.
    levels = {dataset.name: _level(ctx, dataset) for dataset in _datasets(ctx, work)}
    with ctx.ledger.begin() as tx:
        facts = _verifications(tx, work)
    now = ctx.now()
    annex = _annex(ctx, work, sums, levels, facts, residue)
    with ctx.ledger.begin() as tx:
        approvals = [
            Approval(row.principal, row.not_after, row.signature)
            for row in tx.approvals.of_plan(chains.first_of(tx, work.plan).sha256)
            if row.approve
        ]
    receipt = Receipt(
        kind=annex.kind,
        receipt_id=receipt_id,
        issued_at=now,
        issuer=issuer(ctx),
        policies=tuple(Digest(*pair) for pair in work.plan.policies),
        accounts_size=tree.size,
        accounts_root=tree.root,
        annex=annex,
        run=_run_facts(run, work, now, approvals),
        not_covered=not_covered(ctx, work, now),
    )
    failover.confirm(ctx, work)
    ctx.log.compare()
    envelope = sign(receipt_statement(receipt), ctx.issuer)
    state = RunState.PARTIAL if annex.outcome == "partial" else RunState.DONE
    with ctx.ledger.begin() as tx:
        index = tx.entries.stage(receipt_entry(work.plan.log_index, envelope.sha256))
        row = ReceiptRow(
            id=receipt_id,
            kind=annex.kind,
            plan=work.plan.id,
            closure="",
            issued_at=now,
            envelope=canonical_json(envelope.to_json()),
            annex=annex.encode(),
            entry_sha256=envelope.sha256,
            log_index=index,
            commitment_key=ctx.wrapping.seal(key, receipt_context(receipt_id)),
        )
        tx.receipts.add(row)
        tx.batches.set_receipted(work.plan.id)
        tx.runs.finish(run.id, state, now, receipt_id)
        tx.plans.set_state(work.plan.id, state)
        tx.events.append("receipt.issued", receipt_id, now, {"run": run.id, "outcome": annex.outcome})
    logger().info("run", run=run.id, plan=work.plan.id, state=state, receipt=receipt_id, entry=index)
    return _finish_bundle(ctx, receipt_id)


def _write_manifest(
    ctx: Context, work: Work, receipt_id: str, key: bytes, looked_at: Iterator[tuple[BatchRow, Ended]]
) -> manifest.Tree:
    """Write the manifest of batches as the second look finds them, which it goes through once, and return its tree.

    What was prepared while they ended is taken, where the look changed nothing of it.
    """
    base = manifest_base(ctx, receipt_id)
    if work.prepared is NOTHING_PREPARED:
        return manifest.write_manifest(base, key, item_rows(key, work.parts, looked_at))
    work.prepared.begin(base)
    seen = [(batch, work.prepared.fits(batch.ordinal, ended)) for batch, ended in looked_at]
    tree = work.prepared.tree() if all(fits for _, fits in seen) else None
    if tree is None:
        work.prepared.drop()  # it writes the same files
        logger().info("manifest is made again", run=receipt_id)
        tree = manifest.write_manifest(base, key, item_rows(key, work.parts, read_all(ctx, (each for each, _ in seen))))
    return tree


def _finish_bundle(ctx: Context, receipt_id: str) -> ReceiptRow:
    ctx.log.publish()
    with ctx.ledger.begin() as tx:
        row = tx.receipts.get(receipt_id)
    if row is None:
        raise LedgerError(f"receipt {receipt_id} is not in the ledger", remedy="run `retentiond ledger check`")
    return write_bundle(ctx, row)


def finish_bundles(ctx: Context) -> None:
    """Write the bundles that a crash left unwritten."""
    with ctx.ledger.begin() as tx:
        unwritten = tx.receipts.without_file()
    if unwritten:
        ctx.log.publish()
    for row in unwritten:
        write_bundle(ctx, row)


def run_context(run_id: str) -> bytes:
    """Return the context under which the key of a run's receipt is sealed until there is one."""
    return f"run/{run_id}".encode()


def receipt_context(receipt_id: str) -> bytes:
    """Return the context under which a receipt's key is sealed."""
    return f"receipt/{receipt_id}".encode()


def manifest_base(ctx: Context, receipt_id: str) -> Path:
    """Return the path of a receipt's manifest files, without suffix."""
    return manifest_directory(ctx) / receipt_id


def manifest_directory(ctx: Context) -> Path:
    """Return where manifests are."""
    return ctx.terms.receipts / "manifests"


def issuer(ctx: Context) -> Issuer:
    """Return who issues."""
    return Issuer(ctx.terms.issuer_id, ctx.terms.instance, ctx.terms.version)


def not_covered(ctx: Context, work: Work, now: datetime) -> tuple[NotCovered, ...]:
    """Return the copies that a receipt says nothing about, as customers see them."""
    return tuple(NotCovered(each.what, each.until) for each in remnants_of(ctx, _datasets(ctx, work), now))


def _level(ctx: Context, dataset: Dataset) -> EvidenceLevel:
    """Return how gone purged records are by now; a store that can't be reached any more supports no claim."""
    try:
        return ctx.connector(dataset).settle(dataset)
    except ConnectorError:
        return EvidenceLevel.HIDDEN


def _store_remnants(ctx: Context, dataset: Dataset) -> Sequence[Remnant]:
    try:
        return ctx.connector(dataset).remnants(dataset)
    except ConnectorError as error:
        return (Remnant("store that could not be reached", error.what),)


def _verifications(tx: Transaction, work: Work) -> dict[int, Verification]:
    found = {part.ordinal: tx.facts.get(f"verified:{work.plan.id}:{part.ordinal}") for part in work.parts}
    return {ordinal: decode_verification(fact) for ordinal, fact in found.items() if fact is not None}


def _added_up(sums: dict[int, _Sum], batches: Iterable[tuple[BatchRow, Ended]]) -> Iterator[tuple[BatchRow, Ended]]:
    """Pass batches on, and add up what became of them: each is opened once for both."""
    for batch, ended in batches:
        sums.setdefault(batch.part, _Sum()).add(ended)
        yield batch, ended


def _annex(
    ctx: Context,
    work: Work,
    sums: dict[int, _Sum],
    levels: dict[str, EvidenceLevel],
    facts: dict[int, Verification],
    residue: annexes.Residue | None,
) -> annexes.RunAnnex:
    now = ctx.now()
    with ctx.ledger.begin() as tx:
        asked = manual_of(ctx, tx, work.plan)
        held = _held(ctx, tx, sums.values())
    parts = [part for part in work.parts if part.due]
    carried = [each for part in parts for each in _carried(part.dataset, sums[part.ordinal].carried)]
    remnants = remnants_of(ctx, _datasets(ctx, work), now)
    return annexes.RunAnnex(
        nonce=secrets.token_bytes(32),
        parts=tuple(_part(ctx, work, part, sums[part.ordinal], levels, facts.get(part.ordinal)) for part in parts),
        carried_over=tuple(carried),
        residue=residue,
        not_covered=tuple(remnants),
        held=tuple(annexes.Held(ctx.replay.commit("matter", matter), count) for matter, count in sorted(held.items())),
        single_operator=ctx.terms.single_operator,
        asked=annexes.Asked(asked.signed.principal, asked.reason) if asked else None,
    )


def _held(ctx: Context, tx: Transaction, sums: Iterable[_Sum]) -> Counter[str]:
    """Return how many records each matter held; what older programs ended names its matter itself."""
    by_hold: Counter[str] = Counter()
    for total in sums:
        by_hold.update(total.held)
    matters = matters_of(ctx, tx) if by_hold else {}
    held: Counter[str] = Counter()
    for name, count in by_hold.items():
        held[matters.get(name, name)] += count
    return held


def _carried(dataset: str, reasons: Counter[str]) -> list[annexes.CarriedOver]:
    """Return what was carried over, by reason; with a date, the one by which all of it can go."""
    counts: Counter[str] = Counter()
    dates: dict[str, datetime | None] = {}
    for text, count in reasons.items():
        reason, until = read_wait(text) or (text, None)
        counts[reason] += count
        known = dates.setdefault(reason, until)
        dates[reason] = max(known, until) if known and until else None
    return [annexes.CarriedOver(dataset, reason, count, dates[reason]) for reason, count in sorted(counts.items())]


def _part(
    ctx: Context,
    work: Work,
    part: Part,
    total: _Sum,
    levels: dict[str, EvidenceLevel],
    fact: Verification | None,
) -> annexes.Part:
    dataset = ctx.datamap.datasets[part.dataset]
    hides = part.action is Action.TOMBSTONE
    examined = next((each.examined for each in work.plan.forecasts if each.dataset == part.dataset), None)
    between = None
    if part.action is Action.PURGE and total.hidden_from is not None and total.hidden_to is not None:
        between = (moment(total.hidden_from), moment(total.hidden_to))
    return annexes.Part(
        dataset=part.dataset,
        store=dataset.store,
        kind=dataset.store_kind,
        policy=part.policy,
        action=part.action.value,
        due=part.due,
        outcomes=_outcomes(total.outcomes),
        evidence=EvidenceLevel.HIDDEN if hides else levels[part.dataset],
        verified_by=fact.method if fact else None,
        verified_as=fact.role if fact else None,
        verified_at=fact.at if fact else None,
        rule=part.rule,
        keep=part.keep or None,
        clock=dataset.clock.name,
        cutoff=part.cutoff,
        examined=examined,
        size_bytes=total.size_bytes,
        position=fact.position if fact else None,
        tombstoned_between=between,
        purge_due=_purge_due(ctx, part) if hides else None,
    )


def _purge_due(ctx: Context, part: Part) -> datetime | None:
    """Return by when what a part hid is due to be purged; None where no rule says so, as of a row's objects."""
    policy = ctx.policies.policies.get(part.policy)
    rule = next((each for each in policy.rules if each.number == part.rule), None) if policy else None
    if rule is None or rule.then is not Action.TOMBSTONE:
        return None
    return rule.grace.after(ctx.now()) if rule.grace else ctx.now()


def _outcomes(counts: Counter[str]) -> annexes.Outcomes:
    return annexes.Outcomes(
        purged=counts["purged"],
        tombstoned=counts["tombstoned"],
        redacted=counts["redacted"],
        pseudonymised=counts["pseudonymised"],
        key_destroyed=counts["keyDestroyed"],
        already_gone=counts["alreadyGone"],
        changed=counts["changed"],
        held=counts["held"],
        refused=counts["refused"],
        carried_over=counts["carriedOver"],
    )


def _datasets(ctx: Context, work: Work) -> list[Dataset]:
    return [ctx.datamap.datasets[name] for name in dict.fromkeys(part.dataset for part in work.parts if part.due)]


def remnants_of(ctx: Context, datasets: Iterable[Dataset], now: datetime) -> list[annexes.StoreNotCovered]:
    """Return the copies that no receipt about these datasets says anything about."""
    remnants = [
        annexes.StoreNotCovered(each.what, dataset.store, each.reason, each.until)
        for dataset in datasets
        for each in _store_remnants(ctx, dataset)
    ]
    for name in dict.fromkeys(dataset.store for dataset in datasets):
        store = ctx.datamap.stores[name]
        if store.backups_keep is not None:
            until = store.backups_keep.after(now)
            remnants.append(annexes.StoreNotCovered("backup", name, f"kept for {store.backups_keep}", until))
        elif not store.backups_declared:
            remnants.append(annexes.StoreNotCovered("backup", name, "the data map does not say", None))
    for copy in ctx.datamap.downstream:
        expires = copy.expires.after(now) if copy.expires else None
        remnants.append(annexes.StoreNotCovered(copy.what, None, f"kept by {copy.owner}", expires))
    return list(dict.fromkeys(remnants))


def _run_facts(run: RunRow, work: Work, now: datetime, approvals: Sequence[Approval]) -> RunFacts:
    plan = work.plan
    return RunFacts(
        id=run.id,
        trigger=plan.trigger.value,
        reference_time=plan.reference_time,
        started_at=run.started_at,
        finished_at=now,
        plan_index=plan.log_index,
        plan_sha256=plan.sha256,
        approvals_sha256=approvals_sha256(approvals),
    )
