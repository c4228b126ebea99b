from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from retentiond.connectors.s3.listing import Page, Progress, Version, by_key, read_page
from retentiond.domain.decision import named_cases
from retentiond.domain.plan import Sighting
from retentiond.errors import ConnectorError
from tests.connectors.s3.asking import OLD, PAYLOADS, cases, opened, ordered, scanned
from tests.connectors.s3.bucket_behind import Behind
from tests.connectors.s3.proxy import Forward, Proxy, Reply, Request

SECOND = datetime(2026, 1, 2, tzinfo=UTC)


def entry(key: str, version: str, *, latest: bool = False, at: datetime | None = SECOND) -> dict[str, Any]:
    return {"Key": key, "VersionId": version, "IsLatest": latest, "LastModified": at, "Size": 1}


def version(key: str, identifier: str) -> Version:
    return Version(key, identifier, 0, 0, latest=False, marker=False, exact=True)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Versions": [entry("a", "1")]},
        {"IsTruncated": "false"},
        {"IsTruncated": False, "Versions": [{"VersionId": "1"}]},
        {"IsTruncated": False, "Versions": [entry("b", "1"), entry("a", "1")]},
        {"IsTruncated": False, "DeleteMarkers": [entry("\U0001f5d1", "1"), entry("\uffee", "1")]},
    ],
)
def test_a_page_that_is_not_whole_or_not_in_order_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(ConnectorError) as raised:
        read_page(answer, "s3://b")
    assert (raised.value.where, raised.value.transient) == ("s3://b", True)


def test_versions_and_markers_of_a_page_stand_in_the_order_of_the_listing() -> None:
    versions = [
        entry("a", "a2", at=datetime(2026, 1, 3, tzinfo=UTC)),
        entry("a", "a1", at=datetime(2026, 1, 1, tzinfo=UTC)),
        entry("b", "b1", latest=True),
        entry("c", "c1"),
    ]
    markers = [entry("a", "am", latest=True), entry("b", "bm"), entry("c", "cm"), entry("d", "dm", latest=True)]
    page = read_page({"IsTruncated": False, "Versions": versions, "DeleteMarkers": markers}, "s3://b")
    assert [each.version for each in page.versions] == ["am", "a2", "a1", "b1", "bm", "c1", "cm", "dm"]


def test_two_versions_of_the_same_second_keep_the_listings_order() -> None:
    answer = {"IsTruncated": False, "Versions": [entry("a", "2"), entry("a", "1")], "DeleteMarkers": [entry("b", "m")]}
    assert [each.version for each in read_page(answer, "s3://b").versions] == ["2", "1", "m"]


def test_a_key_goes_on_over_pages_and_a_repeated_version_counts_once() -> None:
    pages = [
        Page([version("a", "3"), version("a", "2")], (), more=True),
        Page([version("a", "2"), version("a", "1"), version("b", "1")], (), more=False),
    ]
    assert [[each.version for each in group] for group in by_key(pages)] == [["3", "2", "1"], ["1"]]


@pytest.mark.parametrize(
    "second",
    [
        Page([version("a", "1"), version("b", "1")], (), more=True),
        Page([version("b", "1")], (), more=True),
        Page([version("b", "1")], (), more=False),
        Page([], (), more=True),
        Page([], (), more=False),
        Page([version("a", "9"), version("c", "9")], (), more=False),
    ],
)
def test_a_page_that_goes_no_further_is_an_error_and_never_an_end(second: Page) -> None:
    progress = Progress("s3://b")
    progress.advance(Page([version("a", "1"), version("b", "1")], (), more=True))
    with pytest.raises(ConnectorError):
        progress.advance(second)


def test_an_empty_listing_is_an_end() -> None:
    progress = Progress("s3://b")
    progress.advance(Page([], (), more=False))
    assert progress.key == ""
    with pytest.raises(ConnectorError):
        Progress("s3://b").advance(Page([], (), more=True))


