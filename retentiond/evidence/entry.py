"""Entries of the log: a kind and a digest, no data at all (RECEIPTS.md, Log)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from retentiond.errors import LogIntegrityError, ReceiptError

HEADER = "retentiond/log-entry/v1"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
_INDEX = re.compile(r"0|[1-9][0-9]{0,18}")


class EntryKind(StrEnum):
    """What an entry's digest is of."""

    PLAN = "plan"
    RECEIPT = "receipt"
    VOID = "void"
    RETRACT = "retract"
    POLICY = "policy"
    STATE = "state"
    KEY = "key"
    ANCHOR = "anchor"


VOID_REASONS = frozenset(("expired", "rejected", "cancelled", "superseded"))
_WITH_REASON = frozenset((EntryKind.VOID, EntryKind.RETRACT))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Attributes:
        sha256: Lower-case hex. Of the PAE for plan and receipt, and of that same PAE again for void and retract; of the
            canonical bytes for policy; of the sealed journal record for state; of `keys/history.json` for key; the
            Merkle root of a day's events for anchor.
        subject: Index of the plan that a receipt or void ends, or of the receipt that is retracted; None for others,
            and for a receipt over runs.
        reason: Why, in one word, for void and retract; empty for others.

    Raises:
        ReceiptError: The parts do not fit the kind.
    """

    kind: EntryKind
    sha256: str
    subject: int | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256) or not self._fits():
            raise ReceiptError(f"this cannot be a log entry: {self!r}", remedy="nothing was logged")

    @property
    def kind_line(self) -> str:
        """The entry's second line, such as `receipt 300` or `void 300 expired`."""
        if self.kind is EntryKind.RECEIPT:
            return f"receipt {'-' if self.subject is None else self.subject}"
        return str(self.kind) if self.subject is None else f"{self.kind} {self.subject} {self.reason}"

    def encode(self) -> bytes:
        """Return the entry's bytes, which are hashed as a leaf of the log."""
        return f"{HEADER}\n{self.kind_line}\nsha256:{self.sha256}\n".encode()

    def _fits(self) -> bool:
        if self.subject is not None and not 0 <= self.subject < 2**63:
            return False
        if self.kind is EntryKind.RECEIPT:
            return not self.reason
        if self.kind not in _WITH_REASON:
            return self.subject is None and not self.reason
        known = self.reason in VOID_REASONS or self.kind is EntryKind.RETRACT
        return known and self.subject is not None and _WORD.fullmatch(self.reason) is not None


def plan_entry(sha256: str) -> bytes:
    """Return the entry of a plan, by the digest of its PAE; it is logged when the plan is made."""
    return Entry(EntryKind.PLAN, sha256).encode()


def receipt_entry(plan_index: int | None, sha256: str) -> bytes:
    """Return the entry of a receipt, by the digest of its PAE, with the plan it ends; None for one over runs."""
    return Entry(EntryKind.RECEIPT, sha256, plan_index).encode()


def void_entry(plan_index: int, reason: str, sha256: str) -> bytes:
    """Return the entry that ends a plan without a receipt: expired, rejected, cancelled or superseded."""
    return Entry(EntryKind.VOID, sha256, plan_index, reason).encode()


def retract_entry(receipt_index: int, reason: str, sha256: str) -> bytes:
    """Return the entry that takes back a wrong receipt, for a reason of one word."""
    return Entry(EntryKind.RETRACT, sha256, receipt_index, reason).encode()


def policy_entry(sha256: str) -> bytes:
    """Return the entry of a policy or dataset, by the digest of its canonical bytes."""
    return Entry(EntryKind.POLICY, sha256).encode()


def state_entry(sha256: str) -> bytes:
    """Return the entry of a change of a hold, closure, erasure or approval, by the digest of its sealed record."""
    return Entry(EntryKind.STATE, sha256).encode()


def key_entry(sha256: str) -> bytes:
    """Return the entry of a change of keys, by the digest of `keys/history.json`."""
    return Entry(EntryKind.KEY, sha256).encode()


def anchor_entry(root: str) -> bytes:
    """Return the entry of a day's events, by their Merkle root."""
    return Entry(EntryKind.ANCHOR, root).encode()


def parse_entry(data: bytes) -> Entry:
    """Read an entry back.

    Raises:
        LogIntegrityError: It is no entry of this format, or not spelled as `Entry.encode` spells it.
    """
    try:
        _header, kind_line, digest, _end = data.decode().split("\n")
        word, *rest = kind_line.split(" ")
        subject = int(rest[0]) if rest and _INDEX.fullmatch(rest[0]) else None
        entry = Entry(EntryKind(word), digest.removeprefix("sha256:"), subject, rest[1] if len(rest) > 1 else "")
    except (ValueError, ReceiptError) as error:
        what = f"a log entry cannot be read: {data[:80]!r}"
        raise LogIntegrityError(what, remedy="run `retentiond ledger check`") from error
    if entry.encode() != data:
        what = f"a log entry is not spelled as it must be: {data[:80]!r}"
        raise LogIntegrityError(what, remedy="run `retentiond ledger check`")
    return entry
