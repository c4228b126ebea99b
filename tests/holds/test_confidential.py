"""A matter, its custodians and its reason are for those who ask for holds: they stand nowhere else in plain text."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from retentiond.cli import cli
from retentiond.clock import SystemClock
from retentiond.domain.hold import Scope
from retentiond.domain.scopes import write_scope
from retentiond.engine.approvals import approve
from retentiond.engine.holds import list_holds
from retentiond.engine.overview import status
from retentiond.engine.running import apply_plan
from retentiond.service.metrics import of_status
from tests.engine.office import Office, carry, make_office, plan

MARKS = ("MARKED-matter-'\u202e", "MARKED-custodian-é", 'MARKED-reason-"\\', "MARKED-review")
MATTER, CUSTODIAN, REASON, REVIEW = MARKS
ACCOUNT = "acct-held"
FOR_THOSE_WHO_ASK = ("list", "show", "report")


def say(office: Office, *words: str) -> str:
    """Call a verb as people do, and as programs do; return everything that it said."""
    told = ""
    for more in ((), ("--json",)):
        ended = CliRunner().invoke(cli, ("--config", str(office.config), "--verbose", *more, *words))
        told += ended.output + (str(ended.exception) if ended.exception else "")
    return told


def spellings(mark: str) -> set[bytes]:
    """How a text may stand in a file: as it is, as JSON has it, and in another encoding."""
    escaped = json.dumps(mark)[1:-1]
    return {mark.encode(), escaped.encode(), escaped.lower().encode(), mark.encode("utf-16-le"), b"MARKED"}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = make_office(tmp_path)
    office.clock.at = SystemClock().now().replace(microsecond=0)
    office.request("held", 22, account=ACCOUNT, payload="p-held")
    office.request("free", 22, payload="p-free")
    office.feedback(1, 31, ACCOUNT)
    office.feedback(2, 31)
    return office


def hold(office: Office) -> str:
    placed = CliRunner().invoke(
        cli,
        (
            *("--config", str(office.config), "--json", "hold", "add", "--matter", MATTER, "--custodian", CUSTODIAN),
            *("--account", ACCOUNT, "--reason", REASON, "--review", f"{office.clock.at + timedelta(days=1):%Y-%m-%d}"),
        ),
    )
    name: str = json.loads(placed.output)["hold"]
    return name


def test_no_verb_but_hold_and_no_file_names_a_matter_its_custodian_or_its_reason(office: Office) -> None:
    name = hold(office)
    until = f"{office.clock.at + timedelta(days=9):%Y-%m-%d}"
    said = say(office, "hold", "review", name, "--until", until, "--reason", REVIEW)
    with office.open() as ctx:
        (kept,) = list_holds(ctx)
    assert (kept.matter, kept.custodian, kept.reason) == (MATTER, CUSTODIAN, REASON)
    said += say(office, "plan", "-o", str(office.root / "plan.json"))
    made = json.loads((office.root / "plan.json").read_text("utf-8"))["plan"]
    explained = CliRunner().invoke(cli, ("--config", str(office.config), "--json", "explain", "requests", "held"))
    assert json.loads(explained.output)["holds"] == [name]
    period = ("--from", f"{office.clock.at - timedelta(hours=1):%Y-%m-%dT%H:%MZ}", "--to", "2026-01-01T00:00Z")
    for words in (
        ("approve", made),
        ("apply", made),
        ("run",),
        ("plan", "--diff"),
        ("status",),
        ("check",),
        ("explain", "requests", "held"),
        ("account", "status", ACCOUNT),
        ("receipt", "hold-notice", "--account", ACCOUNT),
        ("receipt", "attest", *period),
        ("receipt", "list"),
        ("ledger", "check"),
        ("ledger", "recover"),
        ("audit",),
        ("hold", "release", "MARK"),
        ("hold", "release", name, "--dataset", "nowhere"),
    ):
        said += say(office, *words)
    assert office.rows() == {"held", "free"}
    assert office.hidden() == {"free"}
    with office.open() as ctx:
        said += "".join(str(each) for each in of_status(status(ctx), ctx.now(), 1))
        with ctx.ledger.begin() as tx:
            said += "".join(f"{each.kind} {each.subject} {each.detail}" for each in tx.events.newest(1000))
    assert "MARKED" not in said
    assert name in said
    for file in (path for path in office.root.rglob("*") if path.is_file()):
        data = file.read_bytes()
        assert not [mark for each in MARKS for mark in spellings(each) if mark in data], file
    shown = "".join(say(office, "hold", verb, *((name,) if verb != "list" else ())) for verb in FOR_THOSE_WHO_ASK)
    assert shown.count(CUSTODIAN) >= len(FOR_THOSE_WHO_ASK)


def test_a_receipt_counts_what_a_matter_holds_under_a_commitment_only_its_keeper_can_make(office: Office) -> None:
    with office.open() as ctx:
        planned = plan(ctx).plan
        assert planned is not None
        approve(ctx, planned.id, None)
        hold(office)
        (carried,) = apply_plan(ctx, planned.id).carried
        held = json.loads(carried.receipt.annex)["held"]
        assert held == [{"matterCommitment": ctx.replay.commit("matter", MATTER), "count": 3}]


def test_a_report_is_written_where_it_is_asked_for(office: Office) -> None:
    name = hold(office)
    path = office.root / "report.json"
    say(office, "hold", "report", MATTER, "-o", str(path))
    found = json.loads(path.read_text("utf-8"))
    assert (found["matter"], found["custodians"], found["holds_in_force"]) == (MATTER, [CUSTODIAN], 1)
    assert {each["dataset"]: each["records"] for each in found["datasets"]} == {
        "requests": 1,
        "payloads": 1,
        "feedback": 1,
    }
    (line,) = found["holds"]
    assert (line["hold"], line["removed_meanwhile"], line["may_be_gone"], line["reason"]) == (name, 0, 0, REASON)
    (placed,) = found["history"]
    assert (placed["change"], placed["by"], placed["reason"]) == ("placed", "single-operator", REASON)
    assert isinstance(placed["entry"], int)


def test_what_an_older_program_left_plain_is_sealed_by_the_next_one(office: Office) -> None:
    name = hold(office)
    plain = {"matter": "MARKED-plain", "reason": "MARKED", "scope": write_scope(Scope(accounts=(ACCOUNT,)))}
    with closing(sqlite3.connect(office.root / "ledger.db", isolation_level=None)) as db:
        db.execute("UPDATE holds SET sealed = ?", (b"\x00" + json.dumps(plain).encode(),))
        (left,) = db.execute("SELECT sealed FROM holds").fetchone()
        assert b"MARKED" in left
    with office.open() as ctx:
        (kept,) = list_holds(ctx)
    assert (kept.id, kept.matter, kept.custodian, kept.scope) == (name, "MARKED-plain", "", Scope(accounts=(ACCOUNT,)))
    carry(office)
    assert office.hidden() == {"free"}
    assert not [file for file in office.root.glob("ledger.db*") if b"MARKED" in file.read_bytes()]
