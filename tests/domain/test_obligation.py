"""What is kept of accounts that have left: cases against an oracle of plain comparisons, and each date to the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.account import KeptPart, Leaver, Remainder
from retentiond.domain.condition import ALWAYS, Compare, Operator, attribute
from retentiond.domain.dataset import ClockSource, Dataset
from retentiond.domain.decision import Disposition, closure_cases
from retentiond.domain.erasure import Person, Persons, erasure_cases
from retentiond.domain.obligation import Keeping, erasing_cases, leaving_cases
from retentiond.domain.owner import OwnerSource
from retentiond.domain.period import Period
from retentiond.domain.policy import Obligation, Policy
from retentiond.domain.record import Record, Ties, micros
from retentiond.domain.replay import replay_cases

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
DATASET = Dataset(
    "rows", "db", "sqlite", "c", ClockSource(column="at", earliest=EARLIEST), table="t", owners=(OwnerSource("u"),)
)
FLAGGED = Compare(attribute("flagged"), Operator.EQUAL, True)  # noqa: FBT003 -- a literal
LEAVING = {"a": Leaver("de"), "b": Leaver("us"), "c": Leaver()}
DAYS = (0, 1, 9, 10, 11, 99, 100, 101, 2000, 3000, -3)

obligations = st.lists(
    st.tuples(st.sampled_from((10, 100, 2000)), st.booleans(), st.sampled_from(((), ("de",), ("us",), ("de", "us")))),
    max_size=3,
)
records = st.tuples(
    st.sampled_from((("a",), ("b",), ("c",), ("x",), ("a", "x"), ("a", "b"), (), ("?", "a"), ("?", "x"))),
    st.sampled_from((*DAYS, None)),
    st.sampled_from((0, 1, None)),
)


def policy_of(found: Sequence[tuple[int, bool, tuple[str, ...]]]) -> Policy:
    kept = tuple(
        Obligation(number, Period(days=days), f"law {number}", FLAGGED if only else ALWAYS, where)
        for number, (days, only, where) in enumerate(found, 1)
    )
    return Policy("p", "c", (), kept=kept)


def record_of(owners: tuple[str, ...], days: int | None, flagged: int | None) -> Record:
    clock = None if days is None else micros(NOW - timedelta(days=days))
    unsure = owners[1:] if owners[:1] == ("?",) else ()
    certain = () if unsure else owners
    return Record(
        (1,),
        account=certain[0] if certain else None,
        clock=clock,
        attributes={"flagged": flagged},
        ties=Ties(others=certain[1:], named=unsure),
    )


def expected(
    found: Sequence[tuple[int, bool, tuple[str, ...]]], owners: tuple[str, ...], days: int | None, flagged: int | None
) -> Disposition:
    """Say it without conditions: who leaves, what binds, how old."""
    if owners[:1] == ("?",):
        return Disposition.UNDETERMINED if set(owners) & set(LEAVING) else Disposition.KEEP
    leaving = [LEAVING[each].jurisdiction for each in owners if each in LEAVING]
    if not leaving:
        return Disposition.KEEP
    unsure = False
    for keep, only, where in found:
        if where and not any(each in where or each == "" for each in leaving):
            continue
        if only and flagged == 0:
            continue
        absurd = days is None or days < -1 or NOW - timedelta(days=days) < EARLIEST
        if not absurd and days is not None and days > keep:
            continue
        if absurd or (only and flagged is None):
            unsure = True
        else:
            return Disposition.KEEP
    return Disposition.UNDETERMINED if unsure else Disposition.PURGE


@given(obligations, records)
def test_what_goes_and_what_stays(
    found: list[tuple[int, bool, tuple[str, ...]]], record: tuple[tuple[str, ...], int | None, int | None]
) -> None:
    policy = policy_of(found)
    cases = leaving_cases(LEAVING, policy, DATASET, NOW)
    made = record_of(*record)
    winner = cases.cases[cases.python()(made)]
    assert winner.disposition is expected(found, *record)
    assert [index for index, case in enumerate(cases.cases) if case.action] == [0], "what goes is the first case"
    told = Keeping(LEAVING, policy).until(made, NOW)
    if winner.reason == "kept-after-closure":
        assert told is not None
        assert told[1] >= NOW, "it goes at its date, and not before"
    elif winner.disposition is Disposition.PURGE:
        assert told is None


@given(obligations, records)
def test_each_goes_at_its_date(
    found: list[tuple[int, bool, tuple[str, ...]]], record: tuple[tuple[str, ...], int | None, int | None]
) -> None:
    policy, made = policy_of(found), record_of(*record)
    cases = leaving_cases(LEAVING, policy, DATASET, NOW)
    unsure = record[2] is None and any(only for _, only, _ in found)
    if unsure or cases.cases[cases.python()(made)].reason != "kept-after-closure":
        return
    told = Keeping(LEAVING, policy).until(made, NOW)
    assert told is not None
    for late, gone in ((timedelta(), False), (timedelta(seconds=1), True)):
        then = leaving_cases(LEAVING, policy, DATASET, told[1] + late)
        assert (then.python()(made) == 0) is gone


def test_without_obligations_nothing_changes() -> None:
    assert leaving_cases(LEAVING, policy_of([]), DATASET, NOW) == closure_cases("a", "b", "c")
    assert leaving_cases(LEAVING, None, DATASET, NOW) == closure_cases("a", "b", "c")


MONTHS = [
    # begun, months kept, the first whole day on which it may go: counted on a calendar, by hand
    (date(2026, 1, 31), 1, date(2026, 3, 1)),
    (date(2026, 1, 30), 1, date(2026, 3, 1)),
    (date(2026, 1, 29), 1, date(2026, 3, 1)),
    (date(2026, 1, 28), 1, date(2026, 2, 28)),
    (date(2028, 1, 29), 1, date(2028, 2, 29)),
    (date(2028, 1, 30), 1, date(2028, 3, 1)),
    (date(2024, 2, 29), 12, date(2025, 3, 1)),
    (date(2024, 2, 29), 48, date(2028, 2, 29)),
    (date(2026, 3, 31), 1, date(2026, 5, 1)),
    (date(2026, 8, 31), 6, date(2027, 3, 1)),
    (date(2026, 12, 31), 2, date(2027, 3, 1)),
    (date(2026, 10, 31), 120, date(2036, 10, 31)),
]


@pytest.mark.parametrize(("begun", "months", "goes"), MONTHS, ids=str)
def test_dates_at_the_ends_of_months(begun: date, months: int, goes: date) -> None:
    start, end = (datetime(each.year, each.month, each.day, tzinfo=UTC) for each in (begun, goes))
    policy = Policy("p", "c", (), kept=(Obligation(1, Period(months=months), "law"),))
    record = Record((1,), account="a", clock=micros(start))
    told = Keeping({"a": Leaver()}, policy).until(record, start)
    assert told == ("law", end)
    before = leaving_cases({"a": Leaver()}, policy, DATASET, end - timedelta(seconds=1))
    after = leaving_cases({"a": Leaver()}, policy, DATASET, end + timedelta(seconds=1))
    assert (before.python()(record) == 0, after.python()(record) == 0) == (False, True)


def test_what_has_to_be_kept_is_overdue_after_its_date_and_not_before() -> None:
    part = KeptPart("rows", "c", "law", 3, NOW, NOW + timedelta(days=1))
    found = Remainder(due=2, waiting=1, kept=(part,))
    assert found.overdue(NOW) == 3
    assert found.overdue(NOW + timedelta(days=1)) == 6
    assert not found.is_excused
    assert Remainder(kept=(part,)).is_excused
    assert Remainder(kept=(part,))
    assert not Remainder()
    assert part.plus(KeptPart("rows", "c", "law", 1, NOW - timedelta(days=2), NOW)) == KeptPart(
        "rows", "c", "law", 4, NOW - timedelta(days=2), NOW + timedelta(days=1)
    )


@pytest.mark.parametrize(("begun", "months", "goes"), MONTHS, ids=str)
def test_what_is_kept_from_the_closure_goes_with_all_of_its_account(begun: date, months: int, goes: date) -> None:
    asked, end = (datetime(each.year, each.month, each.day, tzinfo=UTC) for each in (begun, goes))
    kept = (Obligation(1, Period(months=months), "law", FLAGGED, ("de",), from_closure=True),)
    policy = Policy("p", "c", (), kept=kept)
    leaving = {"a": Leaver("de", asked), "b": Leaver("us", asked), "c": Leaver("de", EARLIEST)}
    flagged, plain = {"flagged": True}, {"flagged": False}
    mine = [Record((1,), account=name, clock=clock, attributes=flagged) for name in "abc" for clock in (None, 0)]
    for then, stays in ((end - timedelta(seconds=1), True), (end + timedelta(seconds=1), False)):
        winner = leaving_cases(leaving, policy, DATASET, then).python()
        assert [winner(record) == 0 for record in mine] == [not stays] * 2 + [True] * 4
        assert winner(mine[0]._replace(attributes=plain)) == 0
        unsure = mine[0]._replace(attributes={"flagged": None})
        assert (winner(unsure) == 0) is not stays
        told = Keeping(leaving, policy).until(mine[0], then)
        assert told == (("law", end) if stays else None)


ASKING = {Person("a", "u"): Leaver("de"), Person("b", "u"): Leaver("us"), Person("c"): Leaver()}
PEOPLE = Persons({who.text: who.text for who in ASKING}, {who.text: leaver for who, leaver in ASKING.items()})
WITH_USERS = replace(DATASET, users=(OwnerSource("user"),))
of_users = st.tuples(
    st.sampled_from((("a",), ("b",), ("c",), ("x",), ("a", "x"), ("a", "b"), (), ("?", "a"), ("?", "x"))),
    st.sampled_from((("u",), ("v",), ("v", "u"), (), None)),
    st.sampled_from((*DAYS, None)),
    st.sampled_from((0, 1, None)),
)


@given(obligations, of_users, st.booleans())
def test_what_goes_and_what_stays_of_people(
    found: list[tuple[int, bool, tuple[str, ...]]],
    record: tuple[tuple[str, ...], tuple[str, ...] | None, int | None, int | None],
    binds: bool,  # noqa: FBT001 -- drawn
) -> None:
    owners, users, days, flagged = record
    policy = policy_of(found)
    policy = replace(policy, kept=tuple(replace(each, erasures=binds) for each in policy.kept))
    made = record_of(owners, days, flagged)
    made = made._replace(ties=replace(made.ties, users=users))
    cases = erasing_cases(PEOPLE, policy, WITH_USERS, NOW)
    winner = cases.cases[cases.python()(made)]
    certain = () if owners[:1] == ("?",) else owners
    mine = [who for who in ASKING if who.account in certain and (not who.user or who.user in (users or ()))]
    perhaps = [who for who in ASKING if who.account in owners and (users is None or owners[:1] == ("?",))]
    if mine:
        # What binds a record of these is asked as if exactly their accounts were leaving.
        accounts = tuple(who.account for who in mine)
        wanted = expected(found if binds else [], accounts, days, flagged)
        if wanted is Disposition.UNDETERMINED or winner.disposition is not wanted:
            assert winner.disposition is Disposition.UNDETERMINED
            assert wanted is not Disposition.KEEP or perhaps
        else:
            assert winner.disposition is wanted
    else:
        assert winner.disposition is (Disposition.UNDETERMINED if perhaps else Disposition.KEEP)
    assert [index for index, case in enumerate(cases.cases) if case.action] == [1], "what goes is the second case"
    told = Keeping(PEOPLE, policy).until(made, NOW)
    if winner.reason == "kept-after-closure":
        assert told is not None
        assert told[1] >= NOW, "it goes at its date, and not before"
    elif winner.disposition is Disposition.PURGE:
        assert told is None


def test_of_people_without_obligations_nothing_changes() -> None:
    assert erasing_cases(PEOPLE, policy_of([]), WITH_USERS, NOW) == erasure_cases(PEOPLE, WITH_USERS)


def test_what_is_known_of_nobody_is_kept_wherever_it_has_to_be() -> None:
    kept = (Obligation(1, Period(days=10), "law", jurisdictions=("de",), from_closure=True),)
    nobody = Persons({Person("a").text: "1"})
    record = Record((1,), account="a", clock=micros(EARLIEST))
    cases = erasing_cases(nobody, Policy("p", "c", (), kept=kept), DATASET, NOW)
    assert cases.cases[cases.python()(record)].reason == "kept-after-closure"


@given(obligations, records)
def test_what_a_restore_brought_back_is_kept_by_what_binds_now(
    found: list[tuple[int, bool, tuple[str, ...]]], record: tuple[tuple[str, ...], int | None, int | None]
) -> None:
    gone = {Person(name): micros(NOW) for name in LEAVING}
    known = {Person(name): leaver for name, leaver in LEAVING.items()}
    made = record_of(*record)
    cases = replay_cases(gone, DATASET, NOW, policy_of(found), known)
    winner = cases.cases[cases.python()(made)]
    if winner.reason == "account-closed":
        assert expected(found, *record) is Disposition.PURGE
    elif expected(found, *record) is Disposition.PURGE and made.clock is not None:
        assert made.clock < micros(EARLIEST) or made.clock >= micros(NOW)
