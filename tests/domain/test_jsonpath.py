from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.jsonpath import JsonPath, Unreadable

HOSTILE = ["a b", "a.b", "$", "[0]", "'", "\u202e", "😀", "__proto__", "%2e", "../", "x" * 1024, ""]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$", ()),
        ("$.a", ("a",)),
        ("$.a_b-C9.é", ("a_b-C9", "é")),
        ("$.a[0][12].b", ("a", 0, 12, "b")),
        ("$[3]", (3,)),
        ("$.0", ("0",)),
        *((f'$."{name}".id', (name, "id")) for name in HOSTILE),
    ],
)
def test_paths(text: str, steps: tuple[str | int, ...]) -> None:
    assert JsonPath.parse(text).steps == steps


@pytest.mark.parametrize(
    "text",
    ["", "a", "a.b", "$a", "$.", "$..a", "$.*", "$[*]", "$[-1]", "$[a]", "$['a']", "$.a b", '$."a', '$."a\\"b"', "$.a.",
     "$[0", "$.a?(@.b)", "$ .a", "$.a\n", "$.a\x00", "$[1234567890]", "$" + ".a" * 17, "$[١]"],
)  # fmt: skip
def test_what_stores_could_read_in_two_ways_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match=r"begin with|cannot be read|more than"):
        JsonPath.parse(text)


DOCUMENT = {"a": {"b": [1, {"c": "x"}], "n": None, "t": True, "f": 1.5}, "0": "zero", "": "blank", "a.b": "dotted"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.a.b[1].c", "x"),
        ("$.a.b[0]", 1),
        ("$.a.t", True),
        ("$.a.f", 1.5),
        ("$.0", "zero"),
        ('$.""', "blank"),
        ('$."a.b"', "dotted"),
        ("$.a.n", None),
        ("$.a.n.x", None),
        ("$.missing", None),
        ("$.a.b[2]", None),
        ("$[0]", None),
        ("$.a[0]", None),
        ("$.a.b.1", None),
        ("$.0.z", None),
        ("$.0[0]", None),
    ],
)
def test_values(path: str, value: object) -> None:
    assert JsonPath.parse(path).read(json.dumps(DOCUMENT)) == value


@pytest.mark.parametrize(
    "document",
    ["", "{", "{'a': 1}", '{"a": 1,}', "NaN", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1} x', "[" * 100_000, "{a: 1}",
     '{"a": "\x00"}', '{"a": "\n"}', "\ufeff{}", "9" * 5_000, '{"a": 1, "a": 1}', '{"a": 1, "\\u0061": 2}'],
)  # fmt: skip
def test_what_is_no_json_or_says_two_things_is_unreadable(document: str) -> None:
    with pytest.raises(Unreadable):
        JsonPath.parse("$.a").read(document)


def test_a_name_that_stands_twice_elsewhere_does_not_matter() -> None:
    assert JsonPath.parse("$.a.b").read('{"x": {"y": 1, "y": 2}, "a": {"b": 7, "c": 1, "c": 2}}') == 7


_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(_JSON)
def test_every_value_of_a_document_is_found_by_its_path(document: Any) -> None:
    text = json.dumps(document)
    for steps, value in _leaves(document, ()):
        assert JsonPath("$", steps).read(text) == value


def _leaves(value: Any, steps: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in _leaves(inner, (*steps, name))]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in _leaves(inner, (*steps, index))]
    return [(steps, value)]
