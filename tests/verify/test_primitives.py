"""The parts on their own, against vectors of the specifications and against other implementations."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from retentiond.verify.ed25519 import holds
from retentiond.verify.encoding import from_base64, from_hex, from_rfc3339
from retentiond.verify.jcs import canonical
from retentiond.verify.merkle import GrowingTree, is_included, leaf_hash
from retentiond.verify.note import read_key
from retentiond.verify.strictjson import MAX_INTEGER, NotStrictError, parse

from .builder import b64, mth, path

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_the_canonical_form_is_that_of_another_implementation(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_is_strict_is_read_as_written(value: Any, ascii_only: bool, indent: Any) -> None:  # noqa: FBT001 - a case
    assert parse(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()) == value


def test_the_order_of_names_is_that_of_rfc_8785() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"]
    ordered = ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(parse(canonical(dict.fromkeys(names, 1)))) == ordered


def test_the_escapes_are_those_of_rfc_8785() -> None:
    text = '\u20ac$\x0f\nA\'B"\\\\"/\x00\x08\x0c\r\t\x7f\u2028'
    assert canonical(text).decode() == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\\u0000\\b\\f\\r\\t\x7f\u2028"'


@pytest.mark.parametrize(
    "text",
    [
        "1.0",
        "1e1",
        "1E1",
        "-1",
        "-0",
        "0.0",
        "9007199254740992",
        "NaN",
        "-Infinity",
        "01",
        "+1",
        "1_0",
        "0x1",
        "1" * 5000,
    ],
)
def test_a_number_of_another_make_is_refused(text: str) -> None:
    for document in (text, f'{{"a": [{text}]}}'):
        with pytest.raises(NotStrictError):
            parse(document.encode())


def test_the_largest_number_is_read() -> None:
    assert parse(b"9007199254740991") == MAX_INTEGER


@pytest.mark.parametrize(
    "text", ['"\\ud800"', '"\\udc00\\ud800"', '{"\\udfff": 1}', '[["a\\ud83d"]]', '"\\ud83d\\u0041"']
)
def test_a_lone_surrogate_is_refused(text: str) -> None:
    with pytest.raises(NotStrictError):
        parse(text.encode())


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":1}', '[{"b":{"a":1,"\\u0061":2}}]', '{"__proto__":1,"__proto__":2}', '{"":1,"":2}']
)
def test_a_name_twice_is_refused(text: str) -> None:
    with pytest.raises(NotStrictError, match="twice"):
        parse(text.encode())


@pytest.mark.parametrize("text", ["YQ==", "YWI=", "YWJj", "", "+/+/"])
def test_base64_has_one_spelling(text: str) -> None:
    assert b64(from_base64(text)) == text


@pytest.mark.parametrize(
    "text", ["YQ", "YQ=", "YR==", "YWJ=", "YQ==\n", " YQ==", "Y Q=", "-_-_", "YQ===", "=", "YQ==YQ==", "Ｙ"]
)
def test_base64_in_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        from_base64(text)


@pytest.mark.parametrize("text", ["AB", "a", "abc", "zz", "", " ab", "ab\n", "0xab", "\u0661\u0661"])
def test_hex_in_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="hex"):
        from_hex(text, 1)


def test_a_leap_day_is_a_real_date() -> None:
    assert from_rfc3339("2028-02-29T23:59:59Z").isoformat() == "2028-02-29T23:59:59+00:00"
    with pytest.raises(ValueError, match="does not exist"):
        from_rfc3339("2100-02-29T00:00:00Z")


# Leaves and roots that implementations of RFC 6962 test against.
CT_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_the_roots_are_those_of_certificate_transparency() -> None:
    tree = GrowingTree()
    for leaf in CT_LEAVES:
        tree.append(leaf_hash(bytes.fromhex(leaf)))
    assert [(tree.root(size) or b"").hex() for size in range(9)] == CT_ROOTS
    assert tree.root(9) is None
    assert tree.leaf(8) is None
    assert tree.leaf(-1) is None


def test_every_root_and_every_path_is_that_of_the_definition() -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(70)]
    tree = GrowingTree()
    for leaf in hashes:
        tree.append(leaf)
    for size in range(1, 71):
        root = mth(hashes[:size])
        assert tree.root(size) == root
        for index in range(size):
            assert is_included(hashes[index], index, size, path(index, hashes[:size]), root)


def test_no_path_fits_another_place() -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(13)]
    root = mth(hashes)
    for index in range(13):
        steps = path(index, hashes)
        for other in range(-1, 15):
            fits = is_included(hashes[index], other, 13, steps, root)
            assert fits is (other == index)
        assert not is_included(hashes[index], index, 13, steps[:-1], root)
        assert not is_included(hashes[index], index, 13, [*steps, root], root)


@pytest.mark.parametrize("index", [-1, 1, 2, 2**60])
def test_a_place_outside_the_tree_is_refused(index: int) -> None:
    leaf = leaf_hash(b"alone")
    assert is_included(leaf, 0, 1, [], leaf)
    assert not is_included(leaf, index, 1, [], leaf)
    assert not is_included(leaf, 0, 0, [], leaf)


def test_an_inner_node_is_not_taken_for_a_leaf() -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(4)]
    left = hashlib.sha256(b"\1" + hashes[0] + hashes[1]).digest()
    assert not is_included(leaf_hash(hashes[0] + hashes[1]), 0, 2, [mth(hashes[2:])], mth(hashes))
    assert is_included(left, 0, 2, [mth(hashes[2:])], mth(hashes))


def test_the_example_of_c2sp_signed_note_verifies() -> None:
    key = read_key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    line = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    blob = from_base64(line)
    assert blob[:4] == key.key_id
    assert holds(key.key, blob[4:], b"This is an example message.\n")
