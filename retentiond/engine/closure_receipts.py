"""Closure and erasure receipts: one for each account or person that is gone, over the runs that worked on its records.

The records of all accounts are read once, sorted by account on disk, and become one manifest and one receipt for each.
Some hundred receipts are signed together: the stores are asked where they stand once for these, and one transaction
closes their accounts.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from retentiond.domain.erasure import ErasureEvent, ErasureState, Person, next_erasure_state
from retentiond.domain.plan import Part, RunState, Trigger
from retentiond.engine import manifest
from retentiond.engine.affairs import CLOSURES, ERASURES, Affair
from retentiond.engine.attempts import begin_manifests
from retentiond.engine.batches import Work
from retentiond.engine.bundles import write_bundles
from retentiond.engine.context import Context, new_id
from retentiond.engine.failover import confirm
from retentiond.engine.itemrows import commitment_under
from retentiond.engine.items import Owner, read_all, rows_of_owners
from retentiond.engine.leaving import account_of, person_of
from retentiond.engine.pseudonyms import end_salt, may_have_any
from retentiond.engine.receipts import issuer, manifest_base, not_covered, receipt_context
from retentiond.engine.retractions import retractions_in
from retentiond.engine.signing import deliver, record_state
from retentiond.engine.sorting import ExternalSort
from retentiond.evidence.annex import RunsAnnex
from retentiond.evidence.canonical import canonical_json
from retentiond.evidence.entry import receipt_entry
from retentiond.evidence.envelope import Envelope, from_base64, sign
from retentiond.evidence.levels import EvidenceLevel
from retentiond.evidence.statement import Digest, NotCovered, Receipt, receipt_statement
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import BatchRow, ErasureRow, ReceiptRow
from retentiond.telemetry import logger

CLOSED = CLOSURES.ended
_UNDER_PSEUDONYMS = NotCovered("rows under a pseudonym", None)
AT_ONCE = 250


@dataclass(frozen=True, slots=True)
class _Ran:
    """A run that served closures, or requests for erasure."""

    work: Work
    receipt: ReceiptRow
    batches: Sequence[BatchRow]

    @property
    def evidence(self) -> EvidenceLevel:
        """The weakest evidence of what it removed."""
        statement = json.loads(from_base64(json.loads(self.receipt.envelope)["payload"]))
        return EvidenceLevel.from_wire(statement["predicate"]["evidence"])


@dataclass(frozen=True, slots=True)
class _Leaver:
    """An account or person that is gone, on the way to the receipt.

    Attributes:
        runs: Ids of the plans of the runs that worked on its records.
        unseen: What nobody looked at, since it does not bear the account's name any more.
        parts: The parts of those plans that its records stood in, by plan and ordinal.
    """

    closure: str
    receipt: str
    owner: Owner
    runs: tuple[str, ...]
    unseen: tuple[NotCovered, ...]
    parts: set[tuple[str, int]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Claims:
    """What a closure receipt says of the runs that it is over."""

    runs: tuple[tuple[int, str], ...]
    evidence: EvidenceLevel
    policies: tuple[Digest, ...]
    not_covered: tuple[NotCovered, ...]


def issue_closure_receipts(
    ctx: Context, gone: Mapping[str, str], affair: Affair = CLOSURES, *, unowned: int = 0
) -> None:
    """Close accounts of which nothing is left, each with its receipt; or end the requests of people likewise.

    Args:
        gone: The accounts or people, each with the id of the closure or the request.
        unowned: How many rows the last look found of which nobody can tell whose they are.

    Raises:
        PurgeNotVerified: A store moved meanwhile, or doesn't say; what was not signed yet is not.
        LedgerBehindLog: The ledger is older than its log; nothing is signed.
    """
    if gone:
        _Issue(ctx, affair, gone, unowned).run()


class _Issue:
    """The receipts of many closures, or of many requests for erasure.

    What accounts whose records stood in the same parts have in common is asked for once.
    """

    def __init__(self, ctx: Context, affair: Affair, gone: Mapping[str, str], unowned: int) -> None:
        self._ctx = ctx
        self._affair = affair
        served, self._ran = _runs(ctx, affair, gone)
        self._gone = affair.leaving(gone)
        self._leavers = {who: _leaver(ctx, affair.account_of(who), closure, served) for who, closure in gone.items()}
        self._by_receipt = {leaver.receipt: leaver.closure for leaver in self._leavers.values()}
        self._unowned = (NotCovered(f"{unowned} records of unknown owners"),) if unowned else ()
        self._known: dict[tuple[object, ...], _Claims] = {}

    def run(self) -> None:
        base = manifest_base(self._ctx, "closures")
        base.parent.mkdir(parents=True, exist_ok=True)
        begin_manifests(self._ctx, base.parent, self._by_receipt)
        with ExternalSort(base.parent, manifest.ROW_BYTES) as rows:
            self._collect(rows)
            trees = self._trees(rows)
            while some := list(islice(trees, AT_ONCE)):
                self._sign(some)

    def _collect(self, rows: ExternalSort) -> None:
        owners = {account: leaver.owner for account, leaver in self._leavers.items()}
        rows.extend([manifest.pack_unnamed(owner.commitment, manifest.PRESENT) for owner in owners.values()])
        for plan, each in self._ran.items():
            read = read_all(self._ctx, each.batches)
            for account, part, own in rows_of_owners(self._gone, owners, each.work.parts, read):
                self._leavers[account].parts.add((plan, part.ordinal))
                rows.extend(own)

    def _trees(self, rows: ExternalSort) -> Iterator[tuple[_Leaver, manifest.Tree]]:
        """Write one manifest after the other."""
        leavers = {leaver.owner.commitment: leaver for leaver in self._leavers.values()}
        for commitment, own in manifest.by_account(rows.pieces()):
            leaver = leavers[commitment]
            yield leaver, manifest.write_manifest(manifest_base(self._ctx, leaver.receipt), leaver.owner.key, own)

    def _sign(self, trees: Sequence[tuple[_Leaver, manifest.Tree]]) -> None:
        ctx = self._ctx
        for plan in dict.fromkeys(plan for leaver, _ in trees for plan in leaver.runs):
            confirm(ctx, self._ran[plan].work)
        ctx.log.compare()
        receipts = [(leaver, self._receipt(leaver, tree)) for leaver, tree in trees]
        signed = [(*pair, sign(receipt_statement(pair[1]), ctx.issuer)) for pair in receipts]
        with ctx.ledger.begin() as tx:
            taken = retractions_in(tx)
            sound = [each for each in signed if taken.keys().isdisjoint(_indexes(each[1])) and self._lasts(tx, each[0])]
            rows = [_close(ctx, tx, self._affair, *each) for each in sound]
        deliver(ctx)
        for row in write_bundles(ctx, rows):
            names = {self._affair.kind: self._by_receipt[row.id]}
            logger().info(self._affair.kind, **names, receipt=row.id, entry=row.log_index)

    def _lasts(self, tx: Transaction, leaver: _Leaver) -> bool:
        return self._affair.is_under_way(tx, leaver.closure)

    def _receipt(self, leaver: _Leaver, tree: manifest.Tree) -> Receipt:
        claims = self._claims(leaver)
        return Receipt(
            kind=self._affair.kind,
            receipt_id=leaver.receipt,
            issued_at=self._ctx.now(),
            issuer=issuer(self._ctx),
            policies=claims.policies,
            accounts_size=tree.size,
            accounts_root=tree.root,
            annex=RunsAnnex(secrets.token_bytes(32), claims.runs, claims.evidence),
            not_covered=claims.not_covered + leaver.unseen + self._unowned,
        )

    def _claims(self, leaver: _Leaver) -> _Claims:
        """Say what a receipt says of its runs: of the parts that the account's records stood in, and no others."""
        name = (leaver.runs, frozenset(leaver.parts))
        if name not in self._known:
            runs = [self._ran[plan] for plan in leaver.runs]
            works = [replace(each.work, parts=_own(each.work, leaver)) for each in runs]
            self._known[name] = _claims(self._ctx, runs, works)
        return self._known[name]


