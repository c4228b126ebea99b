from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from retentiond.connectors.s3.connector import S3Connector
from retentiond.connectors.s3.names import unsafe
from retentiond.domain.condition import ALWAYS
from retentiond.domain.dataset import TombstoneTarget
from retentiond.domain.decision import Case, Cases, Disposition, hide_cases
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Action
from retentiond.domain.record import Record
from retentiond.errors import ConnectorError, DatasetRefused, GuardStopped
from retentiond.ports.stores import Order
from tests.connectors.s3.asking import HIDE, NOW, OLD, PAYLOADS, YOUNG, cases, opened, ordered, scanned
from tests.connectors.s3.bucket_behind import Behind
from tests.connectors.s3.proxy import Forward, Proxy, Reply, Request, error

DUE = cases(HIDE)


@pytest.fixture
def connector(proxy: Proxy, behind: Behind) -> Iterator[S3Connector]:
    for number in range(3):
        behind.put(f"due-{number}", OLD)
    behind.put("young", YOUNG)
    with opened(proxy.url) as connection:
        yield connection


@pytest.fixture
def due(connector: S3Connector) -> list[Record]:
    return scanned(connector, DUE)[0]


def hide(records: list[Record]) -> Order:
    return ordered(DUE, records, Action.TOMBSTONE)


def test_our_marker_lies_directly_on_the_version(connector: S3Connector, due: list[Record], behind: Behind) -> None:
    acted = connector.act(hide(due))
    assert list(acted.outcomes) == [Outcome.DONE] * 3
    for index, record in enumerate(due):
        marker = acted.marks[index]
        assert behind.versions(str(record.key[0])) == {marker, record.version.decode()}
    assert behind.visible() == {"young"}


def test_keys_that_a_proxy_might_shorten_are_named_in_the_body(
    connector: S3Connector, behind: Behind, proxy: Proxy
) -> None:
    hostile = ["a//b", "a/../b", "/lead", "./c"]
    neighbours = ["a/b", "b", "lead", "c"]
    for key in hostile:
        behind.put(key, OLD)
    for key in neighbours:
        behind.put(key, YOUNG)
    records, _ = scanned(connector, DUE)
    assert set(connector.act(hide(records)).outcomes) == {Outcome.DONE}
    assert {request.target.split("?")[0] for request in proxy.deletions} == {"/api-payloads"}
    assert behind.visible() == {"young", *neighbours}


def test_a_key_that_no_request_can_name_safely_is_refused() -> None:
    assert unsafe("a/../\x01")
    assert unsafe("//\ufffe")
    assert not unsafe("a/../b")
    assert not unsafe("\x01")


def test_a_version_uploaded_before_the_look_is_never_hidden(
    connector: S3Connector, due: list[Record], behind: Behind, proxy: Proxy
) -> None:
    behind.put("due-1", timedelta(0))
    acted = connector.act(hide(due))
    assert list(acted.outcomes) == [Outcome.DONE, Outcome.CHANGED, Outcome.DONE]
    assert b"due-1" not in proxy.deletions[0].body
    assert behind.visible() == {"due-1", "young"}


def test_a_version_uploaded_between_look_and_marker_is_brought_back(
    connector: S3Connector, due: list[Record], behind: Behind, proxy: Proxy
) -> None:
    uploaded: list[str] = []

    def upload_first(request: Request, forward: Forward) -> Reply | None:
        if request.deletes and not uploaded:
            uploaded.append(behind.put("due-1"))
        return forward(request)

    proxy.script = upload_first
    acted = connector.act(hide(due))
    assert list(acted.outcomes) == [Outcome.DONE, Outcome.CHANGED, Outcome.DONE]
    assert behind.visible() == {"due-1", "young"}
    assert behind.versions("due-1") == {due[1].version.decode(), uploaded[0]}
    assert list(connector.verify(hide(due)).sightings) == [Sighting.HIDDEN, Sighting.CHANGED, Sighting.HIDDEN]


def test_a_version_brought_back_in_vain_is_told(
    connector: S3Connector, due: list[Record], behind: Behind, proxy: Proxy
) -> None:
    def upload_first_then_deny(request: Request, forward: Forward) -> Reply | None:
        if request.deletes and len(proxy.deletions) > 1:
            return error(403, "AccessDenied")
        if request.deletes:
            behind.put("due-0")
        return forward(request)

    proxy.script = upload_first_then_deny
    acted = connector.act(hide(due[:1]))
    assert list(acted.outcomes) == [Outcome.CHANGED]
    assert "hidden by our marker" in acted.reasons[0]


def test_a_version_that_vanishes_meanwhile_leaves_no_marker_on_what_is_beneath(
    connector: S3Connector, behind: Behind, proxy: Proxy
) -> None:
    beneath = behind.put("pair", timedelta(days=41))
    on_top = behind.put("pair", OLD)
    records = [record for record in scanned(connector, DUE)[0] if record.version.decode() == on_top]

    def erase_first(request: Request, forward: Forward) -> Reply | None:
        if request.deletes and len(proxy.deletions) == 1:
            behind.erase("pair", on_top)
        return forward(request)

    proxy.script = erase_first
    assert list(connector.act(hide(records)).outcomes) == [Outcome.CHANGED]
    assert behind.versions("pair") == {beneath}


