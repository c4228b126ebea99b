"""Parts of records: what stands in JSON, what takes its place, and texts that are said twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.content import Change, Target, as_uuid
from retentiond.domain.jsonpath import JsonPath, Unreadable
from retentiond.domain.traces import samples, stands_in

TEXT = 'the patient\'s name is Ada \U0001f5d1 \n\t"quoted" \\ and more than sixty-four characters of it'
NAMES = st.sampled_from(("a", "b", "a b", "é", "\U0001f5d1", "0"))
documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text('ab"\\\n]},:é', max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
steps = st.lists(st.one_of(NAMES, st.integers(0, 3)), min_size=1, max_size=3)
LAYOUTS = ((None, None), (2, None), (None, (" ,  ", "\t:\n")))


def path(of: list[str | int]) -> JsonPath:
    return JsonPath.parse("$" + "".join(f'."{step}"' if isinstance(step, str) else f"[{step}]" for step in of))


def put(document: Any, of: list[str | int], new: object) -> bool:
    """Put a value where a path leads, if it leads anywhere but to null."""
    *way, last = of
    for step in way:
        found = isinstance(document, dict if isinstance(step, str) else list)
        if not found or (step not in document if isinstance(step, str) else step >= len(document)):
            return False
        document = document[step]
    if not isinstance(document, dict if isinstance(last, str) else list):
        return False
    if (last not in document if isinstance(last, str) else last >= len(document)) or document[last] is None:
        return False
    document[last] = new
    return True


@given(document=documents, of=steps, layout=st.sampled_from(LAYOUTS), constant=st.sampled_from((None, '"x"', "[]")))
def test_exactly_the_place_changes_and_nothing_around_it(
    document: Any, of: list[str | int], layout: Any, constant: str | None
) -> None:
    text = json.dumps(document, indent=layout[0], separators=layout[1], ensure_ascii=layout[0] is None)
    new = None if constant is None else json.loads(constant)
    target = Target("c", path(of), constant)
    changed = json.loads(text)
    stood = put(changed, of, new)
    assert target.stands_in(text) is ((stood and changed != document) or (stood and constant is None))
    left = target.rewritten(text)
    assert json.loads(left) == changed
    if left != text:
        start, end = path(of).span(text)
        assert left == text[:start] + (constant or "null") + text[end:]
    assert target.stands_in(left) is False


@pytest.mark.parametrize("document", ["", "{", '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100_000])
def test_what_cannot_be_read_is_neither_there_nor_gone(document: str) -> None:
    target = Target("c", JsonPath.parse("$.a"))
    assert target.stands_in(document) is None
    assert target.rewritten(document) == document
    with pytest.raises(Unreadable):
        JsonPath.parse("$.a").span(document)


@pytest.mark.parametrize(
    ("constant", "document", "stands"),
    [("1", '{"a": true}', True), ("true", '{"a": 1}', True), ("[]", '{"a": {}}', True), ("{}", '{"a": {}}', False),
     ("1", '{"a": 1}', False), ('""', '{"a": ""}', False)],
)  # fmt: skip
def test_a_constant_is_the_same_value_of_the_same_type(constant: str, document: str, stands: bool) -> None:  # noqa: FBT001
    assert Target("c", JsonPath.parse("$.a"), constant).stands_in(document) is stands


def test_places_overlap_where_one_holds_the_other() -> None:
    whole, outer, inner, other = (Target("c", JsonPath.parse(each) if each else None) for each in
                                  ("", "$.a", "$.a[0].b", "$.b"))  # fmt: skip
    assert whole.overlaps(inner)
    assert inner.overlaps(outer)
    assert not other.overlaps(inner)
    assert not Target("d").overlaps(whole)


def test_what_goes_and_what_stays_of_a_row() -> None:
    change = Change((Target("a"), Target("m", JsonPath.parse("$.p"))))
    row = {"a": "gone", "b": "kept", "m": '{"p": "gone too", "q": "kept"}', "n": None}
    assert list(change.going(row)) == ["gone", "gone too"]
    assert list(change.staying(row)) == ["kept", '{"p": null, "q": "kept"}', None]


COPIES = {
    "plain": TEXT,
    "inside": f"see: {TEXT}.",
    "cut off": TEXT[:70],
    "bytes": TEXT.encode(),
    "json": json.dumps({"a": [TEXT]}),
    "json in json": json.dumps({"a": json.dumps([TEXT])}),
    "json in json in json": json.dumps([json.dumps([json.dumps([TEXT])])]),
    "damaged json": json.dumps({"a": TEXT})[:-1],
    "damaged json as it is": json.dumps({"a": TEXT}, ensure_ascii=False)[:-1],
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("goes", [TEXT, TEXT.encode(), json.dumps([{"role": "user", "content": TEXT}])])
def test_a_copy_is_found(goes: object, copy: object) -> None:
    assert stands_in(samples(goes), (None, 1, "else", copy))


@pytest.mark.parametrize(
    "goes",
    [None, "", "fine", 1234567, "[]", json.dumps({"role": "assistant", "model": "claude-3-5-sonnet-20241022"}),
     json.dumps(["2026-05-01 10:00:00", "req_0123456789abcdef0123", "short text"])],
)  # fmt: skip
def test_what_is_said_by_chance_is_no_copy(goes: object) -> None:
    assert samples(goes) == frozenset()
    assert not stands_in(samples(goes), (goes, TEXT))


def test_a_pseudonym_fits_a_uuid() -> None:
    assert as_uuid("pseudonym-" + "0123456789abcdef" * 2) == "01234567-89ab-8def-8123-456789abcdef"
