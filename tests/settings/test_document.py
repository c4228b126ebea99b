from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.errors import ConfigError
from retentiond.settings.document import parse_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5_000_000", 5_000_000),
        ("-3", -3),
        ("+7", 7),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("_5", "_5"),
        ("5_", "5_"),
        ("5__0", "5__0"),
        ("1.5", 1.5),
        (".5e1", 5.0),
        ("1" * 18, int("1" * 18)),
        ("1" * 19, "1" * 19),
        ("9" * 5000, "9" * 5000),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("off", "off"),
        ("NO", "NO"),
        ("null", None),
        ("~", None),
        ("", None),
        ("2023-01-01", "2023-01-01"),
        ("12:30:45", "12:30:45"),
        ("٣٠", "٣٠"),
        ('"5"', "5"),
        ("'true'", "true"),
        ("|\n  a\n  b", "a\nb\n"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    found = parse_document("x.yaml", f"a: {text}\n".encode()).root["a"]
    assert found == value
    assert type(found) is type(value)


def test_names_are_text_whatever_they_look_like() -> None:
    root = parse_document("x.yaml", b"a: {1: x, true: y, null: z, on: w, 2023-01-01: v}").root
    assert root == {"a": {"1": "x", "true": "y", "null": "z", "on": "w", "2023-01-01": "v"}}


def test_places_are_of_values_or_names_and_fall_back_to_what_is_around() -> None:
    document = parse_document("x.yaml", b"# first\na:\n  - {b: 1}\n  - c:   [2, 3]\n")
    assert document.place(()) == "x.yaml:2:1"
    assert document.place(("a",)) == "x.yaml:3:3"
    assert document.place(("a",), key=True) == "x.yaml:2:1"
    assert document.place(("a", 0, "b")) == "x.yaml:3:9"
    assert document.place(("a", 0, "b"), key=True) == "x.yaml:3:6"
    assert document.place(("a", 1, "c", 1)) == "x.yaml:4:14"
    assert document.place(("a", 1, "other")) == "x.yaml:4:5"
    assert document.place(("a", "tag", 0, "b")) == "x.yaml:3:9"


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**15), 10**15), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
def test_json_means_what_it_means_in_json(value: dict[str, object]) -> None:
    assert parse_document("x.yaml", json.dumps(value).encode()).root == value


@given(st.one_of(st.binary(max_size=200), st.text("abk:-[]{}#&*!|>'\"%@`,?\n\t \\0", max_size=60).map(str.encode)))
def test_any_bytes_are_a_document_or_a_clear_error(data: bytes) -> None:
    error = refusal(data)
    assert error is None or (error.where.startswith("x.yaml:") and error.remedy)


def refusal(data: bytes) -> ConfigError | None:
    try:
        parse_document("x.yaml", data)
    except ConfigError as error:
        return error
    return None


def test_a_blank_value_stands_where_its_name_stands() -> None:
    document = parse_document("x.yaml", b"a:\n  b:\n\n  c: {d: }\n")
    assert document.place(("a", "b")) == "x.yaml:2:3"
    assert document.place(("a", "c", "d")) == "x.yaml:4:7"
