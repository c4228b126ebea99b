"""The statements that are signed: receipts and plans (in-toto Statement v1, canonical JSON; RECEIPTS.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from retentiond.errors import ReceiptError
from retentiond.evidence.annex import RunAnnex, RunsAnnex
from retentiond.evidence.canonical import Json, canonical_json, optional_rfc3339, rfc3339

STATEMENT = "https://in-toto.io/Statement/v1"
RECEIPT = "urn:retentiond:deletion-receipt:v1"
PLAN = "urn:retentiond:plan:v1"
ACCOUNTS_TREE = "rfc9162-sha256"
KINDS_OVER_RUNS = frozenset(("closure", "erasure", "attestation", "hold-notice"))

RECEIPT_LIMIT_BYTES = 3500
POLICIES_LIMIT = 8
POLICY_ID_LIMIT_BYTES = 64
NOT_COVERED_LIMIT = 12
WHAT_LIMIT_BYTES = 40
_DEFECT = "no receipt was issued; run `retentiond ledger check`"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues: a URI, the instance's id, and the version of retentiond."""

    id: str
    instance: str
    version: str

    def to_json(self) -> dict[str, Json]:
        """Return the issuer as statements have it."""
        return {"id": self.id, "instance": self.instance, "software": {"name": "retentiond", "version": self.version}}


