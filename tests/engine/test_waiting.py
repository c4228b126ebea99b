"""Records that a bucket's Object Lock keeps: told with their date, left out of plans until then, and counted."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retentiond.clock import SystemClock
from retentiond.domain.account import AccountState, Remainder
from retentiond.domain.record import Record
from retentiond.domain.waiting import waits
from retentiond.engine import drafting, waiting
from retentiond.engine.accounts import account_status
from retentiond.engine.checking import check
from retentiond.engine.closures import close_account
from retentiond.engine.overview import status
from retentiond.engine.running import run_all
from tests.engine.office import Office, carry, make_office, outcomes, plan
from tests.servers.versioned import Server, versioned_server

DATAMAP = """
stores:
  bucket: {{kind: s3, bucket: api-payloads, region: us-east-1, endpoint: "{url}", backups: none}}
datasets:
  payloads:
    store: bucket
    prefix: ""
    class: content
    clock: modified
    key_pattern: "{{account}}/{{name}}"
    account: {{pattern: account}}
"""
POLICIES = """
policies:
  content:
    class: content
    promise: {live: 40 days}
    rules: [{keep: 30 days}]
    schedule: "every 6 hours"
    limits: {max_records: 1000, max_percent: 100}
closure: {grace: none, deadline: 30 days, limits: {per_day: 500, max_percent: 100}}
floor: 1 hour
"""
OLD = timedelta(days=40)


@pytest.fixture
def server() -> Iterator[Server]:
    with versioned_server() as running:
        running.bucket.lock = True
        yield running


@pytest.fixture
def office(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(drafting, "BATCH_RECORDS", 1)  # so that a batch of locked records comes before others
    made = make_office(tmp_path)
    made.clock.at = SystemClock().now()
    (made.config / "datamap.yaml").write_text(DATAMAP.format(url=server.url), "utf-8")
    (made.config / "policies.yaml").write_text(POLICIES, "utf-8")
    return made


def lock(server: Server, key: str, until: datetime) -> None:
    server.bucket.objects[key.encode()][0].lock = ("COMPLIANCE", until)


def travel(office: Office, server: Server, to: datetime) -> None:
    server.ahead = to - SystemClock().now()
    office.clock.at = to


def annex(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(bundle["annex"]))
    return found


def test_what_is_locked_waits_for_its_date(office: Office, server: Server) -> None:
    first = office.clock.at.replace(microsecond=0) + timedelta(days=3)
    later = first + timedelta(days=4)
    for key, until in (("acct/a", first), ("acct/b", later), ("acct/c", None), ("acct/d", None)):
        server.bucket.put(key, OLD)
        if until:
            lock(server, key, until)
    session = carry(office)
    assert outcomes(session) == {"payloads": {"purged": 2, "carriedOver": 2}}
    assert session.overdue == 2
    (bundle,) = office.bundles()
    told = {"dataset": "payloads", "reason": "object-lock", "count": 2, "until": later.strftime("%Y-%m-%dT%H:%M:%SZ")}
    assert annex(bundle)["carriedOver"] == [told]

    seen = len(server.deletions)
    with office.open() as ctx:
        planned = plan(ctx)
        assert planned.plan is None
        assert [(each.waiting, each.kept, each.due) for each in planned.forecasts] == [(2, 0, 0)]
        assert run_all(ctx).overdue == 2
        assert [policy.overdue for policy in status(ctx).policies] == [2]
    assert len(server.deletions) == seen

    travel(office, server, first + timedelta(minutes=1))
    lock(server, "acct/a", first - timedelta(days=30))
    with office.open() as ctx:
        session = run_all(ctx)
    assert outcomes(session) == {"payloads": {"purged": 1}}
    assert session.overdue == 1
    assert server.bucket.with_data() == {b"acct/b"}


def test_a_legal_hold_of_the_store_has_no_date_and_is_asked_again(office: Office, server: Server) -> None:
    server.bucket.put("acct/a", OLD)
    server.bucket.objects[b"acct/a"][0].hold = True
    assert outcomes(carry(office)) == {"payloads": {"carriedOver": 1}}
    (bundle,) = office.bundles()
    told = {"dataset": "payloads", "reason": "object-lock-legal-hold", "count": 1, "until": None}
    assert annex(bundle)["carriedOver"] == [told]
    server.bucket.objects[b"acct/a"][0].hold = False
    with office.open() as ctx:
        assert outcomes(run_all(ctx)) == {"payloads": {"purged": 1}}


def test_an_account_is_not_closed_while_a_lock_keeps_something_of_it(office: Office, server: Server) -> None:
    until = office.clock.at + timedelta(days=3)
    server.bucket.put("leaving/a", timedelta(days=1))
    server.bucket.put("leaving/b", timedelta(days=1))
    lock(server, "leaving/a", until)
    with office.open() as ctx:
        close_account(ctx, "leaving", "asked for", None)
        assert [run_all(ctx).overdue for _ in range(3)] == [1, 1, 1]
        found = status(ctx)
        assert [each.remainder for each in found.closures] == [Remainder(waiting=1)]
        assert (found.closure_records_overdue, found.closures_past_deadline) == (1, 0)
        assert account_status(ctx, "leaving").state is AccountState.CLOSING
    assert server.bucket.with_data() == {b"leaving/a"}
    travel(office, server, until + timedelta(minutes=1))
    lock(server, "leaving/a", until - timedelta(days=30))
    with office.open() as ctx:
        run_all(ctx)
        assert account_status(ctx, "leaving").state is AccountState.CLOSED


def test_what_is_remembered_names_no_key_and_ends(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [Record((f"secret/{number}",), b"v") for number in range(4)]
    until = office.clock.at + timedelta(days=1)
    reasons = {0: waits("object-lock", until), 1: "AccessDenied", 2: waits("object-lock", until + timedelta(days=1))}
    with office.open() as ctx, ctx.ledger.begin() as tx:
        waiting.remember(ctx, tx, "payloads", records, reasons)
        assert "secret" not in (tx.facts.get("waiting:payloads") or "")

        def known(at: datetime, dataset: str = "payloads") -> list[bool]:
            found = waiting.waiting(ctx, tx, dataset, at)
            return [record in found for record in records]

        assert known(office.clock.at) == [True, False, True, False]
        assert known(until + timedelta(minutes=1)) == [False, False, True, False]
        assert known(until + timedelta(days=3)) == [False] * 4
        assert known(office.clock.at, "another") == [False] * 4
        monkeypatch.setattr(waiting, "MOST", 2)
        waiting.remember(ctx, tx, "payloads", records, {3: waits("object-lock", until)})
        assert known(office.clock.at) == [True, False, True, False]


def test_check_reckons_with_the_lock_that_every_upload_gets(office: Office, server: Server) -> None:
    with office.open() as ctx:
        before = [each.fits for each in check(ctx).retention]
    server.bucket.settings["object-lock"] = (
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
        "<Mode>COMPLIANCE</Mode><Days>60</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
    )
    server.bucket.lock = False  # so that the answer is the one above
    with office.open() as ctx:
        report = check(ctx)
    assert (before, [each.fits for each in report.retention]) == ([True, True], [False, True])
    assert any("60 days by default (COMPLIANCE)" in note for note in report.notes)
    assert any("may last" in finding.what for finding in report.findings)


def test_check_probes_where_it_may_and_a_plan_never_does(office: Office, server: Server) -> None:
    server.bucket.lock = False
    server.bucket.put("acct/a", OLD)
    with office.open() as ctx:
        assert any("was not probed" in note for note in check(ctx).notes)
    office.edit("datamap.yaml", "backups: none", "probe: retentiond-probe/, backups: none")
    writes = len([request for request in server.seen if request.method == "PUT"])
    with office.open() as ctx:
        plan(ctx)
        assert len([request for request in server.seen if request.method == "PUT"]) == writes == 0
        notes = check(ctx).notes
    assert sum("is NOT honoured" in note for note in notes) == 2
    assert set(server.bucket.objects) == {b"acct/a"}
