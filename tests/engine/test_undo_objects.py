"""Undo in a bucket: our delete marker goes by its version id, and only ours; the ledger is what tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from retentiond.clock import SystemClock
from retentiond.domain.hold import Scope
from retentiond.engine.disclosing import Named, disclose
from retentiond.engine.returning import plain
from retentiond.engine.running import run_all
from retentiond.engine.undoing import Undo, Wanted, undo
from retentiond.errors import NotFound
from retentiond.ports.stores import Acted, Order
from tests.engine.handed_out import verdict
from tests.engine.office import Office, Proxy, Timed, carry, make_office
from tests.servers.versioned import Bucket, Server, versioned_server

ARCHIVE = """
  archive:
    store: disk
    prefix: archive/
    key_pattern: "archive/{account}/{name}"
    account: {pattern: account}
    class: archive
    clock: modified
    tombstone: marker
unmapped:"""
ARCHIVE_POLICY = """
  archive:
    class: archive
    promise: {live: 40 days}
    rules: [{keep: 20 days, then: tombstone, grace: 5 days}]
    schedule: "every 6 hours"
    limits: {max_records: 1000, max_percent: 100}
lists:"""


@pytest.fixture
def server() -> Iterator[Server]:
    with versioned_server() as server:
        yield server


@pytest.fixture
def office(tmp_path: Path, server: Server) -> Office:
    office = make_office(tmp_path)
    office.every = lambda connector: Timed(connector, office.clock) if connector.kind == "s3" else connector
    office.clock.at = SystemClock().now().astimezone(UTC).replace(microsecond=0)  # as the server's is
    where = f"bucket: api-payloads, region: us-east-1, endpoint: '{server.url}'"
    office.edit("datamap.yaml", "{kind: files, root: ../payloads,", f"{{kind: s3, {where},")
    office.edit("datamap.yaml", 'prefix: ""', "prefix: data/")
    office.edit("datamap.yaml", "tombstone: {directory: .quarantine}", "tombstone: marker")
    office.edit("datamap.yaml", "\nunmapped:", ARCHIVE)
    office.edit("policies.yaml", "\nlists:", ARCHIVE_POLICY)
    return office


@pytest.fixture
def bucket(server: Server) -> Bucket:
    return server.bucket


def back(office: Office, scope: Scope | None, run: str = "") -> Undo:
    with office.open() as ctx:
        return undo(ctx, Wanted(scope, run), "bad rule", None)


def of(account: str, dataset: str = "archive") -> Scope:
    return Scope(dataset, accounts=(account,))


def key(name: str) -> Scope:
    return Scope("archive", keys=(name.encode(),))


def counts(found: Undo) -> dict[str, dict[str, int]]:
    return plain(found.tally.counts)


def visible(bucket: Bucket) -> set[str]:
    return {key.decode() for key, versions in bucket.objects.items() if versions[0].body is not None}


def archive(bucket: Bucket, *names: str, days: int = 30) -> None:
    for name in names:
        bucket.put(f"archive/{name}", timedelta(days=days))


def test_objects_come_back_with_their_rows(office: Office, bucket: Bucket) -> None:
    bucket.put("data/one", body=b"noncurrent")
    current = bucket.put("data/one", body=b"current")
    office.request("one", 22, payload="data/one")
    carry(office)
    assert (office.hidden(), visible(bucket)) == ({"one"}, set())
    found = back(office, of("acct-a", "requests"))
    assert counts(found) == {"payloads": {"restored": 1}, "requests": {"restored": 1}}
    assert (office.hidden(), visible(bucket)) == (set(), {"data/one"})
    assert bucket.objects[b"data/one"][0].version == current
    assert len(bucket.objects[b"data/one"]) == 2


def test_by_account_by_key_and_by_run(office: Office, bucket: Bucket) -> None:
    archive(bucket, "acct-a/1", "acct-a/2", "acct-b/1")
    archive(bucket, "acct-a/old-version")
    archive(bucket, "acct-a/old-version", days=1)
    run = carry(office).carried[0].run.id
    assert visible(bucket) == {"archive/acct-a/old-version"}
    assert counts(back(office, key("archive/acct-a/1"))) == {"archive": {"restored": 1}}
    assert counts(back(office, of("acct-a"))) == {"archive": {"restored": 1}}
    assert counts(back(office, key("archive/acct-a/1"))) == {"archive": {"there": 1}}
    found = back(office, None, run)
    assert counts(found) == {"archive": {"there": 2, "restored": 1}}
    assert (found.complete, found.tally.due_again) == (True, 1)
    assert len(visible(bucket)) == 4


def test_a_marker_of_the_application_is_never_taken_away(office: Office, bucket: Bucket) -> None:
    archive(bucket, "acct-a/1", "acct-a/2", "acct-a/3")
    run = carry(office).carried[0].run.id
    bucket.hide(b"archive/acct-a/1")  # on top of ours
    archive(bucket, "acct-a/2", days=0)  # uploaded anew
    archive(bucket, "acct-a/theirs", days=30)
    bucket.hide(b"archive/acct-a/theirs")
    before = {name: [each.version for each in versions] for name, versions in bucket.objects.items()}
    assert counts(back(office, None, run)) == {"archive": {"changed": 2, "restored": 1}}
    assert counts(back(office, key("archive/acct-a/theirs"))) == {"archive": {"undetermined": 1}}
    after = {name: [each.version for each in versions] for name, versions in bucket.objects.items()}
    assert before.pop(b"archive/acct-a/3")[1:] == after.pop(b"archive/acct-a/3")
    assert before == after


def test_once_the_ledger_forgot_nobody_can_tell(office: Office, bucket: Bucket) -> None:
    archive(bucket, "acct-a/1")
    bucket.put("data/one")
    office.request("one", 22, payload="data/one")
    carry(office)
    office.edit("retentiond.yaml", "keep: 7 days", "keep: 1 hour")
    office.clock.at += timedelta(hours=2)
    with office.open() as ctx:
        run_all(ctx)
    found = back(office, of("acct-a"))
    assert (counts(found), found.forgotten, found.complete) == ({}, {"archive": 1}, False)
    assert counts(back(office, key("archive/acct-a/1"))) == {"archive": {"undetermined": 1}}
    assert counts(back(office, Scope("requests", keys=(b"one",)))) == {"requests": {"undetermined": 1}}
    assert visible(bucket) == set()


def test_a_marker_whose_name_was_never_written_down_stays(office: Office, bucket: Bucket) -> None:
    archive(bucket, "acct-a/1")

    class Dying(Proxy):
        def act(self, order: Order) -> Acted:
            super().act(order)
            raise KeyboardInterrupt

    office.wraps["disk"] = Dying
    with pytest.raises(KeyboardInterrupt):
        carry(office)
    office.wraps.clear()
    with office.open() as ctx:
        session = run_all(ctx)
    assert session.carried[0].outcomes()["archive"]["tombstoned"] == 1
    for found in (back(office, of("acct-a")), back(office, None, session.carried[0].plan.id)):
        assert counts(found) == {"archive": {"undetermined": 1}}
    assert visible(bucket) == set()


def test_a_record_that_is_an_object_is_disclosed_by_its_version(office: Office, bucket: Bucket, tmp_path: Path) -> None:
    ages = {timedelta(days=40): b"older", timedelta(days=30): b"newer"}
    put = {bucket.put("archive/acct-a/one", age, body=body) for age, body in ages.items()}
    receipt = carry(office).carried[0].receipt
    item = Named("archive", ["archive/acct-a/one"])
    with office.open() as ctx:
        with pytest.raises(NotFound, match="it is about these versions of it: --version ") as caught:
            disclose(ctx, receipt.id, item, None)
        versions = caught.value.remedy.partition(": ")[2].replace("--version ", "").split(", or ")
        path = disclose(ctx, receipt.id, replace(item, version=versions[0]), tmp_path / "one.json")
    assert set(versions) == put
    assert verdict(office, path).reason is None
