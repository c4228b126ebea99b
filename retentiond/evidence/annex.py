"""The annex of a receipt: what auditors see and customers do not (RECEIPTS.md, Annex).

Outcome and evidence level of a receipt are not given but follow from the annex.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from retentiond.errors import ReceiptError
from retentiond.evidence.canonical import Json, canonical_json, optional_rfc3339, rfc3339
from retentiond.evidence.levels import EvidenceLevel

ANNEX = "retentiond/annex/v1"
NONCE_BYTES = 32
_DEFECT = "no receipt was issued; run `retentiond ledger check`"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the records that were due in one part; nothing unknown or failed but as carried over."""

    purged: int = 0
    tombstoned: int = 0
    redacted: int = 0
    pseudonymised: int = 0
    key_destroyed: int = 0
    already_gone: int = 0
    changed: int = 0
    held: int = 0
    refused: int = 0
    carried_over: int = 0

    @property
    def total(self) -> int:
        """Sum over all outcomes."""
        return sum(self.by_wire_name().values())

    def by_wire_name(self) -> dict[str, int]:
        """Return the counts under the names that they have in annexes and in `--json`."""
        return {
            "purged": self.purged,
            "tombstoned": self.tombstoned,
            "redacted": self.redacted,
            "pseudonymised": self.pseudonymised,
            "keyDestroyed": self.key_destroyed,
            "alreadyGone": self.already_gone,
            "changed": self.changed,
            "held": self.held,
            "refused": self.refused,
            "carriedOver": self.carried_over,
        }


@dataclass(frozen=True, slots=True)
class Part:
    """What a run did in one dataset under one rule.

    Attributes:
        action: purge, tombstone, redact or pseudonymise.
        keep: The retention period, ISO 8601; None where none applies (a closure, a blob that follows its row).
        clock: What the period is counted from, such as a column's name; None where none applies.
        examined: Records looked at; None where the scan was not a full one.
        due: Records in the plan.
        size_bytes: Size of the records that were acted on.
        verified_by: How absence was read, such as `select-by-key`; None where nothing got that far.
        verified_as: Who read it, such as `separate role`; None as above.
        verified_at: When the last of it was read; None as above.
        position: Where the store stood then (system id, timeline, LSN); None where it has no such thing.
        tombstoned_between: First and last time at which the purged records had been hidden; None if they had not been.
        purge_due: Of a part that hides: by when all of it is due to be purged; None for other parts, and where a row
            decides that is not here.

    Raises:
        ReceiptError: `due` is not the sum of the outcomes, or is more than `examined`.
    """

    dataset: str
    store: str
    kind: str
    policy: str
    action: str
    due: int
    outcomes: Outcomes
    evidence: EvidenceLevel
    verified_by: str | None = None
    verified_as: str | None = None
    verified_at: datetime | None = None
    rule: int | None = None
    keep: str | None = None
    clock: str | None = None
    cutoff: datetime | None = None
    examined: int | None = None
    size_bytes: int = 0
    position: Mapping[str, Json] | None = None
    tombstoned_between: tuple[datetime, datetime] | None = None
    purge_due: datetime | None = None

    def __post_init__(self) -> None:
        where = f"{self.dataset}, {self.action}"
        if self.due != self.outcomes.total:
            what = f"{self.due} records were due and {self.outcomes.total} are accounted for"
            raise ReceiptError(what, where=where, remedy=_DEFECT)
        if self.examined is not None and self.due > self.examined:
            what = f"{self.due} records were due of only {self.examined} examined"
            raise ReceiptError(what, where=where, remedy=_DEFECT)

    @property
    def removes(self) -> bool:
        """Whether the part had something to remove, rather than to hide."""
        return self.action != "tombstone" and self.due > 0

    def to_json(self) -> dict[str, Json]:
        """Return the part as the annex has it."""
        between = self.tombstoned_between
        return {
            "dataset": self.dataset,
            "store": self.store,
            "kind": self.kind,
            "policy": self.policy,
            "rule": self.rule,
            "action": self.action,
            "keep": self.keep,
            "clock": self.clock,
            "cutoff": optional_rfc3339(self.cutoff),
            "examined": self.examined,
            "due": self.due,
            "outcomes": self.outcomes.by_wire_name(),
            "bytes": self.size_bytes,
            "evidence": self.evidence.wire,
            "verifiedBy": self.verified_by,
            "verifiedAs": self.verified_as,
            "verifiedAt": optional_rfc3339(self.verified_at),
            "position": self.position,
            "tombstonedBetween": None if between is None else [rfc3339(moment) for moment in between],
            **({"purgeDue": rfc3339(self.purge_due)} if self.purge_due else {}),
        }


@dataclass(frozen=True, slots=True)
class CarriedOver:
    """Records that were due and belong to a successor run now; `until` is when they can go, if that is known."""

    dataset: str
    reason: str
    count: int
    until: datetime | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the entry as the annex has it."""
        until = optional_rfc3339(self.until)
        return {"dataset": self.dataset, "reason": self.reason, "count": self.count, "until": until}


@dataclass(frozen=True, slots=True)
class Residue:
    """What a second look found of what should be gone."""

    method: str
    checked_at: datetime
    found: int

    def to_json(self) -> dict[str, Json]:
        """Return the finding as the annex has it."""
        result = "found" if self.found else "clean"
        return {"result": result, "method": self.method, "checkedAt": rfc3339(self.checked_at), "found": self.found}


@dataclass(frozen=True, slots=True)
class StoreNotCovered:
    """A copy that the evidence says nothing about.

    Attributes:
        store: The store that it is a copy of; None for copies downstream of all of them.
        until: When it is gone by itself; None where that is unknown.
    """

    what: str
    store: str | None
    reason: str
    until: datetime | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the entry as the annex has it."""
        until = optional_rfc3339(self.until)
        return {"what": self.what, "store": self.store, "reason": self.reason, "until": until}


