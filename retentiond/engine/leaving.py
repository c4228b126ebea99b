"""Accounts that leave: who they are, and what stays of each as a scan sees it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from retentiond.domain.account import Remainder
from retentiond.domain.erasure import ErasureState, Person, Persons
from retentiond.domain.plan import Trigger
from retentiond.domain.record import Record
from retentiond.engine.context import Context
from retentiond.ports.rows import ClosureRow, ErasureRow, PlanRow

DUE, HELD, UNDETERMINED, WAITING = "due", "held", "undetermined", "waiting"


def seal_account(ctx: Context, closure_id: str, account: str) -> bytes:
    """Return the account of a closure as the ledger keeps it until it is closed."""
    return ctx.wrapping.seal(account.encode(), _context(closure_id))


def account_of(ctx: Context, closure: ClosureRow) -> str:
    """Return the account of a closure that is not closed yet; empty once only its commitment is left."""
    if not closure.account_sealed:
        return ""
    return ctx.wrapping.open(closure.account_sealed, _context(closure.id)).decode()


def seal_person(ctx: Context, erasure_id: str, person: Person) -> bytes:
    """Return the person of a request for erasure as the ledger keeps it until the request ends."""
    return ctx.wrapping.seal(person.text.encode(), _erasure_context(erasure_id))


def person_of(ctx: Context, erasure: ErasureRow) -> str:
    """Return the text of the person of a request that has not ended; empty once only commitments are left."""
    if not erasure.subject_sealed:
        return ""
    return ctx.wrapping.open(erasure.subject_sealed, _erasure_context(erasure.id)).decode()


def accounts_of(ctx: Context, plan: PlanRow) -> Collection[str]:
    """Return the accounts whose closures a plan serves; those that were closed since have nothing in it any more.

    Of a plan that serves requests for erasure: their people.
    """
    if plan.trigger is Trigger.ERASURE:
        with ctx.ledger.begin() as tx:
            asked = [tx.erasures.get(erasure) for erasure in tx.erasures.of_plan(plan.id)]
        return Persons({text: row.id for row in asked if row is not None and (text := person_of(ctx, row))})
    if plan.trigger is not Trigger.CLOSURE:
        return frozenset()
    with ctx.ledger.begin() as tx:
        rows = [tx.closures.get(closure) for closure in tx.plans.closures_of(plan.id)]
    return frozenset(account for row in rows if row is not None and (account := account_of(ctx, row)))


def still_asking(ctx: Context, asked: Collection[str], people: Iterable[str]) -> list[str]:
    """Return whose requests are under way still: one may have been refused since its run began."""
    if not isinstance(asked, Persons):
        return []
    with ctx.ledger.begin(shared=True) as tx:
        rows = [(text, tx.erasures.get(asked[text])) for text in people]
    return [text for text, row in rows if row is not None and row.state is ErasureState.IN_PROGRESS]


def owners_among(accounts: Collection[str], record: Record) -> list[str]:
    """Return which of the accounts own a record; where not all of its owners can be read, those that can.

    Of people who asked for erasure: whose data it is.
    """
    if isinstance(accounts, Persons):
        return accounts.of_record(record)
    return [owner for owner in record.accounts or record.ties.named if owner in accounts]


class Left:
    """What stays of accounts that leave.

    Attributes:
        counts: Records by account and reason.
        anybodys: Records of which nobody can tell whose they are: as long as they are there, no account is gone.
    """

    def __init__(self, accounts: Collection[str]) -> None:
        self._accounts = accounts
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.anybodys = 0

    def keep(self, why: str, record: Record) -> None:
        """Count a record that stays, under each of its owners that leave."""
        if not self._accounts:
            return
        if why == UNDETERMINED and isinstance(self._accounts, Persons):
            owners = self._accounts.perhaps_of(record)
        else:
            owners = owners_among(self._accounts, record)
        for owner in owners:
            self.counts[owner][why] += 1
        self.anybodys += not owners

    def keep_all(self, why: str, records: Iterable[Record]) -> None:
        """Do that for several records."""
        for record in records:
            self.keep(why, record)

    def add(self, others: Iterable[Left], due: Mapping[tuple[str, str], int]) -> None:
        """Take what others counted, and what was planned: by dataset and account, how many records."""
        for other in others:
            self.anybodys += other.anybodys
            for account, counts in other.counts.items():
                self.counts[account].update(counts)
        for (_, account), count in due.items():
            self.counts[account][DUE] += count

    def of(self, account: str, unseen: Sequence[str] = ()) -> Remainder:
        """Return what is left of an account.

        Args:
            unseen: What could not be looked at.
        """
        counts = self.counts.get(account, Counter())
        return Remainder(
            due=counts[DUE],
            held=counts[HELD],
            undetermined=counts[UNDETERMINED] + self.anybodys,
            waiting=counts[WAITING],
            unseen=tuple(unseen),
        )


def _erasure_context(erasure_id: str) -> bytes:
    return f"erasure/{erasure_id}".encode()


def _context(closure_id: str) -> bytes:
    return f"closure/{closure_id}".encode()
