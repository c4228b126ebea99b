"""Where an account stands, and how much of it each dataset still has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from retentiond.domain.account import AccountState, Leaver
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import closure_cases, named_cases
from retentiond.engine.context import Context
from retentiond.engine.dated import DatedPart, dated_parts
from retentiond.engine.holdings import Holding, holdings
from retentiond.engine.retractions import retractions_in
from retentiond.engine.scopes import check_texts
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ClosureRow

_NAMED = "ACCOUNT_ID"
_LEAVING = (AccountState.GRACE, AccountState.CLOSING)


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """Where an account stands, and what is left of it by dataset; None where a store could not be asked.

    Attributes:
        retracted: Why its closure's receipt was taken back; empty where it was not.
        dated: Of one that leaves: what is still there, why in words for the customer, and until when.
    """

    account: str
    state: AccountState
    closure: ClosureRow | None
    remaining: tuple[tuple[str, int | None], ...]
    retracted: str = ""
    dated: tuple[DatedPart, ...] = ()


def account_commitment(ctx: Context, account: str) -> str:
    """Return the commitment under which an account is remembered once it is closed."""
    return ctx.replay.commit("account", account)


def account_commitments(ctx: Context, account: str) -> Sequence[str]:
    """Return the commitments under which an account may have been remembered, one of each replay key."""
    return ctx.replay.commitments("account", account)


def closure_of(ctx: Context, tx: Transaction, account: str) -> ClosureRow | None:
    """Return the newest closure of an account; None where it never asked to leave."""
    return tx.closures.newest_of(*account_commitments(ctx, account))


def account_status(ctx: Context, account: str) -> AccountStatus:
    """Return where an account stands and how many of its records each dataset still has.

    Raises:
        UsageError: Its name is no text that a file can hold.
    """
    check_texts(_NAMED, (account,))
    with ctx.ledger.begin() as tx:
        closure = closure_of(ctx, tx, account)
    if closure is not None and closure.state in _LEAVING:
        return account_holdings(ctx, account)[0]
    return _status(ctx, account, tuple((each.name, count_of(ctx, each, account)) for each in _owned(ctx)))


def _status(ctx: Context, account: str, remaining: tuple[tuple[str, int | None], ...]) -> AccountStatus:
    with ctx.ledger.begin() as tx:
        closure = closure_of(ctx, tx, account)
        receipt = tx.receipts.get(closure.receipt) if closure and closure.receipt else None
        taken = retractions_in(tx).get(receipt.log_index) if receipt else None
    state = closure.state if closure else AccountState.OPEN
    return AccountStatus(account, state, closure, remaining, taken.reason if taken else "")


def account_holdings(ctx: Context, account: str) -> tuple[AccountStatus, list[Holding]]:
    """Return where an account stands, and what each dataset holds of it.

    Raises:
        UsageError: Its name is no text that a file can hold.
    """
    check_texts(_NAMED, (account,))
    with ctx.ledger.begin() as tx:
        closure = closure_of(ctx, tx, account)
    leaves = closure is not None and closure.state in _LEAVING
    found = holdings(ctx, account, Leaver(closure.jurisdiction, closure.requested_at) if closure and leaves else None)
    remaining = tuple((each.dataset, None if each.trouble else each.records + each.undetermined) for each in found)
    owned = {each.name for each in _owned(ctx)}
    status = _status(ctx, account, tuple(each for each in remaining if each[0] in owned))
    if closure is None or not leaves:
        return status, found
    waits = closure.remainder is not None and closure.remainder.is_stuck
    return replace(status, dated=dated_parts(closure.due_at, closure.deadline_at, found, waits=waits)), found


def count_of(ctx: Context, dataset: Dataset, account: str) -> int:
    """Count an account's records in a dataset: those it owns, or the objects that its rows name."""
    total = 0
    if dataset.follows:
        return _count_objects(ctx, dataset, account)
    cases = closure_cases(account)
    other = len(cases.cases) - 1
    for window in ctx.connector(dataset).scan(dataset, cases, frozenset()):
        total += sum(tally.count for case, tally in window.tallies.items() if 0 <= case < other)
    return total


def _count_objects(ctx: Context, follower: Dataset, account: str) -> int:
    leader = ctx.datamap.datasets[follower.follows]
    rows = ctx.connector(leader).scan(leader, closure_cases(account), frozenset((0,)))
    named = {name for window in rows for found in window.found for name in found.record.blobs}
    objects = ctx.connector(follower).scan(follower, named_cases(), frozenset((0,)))
    return sum(
        account in found.record.accounts or str(found.record.key[0]) in named
        for window in objects
        for found in window.found
    )


def _owned(ctx: Context) -> list[Dataset]:
    datasets = ctx.datamap.datasets
    return [each for each in datasets.values() if (datasets[each.follows] if each.follows else each).has_owner]
