"""Steps 2 to 6: `canonical`, `signature`, `entry`, `inclusion`, `checkpoint`; and the last one, `retracted`.

They bind the statement to its signer and to its place in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from . import jcs, merkle
from .case import Case
from .documents import History
from .dsse import pae, require_signature
from .encoding import from_rfc3339
from .errors import FailedStepError
from .formats import KEYS_MEDIA_TYPE
from .keyring import issuer_key
from .note import NoteKey, read_key, require_log, witness_times
from .publishedlog import entry
from .shape import Json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def canonical(case: Case) -> None:
    """Demand that the statement is its own JCS (RFC 8785)."""
    if jcs.canonical(case.receipt.statement) != case.receipt.body:
        raise FailedStepError("the statement is not in the canonical form of RFC 8785")


def signature(case: Case) -> None:
    """Demand the issuer's signature and, where a key history is given, that the key was in force."""
    issuer_of(case)


def issuer_of(case: Case) -> bytes:
    """Give the pinned key of the issuer that signed the statement and, where a key history is given, was in force.

    Raises:
        FailedStepError: there is none.
    """
    signers = require_signature(case.receipt.envelope, case.signed, case.keys.issuers, "issuer")
    if not case.history:
        return signers[0]
    _require_history(case, case.history)
    refused: list[FailedStepError] = []
    for key in signers:
        try:
            _require_key_in_force(case, case.history, key)
        except FailedStepError as error:
            refused.append(error)
        else:
            return key
    raise refused[0]


def entry_fits(case: Case) -> None:
    """Demand that the plan was logged before the receipt; with a log, that both entries stand where they should."""
    index = case.receipt.proof.index
    if not case.receipt.is_over_runs:
        _require_plan_before(case, index)
    if case.log and not case.log.holds(index, case.entry):
        kind = case.entry.decode().split("\n")[1]
        raise FailedStepError(f"entry {index} of the log is not `{kind}` with this receipt's digest")


def inclusion(case: Case) -> None:
    """Demand that the proof leads from the receipt's entry to the checkpoint's root hash."""
    proof = case.receipt.proof
    leaf = merkle.leaf_hash(case.entry)
    if not merkle.is_included(leaf, proof.index, proof.checkpoint.size, proof.path, proof.checkpoint.root):
        raise FailedStepError(f"the proof does not show this receipt as entry {proof.index} of {proof.checkpoint.size}")


def checkpoint(case: Case) -> None:
    """Demand the log's signature, every pinned witness's cosignature, and agreement with the log where one is given."""
    note = case.receipt.proof.checkpoint
    signers = require_log(note, case.keys.logs)
    if case.history:
        _require_log_key_in_force(case, case.history, signers)
    for witness in case.witnesses:
        if not witness_times(note, witness):
            raise FailedStepError(f"the pinned witness {witness.name!a} did not cosign it")
    if not case.log:
        return
    root = case.log.tree.root(note.size)
    if root is None:
        raise FailedStepError(
            f"the log given has {case.log.tree.size} entries, the receipt's checkpoint {note.size}: it is older"
        )
    if root != note.root:
        raise FailedStepError(
            f"the log given has another root hash at {note.size} entries: the log shows two histories"
        )


def retracted(case: Case) -> None:
    """Demand, where a log is given, that the receipt was not retracted and that nothing else ends its plan."""
    if not case.log:
        return
    index = case.receipt.proof.index
    reason = case.log.retractions.get((index, case.digest))
    if reason is not None:
        raise FailedStepError(f"the log retracts it: {reason!a}")
    if case.receipt.is_over_runs:
        return
    plan = case.receipt.predicate["run"]["planEntry"]
    others = [other for other in case.log.receipts.get(plan["index"], []) if other != index]
    if others:
        raise FailedStepError(f"its plan (entry {plan['index']}) has another receipt: entry {others[0]}")
    void = case.log.voids.get((plan["index"], plan["sha256"]))
    if void is not None:
        raise FailedStepError(f"its plan (entry {plan['index']}) was voided: {void!a}")


