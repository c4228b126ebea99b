from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from email.header import Header

import pytest

from retentiond.domain.condition import Compare, Operator, attribute
from retentiond.domain.dataset import ClockFormat, ClockSource
from retentiond.domain.decision import cases_of
from retentiond.domain.period import Period
from retentiond.domain.plan import Outcome, Sighting
from retentiond.domain.policy import Policy, Rule
from retentiond.errors import ConnectorError, DatasetRefused
from tests.connectors.s3.asking import NOW, OLD, PAYLOADS, PURGE, YOUNG, cases, counted, opened, ordered, scanned
from tests.connectors.s3.bucket_behind import BUCKET, Behind
from tests.servers.rclone import Rclone
from tests.servers.versioned import Server, error

FLAGGED = Rule(1, Period(months=24), when=Compare(attribute("flagged"), Operator.EQUAL, literal=True))
PLAIN = Rule(2, Period(days=30))


def text_of(age: timedelta) -> str:
    return (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")


def clocked(field: str, clock_format: ClockFormat = ClockFormat.AUTO) -> ClockSource:
    return ClockSource(clock_format, field=field)


@pytest.mark.parametrize("place", ["tag", "metadata"])
def test_a_clock_that_the_application_wrote_decides_and_a_missing_one_keeps(server: Server, place: str) -> None:
    dataset = replace(PAYLOADS, clock=clocked(f"{place}:created"))
    where = "tags" if place == "tag" else "metadata"
    server.bucket.put("old", YOUNG, **{where: {"created": text_of(OLD)}})
    server.bucket.put("young", OLD, **{where: {"created": text_of(YOUNG)}})
    server.bucket.put("seconds", YOUNG, **{where: {"created": str(int((NOW - OLD).timestamp()))}})
    server.bucket.put("none", OLD)
    server.bucket.put("odd", OLD, **{where: {"created": "'; DROP TABLE", "Created": text_of(OLD)}} if place == "tag"
                      else {where: {"created": "'; DROP TABLE"}})  # fmt: skip
    decided = cases(dataset=dataset)
    with opened(server.url) as connector:
        records, tallies = scanned(connector, decided, dataset)
        assert [record.key[0] for record in records] == ["old", "seconds"]
        assert counted(tallies, decided, "clock-unreadable") == 2
        order = ordered(decided, records, dataset=dataset)
        assert set(connector.act(order).outcomes) == {Outcome.DONE}
        assert set(connector.verify(order).sightings) == {Sighting.ABSENT}
    assert server.bucket.with_data() == {b"young", b"none", b"odd"}


def test_a_clock_of_a_format(server: Server) -> None:
    dataset = replace(PAYLOADS, clock=clocked("tag:ms", ClockFormat.UNIX_MILLISECONDS))
    server.bucket.put("old", YOUNG, tags={"ms": str(int((NOW - OLD).timestamp() * 1000))})
    server.bucket.put("text", OLD, tags={"ms": text_of(OLD)})
    with opened(server.url) as connector:
        records, _ = scanned(connector, cases(dataset=dataset), dataset)
    assert [record.key[0] for record in records] == ["old"]


def test_each_version_has_tags_of_its_own(server: Server) -> None:
    dataset = replace(PAYLOADS, account_field="tag:owner")
    server.bucket.put("key", OLD * 2, tags={"owner": "first"})
    server.bucket.put("key", OLD, tags={"owner": "second"})
    with opened(server.url) as connector:
        records, _ = scanned(connector, cases(dataset=dataset), dataset)
    assert [record.account for record in records] == ["first", "second"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("plain", "plain"),
        ("it's; --", "it's; --"),
        (Header("größe \U0001f5d1", "utf-8").encode(), "größe \U0001f5d1"),
        ("größe".encode().decode("latin-1"), "größe"),
        ("gr\xf6\xdfe", None),
        ("=?no-such-charset?q?x?=", None),
    ],
)
def test_metadata_is_read_as_headers_carry_it(server: Server, written: str, read: str | None) -> None:
    dataset = replace(PAYLOADS, account_field="metadata:owner")
    server.bucket.put("key", OLD, metadata={"owner": written})
    decided = cases(dataset=dataset)
    with opened(server.url) as connector:
        (record,) = connector.find(dataset, "key")
        assert record.account == read
        assert len(scanned(connector, decided, dataset)[0]) == (read is not None)


