"""The verbs of `receipt` as people and programs call them."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.cli import cli
from retentiond.cli.remote import carry_out
from retentiond.domain.hold import Scope
from retentiond.engine.holds import add_hold
from retentiond.errors import Exit, ReceiptError, RetentiondError
from retentiond.ports.orders import OrderRow
from tests.engine.handed_out import read, verdict
from tests.engine.office import Office, carry

ORDER = OrderRow("order-1", datetime(2026, 6, 1, tzinfo=UTC), 1, "", {}, [])
PERIOD = ("--from", "2026-06-01T12:00Z", "--to", "2026-06-01T13:00:00Z")


@pytest.fixture(autouse=True)
def _clock(office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("retentiond.bootstrap.SystemClock", lambda: office.clock)
    monkeypatch.chdir(tmp_path)


def say(office: Office, *arguments: str) -> str:
    said = io.StringIO()
    with redirect_stdout(said):
        cli.main(("--config", str(office.config), "receipt", *arguments), standalone_mode=False)
    return said.getvalue()


def ask(office: Office, *arguments: str) -> Any:
    return json.loads(say(office, *arguments, "--json"))


def failed(office: Office, *arguments: str) -> RetentiondError:
    with pytest.raises(RetentiondError) as caught:
        say(office, *arguments)
    return caught.value


def test_what_is_disclosed_is_a_file_that_anybody_can_show(office: Office) -> None:
    office.request("it's\n<b>", 22, account="acct-'a'")
    receipt = carry(office).carried[0].receipt.id
    (file,) = ask(office, "disclose", receipt, "--dataset", "requests", "--key", "it's\n<b>")["files"]
    assert file == f"{receipt}.disclosure.json"
    assert verdict(office, file).reason is None
    said = say(office, "show", file)
    assert "Nothing of it was checked" in said
    assert "Nothing that it names is gone yet" in said
    assert 'requests, key "it\'s\\n<b>": hidden.' in said
    document = ask(office, "show", file)
    assert (document["receipt"], document["kind"], document["account"]) == (receipt, "tombstone", None)
    assert document["items"] == [{"dataset": "requests", "key": "it's\n<b>", "version": "", "action": "tombstone"}]
    (own,) = ask(office, "export", receipt, "--account", "acct-'a'", "-o", "mine.json")["files"]
    assert "Of the account \"acct-'a'\": 1 record" in say(office, "show", own)
    Path("broken.json").write_text('{"mediaType": 1}', "utf-8")
    assert "broken.json is no bundle of a receipt" in failed(office, "show", "broken.json").what
    shown = ask(office, "show", receipt)
    assert {"receipt", "kind", "statement", "annex"} <= shown.keys()
    assert (shown["retracted"], shown["linked_until"]) == (None, "2027-07-06T12:00:00Z")
    assert "can be shown until 2027-07-06" in say(office, "show", receipt)


def test_what_is_retracted_is_called_so_everywhere(office: Office) -> None:
    office.feedback(1, 31)
    receipt = carry(office).carried[0].receipt.id
    assert ask(office, "list")["receipts"][0]["retracted"] is None
    document = ask(office, "retract", receipt, "--reason", "mistaken")
    assert (document["receipt"], document["reason"], document["built_on_it"]) == (receipt, "mistaken", [])
    assert document["retracted_at"] == "2026-06-01T12:00:00Z"
    assert ask(office, "list")["receipts"][0]["retracted"] == "mistaken"
    assert "RETRACTED: mistaken" in say(office, "list")
    assert say(office, "show", receipt).split("\n")[1].startswith("  RETRACTED on 2026-06-01 12:00:00 UTC (mistaken)")
    assert ask(office, "show", receipt)["retracted"] == {"reason": "mistaken", "at": "2026-06-01T12:00:00Z"}
    assert ask(office, "export", "--all", "out")["files"] == []
    assert len(ask(office, "export", "--all", "out", "--retracted")["files"]) == 1
    assert isinstance(failed(office, "export", receipt), ReceiptError)
    assert isinstance(failed(office, "retract", receipt, "--reason", "again"), ReceiptError)


def test_attestations_and_notices_are_made_and_handed_out(office: Office) -> None:
    office.feedback(1, 31, "acct-a")
    office.feedback(2, 31, "acct-b")
    office.clock.at += timedelta(hours=1)
    assert failed(office, "hold-notice", "--account", "acct-b").exit_code is Exit.FINDINGS
    refused = failed(office, "attest", *PERIOD)
    assert (refused.exit_code, "2 records of dataset feedback are overdue" in refused.what) == (Exit.FINDINGS, True)
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-b",)), "Matter-1", "", None)
    carry(office)
    notice = ask(office, "hold-notice", "--account", "acct-b")
    assert (notice["kind"], notice["retained"]) == ("hold-notice", 1)
    attested = ask(office, "attest", *PERIOD, "--policy", "feedback")
    assert (attested["kind"], attested["from"], attested["to"]) == (
        "attestation",
        "2026-06-01T12:00:00Z",
        "2026-06-01T13:00:00Z",
    )
    (line,) = attested["datasets"]
    assert (line["dataset"], line["held"], line["overdue"], line["examined"]) == ("feedback", 1, 0, 1)
    assert [each["id"] for each in read(attested["file"])[1]["policies"]] == ["feedback"]
    said = say(office, "attest", *PERIOD, "--account", "acct-b")
    own = next(line for line in said.split("\n") if "for the customer" in line).split()
    (mine,) = ask(office, *own[own.index("receipt") + 1 :], "-o", "mine.json")["files"]
    assert verdict(office, mine).reason is None
    assert "Retained under a legal obligation: 1 record." in say(office, "show", mine)
    assert "Matter-1" not in say(office, "show", mine) + Path(mine).read_text("utf-8")


def test_what_signs_is_carried_out_by_the_daemon(office: Office) -> None:
    office.feedback(1, 31)
    receipt = carry(office).carried[0].receipt
    office.clock.at += timedelta(hours=1)
    retract = {"receipt_id": receipt.id, "reason": "mistaken"}
    times = {name: datetime(2026, 6, 1, hour, tzinfo=UTC) for name, hour in (("start", 12), ("end", 13))}
    attest = {**{name: {"time": at.isoformat()} for name, at in times.items()}, "account_id": None, "policies": []}
    with office.open() as ctx:
        made = carry_out(ctx, replace(ORDER, verb="receipt attest", arguments=attest))
        assert made["document"]["kind"] == "attestation"
        answer = carry_out(ctx, replace(ORDER, verb="receipt retract", arguments=retract))
    assert answer["document"]["built_on_it"] == [{"receipt": made["document"]["receipt"], "kind": "attestation"}]
    assert verdict(office, receipt.file).step == "retracted"
