"""Manual purges: exactly what was asked for goes, once somebody else has approved it; everything else stays."""

from __future__ import annotations

import base64
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.domain.condition import Compare, Operator, attribute
from retentiond.domain.hold import Scope
from retentiond.domain.plan import RunState
from retentiond.engine.approvals import approve, reject
from retentiond.engine.holds import add_hold
from retentiond.engine.purging import Asked, ask_purge
from retentiond.engine.running import Session, apply_plan, run_all
from retentiond.errors import ApprovalError, GuardStopped, LogIntegrityError, RetentiondError, UsageError
from tests.engine.office import Office, log_entries, make_office, outcomes, plan

FLAGGED = Compare(attribute("flagged"), Operator.EQUAL, literal=True)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = make_office(tmp_path, single_operator=False)
    office.name_approvers("alice", "bob", "carol")
    return office


def keys(*names: str, dataset: str = "requests") -> Scope:
    return Scope(dataset, keys=tuple(name.encode("utf-8", "surrogateescape") for name in names))


def ask(office: Office, scope: Scope, reason: str = "leaked token", who: str = "alice") -> Asked:
    with office.open() as ctx:
        return ask_purge(ctx, scope, reason, office.key(who))


def plan_id(asked: Asked) -> str:
    assert asked.planned.plan is not None
    return asked.planned.plan.id


def carried(office: Office, asked: Asked, who: str = "bob") -> Session:
    with office.open() as ctx:
        assert approve(ctx, plan_id(asked), office.key(who)) == 0
        return apply_plan(ctx, plan_id(asked))


def annex(office: Office) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(office.bundles()[-1]["annex"]))
    return found


def statement(office: Office) -> dict[str, Any]:
    envelope = office.bundles()[-1]["dsseEnvelope"]
    found: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    return found


def test_exactly_the_named_keys_go_and_the_objects_that_they_name_go_before(office: Office) -> None:
    for name in ("one", "two", "it's; DROP TABLE requests --"):
        office.request(name, 1, payload=f"of-{len(name)}")
    office.blob("orphan", days=300)
    asked = ask(office, keys("one", "it's; DROP TABLE requests --", "nowhere"))
    assert asked.missing == (b"nowhere",)
    assert [(each.dataset, each.records) for each in asked.samples] == [("payloads", 1), ("requests", 2)]
    assert asked.samples[1].keys == (b"one", b"it's; DROP TABLE requests --")
    session = carried(office, asked)
    assert office.rows() == {"two"}
    # "one" and "two" name the same object, which stays as long as one of them is there
    assert office.blobs() == {"of-3", "orphan"}
    assert outcomes(session)["requests"]["purged"] == 2
    assert outcomes(session)["payloads"]["purged"] == 1
    assert session.overdue == 0


def test_exactly_the_records_of_an_account_go_also_hidden_ones(office: Office) -> None:
    office.request("mine", 1, account="acct-b")
    office.request("hidden", 30, account="acct-b")
    office.hide("hidden", 2)
    office.request("other", 1, account="acct-a")
    office.request("nobody's", 1, account=None)
    asked = ask(office, Scope("requests", accounts=("acct-b",)))
    (forecast,) = (each for each in asked.planned.forecasts if each.dataset == "requests")
    assert (forecast.due, forecast.undetermined, forecast.kept) == (2, 1, 1)
    carried(office, asked)
    assert office.rows() == {"other", "nobody's"}


def test_a_condition_is_part_of_the_statement_and_what_it_cannot_tell_stays(office: Office) -> None:
    office.request("flagged", 1, flagged=1)
    office.request("plain", 1, flagged=0)
    office.request("unknown", 1, flagged=None)
    office.request("changed", 1, flagged=1)
    asked = ask(office, Scope("requests", condition=FLAGGED))
    with office.db() as db:
        db.execute("UPDATE requests SET flagged = 0 WHERE id = 'changed'")
    session = carried(office, asked)
    assert office.rows() == {"plain", "unknown", "changed"}
    assert outcomes(session)["requests"]["changed"] == 1


def test_what_is_younger_than_the_floor_stays_and_what_has_no_clock_too(office: Office) -> None:
    office.request("old", 1)
    office.request("new", 0.03)
    office.request("timeless", 1)
    with office.db() as db:
        db.execute("UPDATE requests SET created = 'yesterday' WHERE id = 'timeless'")
    carried(office, ask(office, keys("old", "new", "timeless")))
    assert office.rows() == {"new", "timeless"}