def test_an_attribute_decides_and_an_unknown_one_keeps(server: Server) -> None:
    dataset = replace(PAYLOADS, attributes={"flagged": "tag:flagged"})
    for name, tags in (
        ("plain", {"flagged": "false"}),
        ("flagged", {"flagged": "true"}),
        ("other", {"flagged": "yes"}),
        ("none", {}),
    ):
        server.bucket.put(name, OLD, tags=tags)
    decided = cases_of(Policy("p", dataset.data_class, (FLAGGED, PLAIN)), dataset, NOW)
    with opened(server.url) as connector:
        records, tallies = scanned(connector, decided, dataset)
        assert [record.key[0] for record in records] == ["plain"]
        assert counted(tallies, decided, "attribute-unknown") == 2
        server.bucket.objects[b"plain"][0].tags["flagged"] = "true"
        case = next(index for index in decided.due if decided.reason(index).rule == 2)
        order = replace(ordered(decided, records, dataset=dataset), case=case)
        assert list(connector.act(order).outcomes) == [Outcome.CHANGED]
        assert list(connector.verify(order).sightings) == [Sighting.CHANGED]
    assert server.deletions == []


def test_tags_that_cannot_be_read_make_nothing_of_it(server: Server) -> None:
    dataset = replace(PAYLOADS, account_field="tag:owner")
    server.bucket.put("key", OLD, tags={"owner": "a"})
    decided = cases(dataset=dataset)
    with opened(server.url) as connector:
        records, _ = scanned(connector, decided, dataset)
        server.script = lambda r, forward: error(403, "AccessDenied") if "tagging" in r.query else forward(r)
        with pytest.raises(ConnectorError) as raised:
            scanned(connector, decided, dataset)
        assert "s3:GetObjectVersionTagging" in raised.value.remedy
        assert list(connector.verify(ordered(decided, records, dataset=dataset)).sightings) == [Sighting.UNKNOWN]
        with pytest.raises(ConnectorError):
            connector.act(ordered(decided, records, dataset=dataset))
    assert server.deletions == []


def test_nothing_is_asked_of_objects_that_no_dataset_declares(server: Server) -> None:
    server.bucket.put("key", OLD, tags={"owner": "a"})
    with opened(server.url) as connector:
        scanned(connector, cases())
    assert not any(request.key for request in server.seen)


def test_a_marker_bears_its_own_time_and_nobodys_name(server: Server) -> None:
    dataset = replace(PAYLOADS, clock=clocked("tag:created"), account_field="tag:owner")
    server.bucket.put("key", YOUNG, tags={"created": text_of(OLD), "owner": "a"})
    server.bucket.hide(b"key")
    with opened(server.url) as connector:
        marker, version = connector.find(dataset, "key")
    assert (marker.account, version.account) == (None, "a")
    assert marker.clock == marker.tombstoned


def test_columns_are_refused(server: Server) -> None:
    for dataset in (replace(PAYLOADS, attributes={"flagged": "flagged"}), replace(PAYLOADS, account_field="owner")):
        with opened(server.url) as connector, pytest.raises(DatasetRefused):
            connector.scan(dataset, cases(PURGE), frozenset())


def test_motos_tags_and_metadata(moto_s3: str, behind: Behind) -> None:
    with opened(moto_s3) as connector:
        client = connector._reader.client
        client.put_object(Bucket=behind.name, Key="a+b", Body=b"{}", Metadata={"owner": "m"}, Tagging="owner=t")
        for place, owner in (("metadata", "m"), ("tag", "t")):
            (record,) = connector.find(replace(PAYLOADS, account_field=f"{place}:owner"), "a+b")
            assert record.account == owner


def test_rclones_metadata(rclone: Rclone) -> None:
    dataset = replace(PAYLOADS, account_field="metadata:owner", tombstone=None, write_once=True)
    with opened(rclone.url) as connector:
        connector._reader.client.put_object(Bucket=BUCKET, Key="a+b", Body=b"{}", Metadata={"owner": "m"})
        assert [record.account for record in connector.find(dataset, "a+b")] == ["m"]


def test_content_is_never_taken_for_tags(rclone: Rclone) -> None:
    # This server answers a question for tags with the object, which whoever uploaded it has written.
    forged = b"<Tagging><TagSet><Tag><Key>owner</Key><Value>somebody else</Value></Tag></TagSet></Tagging>"
    rclone.put("key", OLD, forged)
    dataset = replace(PAYLOADS, account_field="tag:owner", tombstone=None, write_once=True)
    with opened(rclone.url) as connector, pytest.raises(ConnectorError) as raised:
        scanned(connector, cases(dataset=dataset), dataset)
    assert "tags" in raised.value.what
    assert "answers with content" in raised.value.remedy
