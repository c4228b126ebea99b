"""Receipts in plain words: what a customer's lawyer reads of each kind, and what hostile files can't do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from retentiond.evidence.plain import Shown, in_words
from tests.verify.builder import PART, PREDICATE

AT = "2026-11-24T03:10:37Z"
OUTCOMES = dict.fromkeys(PART["outcomes"], 0)
LEAF: dict[str, Any] = {
    "records": 3,
    "bytes": 4096,
    "actions": {"purged": 2, "tombstoned": 1, "alreadyGone": 0},
    "retained": 1,
    "oldest": "2026-10-01T00:00:00Z",
    "newest": "2026-10-02T00:00:00Z",
}
OVER_RUNS = {"run": None, "runs": {"count": 2, "sha256": "ab" * 32}}


def predicate(**changes: Any) -> dict[str, Any]:
    return {**PREDICATE, **changes}


def annex(*parts: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    given = {"parts": parts, "carriedOver": [], "residue": None, "held": [], "singleOperator": False}
    return {**given, **more}


def part(**changes: Any) -> dict[str, Any]:
    outcomes = {**OUTCOMES, **changes.pop("outcomes", {})}
    return {**PART, "outcomes": outcomes, "due": sum(outcomes.values()), **changes}


def text(shown: Shown) -> str:
    return "\n".join(f"{section.title}\n" + "\n".join(section.lines) for section in in_words(shown))


def test_a_partial_run_says_what_went_what_stayed_and_why_one_may_believe_it() -> None:
    carried = [{"dataset": "requests", "reason": "object-lock", "count": 2, "until": AT}]
    residue = {"result": "clean", "method": "rescan", "checkedAt": AT, "found": 0}
    held = [{"matterCommitment": "ab" * 32, "count": 1}]
    done = part(outcomes={"purged": 1000, "held": 1, "alreadyGone": 4, "carriedOver": 2}, tombstonedBetween=[AT, AT])
    more = {"carriedOver": carried, "residue": residue, "held": held, "singleOperator": True}
    asked = {"request": {"by": "alice", "reason": "a wrong import"}}
    run = {**PREDICATE["run"], "trigger": "manual", "approvals": {"sha256": "cd" * 32}}
    said = text(Shown(predicate(outcome="partial", run=run), annex(done, **more, **asked)))
    for words in (
        "PARTIAL: something that was due could not go",
        "requests (store requests-db, policy request-content, rule 3): 1,007 records due: 1,000 removed",
        "4 gone already when it was their turn, 1 kept under a legal hold, 2 left to a later run",
        "hidden before, since 2026-11-24 03:10:37 UTC",
        "Left to a later run: 2 records of requests (object-lock, until 2026-11-24 03:10:37 UTC).",
        "Due, and kept under a legal hold: 1 record.",
        "The plan was in the public log before anything was changed (entry 270).",
        "The reason: somebody asked for it.",
        "alice asked for it: a wrong import.",
        "People approved it",
        "SINGLE OPERATOR",
        "No query of the store finds what was removed.",
        "found 0 of it there (rescan)",
        "No signature proves that anything is gone",
        "backup: until 2026-12-29 00:00:00 UTC",
        "write-ahead log: nobody can say until when",
        "retentiond receipt verify FILE",
    ):
        assert words in said


def test_a_tombstone_says_hidden_and_until_when_and_never_deleted() -> None:
    hidden = part(action="tombstone", evidence="hidden", outcomes={"tombstoned": 5}, purgeDue=AT)
    told = predicate(kind="tombstone", evidence="hidden", purgeDue=AT)
    leaf = {**LEAF, "actions": {"tombstoned": 3}, "retained": 0}
    item = {"dataset": "requests", "key": "k", "version": "", "action": "tombstone"}
    said = text(Shown(told, annex(hidden), leaf, "acct-1", [item]))
    assert "5 hidden; to be purged by 2026-11-24 03:10:37 UTC, with the next run" in said
    assert "It is due to be purged by 2026-11-24 03:10:37 UTC" in said
    assert "requests, key 'k': hidden." in said
    assert "Nothing that it names is gone yet" in said
    assert "deleted" not in said
    assert "removed" not in said


def test_a_customer_reads_of_its_own_account_only() -> None:
    said = text(Shown(predicate(), None, LEAF, "acct-1", unverified=True))
    assert "Nothing of it was checked" in said
    assert "Of the account 'acct-1': 3 records, 4,096 bytes: 2 removed, 1 hidden." in said
    assert "They are from 2026-10-01 00:00:00 UTC to 2026-10-02 00:00:00 UTC." in said
    assert "Retained under a legal obligation: 1 record." in said
    assert "annex, which this copy does not have" in said
    assert "Of an account that is not named" in text(Shown(predicate(), None, LEAF))


def test_an_attestation_and_a_hold_notice_say_what_they_are_about() -> None:
    looked = {"dataset": "requests", "policy": "content", "method": "full-scan", "lookedAt": AT, "examined": 9}
    looked |= {"overdue": 0, "remaining": 9, "held": 1, "oldest": AT}
    told = predicate(kind="attestation", period={"from": AT, "to": AT}, **OVER_RUNS)
    said = text(Shown(told, {"datasets": [looked]}))
    assert "The period is from 2026-11-24 03:10:37 UTC to 2026-11-24 03:10:37 UTC." in said
    assert "9 were looked at on 2026-11-24 03:10:37 UTC (full-scan), overdue 0; 9 remain, the oldest from" in said
    assert "It rests on the receipts of runs: 2." in said
    none = {**LEAF, "records": 0, "retained": 4, "oldest": None, "newest": None}
    notice = predicate(kind="hold-notice", run=None, runs={"count": 0, "sha256": "ab" * 32})
    said = text(Shown(notice, None, none, "acct-1"))
    assert "Retained under a legal obligation: 4 records." in said
    assert "What went of it stands in the receipts of runs, not here." in said
    assert "Evidence" not in said
    assert "Complete" not in said


def test_a_retraction_stands_before_everything_else() -> None:
    (first, *_) = in_words(Shown(predicate(), retraction=("mistaken", AT), linked_until="gone"))
    assert first.lines[0].startswith("RETRACTED on 2026-11-24 03:10:37 UTC (mistaken)")
    assert "Its key is destroyed" in text(Shown(predicate(), linked_until="gone"))
    assert "can be shown until 2026-11-24 03:10:37 UTC" in text(Shown(predicate(), linked_until=AT))


@pytest.mark.parametrize("strange", [7, "text", [7, None, {}], {"a": 1}, None])
def test_members_that_no_verifier_looked_at_break_nothing(strange: Any) -> None:
    told = predicate(kind="attestation", period=strange, purgeDue=strange, **OVER_RUNS)
    assert "attestation" in text(Shown(told, {"datasets": strange, "parts": strange, "residue": strange}))
    more = {"request": strange, "tombstonedBetween": strange}
    assert text(Shown(predicate(purgeDue=strange, runs=strange), annex(part(**more), request=strange)))
