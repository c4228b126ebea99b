from __future__ import annotations

from dataclasses import replace

import pytest

from retentiond.domain.decision import named_cases
from retentiond.domain.plan import Outcome, Sighting
from retentiond.errors import DatasetRefused
from retentiond.evidence.levels import EvidenceLevel
from tests.connectors.s3.asking import OLD, PAYLOADS, YOUNG, cases, opened, ordered, scanned
from tests.servers.lying import breaks_after, deletes_nothing
from tests.servers.rclone import Rclone
from tests.servers.versioned import Forward, Reply, Request, Server

ONCE = replace(PAYLOADS, tombstone=None, write_once=True)
DUE = cases(dataset=ONCE)


def test_objects_go_by_their_keys(rclone: Rclone) -> None:
    for name in ("old", "a+b %2e/c", "é/\U0001f5d1", "it's; --"):
        rclone.put(name, OLD)
    rclone.put("young", YOUNG)
    with opened(rclone.url) as connector:
        records, _ = scanned(connector, DUE, ONCE)
        assert {record.version for record in records} == {b""}
        order = ordered(DUE, records, dataset=ONCE)
        assert set(connector.act(order).outcomes) == {Outcome.DONE}
        verified = connector.verify(order)
        assert (set(verified.sightings), verified.method) == ({Sighting.ABSENT}, "list-objects")
        assert connector.settle(ONCE) is EvidenceLevel.DELETED
        assert set(connector.act(order).outcomes) == {Outcome.ALREADY_GONE}
    assert rclone.named() == {"young"}


@pytest.mark.parametrize("body", [b"{}", b"{} and more"])
def test_an_object_that_bears_the_name_by_now_stays(rclone: Rclone, body: bytes) -> None:
    rclone.put("again", OLD)
    rclone.put("old", OLD)
    with opened(rclone.url) as connector:
        records, _ = scanned(connector, DUE, ONCE)
        rclone.put("again", OLD * 2, body)  # older still, so that its age alone would not keep it
        order = ordered(DUE, records, dataset=ONCE)
        acted = connector.act(order)
        assert list(acted.outcomes) == [Outcome.CHANGED, Outcome.DONE]
        assert "another object" in acted.reasons[0]
        assert list(connector.verify(order).sightings) == [Sighting.CHANGED, Sighting.ABSENT]
    assert rclone.named() == {"again"}


def test_each_call_is_looked_at_right_before(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retentiond.connectors.s3.purging.CALL", 2)
    server.bucket.versioning = ""
    for number in range(4):
        server.bucket.put(f"k{number}", OLD)
    with opened(server.url, page=100) as connector:
        records, _ = scanned(connector, DUE, ONCE)

        def upload_after_the_first_call(request: Request, forward: Forward) -> Reply | None:
            reply = forward(request)
            if request.deletes and len(server.deletions) == 1:
                server.bucket.put("k3", OLD, b"another")
            return reply

        server.script = upload_after_the_first_call
        acted = connector.act(ordered(DUE, records, dataset=ONCE))
    assert list(acted.outcomes) == [Outcome.DONE] * 3 + [Outcome.CHANGED]
    assert server.bucket.with_data() == {b"k3"}


@pytest.mark.parametrize("versioning", ["", "Suspended"])
def test_without_the_declaration_nothing_is_read_or_done(server: Server, versioning: str) -> None:
    server.bucket.versioning = versioning
    server.bucket.put("key", OLD)
    plain = replace(ONCE, write_once=False)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE, ONCE)
        with pytest.raises(DatasetRefused) as raised:
            list(connector.scan(plain, DUE, frozenset(DUE.due)))
        assert "write-once" in raised.value.remedy
        with pytest.raises(DatasetRefused):
            connector.act(ordered(DUE, records, dataset=plain))
        assert any(finding.refuses for finding in connector.survey(plain).findings)
    assert server.bucket.with_data() == {b"key"}
    assert server.deletions == []


def test_suspended_versions_go_by_their_id_and_null_by_what_it_was(server: Server) -> None:
    first = server.bucket.put("key", OLD * 2)
    server.bucket.versioning = "Suspended"
    server.bucket.put("key", OLD)
    server.bucket.put("other", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE, ONCE)
        named = {(record.key[0], record.version.decode()) for record in records}
        assert named == {("key", first), ("key", "null"), ("other", "null")}
        server.bucket.put("other", OLD, b"uploaded again")
        order = ordered(DUE, records, dataset=ONCE)
        outcomes = dict(zip((record.key[0] for record in records), connector.act(order).outcomes, strict=True))
    assert outcomes == {"key": Outcome.DONE, "other": Outcome.CHANGED}
    assert server.bucket.with_data() == {b"other"}


def test_versioning_that_was_enabled_after_the_plan_leaves_its_objects_seen(server: Server) -> None:
    server.bucket.versioning = ""
    server.bucket.put("key", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE, ONCE)
        server.bucket.versioning = "Enabled"
        for versions in server.bucket.objects.values():
            versions[0].version = "null"
        order = ordered(DUE, records, dataset=ONCE)
        connector.act(order)
        assert list(connector.verify(order).sightings) == [Sighting.DUE]
    assert server.bucket.with_data() == {b"key"}


def test_version_ids_are_never_absent_from_a_bucket_that_forgot_its_versions(server: Server) -> None:
    server.bucket.put("key", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, cases())
        server.bucket.versioning = ""
        del server.bucket.objects[b"key"]
        assert list(connector.verify(ordered(cases(), records)).sightings) == [Sighting.UNKNOWN]


def test_a_server_that_says_yes_and_does_nothing_is_found_out(server: Server) -> None:
    server.bucket.versioning = ""
    server.bucket.put("key", OLD)
    server.bucket.put("\x01", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE, ONCE)
        server.script = deletes_nothing
        order = ordered(DUE, records, dataset=ONCE)
        connector.act(order)
        assert set(connector.verify(order).sightings) == {Sighting.DUE}


def test_a_lost_reply_is_made_good_by_looking(server: Server) -> None:
    server.bucket.versioning = ""
    server.bucket.put("key", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE, ONCE)
        server.script = breaks_after(lambda request: request.deletes)
        order = ordered(DUE, records, dataset=ONCE)
        assert list(connector.act(order).outcomes) == [Outcome.DONE]


def test_a_key_that_a_path_may_turn_into_another_is_left(server: Server) -> None:
    server.bucket.versioning = ""
    server.bucket.put("a/../b\x01", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE, ONCE)
        assert list(connector.act(ordered(DUE, records, dataset=ONCE)).outcomes) == [Outcome.REFUSED]
    assert server.deletions == []


def test_what_no_dataset_covers_is_named(rclone: Rclone) -> None:
    for key in ("in/a", "in/sub/b", "out/c", "lone"):
        rclone.put(key)
    with opened(rclone.url) as connector:
        dataset = replace(ONCE, prefix="in/")
        assert list(connector.unmapped([dataset], lambda _name: False)) == ["lone", "out/"]


def test_named_records_go_too(rclone: Rclone) -> None:
    rclone.put("key", YOUNG)
    with opened(rclone.url) as connector:
        records, _ = scanned(connector, named_cases(), ONCE)
        assert list(connector.act(ordered(named_cases(), records, dataset=ONCE)).outcomes) == [Outcome.DONE]
    assert rclone.named() == set()