def _require_plan_before(case: Case, index: int) -> None:
    plan = case.receipt.predicate["run"]["planEntry"]
    if plan["index"] >= index:
        raise FailedStepError(f"its plan is entry {plan['index']}, which is not before the receipt's own, {index}")
    if case.log and not case.log.holds(plan["index"], entry("plan", plan["sha256"])):
        raise FailedStepError(f"entry {plan['index']} of the log is not a plan with the digest {plan['sha256']}")


def _require_history(case: Case, history: History) -> None:
    if jcs.canonical(history.document) != history.body:
        raise FailedStepError("the key history is not in the canonical form of RFC 8785")
    keys = [key.key for key in case.keys.logs]
    require_signature(history.envelope, pae(KEYS_MEDIA_TYPE, history.body), keys, "log")


def _require_key_in_force(case: Case, history: History, issuer: bytes) -> None:
    listed = [key for key in history.document["keys"] if key["role"] == "issuer" and _is_key(key["key"], issuer)]
    if len(listed) != 1:
        raise FailedStepError(f"the pinned issuer key stands {len(listed)} times in the key history, not once")
    _require_valid_at(listed[0], case.receipt.predicate["issuedAt"])
    if listed[0]["revokedAt"] is not None:
        _require_before_revocation(case, listed[0]["revokedAt"])


def _is_key(pem: str, key: bytes) -> bool:
    try:
        return issuer_key(pem) == key
    except ValueError:
        # A key of a make that this verifier does not know is somebody else's.
        return False


def _require_valid_at(key: Json, issued_at: str) -> None:
    issued = from_rfc3339(issued_at)
    if issued < from_rfc3339(key["validFrom"]):
        raise FailedStepError(f"issued at {issued_at}, before the key was valid ({key['validFrom']})")
    if key["validUntil"] is not None and issued >= from_rfc3339(key["validUntil"]):
        raise FailedStepError(f"issued at {issued_at}, when the key was no longer valid ({key['validUntil']})")


def _require_before_revocation(case: Case, revoked_at: str) -> None:
    """Demand that a pinned witness saw it in time: a thief of the key can date a receipt back, but not that."""
    issued_at = case.receipt.predicate["issuedAt"]
    revoked = from_rfc3339(revoked_at)
    if from_rfc3339(issued_at) >= revoked:
        raise FailedStepError(f"issued at {issued_at}, after the key was revoked ({revoked_at})")
    if not _is_witnessed_before(case, revoked_at):
        raise FailedStepError(f"the key was revoked ({revoked_at}) and no pinned witness saw the receipt before")


def _is_witnessed_before(case: Case, moment: str) -> bool:
    note = case.receipt.proof.checkpoint
    times = [seconds for witness in case.witnesses for seconds in witness_times(note, witness)]
    return any(seconds < (from_rfc3339(moment) - _EPOCH).total_seconds() for seconds in times)


def _require_log_key_in_force(case: Case, history: History, signers: Sequence[NoteKey]) -> None:
    """Demand that one of the log's keys that signed was not revoked, or that a pinned witness saw it before that."""
    revoked = [_revocations(history, key) for key in signers]
    if all(revoked) and not any(_is_witnessed_before(case, min(moments)) for moments in revoked):
        moment = min(revoked[0])
        raise FailedStepError(f"the log's key was revoked ({moment}) and no pinned witness saw the checkpoint before")


def _revocations(history: History, key: NoteKey) -> list[str]:
    keys = [each for each in history.document["keys"] if each["role"] == "log" and each["revokedAt"] is not None]
    return [each["revokedAt"] for each in keys if _is_note_key(each["key"], key)]


def _is_note_key(text: str, key: NoteKey) -> bool:
    try:
        return read_key(text) == key
    except ValueError:
        # A key of a make that this verifier does not know is another one.
        return False
