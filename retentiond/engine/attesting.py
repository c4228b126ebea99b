"""Attestations: in a period nothing had to go, or all that had to go went; by a fresh look at everything.

What was due at the period's end is looked for as it is now, under the policies in force, with the receipts of the runs
of the period. Where anything is overdue, undetermined or unknown, nothing is signed, and all of it is named.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from retentiond.domain.account import AccountState
from retentiond.domain.erasure import OPEN
from retentiond.domain.record import moment
from retentiond.engine import chains
from retentiond.engine.accounts import account_commitments, closure_of
from retentiond.engine.approvals import lists_commitment
from retentiond.engine.context import Context
from retentiond.engine.counting import Count
from retentiond.engine.coverage import unmapped
from retentiond.engine.failover import looks, uncounted
from retentiond.engine.planning import Looked, look_at_all
from retentiond.engine.retractions import retractions_in
from retentiond.engine.stating import Saying, evidence_of, state
from retentiond.engine.zeroing import broken_promises, promises
from retentiond.errors import ConnectorError, NotAttested, UsageError
from retentiond.evidence.annex import RunsAnnex
from retentiond.evidence.canonical import Json, optional_rfc3339, rfc3339
from retentiond.evidence.entry import EntryKind, parse_entry
from retentiond.evidence.statement import POLICIES_LIMIT
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ClosureRow, ErasureRow, ReceiptBrief, ReceiptRow

METHOD = "full-scan"
HISTORY = "keys/history.json"
_OF_RUNS = ("run", "tombstone")
_NOT_CLOSED = (AccountState.GRACE, AccountState.CLOSING)
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be attested: of which time, for whom (None for everybody), under which policies (none for all)."""

    start: datetime
    end: datetime
    account: str | None = None
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attested:
    """An attestation, and what was looked at for it."""

    receipt: ReceiptRow
    datasets: Sequence[dict[str, Json]]


def attest(ctx: Context, question: Question) -> Attested:
    """Look at everything, and attest that all that was due by the period's end is gone.

    Raises:
        UsageError: The period is none that is over, or a policy that was named does not exist.
        NotAttested: Something is overdue, undetermined, unfinished or unknown; nothing was signed.
        GuardStopped: The clock is doubtful, or the ledger was recovered and nobody has signed for that.
    """
    if question.start >= question.end:
        raise UsageError("a period ends after it begins", where="--to", remedy="--from TIME --to a later TIME")
    if len(question.policies or ctx.policies.policies) > POLICIES_LIMIT:
        raise UsageError(
            f"an attestation names at most {POLICIES_LIMIT} policies", where="--policy", remedy="name them"
        )
    only = () if question.account is None else (question.account,)
    with ctx.ledger.begin() as tx:
        epoch = tx.holds.epoch()
    try:
        looked = look_at_all(ctx, question.policies, only, question.end)
    except ConnectorError as error:
        raise _refused([f"nothing could be looked at: {error.what}"]) from error
    found = [*_doubts(ctx, question, looked), *(line for count in looked.counts for line in _overdue(count))]
    with ctx.ledger.begin() as tx:
        found += _unsettled(ctx, tx, question)
        receipts = _receipts(tx, question)
        rows = [row for each in receipts if (row := tx.receipts.get(each.id))]
    found += _unknown_receipts(ctx, question)
    if found:
        raise _refused(found)
    datasets = [_line(count, looked, whole=not only) for count in looked.counts]
    annex = RunsAnnex(
        nonce=secrets.token_bytes(32),
        runs=tuple((each.log_index, each.entry_sha256) for each in receipts),
        evidence=evidence_of(rows),
        more={
            "datasets": datasets,
            "notLookedAt": _not_looked_at(ctx, looked),
            "zeroRetention": promises(ctx, looked.policies),
        },
    )
    retained = sum(count.held for count in looked.counts) if only else 0
    saying = Saying("attestation", annex, question.account, retained, (question.start, question.end))

    def still_true(tx: Transaction) -> None:
        later = _unsettled(ctx, tx, question)
        if tx.holds.epoch() != epoch or _receipts(tx, question) != receipts:
            later.append("a run ended, or holds changed, meanwhile")
        if later:
            raise _refused(later)

    return Attested(state(ctx, saying, looked, still_true), datasets)


def _refused(found: Sequence[str]) -> NotAttested:
    return NotAttested(
        f"nothing is attested: {'; '.join(found)}",
        remedy="`retentiond run`, `status` and `check` tell more; ask again when none of this is left",
    )


def _doubts(ctx: Context, question: Question, looked: Looked) -> Iterator[str]:
    """Say why what was looked at is not all, or was not looked at as people approved it."""
    yield from (f"dataset {name} could not be looked at: {why}" for name, why in looked.failures)
    yield from (f"{finding.where}: {finding.what}" for finding in unmapped(ctx))
    since = _known_since(ctx)
    if since is None or question.start < since:
        known = "nothing tells since when" if since is None else f"only since {rfc3339(since)}"
        yield f"this instance knows what it did {known}"
    by_class = {policy.data_class: policy for policy in looked.policies}
    with ctx.ledger.begin() as tx:
        for dataset in looked.datasets:
            policy = by_class.get(dataset.data_class)
            if policy is None or tx.approvals.approved_policy(policy.id, dataset.name) is None:
                continue
            pair = ((policy.id, policy.sha256), (dataset.name, dataset.sha256))
            if not tx.approvals.is_approved(*pair, lists_commitment(ctx, pair[:1])):
                yield f"policy {policy.id} for dataset {dataset.name} was not approved in its present form"
    yield from broken_promises(ctx, looked.policies, question.account, question.start, question.end)
    moved = [each.store for each in looks(ctx) if each.looked_at is None]
    yield from (f"store {store} went back or elsewhere, and was not looked at again yet" for store in moved)
    if back := uncounted(ctx).total():
        yield f"{back:,} records that had been removed are there again"


