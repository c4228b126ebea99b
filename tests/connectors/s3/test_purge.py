from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

import pytest

from retentiond.connectors.s3.connector import S3Connector
from retentiond.connectors.s3.leftovers import Leftovers
from retentiond.domain.decision import closure_cases, named_cases
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.record import Record
from retentiond.domain.waiting import LEGAL_HOLD
from retentiond.errors import ConnectorError, GuardStopped
from retentiond.evidence.levels import EvidenceLevel
from tests.connectors.s3.asking import HIDE, OLD, PAYLOADS, YOUNG, cases, opened, ordered, scanned
from tests.connectors.s3.bucket_behind import Behind
from tests.connectors.s3.proxy import Forward, Proxy, Reply, Request, error

DUE = cases()
SOME = re.compile(rb"<Object>.*?</Object>", re.DOTALL)


@pytest.fixture
def connector(proxy: Proxy, behind: Behind) -> Iterator[S3Connector]:
    for number in range(4):
        behind.put(f"due-{number}", OLD)
        behind.put(f"young-{number}", YOUNG)
    with opened(proxy.url) as connection:
        yield connection


@pytest.fixture
def due(connector: S3Connector) -> list[Record]:
    records, _ = scanned(connector, DUE)
    assert len(records) == 4
    return records


def test_more_than_a_call_takes_go_in_several_each_behind_the_fence(
    connector: S3Connector, behind: Behind, proxy: Proxy
) -> None:
    for number in range(1_050):
        behind.put(f"many/{number:05}", OLD)
    connector._reader._page = connector._verifier._page = 1_000
    records, _ = scanned(connector, DUE)
    asked: list[int] = []
    order = ordered(DUE, records, fence=lambda: asked.append(len(proxy.deletions)))
    assert set(connector.act(order).outcomes) == {Outcome.DONE}
    assert [len(SOME.findall(request.body)) for request in proxy.deletions] == [1_000, 54]
    assert asked == [0, 1]
    assert set(connector.verify(order).sightings) == {Sighting.ABSENT}
    assert behind.with_data() == {f"young-{number}" for number in range(4)}


def test_a_server_that_says_yes_and_does_nothing_is_found_out(
    connector: S3Connector, due: list[Record], proxy: Proxy
) -> None:
    def lie(request: Request, forward: Forward) -> Reply | None:
        if not request.deletes:
            return forward(request)
        deleted = b"".join(each.replace(b"Object>", b"Deleted>") for each in SOME.findall(request.body))
        return Reply(200, b"<DeleteResult>" + deleted + b"</DeleteResult>", {"Content-Type": "application/xml"})

    proxy.script = lie
    order = ordered(DUE, due)
    connector.act(order)
    assert set(connector.verify(order).sightings) == {Sighting.DUE}


@pytest.mark.parametrize("body", [b"", b"<DeleteResult></DeleteResult>", b"<DeleteRes", b"<html>gateway</html>"])
def test_an_answer_that_says_nothing_claims_nothing(
    connector: S3Connector, due: list[Record], proxy: Proxy, behind: Behind, body: bytes
) -> None:
    proxy.script = lambda request, forward: Reply(200, body) if request.deletes else forward(request)
    acted = connector.act(ordered(DUE, due))
    assert set(acted.outcomes) == {Outcome.UNKNOWN}
    assert all(acted.reasons[index] for index in range(4))
    assert {f"due-{number}" for number in range(4)} <= behind.with_data()


def test_a_lost_reply_is_made_good_by_looking(connector: S3Connector, due: list[Record], proxy: Proxy) -> None:
    def lose(request: Request, forward: Forward) -> Reply | None:
        reply = forward(request)
        return None if request.deletes else reply

    proxy.script = lose
    fences: list[None] = []
    order = ordered(DUE, due, fence=lambda: fences.append(None))
    assert set(connector.act(order).outcomes) == {Outcome.DONE}
    assert len(fences) == len(proxy.deletions) == 3
    assert set(connector.verify(order).sightings) == {Sighting.ABSENT}


