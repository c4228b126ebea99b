"""Each row of docs/recovery.md: what was lost, how that is noticed, the verb, and what an auditor sees afterwards."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from retentiond.domain.account import AccountState
from retentiond.domain.hold import Scope
from retentiond.engine import rebuilding, recovery
from retentiond.engine.approvals import approve
from retentiond.engine.bundles import export_one
from retentiond.engine.closures import cancel_closure, close_account
from retentiond.engine.holds import add_hold, list_holds, release_hold
from retentiond.engine.retracting import retract
from retentiond.engine.retractions import retractions
from retentiond.engine.running import run_all
from retentiond.engine.settling import settle
from retentiond.errors import ApprovalError, GuardStopped, LedgerBehindLog, LogIntegrityError, ReceiptError
from retentiond.evidence.entry import policy_entry
from retentiond.tlog import directory
from retentiond.verify.command import verify_files
from tests.engine.office import NOW, carry, make_office, plan
from tests.recovery.disaster import BUNDLES, HELD, JOURNAL, KEPT, LEDGER, LOG, Disaster


def entries(disaster: Disaster) -> list[bytes]:
    with disaster.office.open() as ctx:
        return list(ctx.log.read_entries())


def verdicts(disaster: Disaster) -> list[bool]:
    """Verify every bundle with the verifier that shares no code, against the published log."""
    bundles, log = sorted((disaster.office.root / BUNDLES).glob("*.bundle.json")), disaster.office.root / LOG
    keys = [str(log / "keys" / name) for name in ("issuer.pem", "log.vkey")]
    return [verdict.valid for _, verdict in verify_files([*map(str, bundles)], keys, log=str(log))]


def is_stopped(disaster: Disaster, guard: str) -> None:
    """Check that nothing is planned, carried out or signed, and that nothing is removed."""
    rows, bundles = disaster.office.rows(), len(disaster.office.bundles())
    with disaster.office.open() as ctx:
        for act in (lambda: run_all(ctx), lambda: plan(ctx)):
            with pytest.raises(GuardStopped if guard == "recovery" else LedgerBehindLog) as caught:
                act()
            assert int(caught.value.exit_code) == 4
            assert caught.value.guard == guard
    assert (disaster.office.rows(), len(disaster.office.bundles())) == (rows, bundles)


def sign(disaster: Disaster, reference: str) -> None:
    code, document = disaster.call("approve", reference, "--ssh-key", str(disaster.alice))
    assert (code, document["approved"]) == (0, True)


def goes_on(disaster: Disaster, *findings: str) -> None:
    """Check that what is due goes, and what is held stays, and that the log only grew."""
    before = entries(disaster)
    with disaster.office.open() as ctx:
        session = run_all(ctx)
        if session.stopped_plan is not None:
            approve(ctx, session.stopped_plan.id, disaster.alice)
            run_all(ctx)
    assert "10-open" not in disaster.office.rows()
    assert {"0-old", "1-old", "3-old", "4-old"} <= disaster.office.rows()
    assert entries(disaster)[: len(before)] == before
    assert all(verdicts(disaster))
    with disaster.office.open() as ctx:
        assert ctx.log.rebuild_check() == len(entries(disaster))
        for finding, known in zip(ctx.ledger.check(), findings, strict=True):
            assert known in finding


@pytest.mark.parametrize("lost", ["goes_back", "vanishes"])
def test_an_old_or_lost_ledger_is_brought_up_to_its_log(disaster: Disaster, lost: str) -> None:
    before = entries(disaster)
    getattr(disaster, lost)(LEDGER)
    if lost == "goes_back":
        assert disaster.call("ledger", "check")[0] == 4
        is_stopped(disaster, "ledger-behind-log")
    code, document = disaster.call("ledger", "recover")
    assert code == 4
    assert disaster.holds_now() == disaster.holds
    assert disaster.states_now() == disaster.states
    assert disaster.states["acct-leaves"] is AccountState.CLOSED
    assert disaster.states["acct-stays"] is AccountState.OPEN
    assert disaster.receipts_now() == disaster.receipts
    assert entries(disaster) == before
    assert disaster.files(LOG) == disaster.log
    assert matters(disaster, document) == ["Case 1", "Case 3", "Case 4"]
    assert (document["unreadable"], document["receipts_without_bundle"]) == ([], [])
    assert disaster.open in [each["entry"] for each in document["plans_without_receipt"]]
    is_stopped(disaster, "recovery")
    assert disaster.call("status")[1]["recovery_unsigned"] is True
    assert disaster.call("ledger", "check")[0] == 3
    assert disaster.call("ledger", "recover") == (4, {**document, "written": document["written"]})
    assert disaster.call("approve", "0" * 64, "--ssh-key", str(disaster.alice))[0] == 4
    sign(disaster, document["approve"])
    assert disaster.call("ledger", "recover")[0] == 0
    assert disaster.call("status")[1]["recovery_unsigned"] is False
    assert entries(disaster)[: len(before)] == before
    goes_on(disaster)


def test_the_list_that_is_signed_is_the_one_that_was_shown(disaster: Disaster) -> None:
    disaster.goes_back(LEDGER)
    _, document = disaster.call("ledger", "recover")
    with disaster.office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-new",)), "Case 5", "", disaster.alice)
        with pytest.raises(ApprovalError, match="not the one that was shown"):
            recovery.sign_list(ctx, document["approve"], disaster.alice)
        with pytest.raises(GuardStopped, match="nobody has signed"):
            run_all(ctx)
    _, again = disaster.call("ledger", "recover")
    assert again["approve"] != document["approve"]
    stranger = disaster.office.key("mallory")
    assert disaster.call("approve", again["approve"], "--ssh-key", str(stranger))[0] == 4
    is_stopped(disaster, "recovery")
    sign(disaster, again["approve"])
    goes_on(disaster)


def test_what_people_approved_after_the_backup_is_asked_again(disaster: Disaster) -> None:
    """The old ledger knows a form of the policy as approved that people replaced since: it is not taken unasked."""
    with disaster.office.open() as ctx:
        (disaster.copies / LEDGER).unlink()
        ctx.ledger.backup(disaster.copies / LEDGER)
    disaster.office.edit("policies.yaml", "keep: 20 days", "keep: 22 days")
    with disaster.office.open() as ctx:
        row = plan(ctx).plan
        assert row is not None
        assert approve(ctx, row.id, disaster.alice) == 0
    disaster.office.edit("policies.yaml", "keep: 22 days", "keep: 20 days")
    disaster.goes_back(LEDGER)
    _, document = disaster.call("ledger", "recover")
    sign(disaster, document["approve"])
    with disaster.office.open() as ctx:
        session = run_all(ctx)
        assert session.stopped is not None
        assert session.stopped.guard == "approval"
    assert "10-open" in disaster.office.rows()


@pytest.mark.parametrize("lost", ["goes_back", "vanishes"])
def test_an_old_or_lost_log_is_written_again_byte_for_byte(disaster: Disaster, lost: str) -> None:
    getattr(disaster, lost)(LOG)
    assert disaster.call("ledger", "check")[0] == 1
    code, document = disaster.call("ledger", "recover")
    assert (code, document["approve"], document["files_lost"]) == (0, None, [])
    assert disaster.needed(disaster.files(LOG)) == disaster.needed(disaster.log)
    assert document["written"]["entries"] > 0
    assert all(verdicts(disaster))
    assert disaster.call("ledger", "check")[0] == 0


@pytest.mark.parametrize("whole", [(JOURNAL, BUNDLES), (JOURNAL,), (BUNDLES,)], ids="-".join)
def test_both_old_is_noticed_by_what_is_newer_and_nothing_is_written(disaster: Disaster, whole: Sequence[str]) -> None:
    old = [name for name in (LEDGER, LOG, JOURNAL, BUNDLES) if name not in whole]
    disaster.goes_back(*old)
    if JOURNAL in whole:
        is_stopped(disaster, "ledger-behind-log")
        assert disaster.call("ledger", "check")[0] == 3
    before = disaster.files(LOG)
    with disaster.office.open() as ctx, pytest.raises(LedgerBehindLog, match="both went back") as caught:
        recovery.recover(ctx)
    assert "new instance" in caught.value.remedy
    assert disaster.call("ledger", "recover")[0] == 4
    assert disaster.files(LOG) == before


def test_all_lost_to_the_same_hour_cannot_be_noticed_without_a_witness(disaster: Disaster) -> None:
    """As the documentation says; whoever kept a newer checkpoint can tell."""
    disaster.goes_back(LEDGER, LOG, JOURNAL, BUNDLES)
    assert disaster.call("ledger", "check")[0] == 0
    assert disaster.call("ledger", "recover")[0] == 0
    published = (disaster.office.root / LOG / "checkpoint").read_bytes()
    assert int(published.split(b"\n")[1]) < int(disaster.checkpoint.split(b"\n")[1])


def test_lost_bundles_are_written_again_from_a_whole_ledger(disaster: Disaster) -> None:
    names = {path.name for path in (disaster.office.root / BUNDLES).glob("*.json")}
    disaster.vanishes(BUNDLES)
    code, found = disaster.call("ledger", "check")
    assert code == 3
    assert sum("bundle" in finding for finding in found["findings"]) == len(names)
    code, document = disaster.call("ledger", "recover")
    assert (code, document["written"]["bundles"]) == (0, len(names))
    assert len(document["receipts_without_manifest"]) == len(names)
    assert {path.name for path in (disaster.office.root / BUNDLES).glob("*.json")} == names
    assert all(verdicts(disaster))
    assert disaster.call("ledger", "check")[0] == 0


def test_an_old_ledger_without_bundles_names_the_receipts_that_nothing_shows(disaster: Disaster) -> None:
    disaster.goes_back(LEDGER)
    disaster.vanishes(BUNDLES)
    code, document = disaster.call("ledger", "recover")
    assert code == 4
    assert document["receipts_without_bundle"] == sorted(index for _, _, index in disaster.receipts)
    assert disaster.holds_now() == disaster.holds
    assert disaster.states_now() == disaster.states
    sign(disaster, document["approve"])
    goes_on(disaster, "is closed, and has no receipt")


def test_a_bundle_that_was_altered_counts_as_none(disaster: Disaster) -> None:
    disaster.goes_back(LEDGER)
    path = next((disaster.office.root / BUNDLES).glob("*.json"))
    bundle = json.loads(path.read_bytes())
    bundle["annex"] = bundle["annex"][:-8] + "AAAAAAA="
    path.write_text(json.dumps(bundle), "utf-8")
    _, document = disaster.call("ledger", "recover")
    assert document["damaged_bundles"] == [path.name]
    assert len(document["receipts_without_bundle"]) == 1


def test_a_lost_journal_is_written_again_byte_for_byte(disaster: Disaster) -> None:
    before = disaster.files(JOURNAL)
    disaster.vanishes(JOURNAL)
    code, found = disaster.call("ledger", "check")
    assert code == 3
    assert len(found["findings"]) == len(before)
    assert disaster.call("ledger", "recover")[0] == 0
    assert disaster.files(JOURNAL) == before


def matters(disaster: Disaster, document: dict[str, Any]) -> list[str]:
    """The matters of the holds that a recovery lists, which it does not name."""
    assert "Case" not in json.dumps(document)
    by_id = {hold.id: hold.matter for hold in disaster.holds_now()}
    return [by_id[each["hold"]] for each in document["holds"]]


def test_an_old_ledger_without_its_journal_names_what_nothing_can_tell(disaster: Disaster) -> None:
    """Holds that cannot be read are placed again by people, who sign for the list with that gap in it."""
    disaster.goes_back(LEDGER)
    disaster.vanishes(JOURNAL)
    _, document = disaster.call("ledger", "recover")
    changes = [index for index, entry in enumerate(entries(disaster)) if b"\nstate\n" in entry]
    assert document["unreadable"]
    assert set(document["unreadable"]) <= set(changes)
    assert [hold.matter for hold in disaster.holds_now()] == ["Case 1", "Case 2"]
    is_stopped(disaster, "recovery")
    with disaster.office.open() as ctx:
        add_hold(ctx, Scope(accounts=(KEPT,)), "Case 4", "again", disaster.alice)
    _, again = disaster.call("ledger", "recover")
    assert again["unreadable"] == document["unreadable"]
    sign(disaster, again["approve"])
    goes_on(disaster)


def test_a_hold_that_was_placed_in_the_old_ledger_is_kept_and_logged(disaster: Disaster) -> None:
    disaster.goes_back(LEDGER)
    with disaster.office.open() as ctx:
        with pytest.raises(LogIntegrityError, match="in force, but not yet logged"):
            add_hold(ctx, Scope(accounts=("acct-a",)), "Case 6", "", disaster.alice)
        with pytest.raises(LedgerBehindLog):
            release_hold(ctx, "Case 6", disaster.alice)
        with pytest.raises(LedgerBehindLog):
            close_account(ctx, "acct-a", "asked to", disaster.alice)
    _, document = disaster.call("ledger", "recover")
    assert set(matters(disaster, document)) == {"Case 1", "Case 3", "Case 4", "Case 6"}
    size = len(entries(disaster))
    disaster.goes_back(LEDGER)
    disaster.call("ledger", "recover")
    assert {hold.matter for hold in disaster.holds_now()} == {"Case 1", "Case 3", "Case 4", "Case 6"}
    assert len(entries(disaster)) == size


def test_what_was_pending_in_the_old_ledger_comes_before_what_was_done_to_it_later(
    disaster: Disaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closure that waited for its entry at the time of the backup, and was cancelled after it, stays cancelled."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with disaster.office.open() as ctx:
        with monkeypatch.context() as patch:
            patch.setattr(directory, "_write", full)
            with pytest.raises(LogIntegrityError, match="pending"):
                close_account(ctx, "acct-a", "asked to", disaster.alice)
            with pytest.raises(LogIntegrityError, match="pending"):
                release_hold(ctx, "Case 3", disaster.alice)
        (disaster.copies / LEDGER).unlink()
        ctx.ledger.backup(disaster.copies / LEDGER)
        settle(ctx)
        cancel_closure(ctx, "acct-a", disaster.alice)
    states, holds = disaster.states_now(), disaster.holds_now()
    assert (states["acct-a"], len(holds)) == (AccountState.OPEN, 2)
    disaster.goes_back(LEDGER)
    assert disaster.states_now()["acct-a"] is AccountState.OPEN
    assert disaster.call("ledger", "recover")[0] == 4
    assert (disaster.states_now(), disaster.holds_now()) == (states, holds)
    with disaster.office.open() as ctx, ctx.ledger.begin() as tx:
        assert tx.pending.all() == []


def test_a_ledger_that_went_its_own_way_is_refused(disaster: Disaster) -> None:
    disaster.goes_back(LEDGER)
    with disaster.office.open() as ctx, ctx.ledger.begin() as tx:
        tx.entries.stage(policy_entry("0" * 64))
    code = disaster.call("ledger", "recover")[0]
    assert code == 1
    is_stopped(disaster, "ledger-behind-log")
    disaster.goes_back(LEDGER)
    assert disaster.call("ledger", "recover")[0] == 4


def test_a_recovery_that_was_cut_short_left_nothing_and_succeeds_later(
    disaster: Disaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(Exception):
        pass

    def cut(*_: object) -> None:
        raise Cut

    disaster.goes_back(LEDGER)
    with disaster.office.open() as ctx, monkeypatch.context() as patch:
        patch.setattr(rebuilding.Rebuilding, "_remember_time", cut)
        with pytest.raises(Cut):
            recovery.recover(ctx)
        assert [hold.matter for hold in list_holds(ctx)] == ["Case 1", "Case 2"]
    is_stopped(disaster, "ledger-behind-log")
    assert disaster.call("ledger", "recover")[0] == 4
    assert disaster.holds_now() == disaster.holds


def test_a_recovery_that_is_killed_at_any_commit_is_finished_by_the_next(disaster: Disaster) -> None:
    survived, commit = False, 0
    while not survived:
        commit += 1
        disaster.goes_back(LEDGER)
        survived = _recover_in_a_fork(disaster, commit)
        assert disaster.call("ledger", "recover")[0] == 4
        assert disaster.holds_now() == disaster.holds
        assert disaster.states_now() == disaster.states
        assert disaster.receipts_now() == disaster.receipts
        assert disaster.files(LOG) == disaster.log
    assert commit > 5


def _recover_in_a_fork(disaster: Disaster, last: int) -> bool:
    """Recover in a process that is killed right before its nth commit; tell whether it came to its end."""
    child = os.fork()
    if child == 0:
        left = iter(range(last - 1, -1, -1))
        event.listen(Engine, "commit", lambda _: next(left) or os.kill(os.getpid(), signal.SIGKILL))
        try:
            disaster.call("ledger", "recover")
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def test_neither_ledger_nor_log(disaster: Disaster) -> None:
    disaster.vanishes(LEDGER, LOG)
    assert disaster.call("ledger", "recover")[0] == 1


def test_everything_is_there_and_the_verb_changes_nothing(disaster: Disaster) -> None:
    kept = [disaster.files(name) for name in (LOG, JOURNAL, BUNDLES)]
    code, document = disaster.call("ledger", "recover")
    assert code == 0
    assert document["written"] == {"entries": 0, "files": 0, "records": 0, "bundles": 0}
    assert [disaster.files(name) for name in (LOG, JOURNAL, BUNDLES)] == kept
    with disaster.office.open() as ctx:
        run_all(ctx)


def test_the_receipts_and_the_list_tell_no_name(disaster: Disaster) -> None:
    disaster.goes_back(LEDGER)
    _, document = disaster.call("ledger", "recover")
    sign(disaster, document["approve"])
    published = b"".join(disaster.files(LOG).values()) + b"".join(disaster.files(JOURNAL).values())
    for name in (HELD, KEPT, "acct-leaves", "Case 1"):
        assert name.encode() not in published
    assert Path(disaster.office.root / LEDGER).exists()


def test_a_retraction_is_not_forgotten_by_an_old_ledger(tmp_path: Path) -> None:
    office = make_office(tmp_path)
    office.feedback(1, 31)
    receipt = carry(office).carried[0].receipt
    with office.open() as ctx:
        ctx.ledger.backup(tmp_path / "older.db")
        retract(ctx, receipt.id, "mistaken", None)
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    (tmp_path / "older.db").rename(tmp_path / "ledger.db")
    office.clock.at += timedelta(hours=1)
    with office.open() as ctx:
        recovery.recover(ctx)
        found = retractions(ctx)[receipt.log_index]
        assert (found.reason, found.at) == ("mistaken", NOW)
        assert list(ctx.ledger.check()) == []
        with pytest.raises(ReceiptError, match="was retracted"):
            export_one(ctx, receipt.id, tmp_path / "out.json", None)
