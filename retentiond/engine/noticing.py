"""Hold notices: a customer is told how many of their records are retained, and neither the matter nor a date."""

from __future__ import annotations

import secrets
from dataclasses import replace

from retentiond.domain.account import AccountState
from retentiond.domain.plan import Trigger
from retentiond.engine.accounts import closure_of
from retentiond.engine.context import Context
from retentiond.engine.planning import Request, look, look_at_all
from retentiond.engine.stating import Saying, state
from retentiond.errors import ConnectorError, NotAttested
from retentiond.evidence.annex import RunsAnnex
from retentiond.ports.ledger import Transaction
from retentiond.ports.rows import ReceiptRow


def hold_notice(ctx: Context, account: str) -> tuple[ReceiptRow, int]:
    """Look which of an account's records would have gone but for a hold, and state how many; return that, too.

    Raises:
        NotAttested: There are none, or a dataset could not be looked at; nothing was signed.
        GuardStopped: The clock is doubtful, or the ledger was recovered and nobody has signed for that.
    """
    with ctx.ledger.begin() as tx:
        epoch = tx.holds.epoch()
    try:
        looked = look_at_all(ctx, (), (account,), None)
        failures, retained = looked.failures, sum(count.held for count in looked.counts)
        closing = _closing(ctx, account)
        if closing:  # then everything goes, whatever its age
            left = look(ctx, Request(Trigger.CLOSURE, leaving={account: closing}))
            failures, retained = (*failures, *left.failures), left.stays.of(account).held
    except ConnectorError as error:
        raise _refused(f"nothing could be looked at: {error.what}") from error
    if failures:
        raise _refused("; ".join(f"dataset {name} could not be looked at: {why}" for name, why in failures))
    if not retained:
        raise _refused("no record of that account is retained under a legal obligation")
    kept = tuple(count for count in looked.counts if count.held)
    named = {count.policy for count in kept}
    looked = replace(looked, counts=kept, policies=tuple(each for each in looked.policies if each.id in named))
    saying = Saying("hold-notice", RunsAnnex(secrets.token_bytes(32), ()), account, retained)

    def still_true(tx: Transaction) -> None:
        if tx.holds.epoch() != epoch:
            raise _refused("holds were placed or released meanwhile")

    return state(ctx, saying, looked, still_true), retained


def _closing(ctx: Context, account: str) -> str:
    with ctx.ledger.begin() as tx:
        closure = closure_of(ctx, tx, account)
    return closure.id if closure and closure.state is AccountState.CLOSING else ""


def _refused(what: str) -> NotAttested:
    return NotAttested(f"no notice is issued: {what}", remedy="`retentiond hold list` and `explain` tell more")