def test_a_lost_reply_leaves_it_open_whose_marker_it_is(
    connector: S3Connector, due: list[Record], proxy: Proxy, behind: Behind
) -> None:
    def lose(request: Request, forward: Forward) -> Reply | None:
        reply = forward(request)
        return None if request.deletes else reply

    proxy.script = lose
    acted = connector.act(hide(due))
    assert list(acted.outcomes) == [Outcome.UNKNOWN] * 3
    assert len(proxy.deletions) == 1
    assert [len(behind.versions(f"due-{number}")) for number in range(3)] == [2, 2, 2]
    assert list(connector.verify(hide(due)).sightings) == [Sighting.HIDDEN] * 3


def test_a_server_that_says_yes_and_puts_no_marker_is_found_out(
    connector: S3Connector, due: list[Record], proxy: Proxy
) -> None:
    answer = b"<DeleteResult>" + b"".join(
        b"<Deleted><Key>due-%d</Key><DeleteMarkerVersionId>m%d</DeleteMarkerVersionId></Deleted>" % (each, each)
        for each in range(3)
    )
    proxy.script = lambda request, forward: (
        Reply(200, answer + b"</DeleteResult>") if request.deletes else forward(request)
    )
    acted = connector.act(hide(due))
    assert list(acted.outcomes) == [Outcome.UNKNOWN] * 3
    assert all(acted.reasons[index] for index in range(3))
    assert list(connector.verify(hide(due)).sightings) == [Sighting.DUE] * 3


def test_a_server_that_does_not_name_its_markers_leaves_it_open_whose_they_are(
    connector: S3Connector, due: list[Record], proxy: Proxy
) -> None:
    def forget_names(request: Request, forward: Forward) -> Reply | None:
        reply = forward(request)
        body = reply.body.replace(b"DeleteMarkerVersionId", b"Forgotten") if request.deletes else reply.body
        return Reply(reply.status, body, reply.headers)

    proxy.script = forget_names
    acted = connector.act(hide(due))
    assert list(acted.outcomes) == [Outcome.UNKNOWN] * 3
    assert "0 of 3" in acted.reasons[0]


def test_denied_markers_are_refused(connector: S3Connector, due: list[Record], proxy: Proxy) -> None:
    proxy.script = lambda request, forward: error(403, "AccessDenied") if request.deletes else forward(request)
    acted = connector.act(hide(due))
    assert list(acted.outcomes) == [Outcome.REFUSED] * 3
    assert "access denied" in acted.reasons[0]


def test_a_look_that_fails_afterwards_is_unknown(connector: S3Connector, due: list[Record], proxy: Proxy) -> None:
    def fail_after(request: Request, forward: Forward) -> Reply | None:
        return error(503, "SlowDown") if request.lists_versions and proxy.deletions else forward(request)

    proxy.script = fail_after
    assert list(connector.act(hide(due)).outcomes) == [Outcome.UNKNOWN] * 3
    assert list(connector.verify(hide(due)).sightings) == [Sighting.UNKNOWN] * 3


def test_the_applications_own_marker_is_not_called_ours(
    connector: S3Connector, due: list[Record], behind: Behind
) -> None:
    application = behind.hide("due-0")
    acted = connector.act(hide(due[:1]))
    assert list(acted.outcomes) == [Outcome.CHANGED]
    assert behind.versions("due-0") == {application, due[0].version.decode()}
    assert list(connector.verify(hide(due[:1])).sightings) == [Sighting.HIDDEN]


def test_a_vanished_version_is_already_gone(connector: S3Connector, due: list[Record], behind: Behind) -> None:
    behind.erase("due-0", due[0].version.decode())
    assert list(connector.act(hide(due[:1])).outcomes) == [Outcome.ALREADY_GONE]
    assert behind.versions("due-0") == set()
    assert list(connector.verify(hide(due[:1])).sightings) == [Sighting.ABSENT]


def test_a_marker_is_never_hidden(connector: S3Connector, behind: Behind) -> None:
    behind.put("gone", OLD)
    behind.hide("gone", OLD)
    hides = hide_cases()
    marker, version = connector.find(PAYLOADS, "gone")
    order = Order(PAYLOADS, Action.TOMBSTONE, hides, 0, [marker, version], NOW, lambda: None)
    assert list(connector.act(order).outcomes) == [Outcome.CHANGED, Outcome.CHANGED]
    assert list(connector.verify(order).sightings) == [Sighting.CHANGED, Sighting.HIDDEN]
    assert len(behind.versions("gone")) == 2