def test_a_hold_wins_whether_it_was_there_before_or_comes_after_the_approval(office: Office) -> None:
    office.request("before", 1)
    office.request("after", 1, account="acct-b")
    office.request("free", 1)
    with office.open() as ctx:
        add_hold(ctx, keys("before"), "Case 1", "", office.key("carol"))
    asked = ask(office, keys("before", "after", "free"))
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-b",)), "Case 2", "", office.key("carol"))
    session = carried(office, asked)
    assert office.rows() == {"before", "after"}
    assert outcomes(session)["requests"]["held"] == 1


def test_nothing_selected_makes_no_plan(office: Office) -> None:
    office.request("one", 1)
    before = log_entries(office)
    asked = ask(office, keys("two"))
    assert asked.planned.plan is None
    assert asked.samples == ()
    with office.open() as ctx, ctx.ledger.begin() as tx:
        assert not tx.plans.in_state(*RunState)
    assert log_entries(office) == before


def test_whoever_asked_cannot_approve_and_somebody_else_can(office: Office) -> None:
    office.request("one", 1)
    asked = ask(office, keys("one"))
    assert asked.planned.plan is not None
    assert asked.planned.plan.state is RunState.WAITING
    with office.open() as ctx, pytest.raises(ApprovalError, match="alice asked for plan"):
        approve(ctx, plan_id(asked), office.key("alice"))
    with office.open() as ctx, pytest.raises(GuardStopped, match="waits for approval"):
        apply_plan(ctx, plan_id(asked))
    carried(office, asked)
    assert office.rows() == set()


def test_an_approval_by_whoever_asked_does_not_count_when_it_is_written_into_the_ledger(office: Office) -> None:
    office.request("one", 1)
    asked = ask(office, keys("one"), who="alice")
    with office.open() as ctx:
        approve(ctx, plan_id(asked), office.key("bob"))
        row = asked.planned.plan
        assert row is not None
        with ctx.ledger.begin() as tx:
            sealed = tx.facts.get(f"purge:{row.id}")
    other = ask(office, keys("one"), who="bob")
    with office.open() as ctx:
        with ctx.ledger.begin() as tx:  # as if bob had asked for what he approved
            tx.facts.set(f"purge:{row.id}", tx.facts.get(f"purge:{plan_id(other)}") or "")
        with pytest.raises(RetentiondError):
            apply_plan(ctx, row.id)
        with ctx.ledger.begin() as tx:
            tx.facts.set(f"purge:{row.id}", sealed or "")
        apply_plan(ctx, row.id)
    assert office.rows() == set()


def test_the_receipt_says_manual_who_asked_and_why(office: Office) -> None:
    office.request("one", 1)
    carried(office, ask(office, keys("one"), 'a "customer\'s" token\u202e leaked'))
    assert statement(office)["run"]["trigger"] == "manual"
    assert annex(office)["request"] == {"by": "alice", "reason": 'a "customer\'s" token\u202e leaked'}
    assert "leaked" not in json.dumps(statement(office))
    assert annex(office)["singleOperator"] is False
    assert statement(office)["run"]["approvals"] is not None


