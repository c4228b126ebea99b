"""The same in a bucket: objects that are put again have other versions and other times, and yet are the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from retentiond.clock import SystemClock
from retentiond.domain.hold import Scope
from retentiond.engine.approvals import approve
from retentiond.engine.holds import add_hold
from retentiond.engine.running import run_all
from tests.engine.leavers import ask
from tests.engine.office import Office, carry, make_office, outcomes
from tests.replay.test_check import looked
from tests.replay.test_replay import again
from tests.servers.versioned import Server, versioned_server

DATAMAP = """
stores:
  bucket: {{kind: s3, bucket: api-payloads, region: us-east-1, endpoint: "{url}", backups: none}}
datasets:
  payloads:
    store: bucket
    prefix: ""
    class: content
    clock: {clock}
    key_pattern: "{{account}}/{{date:%Y-%m-%d}}/{{name}}"
    account: {{pattern: account}}
"""
POLICIES = """
policies:
  content:
    class: content
    promise: {live: 60 days}
    rules: [{keep: 30 days}]
    schedule: "every 6 hours"
    limits: {max_records: 1000, max_percent: 100}
closure: {grace: none, deadline: 30 days, limits: {per_day: 500, max_percent: 100}}
floor: 1 hour
"""
LEAVING = ["acct-0", "acct-1", "acct-2"]


@pytest.fixture
def server() -> Iterator[Server]:
    with versioned_server() as running:
        yield running


def an_office(tmp_path: Path, server: Server, clock: str) -> Office:
    made = make_office(tmp_path)
    made.clock.at = SystemClock().now()
    (made.config / "datamap.yaml").write_text(DATAMAP.format(url=server.url, clock=clock), "utf-8")
    (made.config / "policies.yaml").write_text(POLICIES, "utf-8")
    return made


def names(office: Office) -> dict[str, int]:
    """Name what was written: three objects of each account, of the last days, one of them past its retention period."""
    days = (3, 9, 35)
    keys = {}
    for account in (*LEAVING, "acct-8", "acct-9"):
        for age in days:
            day = (office.clock.at - timedelta(days=age)).strftime("%Y-%m-%d")
            keys[f"{account}/{day}/n"] = age
    return keys


def there(server: Server) -> set[str]:
    return {key.decode() for key, versions in server.bucket.objects.items() if versions}


def travel(office: Office, server: Server, **span: float) -> None:
    office.clock.at += timedelta(**span)
    server.ahead += timedelta(**span)


def close(office: Office, server: Server) -> set[str]:
    """Carry out the policy, then close accounts; return what is left."""
    carry(office)
    ask(office, LEAVING)
    with office.open() as ctx:
        session = run_all(ctx)
    assert (session.failures, session.stops) == ([], [])
    return there(server)


def test_objects_that_were_put_again_go_again(tmp_path: Path, server: Server) -> None:
    office = an_office(tmp_path, server, "{pattern: date, earliest: 2023-01-01}")
    written = names(office)
    for key, age in written.items():
        server.bucket.put(key, timedelta(days=age))
    expected = close(office, server)
    assert len(expected) == 4
    assert looked(office) == []

    travel(office, server, days=2)
    since = f"acct-0/{office.clock.at:%Y-%m-%d}/since"
    for key in (*written, since):
        server.bucket.put(key, timedelta())
    with office.open() as ctx:
        add_hold(ctx, Scope(accounts=("acct-1",)), "matter-1", "a reason", None)
    said = "; ".join(looked(office))
    assert "of closed accounts, and older than the closure" in said
    assert "were past their retention period" in said

    waits = again(office)
    assert waits.session.stopped_plan is not None
    with office.open() as ctx:
        approve(ctx, waits.session.stopped_plan.id, None)
    done = again(office)
    assert (done.session.failures, done.session.stops) == ([], [])
    held = {key for key in written if key.startswith("acct-1/")}
    assert there(server) == expected | held | {since}
    assert outcomes(done.session)["payloads"]["purged"] == len(written) - len(expected) - len(held)


def test_where_only_the_store_tells_the_time_nobody_can_tell_and_nothing_goes(tmp_path: Path, server: Server) -> None:
    office = an_office(tmp_path, server, "modified")
    written = {key: age for key, age in names(office).items() if age < 30}
    for key, age in (*written.items(), ("acct-8/2020-01-01/old", 40)):
        server.bucket.put(key, timedelta(days=age))
    expected = close(office, server)
    travel(office, server, days=2)
    for key in written:
        server.bucket.put(key, timedelta())
    assert looked(office) == [
        "it was restored, or written late: records of payloads are of closed accounts: written since, or restored"
    ]
    done = again(office)
    assert (done.back, done.session.carried) == (3, [])
    assert dict(done.found["payloads", "content"].doubts) == {"since-closure-or-restored": 6}
    ask(office, LEAVING)  # whoever knows that they did not come back closes them again
    with office.open() as ctx:
        run_all(ctx)
    assert there(server) == expected
