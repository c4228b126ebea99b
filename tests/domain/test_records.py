"""Records in columns are the records that went into them, by themselves and many together."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retentiond.domain.record import Key, Record, Ties
from retentiond.domain.records import Same, by_place, chosen, columns_of, joined, keys_of
from retentiond.engine.identifiers import decode_records, encode_records, items_of
from retentiond.evidence.commitment import encode_item
from retentiond.ports.stores import Found, Grouped, Window
from retentiond.testing.hostile import NAMES

texts = st.one_of(st.sampled_from(NAMES), st.text(st.characters(exclude_categories=["Cs"]), max_size=9))
whole = st.one_of(st.integers(-3, 300), st.integers(-(2**63), 2**63 - 1), st.integers(-(2**80), 2**80))
ties = st.builds(Ties, others=st.lists(texts, max_size=2).map(tuple))
attributes = st.builds(
    lambda tier, flag: {"tier": tier, "flag": flag},
    st.one_of(st.none(), texts),
    st.one_of(st.booleans(), st.integers(0, 1)),
)
parts: tuple[st.SearchStrategy[Key], ...] = (
    st.tuples(whole),
    st.tuples(texts),
    st.tuples(st.uuids()),
    st.tuples(st.binary(max_size=9)),
    st.tuples(st.one_of(whole, texts, st.binary(max_size=3), st.uuids())),
    st.tuples(texts, whole, st.uuids()),
)


def _records(keys: st.SearchStrategy[Key]) -> st.SearchStrategy[list[Record]]:
    return st.lists(
        st.builds(
            Record,
            key=keys,
            version=st.one_of(st.just(b""), st.binary(max_size=4)),
            account=st.one_of(st.none(), texts),
            clock=st.one_of(st.none(), st.integers(-(2**62), 2**62)),
            size_bytes=st.integers(0, 2**53),
            place=st.sampled_from(["", "attic", "\u202ex"]),
            tombstoned=st.one_of(st.none(), st.integers(-1, 1)),
            blobs=st.lists(texts, max_size=1).map(tuple),
            attributes=attributes,
            ties=ties,
        ),
        max_size=8,
    )


several = st.one_of(*map(_records, parts))


def _alike(found: list[Record], records: list[Record]) -> bool:
    """Tell whether they are equal, and of the same types: True equals 1."""
    return repr(found) == repr(records) and found == records


@settings(max_examples=40, deadline=None)
@given(several, st.data())
def test_columns_give_the_records_that_went_in(records: list[Record], data: st.DataObject) -> None:
    found = columns_of(records)
    assert _alike(list(found), records)
    assert found == records
    assert list(keys_of(found)) == [record.key for record in records]
    start, end = sorted(data.draw(st.tuples(st.integers(0, 8), st.integers(0, 8))))
    assert _alike(list(found[start:end]), records[start:end])
    assert _alike(list(joined([found[:start], found[start:end], found[end:]])), records)
    places = data.draw(st.lists(st.sampled_from(range(len(records))), max_size=9)) if records else []
    assert _alike(list(chosen(found, places)), [records[place] for place in places])
    assert {place: list(some) for place, some in by_place(found)} == {
        place: [n for n, record in enumerate(records) if record.place == place] for place in {r.place for r in records}
    }


@settings(max_examples=40, deadline=None)
@given(several)
def test_a_batch_is_read_as_it_was_written(records: list[Record]) -> None:
    written = encode_records(records)
    found = decode_records(written)
    assert _alike(list(found), records)
    assert _alike(list(decode_records(encode_records(columns_of(records)[:1]))), records[:1])


@settings(max_examples=40, deadline=None)
@given(several)
def test_items_are_named_one_way_together_and_alone(records: list[Record]) -> None:
    for each in (records, columns_of(records), decode_records(encode_records(records))):
        assert items_of("d", each) == [encode_item("d", _name(record.key), record.version) for record in records]


def _name(key: Key) -> bytes:
    def text(part: object) -> str:
        return part.hex() if isinstance(part, bytes) else str(part)

    if len(key) > 1:
        return json.dumps([text(part) for part in key], ensure_ascii=False, separators=(",", ":")).encode()
    return key[0] if isinstance(key[0], bytes) else str(key[0]).encode()


@pytest.mark.parametrize("step", [0, 1, 127, 128, -128, -129, 2**15 - 1, 2**15, -(2**31), 2**31, 2**62])
def test_integers_keep_their_value_at_the_edge_of_each_width(step: int) -> None:
    numbers = [5, 5 + step, 5, 6]
    records = [Record((number,), clock=number, size_bytes=7) for number in numbers]
    assert [(record.key[0], record.clock) for record in decode_records(encode_records(records))] == [
        (number, number) for number in numbers
    ]


@pytest.mark.parametrize("different", [1, 2, 255, 256, 257, 3_000])
def test_texts_of_which_few_differ_keep_their_place(different: int) -> None:
    accounts = [f"acct-{number % different}" for number in range(2 * different + 3)]
    records = [Record((number,), account=account) for number, account in enumerate(accounts)]
    written = encode_records(records)
    assert [record.account for record in decode_records(written)] == accounts


def test_a_large_batch_takes_a_few_bytes_a_record() -> None:
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
    records = [
        Record((n,), account=f"acct-{n * 7919 % 1000}", clock=start + n * 2_592_000, size_bytes=700 + n % 9)
        for n in range(5_000)
    ]
    assert len(encode_records(records)) < 12 * len(records)


def test_a_record_by_itself_is_the_one_at_its_place() -> None:
    records = [Record((UUID(int=n), n)) for n in range(3)]
    found = columns_of(records)
    assert [found[0], found[-1]] == [records[0], records[2]]
    with pytest.raises(IndexError):
        _ = found[3]
    with pytest.raises(IndexError):
        _ = Same("x", 2)[2]
    assert found != records[:2]
    assert found != "records"


def test_what_a_scan_found_is_the_same_in_columns_and_one_by_one() -> None:
    records = [Record((n,)) for n in range(5)]
    one_by_one = Window(tuple(Found(record, 3 + (record.key[0] > 2)) for record in records), {})  # type: ignore[operator]
    columns = Window(Grouped([(3, columns_of(records[:3])), (4, columns_of(records[3:]))]), {})
    assert [(case, list(some)) for case, some in columns.groups()] == [
        (case, list(some)) for case, some in one_by_one.groups()
    ]
    assert (len(columns.found), list(columns.found)) == (5, list(one_by_one.found))
    assert (columns.found[4], columns.found[1:3]) == (one_by_one.found[4], one_by_one.found[1:3])