def test_request_and_plan_are_in_log_and_journal_before_they_are_acknowledged(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.request("one", 1)
    with office.open() as ctx:
        written = ctx.journal.names()
    asked = ask(office, keys("one"))
    with office.open() as ctx:
        (name,) = ctx.journal.names() - written - {_approvers_record(ctx)}
        record = ctx.journal.open(ctx.journal.sealed(name) or b"")
    assert (record["kind"], record["by"], record["reason"]) == ("purge", "alice", "leaked token")
    assert asked.planned.plan is not None
    assert f"sha256:{name}" in log_entries(office)
    assert f"sha256:{asked.planned.plan.sha256}" in log_entries(office)

    def unwritable(*_: object) -> None:
        raise LogIntegrityError("the journal can't be written")

    with office.open() as ctx, monkeypatch.context() as patch:
        patch.setattr(type(ctx.journal), "write", unwritable)
        with pytest.raises(LogIntegrityError):
            ask_purge(ctx, keys("one"), "again", office.key("alice"))


def _approvers_record(ctx: Any) -> str:
    with ctx.ledger.begin() as tx:
        for row in tx.journal.all():
            if ctx.journal.open(row.sealed)["kind"] == "approvers":
                return str(row.sha256)
    return ""


def test_run_carries_an_approved_purge_out_and_one_that_waits_holds_nobody_up(office: Office) -> None:
    office.request("due", 3, account="acct-zero")
    with office.open() as ctx:
        first = plan(ctx).plan
        assert first is not None
        approve(ctx, first.id, office.key("bob"))
        apply_plan(ctx, first.id)
    office.request("due", 3, account="acct-zero")
    office.request("young", 1)
    asked = ask(office, keys("young"))
    with office.open() as ctx:
        session = run_all(ctx)
    assert session.stopped is None
    assert office.rows() == {"young"}
    with office.open() as ctx:
        approve(ctx, plan_id(asked), office.key("bob"))
        session = run_all(ctx)
    assert office.rows() == set()
    assert [each.plan.id for each in session.carried] == [plan_id(asked)]
    with office.open() as ctx, ctx.ledger.begin() as tx:
        assert tx.facts.get("success:content") is not None


def test_a_manual_purge_approves_no_policy(office: Office) -> None:
    office.request("one", 1)
    office.request("due", 3, account="acct-zero")
    carried(office, ask(office, keys("one")))
    with office.open() as ctx:
        row = plan(ctx).plan
    assert row is not None
    assert "not approved in its present form" in row.reasons[0]


def test_a_rejected_purge_is_void_also_when_whoever_asked_rejects_it(office: Office) -> None:
    office.request("one", 1)
    asked = ask(office, keys("one"))
    with office.open() as ctx:
        reject(ctx, plan_id(asked), office.key("alice"))
        with pytest.raises(ApprovalError):
            approve(ctx, plan_id(asked), office.key("bob"))
    assert office.rows() == {"one"}


def test_one_approver_alone_cannot_purge(tmp_path: Path) -> None:
    office = make_office(tmp_path, single_operator=False)
    office.name_approvers("alice")
    office.request("one", 1)
    with pytest.raises(GuardStopped, match="needs two people") as caught:
        ask(office, keys("one"))
    assert caught.value.guard == "two-people"


def test_without_people_only_a_single_operator_purges_and_the_receipt_says_so(tmp_path: Path) -> None:
    (tmp_path / "nobody").mkdir()
    nobody = make_office(tmp_path / "nobody", single_operator=False)
    nobody.request("one", 1)
    with nobody.open() as ctx, pytest.raises(GuardStopped) as caught:
        ask_purge(ctx, keys("one"), "why", None)
    assert caught.value.guard == "approvers-empty"
    (tmp_path / "single").mkdir()
    office = make_office(tmp_path / "single")
    office.request("one", 1)
    with office.open() as ctx:
        asked = ask_purge(ctx, keys("one"), "why", None)
        assert approve(ctx, plan_id(asked), None) == 0
        apply_plan(ctx, plan_id(asked))
    assert office.rows() == set()
    assert annex(office)["singleOperator"] is True


@pytest.mark.parametrize(
    ("scope", "reason", "where"),
    [
        (Scope("requests"), "why", ""),
        (Scope("requests", accounts=("a",), keys=(b"k",)), "why", ""),
        (Scope("nowhere", keys=(b"k",)), "why", "--dataset"),
        (Scope(accounts=("a",)), "why", "--dataset"),
        (Scope("payloads", keys=(b"k",)), "why", "--dataset"),
        (Scope("requests", keys=(b"k",)), " ", "--reason"),
        (Scope("requests", keys=(b"k",)), "\udcff", "--reason"),
    ],
    ids=["nothing", "two-kinds", "no-such-dataset", "no-dataset", "follower", "no-reason", "no-text"],
)
def test_a_request_that_names_nothing_sensible_is_refused(
    office: Office, scope: Scope, reason: str, where: str
) -> None:
    with office.open() as ctx, pytest.raises(UsageError) as caught:
        ask_purge(ctx, scope, reason, office.key("alice"))
    assert caught.value.where == where


def test_a_changed_floor_stops_an_approved_purge(office: Office) -> None:
    office.request("one", 1)
    asked = ask(office, keys("one"))
    with office.open() as ctx:
        approve(ctx, plan_id(asked), office.key("bob"))
    office.edit("policies.yaml", "floor: 1 hour", "floor: 2 days")
    with office.open() as ctx, pytest.raises(GuardStopped) as caught:
        apply_plan(ctx, plan_id(asked))
    assert caught.value.guard == "policy-changed"
    assert office.rows() == {"one"}


def test_caps_are_named_among_the_reasons(office: Office) -> None:
    office.edit("policies.yaml", "max_records: 1000, max_percent: 95", "max_records: 1, max_percent: 95")
    for name in "abc":
        office.request(name, 1)
    asked = ask(office, Scope("requests", accounts=("acct-a",)))
    assert any("max_records 1" in reason for reason in asked.planned.reasons)


def test_a_purge_that_expired_before_it_was_approved_is_void(office: Office) -> None:
    office.request("one", 1)
    asked = ask(office, keys("one"))
    office.clock.at += timedelta(days=2)
    with office.open() as ctx, pytest.raises(ApprovalError, match="expired"):
        approve(ctx, plan_id(asked), office.key("bob"))
    assert office.rows() == {"one"}


def test_a_row_of_which_children_stand_waits_for_them(office: Office) -> None:
    office.edit("datamap.yaml", "unmapped: refuse", NOTES)
    office.edit("policies.yaml", "lists:", NOTES_POLICY)
    with office.db() as db:
        db.execute("CREATE TABLE notes (id TEXT PRIMARY KEY, request TEXT, created TEXT)")
        db.execute("CREATE INDEX notes_request ON notes (request)")
        db.execute("INSERT INTO notes VALUES ('note', 'with', ?)", (office.ago(1),))
    office.request("with", 1)
    office.request("without", 1)
    office.request("other", 1)
    asked = ask(office, keys("with", "without"))
    (forecast,) = (each for each in asked.planned.forecasts if each.dataset == "requests")
    assert forecast.doubts == (("child-remains", 1),)
    carried(office, asked)
    assert office.rows() == {"with", "other"}
    carried(office, ask(office, keys("note", dataset="notes")))
    carried(office, ask(office, keys("with")))
    assert office.rows() == {"other"}


def test_files_are_purged_by_key_and_by_account(office: Office) -> None:
    office.edit("datamap.yaml", "unmapped: refuse", EXPORTS)
    office.edit("datamap.yaml", "datasets:", "  exports: {kind: files, root: ../exports, backups: none}\ndatasets:")
    office.edit("policies.yaml", "lists:", EXPORTS_POLICY)
    for name in ("acct-a/one", "acct-a/two", "acct-b/one"):
        path = office.root / "exports" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, "utf-8")
        when = (office.clock.at - timedelta(days=1)).timestamp()
        os.utime(path, (when, when))
    carried(office, ask(office, keys("acct-b/one", dataset="exports")))
    assert [path.name for path in (office.root / "exports").rglob("*") if path.is_file()].count("one") == 1
    carried(office, ask(office, Scope("exports", accounts=("acct-a",))))
    assert not [path for path in (office.root / "exports").rglob("*") if path.is_file()]


