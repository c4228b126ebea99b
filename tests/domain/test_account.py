"""Account closure as a state machine: every move that exists, and none other."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest

from retentiond.domain.account import AccountState, ClosureEvent, next_state, open_closure
from retentiond.domain.period import Period
from retentiond.domain.policy import ClosureTerms

MOVES = {
    (AccountState.OPEN, ClosureEvent.CLOSE): AccountState.GRACE,
    (AccountState.CLOSED, ClosureEvent.CLOSE): AccountState.GRACE,
    (AccountState.GRACE, ClosureEvent.CANCEL): AccountState.OPEN,
    (AccountState.GRACE, ClosureEvent.GRACE_OVER): AccountState.CLOSING,
    (AccountState.CLOSING, ClosureEvent.ALL_GONE): AccountState.CLOSED,
}


@pytest.mark.parametrize(("state", "event"), list(product(AccountState, ClosureEvent)))
def test_only_these_moves_exist(state: AccountState, event: ClosureEvent) -> None:
    if (state, event) in MOVES:
        assert next_state(state, event) is MOVES[state, event]
    else:
        with pytest.raises(ValueError, match=f"an account that is {state} cannot"):
            next_state(state, event)


def test_grace_and_deadline_count_from_the_request() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    closure = open_closure("c", "acct", "left", ClosureTerms(), now)
    assert (closure.due_at, closure.deadline_at) == (Period(days=14).after(now), Period(days=30).after(now))
    assert open_closure("c", "acct", "left", ClosureTerms(grace=None), now).due_at == now
