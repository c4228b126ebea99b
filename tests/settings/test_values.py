from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from retentiond.domain.period import Period
from retentiond.settings.values import longest_seconds, read_period, shortest_seconds

PERIODS = st.builds(Period, st.integers(0, 1200), st.integers(0, 9999), st.integers(1, 10**7))
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


@given(PERIODS)
def test_the_iso_form_of_a_period_is_read_as_that_period(period: Period) -> None:
    assert read_period(period.iso()) == period


@given(st.integers(1, 9999), st.sampled_from(sorted(UNITS)), st.booleans())
def test_a_number_and_a_unit(number: int, unit: str, plural: bool) -> None:  # noqa: FBT001
    period = read_period(f" {number:_} {unit}{'s' if plural else ''}\n")
    assert period.months == 0
    assert period.days * 86400 + period.seconds == number * UNITS[unit]


@given(st.one_of(st.text(max_size=12), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers())))
def test_anything_else_is_refused_with_how_to_write_it(value: object) -> None:
    try:
        period = read_period(value)
    except PydanticCustomError as error:
        refusal: PydanticCustomError | None = error
    else:
        refusal = None
        assert isinstance(value, str)
        assert shortest_seconds(period) > 0
    assert refusal is None or (refusal.context and "unit" in refusal.context["remedy"])


@pytest.mark.parametrize("value", ["1000 years", "P1000Y", "366000 days"])
def test_a_thousand_years_are_enough(value: str) -> None:
    assert read_period(value)


@pytest.mark.parametrize(
    "value", ["1001 years", "P1000Y1D", "366001 days", "P1000Y366000DT100000000000S", "9" * 400 + " days"]
)
def test_more_than_a_thousand_years_are_refused(value: str) -> None:
    with pytest.raises(PydanticCustomError):
        read_period(value)


@given(PERIODS)
def test_a_period_lasts_between_its_shortest_and_its_longest(period: Period) -> None:
    assert shortest_seconds(period) <= longest_seconds(period)
    assert (shortest_seconds(period) == longest_seconds(period)) == (period.months == 0)
