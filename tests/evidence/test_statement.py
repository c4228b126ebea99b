"""Receipts and plans: a statement that would be false, or too large to sign, is never made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retentiond.errors import ReceiptError
from retentiond.evidence.annex import CarriedOver, Held, Outcomes, Part, Residue, RunAnnex, RunsAnnex
from retentiond.evidence.levels import EvidenceLevel
from retentiond.evidence.statement import (
    Approval,
    Digest,
    Issuer,
    NotCovered,
    PlanFacts,
    PlanPart,
    Receipt,
    RunFacts,
    approvals_sha256,
    encode_approvals,
    merge_not_covered,
    plan_statement,
    receipt_statement,
)

NOW = datetime(2026, 11, 24, 3, 0, 0, tzinfo=UTC)
NONCE = bytes(range(32))
CLEAN = Residue("rescan", NOW, 0)
SHA = "ab" * 32


def part(action: str = "purge", evidence: EvidenceLevel = EvidenceLevel.DELETED, **outcomes: int) -> Part:
    counts = Outcomes(**outcomes)
    return Part("requests", "db", "sqlite", "content", action, counts.total, counts, evidence)


def annex(*parts: Part, **more: Any) -> RunAnnex:
    purges = any(each.action == "purge" for each in parts)
    return RunAnnex(NONCE, parts, **{"residue": CLEAN if purges else None, **more})


def receipt(about: RunAnnex | RunsAnnex, kind: str = "run", **more: Any) -> Receipt:
    run = RunFacts("run-1", "schedule", NOW, NOW, NOW, 3, SHA)
    given: dict[str, Any] = {
        "policies": (Digest("content", SHA),),
        "run": None if isinstance(about, RunsAnnex) else run,
        "not_covered": (),
        **more,
    }
    issuer = Issuer("https://example.com/retentiond", "one", "0.1.0")
    return Receipt(kind, "019aab3e-6c1e-7c55-9a53-0d3ff3a1c001", NOW, issuer, accounts_size=16, accounts_root=NONCE,
                   annex=about, **given)  # fmt: skip


def predicate(statement: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(statement)["predicate"]
    return found


def test_levels_are_ordered_and_named() -> None:
    names = ["hidden", "deleted", "all-versions-deleted", "absent-from-live-files", "key-destroyed"]
    assert [level.wire for level in sorted(EvidenceLevel)] == names
    assert [EvidenceLevel.from_wire(name) for name in names] == list(EvidenceLevel)
    with pytest.raises(ReceiptError, match="gone"):
        EvidenceLevel.from_wire("gone")


def test_due_is_the_sum_of_the_outcomes() -> None:
    everything = Outcomes(*(2**bit for bit in range(10)))
    assert everything.total == 1023
    with pytest.raises(ReceiptError, match="7 records were due and 6"):
        Part("requests", "db", "sqlite", "content", "purge", 7, Outcomes(purged=6), EvidenceLevel.DELETED)


def test_no_more_is_due_than_was_examined() -> None:
    with pytest.raises(ReceiptError, match="only 6 examined"):
        dataclasses.replace(part(purged=7), examined=6)


@pytest.mark.parametrize(
    ("parts", "evidence", "kind"),
    [
        ([], "hidden", "run"),
        ([part(purged=1)], "deleted", "run"),
        ([part(purged=1, evidence=EvidenceLevel.KEY_DESTROYED), part(purged=1)], "deleted", "run"),
        ([part(purged=1, evidence=EvidenceLevel.KEY_DESTROYED), part()], "key-destroyed", "run"),
        ([part("tombstone", EvidenceLevel.HIDDEN, tombstoned=1), part(purged=1)], "deleted", "run"),
        ([part("tombstone", EvidenceLevel.HIDDEN, tombstoned=1)], "hidden", "tombstone"),
        ([part("tombstone", EvidenceLevel.HIDDEN, tombstoned=1), part()], "hidden", "tombstone"),
        ([part("redact", EvidenceLevel.HIDDEN, redacted=1), part(purged=1)], "hidden", "run"),
    ],
)
def test_evidence_is_the_weakest_of_what_was_removed(parts: list[Part], evidence: str, kind: str) -> None:
    about = annex(*parts)
    stated = predicate(receipt_statement(receipt(about, kind)))
    assert (stated["evidence"], stated["kind"]) == (evidence, kind)


def test_a_receipt_is_complete_only_if_nothing_was_carried_over() -> None:
    partial = annex(part(purged=1, carried_over=2), carried_over=(CarriedOver("requests", "locked", 2),))
    assert predicate(receipt_statement(receipt(annex(part(purged=1)))))["outcome"] == "complete"
    assert predicate(receipt_statement(receipt(partial)))["outcome"] == "partial"


@pytest.mark.parametrize(
    "lists",
    [
        {"carried_over": (CarriedOver("requests", "locked", 1),)},
        {"held": (Held(SHA, 1),)},
        {"carried_over": (CarriedOver("requests", "locked", 2),)},
    ],
)
def test_lists_agree_with_the_parts(lists: dict[str, Any]) -> None:
    with pytest.raises(ReceiptError, match="in the parts of a receipt"):
        annex(part(purged=1, held=2, carried_over=2), **lists)


def test_residue_is_looked_for_after_a_purge_and_only_then() -> None:
    with pytest.raises(ReceiptError, match="no second look"):
        annex(part(purged=1), residue=None)
    with pytest.raises(ReceiptError, match="nothing was purged"):
        annex(part("redact", redacted=1), residue=CLEAN)


def test_no_receipt_while_residue_is_there() -> None:
    with pytest.raises(ReceiptError, match="3 records are still there"):
        annex(part(purged=1), residue=Residue("rescan", NOW, 3))


def test_a_nonce_has_32_bytes() -> None:
    for short in (b"", NONCE[:-1]):
        with pytest.raises(ReceiptError, match="nonce"):
            RunAnnex(short, ())
        with pytest.raises(ReceiptError, match="nonce"):
            RunsAnnex(short, ())


PERIOD = {"from": "2026-11-23T03:00:00Z", "to": "2026-11-24T03:00:00Z"}
OF_A_PERIOD = {"attestation": {"period": (NOW - timedelta(days=1), NOW)}}


@pytest.mark.parametrize("kind", ["closure", "erasure", "attestation", "hold-notice"])
def test_a_statement_over_runs_names_none_and_lists_them_in_its_annex(kind: str) -> None:
    about = RunsAnnex(NONCE, ((4, SHA), (9, "cd" * 32)), EvidenceLevel.DELETED)
    stated = predicate(receipt_statement(receipt(about, kind, **OF_A_PERIOD.get(kind, {}))))
    listed = f'[[4,"{SHA}"],[9,"{"cd" * 32}"]]'.encode()
    assert stated["run"] is None
    assert stated["runs"] == {"count": 2, "sha256": hashlib.sha256(listed).hexdigest()}
    assert (stated["outcome"], stated["evidence"]) == ("complete", "deleted")
    assert stated.get("period") == (PERIOD if kind == "attestation" else None)
    assert about.encode() == b'{"annex":"retentiond/annex/v1","nonce":"%b","runs":%b}' % (NONCE.hex().encode(), listed)


def test_kind_run_and_annex_belong_together() -> None:
    purge, hide, over = annex(part(purged=1)), annex(part("tombstone", tombstoned=1)), RunsAnnex(NONCE, ())
    run = RunFacts("run-1", "schedule", NOW, NOW, NOW, 3, SHA)
    unfit: list[tuple[RunAnnex | RunsAnnex, str, dict[str, Any]]] = [
        (purge, "tombstone", {}),
        (hide, "run", {}),
        (purge, "closure", {}),
        (over, "run", {}),
        (over, "party", {}),
        (over, "closure", {"run": run}),
        (purge, "run", {"run": None}),
    ]
    for about, kind, more in unfit:
        with pytest.raises(ReceiptError, match="annex of another"):
            receipt(about, kind, **more)


def test_a_period_is_of_an_attestation_and_over() -> None:
    over, day = RunsAnnex(NONCE, ()), timedelta(days=1)
    for kind, more in (("closure", {"period": (NOW - day, NOW)}), ("attestation", {})):
        with pytest.raises(ReceiptError, match="period of another"):
            receipt(over, kind, **more)
    for period in ((NOW, NOW), (NOW, NOW - day), (NOW, NOW + day)):
        with pytest.raises(ReceiptError, match="a time to come"):
            receipt(over, "attestation", period=period)


@pytest.mark.parametrize("name", ["annex", "nonce", "runs"])
def test_what_else_an_annex_says_takes_no_members_place(name: str) -> None:
    assert (
        RunsAnnex(NONCE, (), more={"datasets": [1]})
        .encode()
        .startswith(b'{"annex":"retentiond/annex/v1","datasets":[1]')
    )
    with pytest.raises(ReceiptError, match="twice"):
        RunsAnnex(NONCE, (), more={name: 1})


def test_what_was_only_hidden_says_by_when_its_purge_is_due() -> None:
    later = [
        dataclasses.replace(part("tombstone", tombstoned=1), purge_due=NOW + timedelta(days=day)) for day in (3, 9)
    ]
    stated = receipt_statement(receipt(annex(*later), "tombstone"))
    assert predicate(stated)["purgeDue"] == "2026-12-03T03:00:00Z"
    assert b"deleted" not in stated
    mixed = annex(*later, part(purged=1))
    assert "purgeDue" not in predicate(receipt_statement(receipt(mixed)))
    assert mixed.encode().count(b"purgeDue") == 2


def test_time_does_not_run_backwards() -> None:
    second = timedelta(seconds=1)
    for started, finished in [(NOW, NOW - second), (NOW, NOW + second)]:
        with pytest.raises(ReceiptError, match="finished before it began"):
            receipt(annex(part(purged=1)), run=RunFacts("r", "manual", NOW, started, finished, 3, SHA))


def test_the_statement_names_the_annex_by_its_digest() -> None:
    about = annex(part(purged=1))
    statement = json.loads(receipt_statement(receipt(about)))
    assert statement["subject"] == [{"name": "annex", "digest": {"sha256": hashlib.sha256(about.encode()).hexdigest()}}]


def test_copies_of_one_name_are_merged() -> None:
    later, latest = NOW + timedelta(days=1), NOW + timedelta(days=2)
    merged = merge_not_covered(
        [
            NotCovered("replica", NOW),
            NotCovered("backup", later),
            NotCovered("backup", latest),
            NotCovered("backup", NOW),
            NotCovered("replica", None),
            NotCovered("replica", later),
        ]
    )
    assert merged == [NotCovered("backup", latest), NotCovered("replica", None)]


def test_too_many_or_too_long_copies_are_refused() -> None:
    assert len(merge_not_covered([NotCovered(f"copy {number}") for number in range(12)] * 2)) == 12
    with pytest.raises(ReceiptError, match="13 copies"):
        merge_not_covered([NotCovered(f"copy {number}") for number in range(13)])
    assert merge_not_covered([NotCovered("é" * 20)])
    with pytest.raises(ReceiptError, match="more than 40 bytes"):
        merge_not_covered([NotCovered("é" * 20 + "x")])


def test_policies_are_at_most_eight_with_short_ids() -> None:
    def policies(count: int, name: str) -> tuple[Digest, ...]:
        return tuple(Digest(f"{number}{name}", SHA) for number in range(count))

    about = annex(part(purged=1))
    assert receipt_statement(receipt(about, policies=policies(8, "p" * 63)))
    with pytest.raises(ReceiptError, match="9 policies"):
        receipt_statement(receipt(about, policies=policies(9, "p")))
    with pytest.raises(ReceiptError, match="64 bytes"):
        receipt_statement(receipt(about, policies=policies(1, "p" * 64)))


def test_a_statement_stays_below_3500_bytes() -> None:
    about = annex(part(purged=1))
    size = len(receipt_statement(receipt(about)))

    def padded(by: int) -> Receipt:
        issuer = Issuer("https://example.com/retentiond" + "x" * by, "one", "0.1.0")
        return dataclasses.replace(receipt(about), issuer=issuer)

    assert len(receipt_statement(padded(3499 - size))) == 3499
    with pytest.raises(ReceiptError, match="has 3500 bytes"):
        receipt_statement(padded(3500 - size))


def test_the_largest_allowed_lists_fit_together() -> None:
    """Eight policies of the longest names and twelve copies leave room for ids of ordinary length."""
    full = receipt(
        annex(part(purged=1)),
        policies=tuple(Digest(str(number) * 64, SHA) for number in range(8)),
        not_covered=tuple(NotCovered(f"{number:02}" * 20, NOW) for number in range(12)),
    )
    assert len(receipt_statement(full)) < 3500


def test_a_plan_states_what_will_go() -> None:
    plan = PlanFacts(
        "plan-1", "one", NOW, NOW + timedelta(hours=24), "manual", NOW, (Digest("content", SHA),),
        (Digest("requests", SHA),), (PlanPart("requests", "content", "purge", 2, 1, NOW, 300),), 2, SHA,
    )  # fmt: skip
    stated = json.loads(plan_statement(plan))
    assert stated["predicateType"] == "urn:retentiond:plan:v1"
    assert stated["predicate"] == {
        "planId": "plan-1",
        "instance": "one",
        "createdAt": "2026-11-24T03:00:00Z",
        "expiresAt": "2026-11-25T03:00:00Z",
        "trigger": "manual",
        "referenceTime": "2026-11-24T03:00:00Z",
        "policies": [{"id": "content", "sha256": SHA}],
        "datasets": [{"id": "requests", "sha256": SHA}],
        "parts": [
            {
                "dataset": "requests",
                "policy": "content",
                "rule": 1,
                "action": "purge",
                "cutoff": "2026-11-24T03:00:00Z",
                "due": 2,
                "bytes": 300,
            }
        ],
        "records": {"count": 2, "sha256": SHA},
    }
    with pytest.raises(ReceiptError, match="plan of 3 records has parts of 2"):
        dataclasses.replace(plan, records=3)


def test_approvals_have_one_digest_and_none_where_none_was_needed() -> None:
    approvals = [Approval("ann@example.com", "2026-11-25T03:00:00Z", "-----BEGIN SSH SIGNATURE-----\n…")]
    assert json.loads(encode_approvals(approvals)) == [
        {"principal": each.principal, "notAfter": each.not_after, "signature": each.signature} for each in approvals
    ]
    assert approvals_sha256(approvals) == hashlib.sha256(encode_approvals(approvals)).hexdigest()
    assert approvals_sha256([]) is None
