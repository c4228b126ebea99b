"""What a verification found, and how far that goes."""

from __future__ import annotations

from dataclasses import dataclass

from .case import Case
from .encoding import sha256_hex
from .keyring import fingerprint
from .logsteps import issuer_of
from .statement import total

INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one receipt.

    Attributes:
        valid: whether every step held.
        outcome: `complete` or `partial`, as the statement says; `invalid` when a step failed.
        step: the first step that failed, None when none did.
        reason: why, in one sentence.
        receipt: the receiptId, None when the bundle could not be read. Of an invalid receipt it is only a claim.
        notes: what a reader has to know of a valid receipt.
        proven: what was verified, one sentence each.
        not_proven: what this verification does not show, one sentence each.
    """

    valid: bool
    outcome: str
    step: str | None
    reason: str | None
    receipt: str | None
    notes: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()
    not_proven: tuple[str, ...] = ()


def refusal(step: str, reason: str, receipt: str | None) -> Verdict:
    """Give the verdict on a receipt that failed at `step`."""
    return Verdict(valid=False, outcome=INVALID, step=step, reason=reason, receipt=receipt)


def acceptance(case: Case) -> Verdict:
    """Give the verdict on a receipt for which every step held."""
    predicate = case.receipt.predicate
    return Verdict(
        valid=True,
        outcome=predicate["outcome"],
        step=None,
        reason=None,
        receipt=predicate["receiptId"],
        notes=tuple(_notes(case)),
        proven=tuple(_proven(case)),
        not_proven=tuple(_not_proven(case)),
    )


def _notes(case: Case) -> list[str]:
    receipt, annex = case.receipt, case.receipt.annex
    notes = []
    if receipt.predicate["outcome"] == "partial":
        notes.append("partial: something that was due was carried over to a successor run")
    if receipt.predicate["kind"] == "tombstone":
        notes.append("hidden only: what this receipt names is not deleted yet; the purge has a receipt of its own")
    if annex is None:
        notes.append("figures not shown: the annex is not in this bundle")
    elif not receipt.is_over_runs:
        notes += _figures(case)
    if receipt.leaf and receipt.leaf["retained"]:
        notes.append(f"retained under a legal obligation, records of this account: {receipt.leaf['retained']}")
    if case.history and case.log and case.log.newest_keys not in (None, sha256_hex(case.history.data)):
        notes.append("the log names another, newer key history than the one given")
    return notes + _unknown(case)


def _figures(case: Case) -> list[str]:
    annex = case.receipt.annex or {}
    notes = []
    if total(annex, "held"):
        notes.append(f"held and not removed, records that were due: {total(annex, 'held')}")
    if total(annex, "alreadyGone"):
        notes.append(f"already gone, so absent but not removed by this run: {total(annex, 'alreadyGone')}")
    if annex["singleOperator"]:
        notes.append("single operator: no second person had to approve (singleOperator)")
    return notes


def _unknown(case: Case) -> list[str]:
    unknown = case.receipt.unknown
    notes = [f"unknown member, accepted and not understood: {member}" for member in unknown.shown]
    if unknown.total > len(unknown.shown):
        notes.append(f"{unknown.total - len(unknown.shown)} further unknown members")
    return notes


def _proven(case: Case) -> list[str]:
    receipt = case.receipt
    log_name = receipt.proof.checkpoint.origin
    proof, run, issued_at = receipt.proof, receipt.predicate["run"], receipt.predicate["issuedAt"]
    proven = [
        f"the issuer's pinned key ({fingerprint(issuer_of(case))[:16]}...) signed it, issued at {issued_at}",
        f"it is entry {proof.index} of {proof.checkpoint.size} that the pinned key of {log_name} signed for",
    ]
    if case.log:
        proven.append(f"it stands in the log given ({case.log.tree.size} entries), which does not retract it")
    if case.log and run:
        proven.append(f"its plan was in the log before it, as entry {run['planEntry']['index']}, and has no other end")
    proven += [f"the witness {witness.name} saw that checkpoint" for witness in case.witnesses]
    if case.history:
        proven.append("the issuer's key was in force when the statement was issued, says the key history")
    if receipt.annex is not None:
        proven.append("the annex is the one that was signed, and its figures agree with the statement")
    return proven + _disclosed(case)


def _disclosed(case: Case) -> list[str]:
    leaf, account, items = case.receipt.leaf, case.receipt.bundle["account"], case.receipt.bundle["items"]
    if not leaf:
        return []
    whose = "an account that is not named" if account["id"] is None else f"the account {account['id']!a}"
    proven = [f"{whose} is in it, records: {leaf['records']}"]
    if items:
        proven.append(f"the disclosed items are among these records: {len(items)}")
    return proven


def _not_proven(case: Case) -> list[str]:
    evidence = case.receipt.predicate["evidence"]
    missing = [f"no cryptography proves deletion: this says what was looked at, and how (evidence: {evidence})"]
    missing += [
        f"{item['what']!a} is not covered" + (f" until {item['until']}" if item["until"] else "")
        for item in case.receipt.predicate["notCovered"]
    ]
    if not case.log:
        missing.append("that it was not retracted since, and that its plan is in the log: give the log with --log")
    if not case.witnesses:
        missing.append("that the log shows everybody the same: that takes a witness, --witness")
    if not case.history:
        missing.append("that the issuer's key was not revoked: that takes the key history, --history")
    return missing