def _own(work: Work, leaver: _Leaver) -> list[Part]:
    return [part for part in work.parts if (work.plan.id, part.ordinal) in leaver.parts]


def _claims(ctx: Context, runs: Sequence[_Ran], works: Sequence[Work]) -> _Claims:
    now = ctx.now()
    used = {part.policy for work in works for part in work.parts}
    policies = {name: sha256 for work in works for name, sha256 in work.plan.policies if name in used}
    remnants = chain.from_iterable(not_covered(ctx, work, now) for work in works)
    return _Claims(
        runs=tuple(sorted((each.receipt.log_index, each.receipt.entry_sha256) for each in runs)),
        evidence=min((each.evidence for each in runs), default=EvidenceLevel.HIDDEN),
        policies=tuple(Digest(name, sha256) for name, sha256 in sorted(policies.items())),
        not_covered=tuple(dict.fromkeys(remnants)),
    )


def _runs(ctx: Context, affair: Affair, gone: Mapping[str, str]) -> tuple[dict[str, tuple[str, ...]], dict[str, _Ran]]:
    """Return, by closure, the plans of the runs that served it; and those runs."""
    served: defaultdict[str, list[str]] = defaultdict(list)
    ran: dict[str, _Ran] = {}
    with ctx.ledger.begin() as tx:
        pairs = affair.plans_of(tx, list(gone.values()))
        for plan in dict.fromkeys(plan for _, plan in pairs):
            found = _ran(tx, plan)
            if found is not None:
                ran[plan] = found
    for closure, plan in pairs:
        if plan in ran:
            served[closure].append(plan)
    return {closure: tuple(plans) for closure, plans in served.items()}, ran