def always_the_first_page(request: Request, forward: Forward) -> Reply | None:
    target = request.target.replace("key-marker=", "x-key-marker=").replace("version-id-marker=", "x-marker=")
    return forward(Request(request.method, target, request.headers, request.body))


def a_dead_end(request: Request, forward: Forward) -> Reply | None:
    if "key-marker=" in request.target:
        return Reply(200, b"<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>")
    return forward(request)


def cut_off(request: Request, forward: Forward) -> Reply | None:
    reply = forward(request)
    if not request.lists_versions:
        return reply
    return Reply(200, reply.body[: len(reply.body) // 2], reply.headers)


def an_empty_body(request: Request, forward: Forward) -> Reply | None:
    return Reply(200) if request.lists_versions else forward(request)


def an_error_inside_a_200(request: Request, forward: Forward) -> Reply | None:
    if request.lists_versions:
        return Reply(200, b"<Error><Code>InternalError</Code></Error>")
    return forward(request)


def another_prefix(request: Request, forward: Forward) -> Reply | None:
    return forward(Request(request.method, request.target.replace("prefix=", "x="), request.headers, request.body))


def no_answer(request: Request, forward: Forward) -> Reply | None:
    return None if request.lists_versions else forward(request)


@pytest.mark.parametrize(
    "script",
    [always_the_first_page, a_dead_end, cut_off, an_empty_body, an_error_inside_a_200, another_prefix, no_answer],
)
def test_a_listing_that_breaks_is_never_an_end(
    behind: Behind, proxy: Proxy, script: Callable[[Request, Forward], Reply | None]
) -> None:
    for number in range(8):
        behind.put(f"in/{number}", OLD)
        behind.put(f"a/{number}", OLD)
    decided = named_cases()
    dataset = replace(PAYLOADS, prefix="in/")
    with opened(proxy.url) as connector:
        records, _ = scanned(connector, decided, dataset)
        assert len(records) == 8
        proxy.script = script
        with pytest.raises(ConnectorError) as raised:
            scanned(connector, decided, dataset)
        assert raised.value.transient
        order = ordered(decided, records, dataset=dataset)
        sightings = set(connector.verify(order).sightings)
        assert Sighting.UNKNOWN in sightings
        assert Sighting.ABSENT not in sightings


def test_what_the_server_names_as_the_next_page_is_not_believed(behind: Behind, proxy: Proxy) -> None:
    for key in ("100%25", "a b", "a%2eb", "a+b", "a.b", "z"):
        behind.put(key, OLD)

    def lie(request: Request, forward: Forward) -> Reply | None:
        reply = forward(request)
        body = reply.body.replace(b"<NextKeyMarker>", b"<NextKeyMarker>zzz")
        return Reply(reply.status, body, reply.headers)

    proxy.script = lie
    with opened(proxy.url, page=1) as connector:
        records, _ = scanned(connector, cases())
    assert len(records) == 6


def test_keys_are_decoded_once(proxy: Proxy, behind: Behind) -> None:
    assert behind.name
    keys = ["a%2Bb", "a+b", "a b", "100%25"]
    encoded = sorted(
        (("100%2525", "100%25"), ("a+b", "a b"), ("a%252Bb", "a%2Bb"), ("a%2Bb", "a+b")), key=lambda e: e[1]
    )
    listing = "".join(
        f"<Version><Key>{sent}</Key><VersionId>v</VersionId><IsLatest>true</IsLatest>"
        "<LastModified>2020-01-01T00:00:00.000Z</LastModified><Size>1</Size></Version>"
        for sent, _ in encoded
    )
    head = "<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"
    body = f"<ListVersionsResult>{head}{listing}</ListVersionsResult>"
    proxy.script = lambda request, forward: Reply(200, body.encode()) if request.lists_versions else forward(request)
    with opened(proxy.url) as connector:
        records, _ = scanned(connector, cases())
    assert {record.key[0] for record in records} == set(keys)
