from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest

from retentiond.domain.plan import Outcome, Sighting
from retentiond.engine.identifiers import decode_records, encode_records
from retentiond.testing import hostile
from tests.connectors.s3.asking import OLD, PAYLOADS, YOUNG, cases, counted, opened, ordered, scanned
from tests.servers.versioned import Forward, Reply, Request, Server, error

ODD = (
    b"\x01", b"a\x01b", "f\ufffe".encode(), "f\uffff".encode(), b"cr\rx", b"lf\nx", b"nul\x00x", b"lone\xff",
    b"\xc3\x28", b"half\xe2\x82", b"del\x7f", "nel\x85".encode(), b"\xff\xfe", b"b\xed\xa0\x80", "\ufffe".encode(),
)  # fmt: skip
DUE = cases()


@pytest.mark.parametrize("versioning", ["Enabled", ""])
@pytest.mark.parametrize("page", [1, 3, 1_000])
def test_keys_that_xml_cannot_carry_travel_alone_and_their_neighbours_together(
    server: Server, page: int, versioning: str
) -> None:
    server.bucket.versioning = versioning
    dataset = replace(PAYLOADS, tombstone=None, write_once=not versioning)
    for key in ODD:
        server.bucket.put(key, OLD)
        server.bucket.put(key + b"-young", YOUNG)
    for key in (b"plain", b"plain too"):
        server.bucket.put(key, OLD)
    with opened(server.url, page=page) as connector:
        records, _ = scanned(connector, DUE, dataset)
        records = list(decode_records(encode_records(records)))  # as they come out of the ledger
        order = ordered(DUE, records, dataset=dataset)
        assert set(connector.act(order).outcomes) == {Outcome.DONE}
        assert set(connector.verify(order).sightings) == {Sighting.ABSENT}
    assert server.bucket.with_data() == {key + b"-young" for key in ODD}
    alone = {request.key for request in server.deletions if request.method == "DELETE"}
    together = [request.body.count(b"<Object>") for request in server.deletions if request.method == "POST"]
    assert (alone, together) == (set(ODD), [2])


def test_every_name_that_a_bucket_can_hold_goes_and_its_neighbour_stays(server: Server) -> None:
    names = [name for name in hostile.NAMES if len(name.encode()) <= hostile.LONGEST_KEY_BYTES]
    for index, name in enumerate(names):
        server.bucket.put(name, OLD if index % 2 else YOUNG)
    with opened(server.url, page=7) as connector:
        records, _ = scanned(connector, DUE)
        order = ordered(DUE, records)
        assert set(connector.act(order).outcomes) == {Outcome.DONE}
        assert set(connector.verify(order).sightings) == {Sighting.ABSENT}
    assert server.bucket.with_data() == {name.encode() for name in names[::2]}


def test_a_key_of_any_bytes_is_found_as_it_is_typed(server: Server) -> None:
    server.bucket.put(b"lone\xff", OLD)
    with opened(server.url) as connector:
        (record,) = connector.find(PAYLOADS, b"lone\xff".decode("utf-8", "surrogateescape"))
    assert record.key == (b"lone\xff",)


def test_an_owner_that_is_no_text_is_undetermined(server: Server) -> None:
    dataset = replace(PAYLOADS, key_pattern="{account}/{name}", account_field="account")
    server.bucket.put(b"\xff\xfe/one", OLD)
    server.bucket.put(b"acct/\xff", OLD)
    decided = cases(dataset=dataset)
    with opened(server.url) as connector:
        records, tallies = scanned(connector, decided, dataset)
    assert [(record.key, record.account) for record in records] == [((b"acct/\xff",), "acct")]
    assert counted(tallies, decided, "owner-unreadable") == 1


def test_a_key_that_the_server_cannot_read_keeps_no_other(server: Server) -> None:
    for number in range(9):
        server.bucket.put(f"k{number}", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)

        def choke(request: Request, forward: Forward) -> Reply | None:
            bad = request.method == "POST" and b"<Key>k4</Key>" in request.body
            return error(400, "MalformedXML") if bad else forward(request)

        server.script = choke
        asked: list[int] = []
        acted = connector.act(ordered(DUE, records, fence=lambda: asked.append(len(server.deletions))))
    assert [outcome for outcome in acted.outcomes if outcome is not Outcome.DONE] == [Outcome.REFUSED]
    assert server.bucket.with_data() == {b"k4"}
    assert asked == list(range(len(server.deletions)))


def test_a_url_names_each_byte(server: Server) -> None:
    server.bucket.put(b"a b+c%2e\x01/\xff", OLD)
    with opened(server.url) as connector:
        records, _ = scanned(connector, DUE)
        connector.act(ordered(DUE, records))
    assert server.deletions[0].target.partition("?")[0] == "/api-payloads/" + quote(b"a b+c%2e\x01/\xff", safe="/")