@dataclass(frozen=True, slots=True)
class Digest:
    """A policy or dataset, by its name and the hex SHA-256 of its canonical form."""

    id: str
    sha256: str

    def to_json(self) -> dict[str, Json]:
        """Return the pair as statements have it."""
        return {"id": self.id, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The run of a receipt.

    Attributes:
        trigger: schedule, manual, closure, erasure or replay.
        plan_index: The plan's index in the log; it was there before anything was removed.
        plan_sha256: Hex SHA-256 of the plan's PAE.
        approvals_sha256: Hex SHA-256 of the list of approvals; None where none was needed.
    """

    id: str
    trigger: str
    reference_time: datetime
    started_at: datetime
    finished_at: datetime
    plan_index: int
    plan_sha256: str
    approvals_sha256: str | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the run as statements have it."""
        approvals = None if self.approvals_sha256 is None else {"sha256": self.approvals_sha256}
        return {
            "id": self.id,
            "trigger": self.trigger,
            "referenceTime": rfc3339(self.reference_time),
            "startedAt": rfc3339(self.started_at),
            "finishedAt": rfc3339(self.finished_at),
            "planEntry": {"index": self.plan_index, "sha256": self.plan_sha256},
            "approvals": approvals,
        }


@dataclass(frozen=True, slots=True)
class NotCovered:
    """A copy that the receipt says nothing about; `until` is when it is gone by itself, None where that is unknown."""

    what: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Everything that a receipt's statement says, but for what follows from its annex.

    Attributes:
        kind: run or tombstone; closure, erasure, attestation or hold-notice, which are over runs.
        receipt_id: A UUIDv7.
        run: The run; None for kinds over runs.
        accounts_size, accounts_root: The padded tree of accounts.
        period: Of an attestation: the time that it is about; None for other kinds.

    Raises:
        ReceiptError: Kind, run and annex do not belong together, or times run backwards.
    """

    kind: str
    receipt_id: str
    issued_at: datetime
    issuer: Issuer
    policies: tuple[Digest, ...]
    accounts_size: int
    accounts_root: bytes
    annex: RunAnnex | RunsAnnex
    run: RunFacts | None = None
    not_covered: tuple[NotCovered, ...] = ()
    period: tuple[datetime, datetime] | None = None

    def __post_init__(self) -> None:
        over_runs = isinstance(self.annex, RunsAnnex)
        fits = self.kind in KINDS_OVER_RUNS if isinstance(self.annex, RunsAnnex) else self.kind == self.annex.kind
        if not fits or over_runs != (self.run is None):
            raise ReceiptError(f"a receipt of kind {self.kind!r} has the annex of another", remedy=_DEFECT)
        if (self.kind == "attestation") != (self.period is not None):
            raise ReceiptError(f"a receipt of kind {self.kind!r} has the period of another", remedy=_DEFECT)
        if self.period is not None and not self.period[0] < self.period[1] <= self.issued_at:
            raise ReceiptError("an attestation would be about a time to come", remedy=_DEFECT)
        if self.run is not None and not self.run.started_at <= self.run.finished_at <= self.issued_at:
            raise ReceiptError(
                "a run would have finished before it began, or after its receipt",
                where=self.run.id,
                remedy="set the machine's clock right, then run `retentiond run` again",
            )


def receipt_statement(receipt: Receipt) -> bytes:
    """Return a receipt's statement, ready to be signed.

    Raises:
        ReceiptError: It names too many policies or copies, too long names, or is too long for AWS KMS to sign.
    """
    annex = receipt.annex
    predicate: dict[str, Json] = {
        "kind": receipt.kind,
        "receiptId": receipt.receipt_id,
        "issuedAt": rfc3339(receipt.issued_at),
        "issuer": receipt.issuer.to_json(),
        "run": None if receipt.run is None else receipt.run.to_json(),
        "policies": _policies(receipt.policies),
        "outcome": annex.outcome,
        "evidence": annex.evidence.wire,
        "accounts": {"tree": ACCOUNTS_TREE, "size": receipt.accounts_size, "root": receipt.accounts_root.hex()},
        "notCovered": [
            {"what": each.what, "until": optional_rfc3339(each.until)}
            for each in merge_not_covered(receipt.not_covered)
        ],
    }
    if isinstance(annex, RunAnnex) and annex.purge_due is not None:
        predicate["purgeDue"] = rfc3339(annex.purge_due)
    if receipt.period is not None:
        predicate["period"] = dict(zip(("from", "to"), map(rfc3339, receipt.period), strict=True))
    if isinstance(annex, RunsAnnex):
        predicate["runs"] = {"count": len(annex.runs), "sha256": _sha256(annex.encode_runs())}
    statement = _statement(RECEIPT, "annex", _sha256(annex.encode()), predicate)
    if len(statement) >= RECEIPT_LIMIT_BYTES:
        what = f"a receipt's statement has {len(statement)} bytes; the limit is {RECEIPT_LIMIT_BYTES}"
        raise ReceiptError(what, where=receipt.receipt_id, remedy="shorten the ids of policies, issuer and instance")
    return statement


def merge_not_covered(entries: Iterable[NotCovered]) -> list[NotCovered]:
    """Return the entries sorted, one per `what`: without a date if one of them has none, else with the latest.

    Raises:
        ReceiptError: More than 12 are left, or a `what` has more than 40 bytes.
    """
    merged: dict[str, datetime | None] = {}
    for entry in entries:
        before = merged.get(entry.what, entry.until)
        merged[entry.what] = None if before is None or entry.until is None else max(before, entry.until)
        if len(entry.what.encode()) > WHAT_LIMIT_BYTES:
            what = f"the name of a copy has more than {WHAT_LIMIT_BYTES} bytes: {entry.what!r}"
            raise ReceiptError(what, where="downstream", remedy="shorten its `what` in the data map")
    if len(merged) > NOT_COVERED_LIMIT:
        what = f"a receipt would name {len(merged)} copies that it does not cover; the limit is {NOT_COVERED_LIMIT}"
        raise ReceiptError(what, where="downstream", remedy="give copies that expire alike the same `what`")
    return [NotCovered(what, merged[what]) for what in sorted(merged)]


@dataclass(frozen=True, slots=True)
class PlanPart:
    """What a plan will do in one dataset under one rule; the fields mean what they mean in an annex's `Part`."""

    dataset: str
    policy: str
    action: str
    due: int
    rule: int | None = None
    cutoff: datetime | None = None
    size_bytes: int = 0

    def to_json(self) -> dict[str, Json]:
        """Return the part as plans have it."""
        return {
            "dataset": self.dataset,
            "policy": self.policy,
            "rule": self.rule,
            "action": self.action,
            "cutoff": optional_rfc3339(self.cutoff),
            "due": self.due,
            "bytes": self.size_bytes,
        }


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """Everything that a plan's statement says.

    Attributes:
        records_sha256: Hex digest over the plan's nonce and items (`commitment.PlanDigest`).
        chain: Of the first plan of a chain: the hex SHA-256 of the further plans, in order; they are covered by it.
        chain_of: Of a further plan: the id of the first.

    Raises:
        ReceiptError: The parts do not add up to the records.
    """

    plan_id: str
    instance: str
    created_at: datetime
    expires_at: datetime
    trigger: str
    reference_time: datetime
    policies: tuple[Digest, ...]
    datasets: tuple[Digest, ...]
    parts: tuple[PlanPart, ...]
    records: int
    records_sha256: str
    chain: tuple[str, ...] = ()
    chain_of: str = ""

    def __post_init__(self) -> None:
        due = sum(part.due for part in self.parts)
        if due != self.records:
            what = f"a plan of {self.records} records has parts of {due}"
            raise ReceiptError(what, where=self.plan_id, remedy="plan again; nothing was removed")


def plan_statement(plan: PlanFacts) -> bytes:
    """Return a plan's statement, ready to be signed. Its subject is the digest of the planned records.

    Raises:
        ReceiptError: It names too many policies, or too long ids.
    """
    predicate: dict[str, Json] = {
        "planId": plan.plan_id,
        "instance": plan.instance,
        "createdAt": rfc3339(plan.created_at),
        "expiresAt": rfc3339(plan.expires_at),
        "trigger": plan.trigger,
        "referenceTime": rfc3339(plan.reference_time),
        "policies": _policies(plan.policies),
        "datasets": [dataset.to_json() for dataset in plan.datasets],
        "parts": [part.to_json() for part in plan.parts],
        "records": {"count": plan.records, "sha256": plan.records_sha256},
        **({"chain": list(plan.chain)} if plan.chain else {}),
        **({"chainOf": plan.chain_of} if plan.chain_of else {}),
    }
    return _statement(PLAN, "records", plan.records_sha256, predicate)


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval of a plan: who, until when, and the armoured SSH signature."""

    principal: str
    not_after: str
    signature: str


def encode_approvals(approvals: Sequence[Approval]) -> bytes:
    """Return the list of approvals as auditors get it; its SHA-256 stands in the receipt."""
    return canonical_json(
        [{"principal": each.principal, "notAfter": each.not_after, "signature": each.signature} for each in approvals]
    )


def approvals_sha256(approvals: Sequence[Approval]) -> str | None:
    """Return the hex SHA-256 of the list of approvals; None where there are none."""
    return _sha256(encode_approvals(approvals)) if approvals else None


def _statement(predicate_type: str, subject: str, sha256: str, predicate: dict[str, Json]) -> bytes:
    return canonical_json(
        {
            "_type": STATEMENT,
            "subject": [{"name": subject, "digest": {"sha256": sha256}}],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def _policies(policies: Sequence[Digest]) -> list[dict[str, Json]]:
    if len(policies) > POLICIES_LIMIT:
        what = f"a plan names {len(policies)} policies; the limit is {POLICIES_LIMIT}"
        raise ReceiptError(what, remedy="plan fewer policies at a time (`retentiond plan --policy`)")
    for policy in policies:
        if len(policy.id.encode()) > POLICY_ID_LIMIT_BYTES:
            what = f"a policy's name has more than {POLICY_ID_LIMIT_BYTES} bytes: {policy.id!r}"
            raise ReceiptError(what, where="policies.yaml", remedy="shorten it")
    return [policy.to_json() for policy in policies]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