def test_only_a_current_version_is_hidden_whatever_the_case(
    connector: S3Connector, due: list[Record], behind: Behind, proxy: Proxy
) -> None:
    behind.put("due-0", YOUNG)
    always = Cases((Case(Disposition.TOMBSTONE, ALWAYS, "always"),))
    order = ordered(always, due[:1], Action.TOMBSTONE)
    assert list(connector.act(order).outcomes) == [Outcome.CHANGED]
    assert proxy.deletions == []


def test_the_fence_stands_before_every_call(
    connector: S3Connector, due: list[Record], behind: Behind, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retentiond.connectors.s3.hiding.CALL", 2)
    asked: list[int] = []

    def fence() -> None:
        asked.append(len(proxy.deletions))
        if len(asked) == 2:
            raise GuardStopped("paused", guard="stop-file")

    with pytest.raises(GuardStopped):
        connector.act(ordered(DUE, due, Action.TOMBSTONE, fence))
    assert asked == [0, 1]
    assert behind.visible() == {"due-2", "young"}


def test_a_key_that_xml_cannot_carry_is_hidden_alone(connector: S3Connector, proxy: Proxy) -> None:
    # Played, since the listings of the server behind break on such keys.
    def version(kind: str, identifier: str) -> str:
        return (
            f"<{kind}><Key>soh%01</Key><VersionId>{identifier}</VersionId>"
            f"<IsLatest>{'false' if proxy.deletions and kind == 'Version' else 'true'}</IsLatest>"
            f"<LastModified>2020-01-01T00:00:00.000Z</LastModified></{kind}>"
        )

    def play(request: Request, forward: Forward) -> Reply | None:
        if request.deletes:
            return Reply(204, headers={"x-amz-version-id": "m-1", "x-amz-delete-marker": "true"})
        if not request.lists_versions:
            return forward(request)
        marker = version("DeleteMarker", "m-1") if proxy.deletions else ""
        head = "<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"
        return Reply(
            200, f"<ListVersionsResult>{head}{marker}{version('Version', 'v-1')}</ListVersionsResult>".encode()
        )

    proxy.script = play
    records, _ = scanned(connector, DUE)
    acted = connector.act(hide(records))
    assert (list(acted.outcomes), acted.marks) == ([Outcome.DONE], {0: "m-1"})
    (request,) = proxy.deletions
    assert (request.method, request.target) == ("DELETE", "/api-payloads/soh%01")


def test_a_key_that_no_request_names_safely_is_left(connector: S3Connector, proxy: Proxy) -> None:
    head = "<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"
    entry = (
        "<Version><Key>a/../soh%01</Key><VersionId>v-1</VersionId><IsLatest>true</IsLatest>"
        "<LastModified>2020-01-01T00:00:00.000Z</LastModified></Version>"
    )
    body = f"<ListVersionsResult>{head}{entry}</ListVersionsResult>".encode()
    proxy.script = lambda request, forward: Reply(200, body) if request.lists_versions else forward(request)
    records, _ = scanned(connector, DUE)
    acted = connector.act(hide(records))
    assert list(acted.outcomes) == [Outcome.REFUSED]
    assert acted.reasons[0]
    assert proxy.deletions == []


def test_a_store_that_cannot_be_read_is_not_changed(connector: S3Connector, due: list[Record], proxy: Proxy) -> None:
    proxy.script = lambda request, forward: error(503, "SlowDown") if request.lists_versions else forward(request)
    with pytest.raises(ConnectorError) as raised:
        connector.act(hide(due))
    assert raised.value.transient
    assert proxy.deletions == []


def test_somebody_elses_marker_in_the_same_moment_is_not_called_ours(
    connector: S3Connector, due: list[Record], behind: Behind, proxy: Proxy
) -> None:
    def hide_after(request: Request, forward: Forward) -> Reply | None:
        reply = forward(request)
        if request.deletes:
            behind.hide("due-0", -timedelta(minutes=1))
        return reply

    proxy.script = hide_after
    acted = connector.act(hide(due[:1]))
    assert (list(acted.outcomes), acted.reasons) == ([Outcome.CHANGED], {0: "somebody else hid it meanwhile"})


def test_a_version_uploaded_right_after_our_marker_stays_visible(
    connector: S3Connector, due: list[Record], behind: Behind, proxy: Proxy
) -> None:
    def upload_after(request: Request, forward: Forward) -> Reply | None:
        reply = forward(request)
        if request.deletes:
            behind.put("due-0", -timedelta(minutes=1))
        return reply

    proxy.script = upload_after
    assert list(connector.act(hide(due[:1])).outcomes) == [Outcome.CHANGED]
    assert "due-0" in behind.visible()


def test_a_dataset_without_a_tombstone_hides_nothing(connector: S3Connector, due: list[Record], proxy: Proxy) -> None:
    for tombstone in (None, TombstoneTarget(directory=".quarantine")):
        with pytest.raises(DatasetRefused):
            connector.act(replace(hide(due), dataset=replace(PAYLOADS, tombstone=tombstone)))
    with pytest.raises(DatasetRefused):
        connector.act(replace(hide(due), action=Action.REDACT))
    assert proxy.deletions == []
