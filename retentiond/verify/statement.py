"""Steps 7 and 8: `statement` and `annex`. What the receipt claims must agree with itself."""

from __future__ import annotations

from . import jcs
from .case import Case
from .encoding import from_rfc3339, sha256_hex
from .errors import FailedStepError
from .formats import EVIDENCE_LEVELS
from .shape import Json

WEAKEST = EVIDENCE_LEVELS[0]
_OUTCOMES = frozenset(
    {
        "purged",
        "tombstoned",
        "redacted",
        "pseudonymised",
        "keyDestroyed",
        "alreadyGone",
        "changed",
        "held",
        "refused",
        "carriedOver",
    },
)


def statement(case: Case) -> None:
    """Demand that times follow each other and that outcome and evidence are ones that the kind allows."""
    predicate = case.receipt.predicate
    kind = predicate["kind"]
    if case.receipt.is_over_runs:
        if predicate["run"] is not None:
            raise FailedStepError(f"kind {kind} is over runs, and yet names one run")
        if predicate["outcome"] != "complete":
            raise FailedStepError(f"kind {kind} is never {predicate['outcome']}")
        return
    run = predicate["run"]
    started, finished, issued = map(from_rfc3339, (run["startedAt"], run["finishedAt"], predicate["issuedAt"]))
    if not started <= finished <= issued:
        raise FailedStepError(
            f"not in order: started {run['startedAt']}, finished {run['finishedAt']}, issued {predicate['issuedAt']}",
        )
    if kind == "tombstone" and predicate["evidence"] != WEAKEST:
        raise FailedStepError(f"kind tombstone only hides, and yet claims the evidence {predicate['evidence']}")


def annex(case: Case) -> None:
    """Demand, where the annex is handed out, that it is the one that was signed and that its figures agree."""
    receipt = case.receipt
    if receipt.annex is None or receipt.annex_bytes is None:
        return
    if sha256_hex(receipt.annex_bytes) != receipt.statement["subject"][0]["digest"]["sha256"]:
        raise FailedStepError("it is not the annex that was signed: its digest is another")
    if jcs.canonical(receipt.annex) != receipt.annex_bytes:
        raise FailedStepError("it is not in the canonical form of RFC 8785")
    if receipt.is_over_runs:
        _require_runs(receipt.annex, receipt.predicate["runs"])
    else:
        _require_figures(receipt.annex, receipt.predicate)


def total(annex: Json, outcome: str) -> int:
    """Add up one outcome over all parts of an annex."""
    return sum(part["outcomes"][outcome] for part in annex["parts"])


def _require_runs(annex: Json, stated: Json) -> None:
    runs = annex.get("runs")
    if runs is None:
        raise FailedStepError("it does not list the runs")
    if len(runs) != stated["count"]:
        raise FailedStepError(f"it lists {len(runs)} runs, the statement counts {stated['count']}")
    if sha256_hex(jcs.canonical(runs)) != stated["sha256"]:
        raise FailedStepError("it lists other runs than the statement's digest says")


def _require_figures(annex: Json, predicate: Json) -> None:
    for number, part in enumerate(annex["parts"]):
        _require_sum(part, f"part {number}")
    _require_list(annex, "held")
    _require_list(annex, "carriedOver")
    carried = total(annex, "carriedOver")
    if (predicate["outcome"] == "complete") != (carried == 0):
        raise FailedStepError(f"{carried} records were carried over, and yet the outcome is {predicate['outcome']}")
    _require_residue(annex)
    _require_evidence(annex, predicate)


def _require_sum(part: Json, where: str) -> None:
    outcomes = part["outcomes"]
    if outcomes.keys() != _OUTCOMES:
        raise FailedStepError(f"the outcomes of {where} are not exactly the ten there are")
    if sum(outcomes.values()) != part["due"]:
        raise FailedStepError(f"the outcomes of {where} add up to {sum(outcomes.values())}, {part['due']} were due")
    if part["examined"] is not None and part["examined"] < part["due"]:
        raise FailedStepError(f"{part['examined']} records examined in {where}, and yet {part['due']} due")


def _require_list(annex: Json, outcome: str) -> None:
    listed, counted = sum(item["count"] for item in annex[outcome]), total(annex, outcome)
    if listed != counted:
        raise FailedStepError(f"{outcome}: {counted} in the parts, {listed} in the list")


def _require_residue(annex: Json) -> None:
    residue = annex["residue"]
    purges = any(part["action"] == "purge" for part in annex["parts"])
    if not purges and residue is not None:
        raise FailedStepError("it states a residue where nothing was purged")
    if purges and residue is None:
        raise FailedStepError("it states no residue for a purge")
    if residue is not None and (residue["result"] != "clean" or residue["found"] != 0):
        raise FailedStepError(
            f"the residue is {residue['result']!a} with {residue['found']} found, and not clean with none"
        )


def _require_evidence(annex: Json, predicate: Json) -> None:
    removing = [part for part in annex["parts"] if part["action"] != "tombstone" and part["due"] > 0]
    if predicate["kind"] == "tombstone" and removing:
        raise FailedStepError("kind tombstone removes nothing, and yet a part does")
    weakest = min((part["evidence"] for part in removing), key=EVIDENCE_LEVELS.index, default=WEAKEST)
    if predicate["evidence"] != weakest:
        raise FailedStepError(
            f"the statement claims the evidence {predicate['evidence']}, the parts that remove have {weakest}"
        )
