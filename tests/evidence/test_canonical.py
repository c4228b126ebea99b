"""One spelling of every value; whatever has none is refused before it can be signed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.errors import ReceiptError
from retentiond.evidence.canonical import MAX_INTEGER, canonical_json, rfc3339

text = st.text(st.characters(exclude_categories=["Cs"]))
plain = st.recursive(
    st.none() | st.booleans() | st.integers(0, MAX_INTEGER) | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
)


@given(plain)
def test_reads_back_as_what_it_was(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


def test_members_are_sorted_by_utf16_and_only_control_characters_escaped() -> None:
    value: dict[str, int | str] = {"\ufb33": 1, "\U0001f600": 2, "a": '\u2028\x01\x7f</script>"\\'}
    assert canonical_json(value) == '{"a":"\u2028\\u0001\x7f</script>\\"\\\\","\U0001f600":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize(
    "value",
    [-1, 2**53, 1.0, float("nan"), "\ud800", {"\ud800": 1}, {1: 2}, b"raw", {1}, datetime(2026, 1, 1, tzinfo=UTC)],
    ids=repr,
)
def test_what_has_no_form_is_refused(value: object) -> None:
    nestings: list[Any] = [value, [value], {"a": {"b": value}}]
    for nested in nestings:
        with pytest.raises(ReceiptError):
            canonical_json(nested)


def test_times_are_utc_whole_seconds_and_four_digit_years() -> None:
    assert rfc3339(datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)) == "2026-02-28T23:59:59Z"
    assert rfc3339(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))) == "2025-12-31T18:30:00Z"
    assert rfc3339(datetime(33, 4, 3, tzinfo=UTC)) == "0033-04-03T00:00:00Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ReceiptError, match="without a zone"):
        rfc3339(datetime(2026, 1, 1))  # noqa: DTZ001 - the point
