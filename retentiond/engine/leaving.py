"""Accounts that leave: who they are, and what stays of each as a scan sees it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from retentiond.domain.account import KeptPart, Leaver, Remainder
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import Cases
from retentiond.domain.erasure import ErasureState, Person, Persons
from retentiond.domain.obligation import erasing_cases
from retentiond.domain.plan import Part, Trigger
from retentiond.domain.record import Record
from retentiond.engine.context import Context
from retentiond.ports.rows import ClosureRow, ErasureRow, PlanRow

Whom: TypeAlias = Mapping[str, Leaver] | Persons
"""The accounts that leave, with what is known of each, or the people whose data is erased."""

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


def accounts_of(ctx: Context, plan: PlanRow) -> Whom:
    """Return the accounts whose closures a plan serves; those that were closed since have nothing in it any more.

    Of a plan that serves requests for erasure: their people.
    """
    if plan.trigger is Trigger.ERASURE:
        with ctx.ledger.begin() as tx:
            asked = [tx.erasures.get(erasure) for erasure in tx.erasures.of_plan(plan.id)]
        return persons_of({text: row for row in asked if row is not None and (text := person_of(ctx, row))})
    if plan.trigger is not Trigger.CLOSURE:
        return {}
    with ctx.ledger.begin() as tx:
        rows = [tx.closures.get(closure) for closure in tx.plans.closures_of(plan.id)]
    return {account: leaver_of(row) for row in rows if row is not None and (account := account_of(ctx, row))}


def leavers_of(ctx: Context, leaving: Mapping[str, str]) -> dict[str, Leaver]:
    """Return what is known of accounts that leave, where anything of it matters.

    Args:
        leaving: The accounts, each with its closure's id.
    """
    if not any(policy.kept for policy in ctx.policies.policies.values()):
        return {}
    with ctx.ledger.begin() as tx:
        rows = {account: tx.closures.get(closure) for account, closure in leaving.items()}
    return {account: leaver_of(row) for account, row in rows.items() if row is not None}


def persons_asking(ctx: Context, leaving: Mapping[str, str]) -> Persons:
    """Return people who asked for erasure, with what is known of them, where anything of it matters.

    Args:
        leaving: As `Person.text`, each with its request's id.
    """
    if not any(policy.kept for policy in ctx.policies.policies.values()):
        return Persons(leaving)
    with ctx.ledger.begin() as tx:
        rows = {text: tx.erasures.get(erasure) for text, erasure in leaving.items()}
    return Persons(leaving, {text: _asking(row) for text, row in rows.items() if row is not None})


def persons_of(rows: Mapping[str, ErasureRow]) -> Persons:
    """Return people who asked for erasure by their requests."""
    return Persons({text: row.id for text, row in rows.items()}, {text: _asking(row) for text, row in rows.items()})


def _asking(erasure: ErasureRow) -> Leaver:
    """Return what a request says of its account; its time is that of intake, and no day that somebody typed."""
    return Leaver(erasure.jurisdiction, erasure.asked_at)


def leaver_of(closure: ClosureRow) -> Leaver:
    """Return what a closure says of its account."""
    return Leaver(closure.jurisdiction, closure.requested_at)


def cases_of_erasure(ctx: Context, plan: PlanRow, part: Part, whom: Whom, records: Iterable[Record]) -> Cases:
    """Return the cases of a part of an erasure for some records: of those whose requests are under way still."""
    persons = whom if isinstance(whom, Persons) else Persons({})
    asking = _still_asking(ctx, persons, {each for record in records for each in persons.of_record(record)})
    policy = ctx.policies.policies.get(part.policy)
    return erasing_cases(persons, policy, ctx.datamap.datasets[part.dataset], plan.reference_time, asking)


def _still_asking(ctx: Context, asked: Persons, people: Iterable[str]) -> list[str]:
    """Return whose requests are under way still: one may have been refused since its run began."""
    with ctx.ledger.begin(shared=True) as tx:
        rows = [(text, tx.erasures.get(asked[text])) for text in people]
    return [text for text, row in rows if row is not None and row.state is ErasureState.IN_PROGRESS]


def leavers_among(whom: Whom, records: Iterable[Record]) -> dict[str, Leaver]:
    """Return which of the accounts that leave own one of these records, with what is known of each."""
    if isinstance(whom, Persons):
        return {}
    return {owner: whom[owner] for record in records for owner in record.accounts if owner in whom}


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
        kept: What has to be kept longer, by account, and by dataset and reason.
        anybodys: Records of which nobody can tell whose they are: as long as they are there, no account is gone.
        unowned: Likewise rows, which name nobody: these keep no account from being gone.
    """

    def __init__(self, accounts: Collection[str]) -> None:
        self._accounts = accounts
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.kept: defaultdict[str, dict[tuple[str, str], KeptPart]] = defaultdict(dict)
        self.anybodys = 0
        self.unowned = 0

    def keep(self, why: str, record: Record) -> None:
        """Count a record that stays, under each of its owners that leave."""
        if not self._accounts:
            return
        owners = self._whose(record)
        for owner in owners:
            self.counts[owner][why] += 1
        self.anybodys += not owners

    def keep_all(self, why: str, records: Iterable[Record]) -> None:
        """Do that for several records."""
        for record in records:
            self.keep(why, record)

    def keep_until(self, dataset: Dataset, stays: Iterable[tuple[Record, str, datetime]]) -> None:
        """Count records that have to be kept longer, each with reason and date, under each owner that leaves."""
        for record, reason, until in stays:
            part = KeptPart(dataset.name, dataset.data_class, reason, 1, until, until)
            for owner in self._whose(record):
                self._add_kept(owner, part)

    def _whose(self, record: Record) -> Sequence[str]:
        """Return whose a record is; of people who asked, also whose it may be: as long as it stays, theirs may."""
        if isinstance(self._accounts, Persons):
            return self._accounts.perhaps_of(record)
        return owners_among(self._accounts, record)

    def _add_kept(self, owner: str, part: KeptPart) -> None:
        name = (part.dataset, part.reason)
        known = self.kept[owner].get(name)
        self.kept[owner][name] = part.plus(known) if known else part

    def add(self, others: Iterable[Left], due: Mapping[tuple[str, str], int]) -> None:
        """Take what others counted, and what was planned: by dataset and account, how many records."""
        for other in others:
            self.anybodys += other.anybodys
            self.unowned += other.unowned
            for account, counts in other.counts.items():
                self.counts[account].update(counts)
            for account, parts in other.kept.items():
                for part in parts.values():
                    self._add_kept(account, part)
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
            kept=tuple(sorted(self.kept.get(account, {}).values(), key=_by_date)),
        )


def _by_date(part: KeptPart) -> tuple[datetime, str, str]:
    return part.until, part.dataset, part.reason


def _erasure_context(erasure_id: str) -> bytes:
    return f"erasure/{erasure_id}".encode()


def _context(closure_id: str) -> bytes:
    return f"closure/{closure_id}".encode()