def test_every_sending_asks_the_fence_anew(connector: S3Connector, due: list[Record], proxy: Proxy) -> None:
    proxy.script = lambda request, forward: error(503, "SlowDown") if request.deletes else forward(request)
    fences: list[None] = []

    def fence() -> None:
        fences.append(None)
        if len(fences) == 2:
            raise GuardStopped("a hold came", guard="hold")

    with pytest.raises(GuardStopped):
        connector.act(ordered(DUE, due, fence=fence))
    assert len(proxy.deletions) == 1


def test_errors_inside_a_200_are_matched_by_looking_not_by_the_echoed_key(
    connector: S3Connector, due: list[Record], proxy: Proxy, behind: Behind
) -> None:
    def refuse_the_second(request: Request, forward: Forward) -> Reply | None:
        if not request.deletes:
            return forward(request)
        kept = SOME.findall(request.body)[1]
        body = request.body.replace(kept, b"")
        headers = {**request.headers, "Content-Length": str(len(body))}
        forward(Request(request.method, request.target, headers, body))
        answer = (
            b"<DeleteResult><Deleted><Key>due-1</Key></Deleted><Deleted><Key>DUE%2D3</Key></Deleted>"
            b"<Error><Key>due-0</Key><Code>AccessDenied</Code></Error><Deleted><Key>x</Key></Deleted></DeleteResult>"
        )
        return Reply(200, answer, {"Content-Type": "application/xml"})

    proxy.script = refuse_the_second
    order = ordered(DUE, due)
    acted = connector.act(order)
    assert list(acted.outcomes) == [Outcome.DONE, Outcome.REFUSED, Outcome.DONE, Outcome.DONE]
    assert acted.reasons == {1: "AccessDenied: s3:DeleteObjectVersion is not allowed, or something denies it"}
    assert list(connector.verify(order).sightings) == [Sighting.ABSENT, Sighting.DUE, Sighting.ABSENT, Sighting.ABSENT]
    assert "due-1" in behind.with_data()


def test_a_locked_version_is_refused_and_the_others_go(moto_s3: str) -> None:
    behind = Behind("locked-bucket")
    behind.make(lock=True)
    behind.put("free", OLD)
    behind.put("locked", OLD)
    with opened(moto_s3, bucket=behind.name) as connector:
        connector._reader.client.put_object_legal_hold(Bucket=behind.name, Key="locked", LegalHold={"Status": "ON"})
        records, _ = scanned(connector, DUE)
        acted = connector.act(ordered(DUE, records))
    assert [record.key[0] for record in records] == ["free", "locked"]
    assert (list(acted.outcomes), acted.reasons) == ([Outcome.DONE, Outcome.REFUSED], {1: LEGAL_HOLD})
    assert behind.with_data() == {"locked"}


def test_denied_altogether_is_refused_with_the_permission_that_lacks(
    connector: S3Connector, due: list[Record], proxy: Proxy
) -> None:
    proxy.script = lambda request, forward: error(403, "AccessDenied") if request.deletes else forward(request)
    acted = connector.act(ordered(DUE, due))
    assert set(acted.outcomes) == {Outcome.REFUSED}
    assert "access denied" in acted.reasons[0]
    assert len(proxy.deletions) == 1


def test_a_store_that_cannot_be_read_is_not_changed(connector: S3Connector, due: list[Record], proxy: Proxy) -> None:
    proxy.script = lambda request, forward: error(403, "AccessDenied") if request.lists_versions else forward(request)
    order = ordered(DUE, due)
    with pytest.raises(ConnectorError) as raised:
        connector.act(order)
    assert not raised.value.transient
    assert "s3:ListBucketVersions" in raised.value.remedy
    assert proxy.deletions == []
    assert set(connector.verify(order).sightings) == {Sighting.UNKNOWN}


