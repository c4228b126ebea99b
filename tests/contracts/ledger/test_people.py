"""Approvals, holds, closures, events and facts: what people did, with the texts that people type."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retentiond.domain.account import AccountState, Remainder
from retentiond.domain.condition import Always, And, AnyOf, Compare, Condition, Missing, Not, Operator, Or, Unknown
from retentiond.domain.erasure import ErasureState
from retentiond.domain.hold import Scope
from retentiond.domain.scopes import read_condition, read_scope, write_condition, write_scope
from retentiond.errors import LedgerError, NotFound
from retentiond.ledger import SqlLedger
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ApprovalRow, ErasureRow, RetractionRow
from tests.ledger import samples
from tests.ledger.samples import HOSTILE, NOW, later


def approval(principal: str, *, approve: bool = True, at: datetime = NOW, plan: str = "p") -> ApprovalRow:
    return ApprovalRow(plan, principal, approve, "2026-12-01T00:00:00Z", "-----BEGIN SSH\n", at, 4)


def test_the_newest_signature_of_each_principal_counts(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.approvals.add(approval("ada@example.com"))
        tx.approvals.add(approval("it's \u202ebob"))
        tx.approvals.add(approval("ada@example.com", approve=False, at=later(seconds=1)))
        tx.approvals.add(approval("ada@example.com", plan="another"))
        assert tx.approvals.of_plan("p") == [
            approval("it's \u202ebob"),
            approval("ada@example.com", approve=False, at=later(seconds=1)),
        ]
        assert tx.approvals.of_plan("nothing") == []


def test_a_nonce_is_used_once(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        assert tx.approvals.use_nonce("n'1", NOW) is True
        assert tx.approvals.use_nonce("n'1", later(days=1)) is False
        assert tx.approvals.use_nonce("n'2", NOW) is True
    with ledger.begin() as tx:
        assert tx.approvals.use_nonce("n'2", NOW) is False


def test_exactly_the_newest_approved_pair_is_approved(ledger: SqlLedger) -> None:
    policy, dataset = ("p", "1" * 64), ("d", "2" * 64)
    changed = ("p", "3" * 64)
    with ledger.begin() as tx:
        assert not tx.approvals.is_approved(policy, dataset, "l")
        assert tx.approvals.approved_policy("p", "d") is None
        tx.approvals.approve_pair(policy, dataset, "l")
        assert tx.approvals.is_approved(policy, dataset, "l")
        assert not tx.approvals.is_approved(changed, dataset, "l")
        assert not tx.approvals.is_approved(policy, ("d", "4" * 64), "l")
        assert not tx.approvals.is_approved(policy, ("e", "2" * 64), "l")
        assert not tx.approvals.is_approved(policy, dataset, "other lists")
        tx.approvals.approve_pair(changed, dataset, "l")
        assert tx.approvals.approved_policy("p", "d") == ("3" * 64, "l")
        assert tx.approvals.approved_policy("p", "e") is None
        assert tx.approvals.is_approved(changed, dataset, "l")
        assert not tx.approvals.is_approved(policy, dataset, "l")
        tx.approvals.approve_pair(policy, dataset, "l")
        assert tx.approvals.is_approved(policy, dataset, "l")
        tx.approvals.approve_pair(("p", ""), ("d", ""), "")  # withdrawn, after a recovery
        assert tx.approvals.approved_policy("p", "d") is None


def test_holds_in_force_come_back_as_they_were_sealed(ledger: SqlLedger) -> None:
    holds = [
        samples.hold("z", sealed=b"\x02" + bytes(range(256))),
        samples.hold("a", sealed=b"\x02\x00", review_at=later(days=30)),
        samples.hold("m", removed_meanwhile=0, may_be_gone=2**53),
    ]
    with ledger.begin() as tx:
        tx.holds.add(*holds[:2])
        tx.holds.add(holds[2])
    with ledger.begin() as tx:
        assert tx.holds.active() == holds
        assert tx.holds.all() == holds


def test_a_review_and_what_was_removed_change_nothing_that_is_held(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.holds.add(samples.hold())
        epoch = tx.holds.epoch()
        tx.holds.set_review("h", later(days=1))
        tx.holds.note_removed("h", 3, 1)
        assert tx.holds.epoch() == epoch
        assert tx.holds.active() == [samples.hold(review_at=later(days=1), removed_meanwhile=3, may_be_gone=1)]
        tx.holds.set_review("h", None)
        tx.holds.release("h", later(days=2))
        with pytest.raises(NotFound, match="there is no hold h in force"):
            tx.holds.set_review("h", NOW)
        assert tx.holds.active() == []
        (row,) = tx.holds.all()
        assert (row.review_at, row.released_at, row.removed_meanwhile) == (None, later(days=2), 3)


def test_only_what_an_older_program_left_plain_is_sealed(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.holds.add(samples.hold("old", sealed=b'\x00{"matter": "M"}'), samples.hold("new"))
        assert [row.id for row in tx.holds.unsealed()] == ["old"]
        tx.holds.seal("old", b"\x02sealed")
        tx.holds.seal("new", b"\x02other")
        assert tx.holds.unsealed() == []
        assert [row.sealed for row in tx.holds.all()] == [b"\x02sealed", samples.SEALED]


def test_each_change_of_holds_raises_the_epoch(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        assert tx.holds.epoch() == 0
        tx.holds.add(samples.hold())
        assert tx.holds.epoch() == 1
        tx.holds.release("h", NOW)
        assert tx.holds.epoch() == 2
        assert tx.holds.active() == []


def test_a_release_that_releases_nothing_is_an_error_and_changes_nothing(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.holds.add(samples.hold())
        tx.holds.release("h", NOW)
        for name in ("h", "g"):
            with pytest.raises(NotFound, match=f"there is no hold {name} in force"):
                tx.holds.release(name, NOW)
        assert tx.holds.epoch() == 2


def test_the_id_of_a_hold_is_taken_for_ever(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        tx.holds.add(samples.hold())
        tx.holds.release("h", NOW)
    with pytest.raises(LedgerError, match=r"refuses a change.*holds.id"), ledger.begin() as tx:
        tx.holds.add(samples.hold())


fields = st.sampled_from(("account", "clock", "attribute:flagged")) | st.text()
literals = st.booleans() | st.integers() | st.text()
leaves = (
    st.builds(Always, st.booleans())
    | st.builds(Compare, fields, st.sampled_from(Operator), literals)
    | st.builds(AnyOf, fields, st.lists(literals).map(tuple))
    | st.builds(Missing, fields)
)
conditions = st.recursive(
    leaves,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(Unknown, inner)
        | st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


def typed(condition: Condition) -> str:
    """A condition with the types of its literals: to Python, True and 1 are equal."""
    return repr(condition)


@given(conditions)
def test_every_condition_comes_back_with_the_types_of_its_literals(condition: Condition) -> None:
    assert typed(read_condition(write_condition(condition))) == typed(condition)


def test_a_condition_of_a_later_version_is_refused_not_guessed() -> None:
    with pytest.raises(ValueError, match="none that this version knows: 'near'"):
        read_condition({"near": ["clock", 1]})


def test_hostile_accounts_keys_and_numbers_beyond_two_to_the_53_survive_in_a_scope() -> None:
    for scope in (
        Scope(dataset="d", condition=Compare("attribute:n", Operator.LESS, 2**63 - 1)),
        Scope(dataset="d", condition=Compare("attribute:flagged", Operator.EQUAL, literal=True)),
        Scope(accounts=HOSTILE),
        Scope(dataset='x"; DROP', keys=(b"", b"\x00\xff'\"--", "\U0001f9f9\u202e".encode(), b"k" * 1024)),
    ):
        assert read_scope(json.loads(json.dumps(write_scope(scope)))) == scope


def test_closures_are_found_by_commitment_state_and_deadline(ledger: SqlLedger) -> None:
    first = samples.closure("c1")
    second = replace(samples.closure("c2"), requested_at=later(days=-9), deadline_at=later(days=1))
    other = samples.closure("c3", "other")
    with ledger.begin() as tx:
        for row in (first, second, other):
            tx.closures.add(row)
        assert tx.closures.get("c1") == first
        assert tx.closures.get("c9") is None
        assert tx.closures.newest_of("c0ffee") == second
        assert tx.closures.newest_of("nobody") is None
        assert [row.id for row in tx.closures.in_state(AccountState.GRACE)] == ["c2", "c1", "c3"]
        tx.closures.set_state("c2", AccountState.CLOSING)
        assert [row.id for row in tx.closures.in_state(AccountState.GRACE)] == ["c1", "c3"]
        with pytest.raises(NotFound, match="there is no closure c9"):
            tx.closures.set_state("c9", AccountState.CLOSING)


def test_a_closed_account_leaves_only_its_commitment(ledger: SqlLedger) -> None:
    samples.make_plan(ledger)
    with ledger.begin() as tx:
        tx.closures.add(samples.closure())
        tx.receipts.add(replace(samples.receipt("r", "", 5), kind="closure", closure="closure-1"))
        tx.closures.close("closure-1", "r")
        row = tx.closures.get("closure-1")
        assert row == replace(samples.closure(), state=AccountState.CLOSED, account_sealed=b"", receipt="r")
        with pytest.raises(NotFound, match="there is no closure c9"):
            tx.closures.close("c9", "r")


def test_closures_are_counted_by_when_they_began_whatever_became_of_them(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        for name in "abc":
            tx.closures.add(samples.closure(name))
        tx.closures.begin("a", later(days=1))
        tx.closures.begin("b", later(days=2))
        tx.receipts.add(replace(samples.receipt("r", "", 5), kind="closure", closure="b"))
        tx.closures.close("b", "r")
        row = tx.closures.get("a")
        assert row is not None
        assert (row.state, row.begun_at) == (AccountState.CLOSING, later(days=1))
        assert [tx.closures.begun_since(later(days=days)) for days in (0, 1, 2)] == [2, 1, 0]
        with pytest.raises(NotFound, match="there is no closure c9"):
            tx.closures.begin("c9", NOW)


def test_what_was_left_of_an_account_is_kept_until_nothing_is(ledger: SqlLedger) -> None:
    found = Remainder(due=1, held=2, undetermined=3, waiting=4, unseen=samples.HOSTILE)
    with ledger.begin() as tx:
        tx.closures.add(samples.closure())
        tx.closures.note("closure-1", found)
        assert [row.remainder for row in tx.closures.in_state(AccountState.GRACE)] == [found]
        tx.closures.note("closure-1", Remainder())
        assert [row.remainder for row in tx.closures.in_state(AccountState.GRACE)] == [None]
        tx.closures.note("closure-1", found)
        tx.receipts.add(replace(samples.receipt("r", "", 5), kind="closure", closure="closure-1"))
        tx.closures.close("closure-1", "r")
        assert [row.remainder for row in tx.closures.in_state(AccountState.CLOSED)] == [None]
        with pytest.raises(NotFound, match="there is no closure c9"):
            tx.closures.note("c9", found)


def test_the_newest_events_come_first(ledger: SqlLedger) -> None:
    detail = {"n": [1, {"__proto__": "\x00"}], "none": None, "yes": True}
    with ledger.begin() as tx:
        tx.events.append("run.started", "run-1", NOW, detail)
        tx.events.append("run.finished", "it's \u202erun", later(seconds=1))
        newest, older = tx.events.newest(5)
        assert (newest.sequence, newest.kind, newest.subject, newest.at, newest.detail) == (
            2, "run.finished", "it's \u202erun", later(seconds=1), {},
        )  # fmt: skip
        assert (older.sequence, older.detail) == (1, detail)
        assert tx.events.newest(1) == [newest]


def test_facts_are_set_and_set_again(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        assert tx.facts.get("highest time") is None
        for text in HOSTILE:
            tx.facts.set("highest time", text)
            tx.facts.set(text, "of its own")
            assert tx.facts.get(text) == "of its own"
        assert tx.facts.get("highest time") == HOSTILE[-1]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda tx: tx.facts.set("a", "b\udcff"), "not valid Unicode"),
        (lambda tx: tx.facts.get("\ud800"), "not valid Unicode"),
        (lambda tx: tx.holds.add(samples.hold("a\udcff")), "not valid Unicode"),
        (lambda tx: tx.events.append("k", "s\udcff", NOW), "not valid Unicode"),
        (lambda tx: tx.events.append("k", "s", NOW, {"n": 2**60}), "cannot be stored"),
        (lambda tx: tx.events.append("k", "s", NOW, {"n": object()}), "cannot be stored"),
        (lambda tx: tx.runs.recent(2**70), "cannot be stored"),
    ],
)
def test_what_cannot_be_stored_is_refused_in_words_and_the_transaction_lives(
    ledger: SqlLedger, what: Callable[[Transaction], object], words: str
) -> None:
    with ledger.begin() as tx:
        with pytest.raises(LedgerError, match=words) as caught:
            what(tx)
        assert caught.value.remedy
        tx.facts.set("still", "here")
    with ledger.begin() as tx:
        assert tx.facts.get("still") == "here"
        assert tx.holds.active() == []
        assert tx.events.newest(9) == []


def test_closed_accounts_are_known_by_commitment_and_by_when_they_closed(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        for number, commitment in enumerate(("one", "two", "one", "four", "lost")):
            tx.closures.add(samples.closure(f"c{number}", commitment))
        for number in range(3):
            issued = replace(samples.receipt(f"r{number}", "", 10 + number), kind="closure", closure=f"c{number}")
            tx.receipts.add(replace(issued, issued_at=later(days=20 + number)))
            tx.closures.close(f"c{number}", f"r{number}")
        tx.closures.close("c4", "")  # its receipt is lost with an older ledger
        tx.receipts.retract(RetractionRow(11, "mistaken", NOW, 12))
    with ledger.begin() as tx:
        rows = tx.closures.closed(0, 10)
        assert [(row.commitment, row.ended_at) for row in rows] == [
            ("one", later(days=20)), ("one", later(days=22)), ("lost", later(days=14))
        ]  # fmt: skip
        assert tx.closures.closed(0, 1) == rows[:1]
        assert tx.closures.closed(rows[0].sequence, 10) == rows[1:]
        assert tx.closures.closed_of(["one", "two", "four", "nobody"]) == rows[:2]
        assert tx.closures.closed_of([]) == []


def erasure(name: str, commitment: str, state: ErasureState = ErasureState.RECEIVED) -> ErasureRow:
    return ErasureRow(
        name, commitment, "account", b"sealed", b"", "gdpr", state, "2026-11-01", NOW, NOW, later(days=90), None, NOW
    )


def test_erased_people_are_known_by_commitment_and_by_when_that_was(ledger: SqlLedger) -> None:
    with ledger.begin() as tx:
        for number, commitment in enumerate(("one", "two", "three", "one")):
            tx.erasures.add(erasure(f"e{number}", commitment))
        for number in (0, 1):
            tx.receipts.add(replace(samples.receipt(f"r{number}", "", 10 + number), kind="erasure"))
            tx.erasures.end(f"e{number}", ErasureState.DONE, later(days=number), f"r{number}")
        tx.erasures.end("e2", ErasureState.REFUSED, later(days=2))
        tx.receipts.retract(RetractionRow(11, "mistaken", NOW, 12))
    with ledger.begin() as tx:
        rows = tx.erasures.erased(0, 10)
        assert [(row.commitment, row.of_account, row.ended_at) for row in rows] == [("one", "account", NOW)]
        assert tx.erasures.erased(rows[0].sequence, 10) == []
        assert tx.erasures.erased_of(["one", "two", "three"]) == rows