def test_a_named_record_whose_clock_is_absurd_stays_and_the_others_go(office: Office) -> None:
    office.request("absurd", 20_000)
    office.request("one", 1)
    asked = ask(office, keys("absurd", "one"))
    assert asked.planned.forecasts[0].doubts == (("clock-out-of-range", 1),)
    carried(office, asked)
    assert office.rows() == {"absurd"}


def test_a_dataset_whose_clocks_are_absurd_is_not_purged_by_account(office: Office) -> None:
    office.request("absurd", 20_000)
    office.request("one", 1)
    with pytest.raises(GuardStopped, match="clocks lie outside") as caught:
        ask(office, Scope("requests", accounts=("acct-a",)))
    assert caught.value.guard == "left-out"
    assert office.rows() == {"absurd", "one"}


NOTES = """  notes:
    store: app
    table: notes
    key: [id]
    clock: {column: created, earliest: 2023-01-01}
    class: notes
    parent: {dataset: requests, on: {request: id}}
unmapped: refuse"""
NOTES_POLICY = """  notes:
    class: notes
    promise: {live: 40 days}
    rules: [{keep: 30 days}]
lists:"""
EXPORTS = """  exports:
    store: exports
    prefix: ""
    key_pattern: "{account}/{name}"
    clock: modified
    account: {pattern: account}
    class: exports
unmapped: refuse"""
EXPORTS_POLICY = """  exports:
    class: exports
    promise: {live: 40 days}
    rules: [{keep: 30 days}]
lists:"""