def test_a_call_that_fails_and_a_look_that_fails_claim_nothing(
    connector: S3Connector, due: list[Record], proxy: Proxy
) -> None:
    def break_down(request: Request, forward: Forward) -> Reply | None:
        if request.deletes:
            forward(request)
        return error(403, "AccessDenied") if proxy.deletions else forward(request)

    proxy.script = break_down
    acted = connector.act(ordered(DUE, due))
    assert list(acted.outcomes) == [Outcome.UNKNOWN] * 4
    assert all(acted.reasons[index] for index in range(4))


def test_a_version_that_came_back_to_the_top_is_left(moto_s3: str, behind: Behind) -> None:
    behind.put("undone", timedelta(days=60))
    marker = behind.hide("undone", timedelta(days=20))
    decided = cases(HIDE)
    with opened(moto_s3) as connector:
        records, _ = scanned(connector, decided)
        assert [record.place for record in records] == ["noncurrent"]
        behind.erase("undone", marker)
        order = ordered(decided, records)
        assert list(connector.act(order).outcomes) == [Outcome.CHANGED]
        assert list(connector.verify(order).sightings) == [Sighting.CHANGED]
    assert behind.visible() == {"undone"}


def test_an_object_uploaded_again_stays(moto_s3: str, behind: Behind) -> None:
    behind.put("key", OLD)
    with opened(moto_s3) as connector:
        records, _ = scanned(connector, DUE)
        young = behind.put("key", YOUNG)
        order = ordered(DUE, records)
        assert list(connector.act(order).outcomes) == [Outcome.DONE]
        assert list(connector.verify(order).sightings) == [Sighting.ABSENT]
    assert behind.versions("key") == {young}


def test_a_marker_stays_while_its_key_holds_data(moto_s3: str, behind: Behind) -> None:
    behind.put("key", OLD)
    behind.hide("key", OLD)
    with opened(moto_s3) as connector:
        records, _ = scanned(connector, DUE)
        only_marker = ordered(DUE, [record for record in records if record.place == "marker"])
        acted = connector.act(only_marker)
        assert list(acted.outcomes) == [Outcome.CHANGED]
        assert "holds data" in acted.reasons[0]
        assert list(connector.verify(only_marker).sightings) == [Sighting.CHANGED]
        assert behind.visible() == set()
        assert list(connector.act(ordered(DUE, records)).outcomes) == [Outcome.DONE, Outcome.DONE]
    assert behind.versions("key") == set()


def test_a_marker_stays_when_the_version_beneath_it_was_refused(proxy: Proxy, behind: Behind) -> None:
    behind.put("key", OLD)
    behind.hide("key", OLD)
    with opened(proxy.url) as connector:
        records, _ = scanned(connector, DUE)
        proxy.script = lambda request, forward: error(403, "AccessDenied") if request.deletes else forward(request)
        acted = connector.act(ordered(DUE, records))
    assert list(acted.outcomes) == [Outcome.REFUSED, Outcome.CHANGED]
    assert behind.visible() == set()


def test_an_absent_version_is_already_gone_and_is_not_asked_for(
    connector: S3Connector, due: list[Record], proxy: Proxy, behind: Behind
) -> None:
    behind.erase("due-2", due[2].version.decode())
    behind.put("due-2", YOUNG)
    acted = connector.act(ordered(DUE, due))
    assert list(acted.outcomes) == [Outcome.DONE, Outcome.DONE, Outcome.ALREADY_GONE, Outcome.DONE]
    assert b"due-2" not in proxy.deletions[0].body


