from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from retentiond.domain.decision import closure_cases
from retentiond.domain.plan import Outcome, Sighting
from retentiond.errors import ConnectorError
from tests.connectors.s3.asking import HIDE, OLD, PAYLOADS, YOUNG, cases, opened, ordered, scanned
from tests.connectors.s3.bucket_behind import BUCKET, Behind
from tests.servers.lying import deletes_nothing, loops
from tests.servers.rclone import Rclone
from tests.servers.versioned import Forward, Reply, Request, Server, error

DUE = cases()


def test_old_uploads_go_and_young_ones_stay(server: Server) -> None:
    old = server.bucket.begin_upload("in/old", OLD)
    same_key = server.bucket.begin_upload("in/old", OLD)
    young = server.bucket.begin_upload("in/young", YOUNG)
    elsewhere = server.bucket.begin_upload("out/old", OLD)
    server.bucket.put("in/old", YOUNG)
    dataset = replace(PAYLOADS, prefix="in/")
    with opened(server.url, page=1) as connector:
        records, _ = scanned(connector, DUE, dataset)
        assert {record.version.decode() for record in records} == {old, same_key}
        assert {record.place for record in records} == {"upload"}
        order = ordered(DUE, records, dataset=dataset)
        assert list(connector.act(order).outcomes) == [Outcome.DONE, Outcome.DONE]
        verified = connector.verify(order)
        assert (set(verified.sightings), verified.method) == ({Sighting.ABSENT}, "list-uploads")
    assert {identifier for _, identifier in server.bucket.uploads} == {young, elsewhere}
    assert server.bucket.with_data() == {b"in/old"}


@pytest.mark.parametrize("key", [b"soh\x01", b"lone\xff", "é/🗑".encode(), b"a+b %2e"])
def test_an_upload_of_any_key_goes(server: Server, key: bytes) -> None:
    server.bucket.begin_upload(key, OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        assert list(connector.act(ordered(DUE, records)).outcomes) == [Outcome.DONE]
    assert server.bucket.uploads == {}


def test_an_abort_that_only_says_so_is_found_out(server: Server) -> None:
    server.bucket.begin_upload("key", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        server.script = deletes_nothing
        order = ordered(DUE, records)
        connector.act(order)
        assert list(connector.verify(order).sightings) == [Sighting.DUE]


def test_an_upload_that_was_completed_meanwhile_was_not_removed_by_us(server: Server) -> None:
    identifier = server.bucket.begin_upload("key", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)

        def complete() -> None:
            server.bucket.uploads.pop((b"key", identifier), None)

        order = ordered(DUE, records, fence=complete)
        assert list(connector.act(order).outcomes) == [Outcome.ALREADY_GONE]


def test_uploads_are_never_hidden_and_go_when_the_grace_is_over(server: Server) -> None:
    server.bucket.begin_upload("old", timedelta(days=40))
    server.bucket.begin_upload("young", timedelta(days=4))
    decided = cases(HIDE)
    with opened(server.url) as connector:
        records, _ = scanned(connector, decided)
        assert list(connector.act(ordered(decided, records)).outcomes) == [Outcome.DONE]
    assert {key for key, _ in server.bucket.uploads} == {b"young"}


def test_a_closure_takes_the_accounts_uploads(server: Server) -> None:
    dataset = replace(PAYLOADS, key_pattern="{account}/{name}", account_field="account")
    server.bucket.begin_upload("acct-1/a", YOUNG)
    server.bucket.begin_upload("acct-10/a", YOUNG)
    decided = closure_cases("acct-1")
    with opened(server.url) as connector:
        records, _ = scanned(connector, decided, dataset)
        connector.act(ordered(decided, records, dataset=dataset))
    assert {key for key, _ in server.bucket.uploads} == {b"acct-10/a"}


def test_uploads_that_no_dataset_covers_are_named(server: Server) -> None:
    for key in ("in/a/x", "in/b/x", "out/x/y", "loose"):
        server.bucket.begin_upload(key, OLD)
    with opened(server.url) as connector:
        dataset = replace(PAYLOADS, prefix="in/a/")
        assert list(connector.unmapped([dataset], lambda name: name == "loose")) == ["in/b/", "out/"]


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (500, "InternalError")])
def test_a_listing_of_uploads_that_fails_is_no_empty_one(server: Server, status: int, code: str) -> None:
    server.bucket.begin_upload("key", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        server.script = lambda r, forward: error(status, code) if "uploads" in r.query else forward(r)
        with pytest.raises(ConnectorError):
            scanned(connector, DUE)
        assert list(connector.verify(ordered(DUE, records)).sightings) == [Sighting.UNKNOWN]


def test_a_listing_of_uploads_that_loops_is_an_error(server: Server) -> None:
    for number in range(4):
        server.bucket.begin_upload(f"k{number}", OLD)
    with opened(server.url, page=2) as connector:
        server.script = loops
        with pytest.raises(ConnectorError):
            scanned(connector, DUE)


def test_a_server_that_lists_no_uploads_is_worked_with_and_named(server: Server) -> None:
    server.bucket.put("key", OLD)

    def without(request: Request, forward: Forward) -> Reply | None:
        return error(501, "NotImplemented") if "uploads" in request.query else forward(request)

    server.script = without
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        assert len(records) == 1
        assert any("does not list uploads" in note for note in connector.survey(PAYLOADS).notes)


def test_rclones_uploads_go(rclone: Rclone) -> None:
    dataset = replace(PAYLOADS, tombstone=None, write_once=True)
    with opened(rclone.url) as connector:
        assert scanned(connector, DUE, dataset)[0] == []
        connector._reader.client.create_multipart_upload(Bucket=BUCKET, Key="up/load")
        decided = cases(later=OLD, dataset=dataset)
        records, _ = scanned(connector, decided, dataset)
        order = ordered(decided, records, dataset=dataset)
        assert list(connector.act(order).outcomes) == [Outcome.DONE]
        assert list(connector.verify(order).sightings) == [Sighting.ABSENT]
        assert scanned(connector, decided, dataset)[0] == []


def test_motos_uploads_go(moto_s3: str, behind: Behind) -> None:
    with opened(moto_s3) as connector:
        begun = connector._reader.client.create_multipart_upload(Bucket=behind.name, Key="up/a+b %2e")
        decided = cases(later=OLD)
        records, _ = scanned(connector, decided)
        assert [record.version.decode() for record in records] == [begun["UploadId"]]
        order = ordered(decided, records)
        assert list(connector.act(order).outcomes) == [Outcome.DONE]
        assert list(connector.verify(order).sightings) == [Sighting.ABSENT]
