from __future__ import annotations

import pytest

from retentiond.domain.condition import (
    ACCOUNT,
    NAMED,
    AnyOf,
    Compare,
    Condition,
    Missing,
    Not,
    Operator,
    Truth,
    python_reading,
)
from retentiond.domain.decision import Disposition, closure_cases
from retentiond.domain.hold import Hold, HoldIndex, Scope
from retentiond.domain.jsonpath import JsonPath
from retentiond.domain.owner import UNREADABLE, Owners, OwnerSource, Via, columns_of, read_owners
from retentiond.domain.record import EPOCH, Record, Ties

USER, END_USER = OwnerSource("user"), OwnerSource("end_user")
PERHAPS = OwnerSource("end_user", optional=True)
IN_JSON = OwnerSource("meta", JsonPath.parse("$.user.id"))
LIST = OwnerSource("owners", array=True)
DEEP_LIST = OwnerSource("meta", JsonPath.parse("$.o"), array=True)
KEYS = OwnerSource(via=Via("api_keys", (("api_key", "token"),), "user_id"))
TWO, TWO_OPTIONAL = (USER, END_USER), (USER, PERHAPS)


@pytest.mark.parametrize(
    ("sources", "values", "expected"),
    [
        ([USER], ["a"], Owners(("a",))),
        ([USER], [42], Owners(("42",))),
        ([USER], [-7], Owners(("-7",))),
        ([USER], [None], Owners()),
        ([USER], [""], Owners()),
        ([USER], [True], Owners()),
        ([USER], [1.0], Owners()),
        ([USER], [b"a"], Owners()),
        ([USER], ["\ud800"], Owners()),
        (TWO, ["a", "b"], Owners(("a", "b"))),
        (TWO, ["a", "a"], Owners(("a",))),
        (TWO, ["a", None], Owners(named=("a",))),
        (TWO, [None, "b"], Owners(named=("b",))),
        (TWO, ["a", b""], Owners(named=("a",))),
        (TWO, [None, None], Owners()),
        (TWO_OPTIONAL, ["a", None], Owners(("a",))),
        (TWO_OPTIONAL, ["a", ""], Owners(("a",))),
        (TWO_OPTIONAL, ["a", 1.5], Owners(named=("a",))),
        (TWO_OPTIONAL, [None, "b"], Owners(named=("b",))),
        ([PERHAPS, OwnerSource("u", optional=True)], [None, None], Owners()),
        ([IN_JSON], ['{"user": {"id": "a"}}'], Owners(("a",))),
        ([IN_JSON], ['{"user": {"id": 7}}'], Owners(("7",))),
        ([IN_JSON], ['{"user": {"id": 7.0}}'], Owners()),
        ([IN_JSON], ['{"user": {"id": true}}'], Owners()),
        ([IN_JSON], ['{"user": {"id": ["a"]}}'], Owners()),
        ([IN_JSON], ['{"user": {"id": []}}'], Owners()),
        ([IN_JSON], ['{"user": {"id": "a", "id": "b"}}'], Owners()),
        ([IN_JSON], ["not json"], Owners()),
        ([IN_JSON], [7], Owners()),
        ([LIST], ['["a", "b", "a"]'], Owners(("a", "b"))),
        ([LIST], [["a", "b"]], Owners(("a", "b"))),
        ([LIST], ["[1, -2]"], Owners(("1", "-2"))),
        ([LIST], ["[]"], Owners()),
        ([LIST], ["{}"], Owners()),
        ([LIST], ['"a"'], Owners()),
        ([LIST], ["a"], Owners()),
        ([LIST], ['["a", null]'], Owners(named=("a",))),
        ([LIST], ['["a", ""]'], Owners(named=("a",))),
        ([LIST], ['["a", ["b"]]'], Owners(named=("a",))),
        ([LIST], [["a", None]], Owners(named=("a",))),
        ([DEEP_LIST], ['{"o": ["a"]}'], Owners(("a",))),
        ([DEEP_LIST], ['{"o": {}}'], Owners()),
        ([USER, OwnerSource("l", array=True, optional=True)], ["a", "[]"], Owners(("a",))),
        ([USER, OwnerSource("l", array=True, optional=True)], ["a", "{}"], Owners(named=("a",))),
        ([KEYS], ["a"], Owners(("a",))),
        ([KEYS], [UNREADABLE], Owners()),
        ([USER, OwnerSource(via=KEYS.via, optional=True)], ["a", UNREADABLE], Owners(named=("a",))),
    ],
)
def test_owners_are_read(sources: list[OwnerSource], values: list[object], expected: Owners) -> None:
    assert read_owners(values, sources) == expected


def test_columns_that_owners_are_read_from() -> None:
    assert columns_of([USER, IN_JSON, DEEP_LIST, KEYS]) == ("user", "meta", "api_key")


SHARED = Record(("k",), account="a", ties=Ties(others=("b",)))
HALF = Record(("k",), ties=Ties(named=("a",)))


@pytest.mark.parametrize(
    ("condition", "shared", "half"),
    [
        (Compare(ACCOUNT, Operator.EQUAL, "a"), True, None),
        (Compare(ACCOUNT, Operator.EQUAL, "b"), True, None),
        (Compare(ACCOUNT, Operator.EQUAL, "c"), False, None),
        (Compare(ACCOUNT, Operator.EQUAL, 1), None, None),
        (AnyOf(ACCOUNT, ("x", "b")), True, None),
        (AnyOf(ACCOUNT, ("x", "y")), False, None),
        (AnyOf(ACCOUNT, ()), False, None),
        (Not(AnyOf(ACCOUNT, ("b",))), False, None),
        (Missing(ACCOUNT), False, True),
        (Compare(NAMED, Operator.EQUAL, "a"), None, True),
        (Compare(NAMED, Operator.EQUAL, "b"), None, False),
        (Missing(NAMED), True, False),
    ],
)
def test_conditions_ask_whether_one_of_the_owners_is_meant(condition: Condition, shared: Truth, half: Truth) -> None:
    read = python_reading(condition)
    assert (read(SHARED), read(HALF)) == (shared, half)


@pytest.mark.parametrize(
    ("account", "record", "disposition"),
    [
        ("a", SHARED, Disposition.PURGE),
        ("b", SHARED, Disposition.PURGE),
        ("c", SHARED, Disposition.KEEP),
        ("a", HALF, Disposition.UNDETERMINED),
        ("b", HALF, Disposition.KEEP),
        ("a", Record(("k",)), Disposition.KEEP),
    ],
)
def test_a_closure_takes_what_is_the_accounts_and_says_what_may_be_shared(
    account: str, record: Record, disposition: Disposition
) -> None:
    cases = closure_cases(account)
    assert cases.cases[cases.python()(record)].disposition is disposition


@pytest.mark.parametrize("account", ["a", "b"])
def test_a_hold_on_any_owner_holds(account: str) -> None:
    holds = HoldIndex([Hold("1", "m", Scope(accounts=(account,)), EPOCH)], "d")
    assert holds.ids(SHARED) == ("1",)
    assert holds.ids(Record(("k",), account="c")) == ()
