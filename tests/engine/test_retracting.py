"""Retraction: logged and signed, honoured by verifiers that see the log, and by everything here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retentiond.domain.hold import Scope
from retentiond.engine import retracting
from retentiond.engine.accounts import account_status
from retentiond.engine.attesting import Question, attest
from retentiond.engine.bundles import export_all, export_one, get_receipt, list_receipts
from retentiond.engine.checking import check_ledger
from retentiond.engine.closures import close_account
from retentiond.engine.disclosing import Named, disclose
from retentiond.engine.holds import add_hold, release_hold
from retentiond.engine.retracting import retract
from retentiond.engine.running import close_now, run_all
from retentiond.errors import ApprovalError, LogIntegrityError, NotAttested, ReceiptError, UsageError
from tests.engine.handed_out import read, verdict
from tests.engine.office import NOW, Office, carry, log_entries


def test_a_retracted_receipt_is_refused_named_and_handed_out_no_more(office: Office, tmp_path: Path) -> None:
    office.feedback(1, 31)
    receipt = carry(office).carried[0].receipt
    with office.open() as ctx:
        found = retract(ctx, receipt.id, "wrong-policy", None)
        assert (found.receipt.id, found.built_on_it, found.reason) == (receipt.id, (), "wrong-policy")
        assert check_ledger(ctx) == []
        with pytest.raises(ReceiptError, match="retracted before, on 2026-06-01"):
            retract(ctx, receipt.id, "again", None)
        assert export_all(ctx, tmp_path / "all", None) == export_all(ctx, tmp_path / "mine", "acct-a") == []
        with pytest.raises(ReceiptError, match="was retracted on 2026-06-01"):
            export_one(ctx, receipt.id, tmp_path / "one.json", None)
        with pytest.raises(ReceiptError, match="was retracted on 2026-06-01"):
            disclose(ctx, receipt.id, Named("feedback", ["1"]), tmp_path / "item.json")
        (asked_for,) = export_all(ctx, tmp_path / "auditors", None, retracted=True)
        assert export_one(ctx, receipt.id, tmp_path / "one.json", "acct-a", retracted=True).exists()
        with ctx.ledger.begin() as tx:
            (event,) = [each for each in tx.events.newest(9) if each.kind == "receipt.retracted"]
        assert event.subject == receipt.id
    assert f"retract {receipt.log_index} wrong-policy\nsha256:{receipt.entry_sha256}" in log_entries(office)
    assert verdict(office, asked_for).step == "retracted"
    assert verdict(office, asked_for, log=False).valid


@pytest.mark.parametrize("reason", ["", "Two Words", "wrong_policy", "läuft", "a\nvoid 1 expired", "-x"])
def test_a_reason_that_the_log_cannot_bear_is_refused(office: Office, reason: str) -> None:
    with office.open() as ctx, pytest.raises(UsageError, match="no reason that the log can bear"):
        retract(ctx, "any", reason, None)
    assert "retract" not in log_entries(office)


def test_only_a_signature_takes_back(office: Office) -> None:
    office.feedback(1, 31)
    receipt = carry(office).carried[0].receipt.id
    office.name_approvers("alice")
    with office.open() as ctx:
        with pytest.raises(ApprovalError):
            retract(ctx, receipt, "mistaken", office.key("mallory"))
        retract(ctx, receipt, "mistaken", office.key("alice"))


def test_it_counts_at_once_and_is_logged_when_the_log_can_be_written(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.feedback(1, 31)
    receipt = carry(office).carried[0].receipt.id

    def full(*_: object) -> int:
        raise LogIntegrityError("no space left", remedy="make room")

    with office.open() as ctx:
        with monkeypatch.context() as patch:
            patch.setattr(type(ctx.log), "publish", full)
            with pytest.raises(LogIntegrityError, match="is retracted, but not yet logged"):
                retract(ctx, receipt, "mistaken", None)
        assert "retract" not in log_entries(office)
        assert list_receipts(ctx)[0].id == receipt
        with pytest.raises(ReceiptError):
            export_one(ctx, receipt, None, None)
        run_all(ctx)
    assert " mistaken\n" in log_entries(office)


def test_what_was_built_on_it_goes_with_it_and_nothing_more_is_built_on_it(office: Office) -> None:
    office.feedback(1, 1, "acct-a")
    office.feedback(2, 1, "acct-b")
    office.feedback(3, 1, "acct-b")
    office.feedback(4, 1, "acct-stays")
    with office.open() as ctx:
        add_hold(ctx, Scope("feedback", keys=(b"3",)), "Case", "", None)
        for account in ("acct-a", "acct-b"):
            close_now(ctx, close_account(ctx, account, "left", None))
        by_kind = {kind: [row for row in list_receipts(ctx) if row.kind == kind] for kind in ("run", "closure")}
        first, second = by_kind["run"]  # what is held of acct-b keeps it from being closed
        (closure,) = by_kind["closure"]
        found = retract(ctx, first.id, "mistaken", None)
        assert [each.id for each in found.built_on_it] == [closure.id]
        assert account_status(ctx, "acct-a").retracted == "mistaken"
        retract(ctx, second.id, "mistaken", None)
        release_hold(ctx, "Case", None)
        run_all(ctx)
        last = next(row for row in list_receipts(ctx) if row.kind == "closure" and row.id != closure.id)
        (third,) = [row for row in list_receipts(ctx) if row.kind == "run" and row.id not in (first.id, second.id)]
        assert json.loads(last.annex)["runs"] == [[third.log_index, third.entry_sha256]]
    assert [verdict(office, row.file).step for row in (first, second, closure)] == ["retracted"] * 3
    assert verdict(office, last.file).reason is None
    assert read(last.file)[1]["runs"]["count"] == 1
    with office.open() as ctx:
        assert account_status(ctx, "acct-b").retracted == ""


def test_no_time_is_attested_of_which_a_receipt_was_retracted(office: Office) -> None:
    office.feedback(1, 31)
    receipt = carry(office).carried[0].receipt.id
    office.clock.at = NOW.replace(hour=14)
    with office.open() as ctx:
        question = Question(NOW, NOW.replace(hour=13))
        attested = attest(ctx, question).receipt
        found = retract(ctx, receipt, "mistaken", None)
        assert [each.id for each in found.built_on_it] == [attested.id]
        with pytest.raises(NotAttested, match=f"receipt {receipt} was retracted"):
            attest(ctx, question)
        assert get_receipt(ctx, attested.id).file
    assert verdict(office, attested.file).step == "retracted"


def test_one_that_is_built_on_meanwhile_is_not_forgotten(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.feedback(1, 31)
    receipt = carry(office).carried[0].receipt.id
    office.clock.at = NOW.replace(hour=14)
    asked = retracting.request

    def meanwhile(*arguments: object) -> object:
        monkeypatch.setattr(retracting, "request", asked)
        with office.open() as other:
            attest(other, Question(NOW, NOW.replace(hour=13)))
        return asked(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(retracting, "request", meanwhile)
    with office.open() as ctx:
        with pytest.raises(ReceiptError, match="at the same time"):
            retract(ctx, receipt, "mistaken", None)
        assert len(retract(ctx, receipt, "mistaken", None).built_on_it) == 1
