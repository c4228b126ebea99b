"""`when`: what is written, what it means for a record, and what it says in words."""

from __future__ import annotations

import string
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.condition import fields, python_reading
from retentiond.domain.record import Record, Value
from retentiond.settings.when import Clause, WhenReader

LISTS = {"vip": ("a", "b"), "nobody": ()}
FIELDS = ("account", "flag", "size", "tier")


def reader() -> WhenReader:
    return WhenReader(LISTS, lambda field: [] if field in FIELDS else ["d"], frozenset(FIELDS))


def read(when: object) -> Clause:
    found = reader().read(when, (), "rule 1")
    assert found
    return found


def record(account: str | None = None, **attributes: Value) -> Record:
    return Record(key=("k",), account=account, attributes=attributes)


@pytest.mark.parametrize(
    ("when", "text", "yes", "no", "unknown"),
    [
        ({"flag": True}, "flag is true", record(flag=1), record(flag=False), record()),
        ({"tier": "gold"}, "tier is 'gold'", record(tier="gold"), record(tier="Gold"), record(tier=1)),
        ({"size": 3}, "size is 3", record(size=3), record(size=4), record(size="3")),
        ({"size": {"at_least": 3}}, "size is at least 3", record(size=3), record(size=2), record(size=None)),
        ({"size": {"at_most": -3}}, "size is at most -3", record(size=-3), record(size=-2), record()),
        ({"size": {"above": 3}}, "size is above 3", record(size=4), record(size=3), record(size=True)),
        ({"size": {"below": 3}}, "size is below 3", record(size=2), record(size=3), record()),
        (
            {"size": {"at_least": 3, "below": 5}},
            "size is at least 3 and size is below 5",
            record(size=4),
            record(size=5),
            record(),
        ),
        ({"tier": {"in": ["a", "b"]}}, "tier is in ['a', 'b']", record(tier="b"), record(tier="c"), record()),
        ({"size": {"not_in": [1, 2]}}, "size is not in [1, 2]", record(size=3), record(size=1), record()),
        ({"account": {"in": "vip"}}, "account is in vip", record("a"), record("c"), record()),
        ({"account": {"not_in": "vip"}}, "account is not in vip", record("c"), record("b"), record()),
        ({"account": {"not_in": "nobody"}}, "account is not in nobody", record("c"), None, record()),
        ({"account": "x"}, "account is in (rule 1)", record("x"), record("y"), record()),
        ({"tier": {"in": "vip"}}, "tier is in vip", record(tier="a"), record(tier="c"), record(tier=1)),
        (
            {"flag": True, "size": 1},
            "flag is true and size is 1",
            record(flag=True, size=1),
            record(size=2),
            record(size=1),
        ),
        (
            {"any": [{"flag": True}, {"size": 1}]},
            "(flag is true or size is 1)",
            record(size=1),
            record(flag=0, size=2),
            record(size=2),
        ),
        (
            {"all": [{"flag": True}, {"size": 1}], "tier": "x"},
            "flag is true and size is 1 and tier is 'x'",
            record(flag=True, size=1, tier="x"),
            record(tier="y"),
            record(flag=True, tier="x"),
        ),
        ({"not": {"flag": True}}, "not (flag is true)", record(flag=False), record(flag=True), record()),
    ],
)
def test_what_a_condition_means(when: object, text: str, yes: Record, no: Record | None, unknown: Record) -> None:
    clause = read(when)
    reading = python_reading(clause.condition)
    assert clause.text == text
    assert reading(yes) is True
    assert no is None or reading(no) is False
    assert reading(unknown) is None


NAMES = st.sampled_from(FIELDS[1:])
TEXTS = st.text(string.printable + "\u202eйم🙈'\"\\", max_size=8)
LITERALS = st.one_of(st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), TEXTS)
LIST = st.one_of(
    st.lists(TEXTS, min_size=1), st.lists(st.integers(-5, 5), min_size=1), st.lists(st.booleans(), min_size=1)
)
COMPARISONS = st.dictionaries(
    st.sampled_from(["at_least", "at_most", "above", "below"]), st.integers(-5, 5), min_size=1
)
MEMBERS = st.one_of(LIST, st.sampled_from(sorted(LISTS)))
MEMBERSHIPS = st.dictionaries(st.sampled_from(["in", "not_in"]), MEMBERS, min_size=1)
LEAVES = st.dictionaries(NAMES, st.one_of(LITERALS, COMPARISONS, MEMBERSHIPS), min_size=1, max_size=3)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda each: {"not": each}),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"any": each}),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"all": each}),
    ),
    max_leaves=5,
)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-6, 6), TEXTS)
RECORDS = st.builds(lambda values: Record(key=("k",), attributes=values), st.dictionaries(NAMES, VALUES))


def meaning(when: Mapping[str, object], found: Record) -> bool | None:
    """Read `when` directly, as the grammar is described; three-valued (Kleene)."""
    answers = [part(name, value, found) for name, value in when.items()]
    return both(answers)


def both(answers: list[bool | None]) -> bool | None:
    return False if False in answers else None if None in answers else True


def either(answers: list[bool | None]) -> bool | None:
    return True if True in answers else None if None in answers else False


def inverse(answer: bool | None) -> bool | None:  # noqa: FBT001
    return None if answer is None else not answer


def part(name: str, value: object, found: Record) -> bool | None:
    if name == "not":
        assert isinstance(value, dict)
        return inverse(meaning(value, found))
    if name in ("any", "all"):
        assert isinstance(value, list)
        return (either if name == "any" else both)([meaning(each, found) for each in value])
    if isinstance(value, dict):
        return both([comparison(found.attributes.get(name), word, each) for word, each in value.items()])
    return member(found.attributes.get(name), [value])


def comparison(found: Value, word: str, value: object) -> bool | None:
    if word in ("in", "not_in"):
        members = list(LISTS[value]) if isinstance(value, str) else value
        assert isinstance(members, list)
        answer = member(found, members)
        return answer if word == "in" else inverse(answer)
    if found is None or isinstance(found, bool | str):
        return None
    assert isinstance(value, int)
    return {"at_least": found >= value, "at_most": found <= value, "above": found > value, "below": found < value}[word]


def member(found: Value, members: list[object]) -> bool | None:
    kind = type(members[0]) if members else str
    if kind is bool:
        return None if found is None or isinstance(found, str) or found not in (0, 1) else bool(found) in members
    return None if type(found) is not kind else found in members


@given(CONDITIONS, RECORDS)
def test_every_condition_is_read_as_it_is_written(when: Mapping[str, object], found: Record) -> None:
    clause = read(when)
    assert python_reading(clause.condition)(found) is meaning(when, found)
    assert fields(clause.condition) <= {f"attribute:{name}" for name in FIELDS}


@given(CONDITIONS)
def test_a_condition_without_accounts_stands_in_the_canonical_form_as_it_is_written(when: Mapping[str, object]) -> None:
    found = reader()
    assert found.read(when, ("when",), "rule 1")
    assert found.canonical(when, ("when",)) == when
    assert set(found.used) <= set(LISTS)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(TEXTS, st.sampled_from([*FIELDS, "any", "all", "not", "in", "below"])), inner, max_size=3
        ),
    ),
    max_leaves=8,
)


@given(JSON)
def test_anything_else_is_a_problem_with_a_remedy_and_never_a_crash(when: object) -> None:
    found = reader()
    clause = found.read(when, ("when",), "rule 1")
    assert (clause is None) == bool(found.problems)
    for problem in found.problems:
        assert problem.path[0] == "when"
        assert problem.what
        assert problem.remedy