def _overdue(count: Count) -> Iterator[str]:
    due, doubts = count.planned.count + count.waiting, count.undetermined.total()
    if due:
        yield f"{due:,} records of dataset {count.dataset.name} are overdue"
    if doubts:
        why = ", ".join(f"{reason} {number:,}" for reason, number in sorted(count.undetermined.items()) if number)
        yield f"{doubts:,} records of dataset {count.dataset.name} are undetermined ({why})"


def _unsettled(ctx: Context, tx: Transaction, question: Question) -> list[str]:
    """Say which runs and closures of the period have not ended, and which receipts of it are not to be relied on."""
    found = []
    for plan in tx.plans.in_state(*chains.UNFINISHED):
        run = tx.runs.of_plan(plan.id)
        if run is None or run.started_at <= question.end:
            found.append(f"the run of plan {plan.id} has not ended")
    if leaving := sum(row.due_at <= question.end for row in _leaving(ctx, tx, question)):
        found.append(f"{leaving:,} accounts whose grace is over are not closed")
    if late := sum(row.next_deadline <= question.end for row in _asked(ctx, tx, question)):
        found.append(f"{late:,} requests for erasure are past their deadline")
    taken = retractions_in(tx)
    found += [f"receipt {each.id} was retracted" for each in _receipts(tx, question) if each.log_index in taken]
    return found


def _leaving(ctx: Context, tx: Transaction, question: Question) -> Sequence[ClosureRow]:
    """Return the closures under way of those who are asked about."""
    if question.account is None:
        return tx.closures.in_state(*_NOT_CLOSED)
    closure = closure_of(ctx, tx, question.account)
    return [closure] if closure is not None and closure.state in _NOT_CLOSED else []


def _asked(ctx: Context, tx: Transaction, question: Question) -> Sequence[ErasureRow]:
    """Return the requests for erasure under way of those who are asked about."""
    if question.account is None:
        return tx.erasures.in_state(*OPEN)
    known = tx.erasures.of_account(*account_commitments(ctx, question.account))
    return [row for row in known if row.state in OPEN]


def _receipts(tx: Transaction, question: Question) -> tuple[ReceiptBrief, ...]:
    """Return the receipts of the runs that ended in the period, in the log's order."""
    known = (each for each in tx.receipts.briefs() if each.kind in _OF_RUNS)
    return tuple(each for each in known if question.start <= each.issued_at <= question.end)


def _unknown_receipts(ctx: Context, question: Question) -> Iterator[str]:
    """Name the receipts of runs that the log has about that time, and the ledger lost."""
    with ctx.ledger.begin() as tx:
        known = tx.receipts.briefs()
    first = max((each.log_index for each in known if each.issued_at < question.start), default=-1) + 1
    last = min((each.log_index for each in known if each.issued_at > question.end), default=None)
    indexes = {each.log_index for each in known}
    for start in range(first, ctx.ledger.log_state.size() if last is None else last, _AT_ONCE):
        for index, entry in enumerate(ctx.ledger.log_state.entries(start, _AT_ONCE), start):
            if (last is None or index < last) and index not in indexes:
                parsed = parse_entry(entry)
                if parsed.kind is EntryKind.RECEIPT and parsed.subject is not None:
                    yield f"the receipt of entry {index} is lost"


def _known_since(ctx: Context) -> datetime | None:
    """Return since when this instance has keys: before that it stated nothing."""
    published = ctx.log.read_file(HISTORY)
    if published is None:
        return None
    keys = json.loads(base64.b64decode(json.loads(published)["payload"]))["keys"]
    return min((datetime.fromisoformat(each["validFrom"]) for each in keys), default=None)


def _line(count: Count, looked: Looked, *, whole: bool) -> dict[str, Json]:
    """Return what an auditor is told of one dataset.

    Args:
        whole: Whether everybody's records were asked about.
    """
    follows = bool(count.dataset.follows)
    remaining = None if follows and not whole else count.examined if follows else count.kept.count + count.held
    oldest = count.tallies[0].oldest if follows and whole and 0 in count.tallies else count.kept.oldest
    return {
        "dataset": count.dataset.name,
        "store": count.dataset.store,
        "kind": count.dataset.store_kind,
        "policy": count.policy,
        "method": METHOD,
        "lookedAt": rfc3339(looked.at),
        "examined": count.examined,
        "remaining": remaining,
        "held": count.held,
        "overdue": 0,
        "oldest": optional_rfc3339(moment(oldest) if oldest is not None else None),
    }


def _not_looked_at(ctx: Context, looked: Looked) -> list[Json]:
    names = {dataset.name for dataset in looked.datasets}
    return [name for name in ctx.datamap.datasets if name not in names]