@dataclass(frozen=True, slots=True)
class Held:
    """Records that a hold kept, by the keyed commitment (hex) to its matter."""

    matter_commitment: str
    count: int

    def to_json(self) -> dict[str, Json]:
        """Return the entry as the annex has it."""
        return {"matterCommitment": self.matter_commitment, "count": self.count}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for a manual purge, and why."""

    by: str
    reason: str

    def to_json(self) -> dict[str, Json]:
        """Return the request as the annex has it."""
        return {"by": self.by, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class RunAnnex:
    """The annex of a run's receipt.

    Attributes:
        nonce: 32 random bytes, so that the annex's digest tells nothing.
        residue: None where no part purges.
        asked: Of a manual purge only; the annex of any other run has no such member.

    Raises:
        ReceiptError: Held or carried-over records do not add up, residue was found, or was not looked for.
    """

    nonce: bytes
    parts: tuple[Part, ...]
    carried_over: tuple[CarriedOver, ...] = ()
    residue: Residue | None = None
    not_covered: tuple[StoreNotCovered, ...] = ()
    held: tuple[Held, ...] = ()
    single_operator: bool = False
    asked: Asked | None = None

    def __post_init__(self) -> None:
        _check_nonce(self.nonce)
        _check_sum("held", sum(p.outcomes.held for p in self.parts), sum(each.count for each in self.held))
        carried = sum(p.outcomes.carried_over for p in self.parts)
        _check_sum("carried over", carried, sum(each.count for each in self.carried_over))
        self._check_residue()

    @property
    def kind(self) -> str:
        """`tombstone` where the run only hid records, else `run`."""
        only_hides = not any(part.removes for part in self.parts) and any(part.due for part in self.parts)
        return "tombstone" if only_hides else "run"

    @property
    def outcome(self) -> str:
        """`complete` if and only if nothing was carried over, else `partial`."""
        return "partial" if any(part.outcomes.carried_over for part in self.parts) else "complete"

    @property
    def purge_due(self) -> datetime | None:
        """By when all that a run only hid is due to be purged; None where it hid nothing, or removed something."""
        dates = [part.purge_due for part in self.parts if part.purge_due]
        return max(dates, default=None) if self.kind == "tombstone" else None

    @property
    def evidence(self) -> EvidenceLevel:
        """The weakest evidence of the parts that remove something; hidden where none does."""
        return min((part.evidence for part in self.parts if part.removes), default=EvidenceLevel.HIDDEN)

    def encode(self) -> bytes:
        """Return the annex's bytes, whose SHA-256 stands in the statement."""
        return canonical_json(
            {
                "annex": ANNEX,
                "nonce": self.nonce.hex(),
                "parts": [part.to_json() for part in self.parts],
                "carriedOver": [each.to_json() for each in self.carried_over],
                "residue": None if self.residue is None else self.residue.to_json(),
                "notCovered": [each.to_json() for each in self.not_covered],
                "held": [each.to_json() for each in self.held],
                "singleOperator": self.single_operator,
                **({"request": self.asked.to_json()} if self.asked else {}),
            }
        )

    def _check_residue(self) -> None:
        purges = any(part.action == "purge" for part in self.parts)
        if purges != (self.residue is not None):
            what = (
                "a purge has no second look for residue" if purges else "residue is reported where nothing was purged"
            )
            raise ReceiptError(what, remedy=_DEFECT)
        if self.residue is not None and self.residue.found:
            what = f"{self.residue.found} records are still there after their purge; a receipt would be false"
            raise ReceiptError(what, remedy="run `retentiond plan` and `apply` again; they are due as before")


@dataclass(frozen=True, slots=True)
class RunsAnnex:
    """The annex of a statement over runs: closure, erasure, attestation, hold-notice.

    Attributes:
        nonce: 32 random bytes, so that the annex's digest tells nothing.
        runs: Receipt's index in the log and its entry's hash (hex), of each run.
        evidence: The weakest evidence of those receipts; stands in the statement only.
        more: What else an auditor is told, such as what was looked at; the names above are not among its members.

    Raises:
        ReceiptError: A member would stand there twice.
    """

    nonce: bytes
    runs: tuple[tuple[int, str], ...]
    evidence: EvidenceLevel = field(default=EvidenceLevel.HIDDEN)
    more: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_nonce(self.nonce)
        check_apart(self.more, ("annex", "nonce", "runs"))

    @property
    def outcome(self) -> str:
        """Such statements are made only once everything is done."""
        return "complete"

    def encode_runs(self) -> bytes:
        """Return the list of runs, whose SHA-256 stands in the statement."""
        return canonical_json(self.runs)

    def encode(self) -> bytes:
        """Return the annex's bytes, whose SHA-256 stands in the statement."""
        return canonical_json({"annex": ANNEX, "nonce": self.nonce.hex(), "runs": self.runs, **self.more})


def check_apart(more: Mapping[str, Json], known: Iterable[str]) -> None:
    """Raise ReceiptError where a further member would take the place of one that there is."""
    for name in more.keys() & set(known):
        raise ReceiptError(f"a member {name!r} would stand in a receipt twice", remedy=_DEFECT)


def _check_nonce(nonce: bytes) -> None:
    if len(nonce) != NONCE_BYTES:
        raise ReceiptError(f"an annex's nonce has {len(nonce)} bytes, not {NONCE_BYTES}", remedy=_DEFECT)


def _check_sum(name: str, in_parts: int, in_list: int) -> None:
    if in_parts != in_list:
        what = f"{in_parts} records are {name} in the parts of a receipt, and {in_list} in its list"
        raise ReceiptError(what, remedy=_DEFECT)