def _ran(tx: Transaction, name: str) -> _Ran | None:
    plan, run = tx.plans.get(name), tx.runs.of_plan(name)
    receipt = tx.receipts.get(run.receipt) if run else None
    if plan is None or receipt is None or plan.state not in (RunState.DONE, RunState.PARTIAL):
        return None
    if receipt.log_index in retractions_in(tx):  # what it says is taken back, and nothing is built on that
        return None
    return _Ran(Work(plan, tx.plans.parts(name)), receipt, tx.batches.of_plan(name))


def _leaver(ctx: Context, account: str, closure: str, served: Mapping[str, tuple[str, ...]]) -> _Leaver:
    key = secrets.token_bytes(32)
    owner = Owner(key, commitment_under(key, account))
    unseen = (_UNDER_PSEUDONYMS,) if may_have_any(ctx, account) else ()
    return _Leaver(closure, new_id(ctx.now()), owner, served.get(closure, ()), unseen)


def _indexes(receipt: Receipt) -> list[int]:
    return [index for index, _ in receipt.annex.runs] if isinstance(receipt.annex, RunsAnnex) else []


def _close(
    ctx: Context, tx: Transaction, affair: Affair, leaver: _Leaver, receipt: Receipt, envelope: Envelope
) -> ReceiptRow:
    row = ReceiptRow(
        id=leaver.receipt,
        kind=receipt.kind,
        plan="",
        closure=affair.closure_in_receipt(leaver.closure),
        issued_at=receipt.issued_at,
        envelope=canonical_json(envelope.to_json()),
        annex=receipt.annex.encode(),
        entry_sha256=envelope.sha256,
        log_index=tx.entries.stage(receipt_entry(None, envelope.sha256)),
        commitment_key=ctx.wrapping.seal(leaver.owner.key, receipt_context(leaver.receipt)),
    )
    if affair.trigger is Trigger.ERASURE:
        return _end(ctx, tx, leaver, row)
    tx.receipts.add(row)
    closure = tx.closures.get(leaver.closure)
    if closure is not None:
        end_salt(ctx, tx, account_of(ctx, closure))
    tx.closures.close(leaver.closure, row.id)
    tx.events.append("closure.completed", leaver.closure, receipt.issued_at, {"receipt": row.id})
    record_state(ctx, tx, {"kind": CLOSED, "id": leaver.closure, "receipt": row.id})
    return row


def _end(ctx: Context, tx: Transaction, leaver: _Leaver, row: ReceiptRow) -> ReceiptRow:
    """End a request for erasure with its receipt."""
    state = next_erasure_state(ErasureState.IN_PROGRESS, ErasureEvent.ALL_GONE)
    asked = tx.erasures.get(leaver.closure)
    if asked is not None:
        end_salt_of(ctx, tx, asked)
    tx.receipts.add(row)
    tx.erasures.end(leaver.closure, state, row.issued_at, row.id)
    tx.events.append("erasure.done", leaver.closure, row.issued_at, {"receipt": row.id})
    record_state(ctx, tx, {"kind": ERASURES.ended, "id": leaver.closure, "receipt": row.id})
    return row


def end_salt_of(ctx: Context, tx: Transaction, asked: ErasureRow) -> None:
    """Overwrite what an account's pseudonyms were made of, where all of it was erased, and not a user's data alone."""
    text = person_of(ctx, asked)
    if text and not (person := Person.read(text)).user:
        end_salt(ctx, tx, person.account)