def test_keys_that_xml_cannot_carry_travel_alone(connector: S3Connector, proxy: Proxy) -> None:
    # Played, since the listings of the server behind break on such keys.
    keys = ["bell\x07", "plain", "soh\x01", "\ufffe", "cr\rx"]
    versions = "".join(
        f"<Version><Key>{quote(key)}</Key><VersionId>v-{index}</VersionId><IsLatest>true</IsLatest>"
        "<LastModified>2020-01-01T00:00:00.000Z</LastModified><Size>1</Size></Version>"
        for index, key in sorted(enumerate(keys), key=lambda each: each[1])
    )
    listing = (
        "<ListVersionsResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"
        f"{versions}</ListVersionsResult>"
    )
    answer = b"<DeleteResult><Deleted><Key>plain</Key></Deleted></DeleteResult>"

    def play(request: Request, forward: Forward) -> Reply | None:
        if request.lists_versions:
            return Reply(200, listing.encode())
        if request.method == "POST":
            return Reply(200, answer)
        return Reply(204) if request.method == "DELETE" else forward(request)

    proxy.script = play
    records, _ = scanned(connector, DUE)
    assert {record.key[0] for record in records} == set(keys)
    sent = connector.act(ordered(DUE, records))
    assert set(sent.outcomes) == {Outcome.DONE}
    alone = {request.target.split("?")[0] for request in proxy.deletions if request.method == "DELETE"}
    assert alone == {f"/api-payloads/{quote(key)}" for key in keys if key != "plain"}
    together = [request for request in proxy.deletions if request.method == "POST"]
    assert [SOME.findall(request.body) for request in together] == [
        [b"<Object><Key>plain</Key><VersionId>v-1</VersionId></Object>"]
    ]


def test_what_settles_is_said_no_stronger_than_it_was_seen(moto_s3: str, behind: Behind) -> None:
    behind.put("whole", OLD)
    behind.put("part", OLD)
    with opened(moto_s3) as connector:
        assert connector.settle(PAYLOADS) is EvidenceLevel.DELETED
        records, _ = scanned(connector, DUE)
        behind.put("part", YOUNG)
        part, whole = records
        for record, level in ((whole, EvidenceLevel.ALL_VERSIONS_DELETED), (part, EvidenceLevel.DELETED)):
            order = ordered(DUE, [record])
            connector.act(order)
            connector.verify(order)
            assert connector.settle(PAYLOADS) is level


def test_versions_of_a_key_in_two_batches_settle_together(moto_s3: str, behind: Behind) -> None:
    behind.put("key", timedelta(days=60))
    behind.put("key", OLD)
    with opened(moto_s3) as connector:
        records, _ = scanned(connector, DUE)
        for record in records:
            order = ordered(DUE, [record])
            connector.act(order)
            connector.verify(order)
        assert connector.settle(PAYLOADS) is EvidenceLevel.ALL_VERSIONS_DELETED


def test_too_many_leftovers_to_remember_leave_it_unsaid() -> None:
    leftovers = Leftovers()
    for number in range(10_001):
        leftovers.note(f"key-{number}", holds_data=True)
    for number in range(10_001):
        leftovers.note(f"key-{number}", holds_data=False)
    assert not leftovers.none


def test_sparse_keys_are_found_among_many(moto_s3: str, behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retentiond.connectors.s3.look._LEAST", 5)
    monkeypatch.setattr("retentiond.connectors.s3.look._PER_KEY", 0)
    for number in range(300):
        behind.put(f"k/{number}", OLD if number % 60 == 7 else YOUNG)
    decided = cases()
    with opened(moto_s3, page=20) as connector:
        records, _ = scanned(connector, decided)
        assert len(records) == 5
        order = ordered(decided, records)
        assert set(connector.verify(order).sightings) == {Sighting.DUE}
        assert set(connector.act(order).outcomes) == {Outcome.DONE}
        assert set(connector.verify(order).sightings) == {Sighting.ABSENT}
    assert len(behind.with_data()) == 295


def test_records_that_a_row_names_go_by_their_identity(moto_s3: str, behind: Behind) -> None:
    behind.put("key", YOUNG)
    behind.hide("key")
    named = named_cases()
    with opened(moto_s3) as connector:
        records, _ = scanned(connector, named)
        assert list(connector.act(ordered(named, records)).outcomes) == [Outcome.DONE, Outcome.DONE]
    assert behind.versions("key") == set()


def test_another_accounts_record_is_changed(connector: S3Connector, due: list[Record]) -> None:
    # The order's case asks for an owner that these records do not have.
    order = ordered(closure_cases("acct-1"), due[:1])
    assert list(connector.act(order).outcomes) == [Outcome.CHANGED]
