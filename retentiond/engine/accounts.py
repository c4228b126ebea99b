"""Where an account stands, and how much of it each dataset still has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from retentiond.domain.account import AccountState, Leaver
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import UNOWNED, Disposition, closure_cases, named_cases
from retentiond.engine.context import Context
from retentiond.engine.dated import DatedPart, dated_parts
from retentiond.engine.holdings import Holding, holdings
from retentiond.engine.retractions import retractions_in
from retentiond.engine.scopes import check_texts
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ClosureRow
from retentiond.ports.stores import UNNAMEABLE

_NAMED = "ACCOUNT_ID"
_LEAVING = (AccountState.GRACE, AccountState.CLOSING)


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """Where an account stands, and what is left of it by dataset; None where a store could not be asked.

    Attributes:
        retracted: Why its closure's receipt was taken back; empty where it was not.
        unowned: Records of which nobody can tell whose they are, by dataset that has any; None where that is not known.
        dated: Of one that leaves: what is still there, why in words for the customer, and until when.
    """

    account: str
    state: AccountState
    closure: ClosureRow | None
    remaining: tuple[tuple[str, int | None], ...]
    retracted: str = ""
    dated: tuple[DatedPart, ...] = ()
    unowned: tuple[tuple[str, int | None], ...] = ()


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
    found = {each.name: _count(ctx, each, account) for each in _owned(ctx)}
    remaining = tuple((name, own) for name, (own, _) in found.items())
    return _status(ctx, account, remaining, tuple((name, nobodys) for name, (_, nobodys) in found.items() if nobodys))


def _status(
    ctx: Context,
    account: str,
    remaining: tuple[tuple[str, int | None], ...],
    unowned: tuple[tuple[str, int | None], ...],
) -> AccountStatus:
    with ctx.ledger.begin() as tx:
        closure = closure_of(ctx, tx, account)
        receipt = tx.receipts.get(closure.receipt) if closure and closure.receipt else None
        taken = retractions_in(tx).get(receipt.log_index) if receipt else None
    state = closure.state if closure else AccountState.OPEN
    return AccountStatus(account, state, closure, remaining, taken.reason if taken else "", unowned=unowned)


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
    nobodys = ((each.dataset, None if each.trouble else each.unowned) for each in found if each.dataset in owned)
    unowned = tuple(each for each in nobodys if each[1] != 0)
    status = _status(ctx, account, tuple(each for each in remaining if each[0] in owned), unowned)
    if closure is None or not leaves:
        return status, found
    waits = closure.remainder is not None and closure.remainder.is_stuck
    return replace(status, dated=dated_parts(closure.due_at, closure.deadline_at, found, waits=waits)), found


def _count(ctx: Context, dataset: Dataset, account: str) -> tuple[int, int]:
    """Count an account's records in a dataset: those it owns, or the objects that its rows name; and rows of nobody."""
    if dataset.follows:
        return _count_objects(ctx, dataset, account), 0
    cases = closure_cases(account)
    counts: Counter[str] = Counter()
    for window in ctx.connector(dataset).scan(dataset, cases, frozenset()):
        for at, tally in window.tallies.items():
            case = cases.cases[at] if at != UNNAMEABLE else None
            kept = case is None or case.disposition is Disposition.KEEP
            counts[(case.reason if case else UNOWNED) if kept else ""] += tally.count
    return counts[""], counts[UNOWNED]


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
