"""What is kept of accounts that have left and of people who asked for erasure, and until when.

An obligation keeps records of a class by the start of their clock, as a policy does, or from the moment at which the
closure, or the request for erasure, was taken in: the date of each record is known on that day. A record that several
obligations are of stays as long as any of them keeps it. Where nobody said which jurisdiction an account belongs to,
those of all of them count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime

from retentiond.domain.account import Leaver
from retentiond.domain.condition import ACCOUNT, And, AnyOf, Condition, python_reading
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import CLOCK_SLACK, WHOLE_DAY, Cases, Kept, closure_cases
from retentiond.domain.erasure import Person, Persons, erasure_cases, of_people
from retentiond.domain.policy import Obligation, Policy
from retentiond.domain.record import Record, moment


def leaving_cases(leaving: Mapping[str, Leaver], policy: Policy | None, dataset: Dataset, reference: datetime) -> Cases:
    """Return the cases of accounts that leave; that in which a record goes is the first of them, whatever is kept.

    Args:
        policy: The one that governs the dataset; None where none does.
    """
    return closure_cases(*sorted(leaving), kept=kept_of(leaving, policy, dataset, reference))


def erasing_cases(
    persons: Persons, policy: Policy | None, dataset: Dataset, reference: datetime, among: Collection[str] | None = None
) -> Cases:
    """Return the cases of people who asked for erasure; that in which a record goes is the second, whatever is kept.

    Args:
        policy: The one that governs the dataset; None where none does.
        among: Whose data goes, as `Person.text`; None for all of them.
    """
    texts = persons if among is None else among
    known = {text: persons.leaver(text) for text in texts}
    binding = [each for each in (policy.kept if policy else ()) if each.erasures]
    kept = _kept(binding, known, dataset, reference, lambda bound: of_people(bound, dataset))
    return erasure_cases(texts, dataset, kept)


def kept_again(
    gone: Mapping[Person, int], known: Mapping[Person, Leaver], policy: Policy | None, dataset: Dataset, at: datetime
) -> tuple[list[Kept], list[Kept]]:
    """Return what is kept, after a restore, of closed accounts and of erased users.

    Args:
        gone: Both, each with the end of the closure or the request.
        known: What their closures and requests said; of others all is kept that has to be kept anywhere.
    """
    obligations = policy.kept if policy else ()
    accounts = {who.account: known.get(who, Leaver()) for who in gone if not who.user}
    users = {who.text: known.get(who, Leaver()) for who in gone if who.user}
    return (
        _kept(obligations, accounts, dataset, at, lambda bound: AnyOf(ACCOUNT, tuple(bound))),
        _kept(
            [each for each in obligations if each.erasures], users, dataset, at, lambda some: of_people(some, dataset)
        ),
    )


def kept_of(leaving: Mapping[str, Leaver], policy: Policy | None, dataset: Dataset, reference: datetime) -> list[Kept]:
    """Return what the obligations of a policy keep at a reference time."""
    return _kept(policy.kept if policy else (), leaving, dataset, reference, lambda bound: AnyOf(ACCOUNT, tuple(bound)))


def _kept(
    obligations: Iterable[Obligation],
    leaving: Mapping[str, Leaver],
    dataset: Dataset,
    reference: datetime,
    whose: Callable[[list[str]], Condition],
) -> list[Kept]:
    latest = _latest(reference)
    kept = []
    for each in obligations:
        whom = each.when
        if each.jurisdictions or each.from_closure:
            bound = sorted(name for name, leaver in leaving.items() if _binds(each, leaver, reference))
            whom = And((whose(bound), each.when))
        cutoff = None if each.from_closure else each.keep.before(reference)
        kept.append(Kept(each.number, whom, cutoff, dataset.clock.earliest, latest))
    return kept


def _latest(reference: datetime) -> datetime:
    """Return up to when a clock is real: of a later one nobody can tell, so that it certainly keeps nothing."""
    return reference + CLOCK_SLACK + WHOLE_DAY


def _binds(obligation: Obligation, leaver: Leaver, reference: datetime) -> bool:
    """Whether an obligation is of an account, and not over for all of it."""
    where, asked = leaver.jurisdiction, leaver.requested_at or reference
    if obligation.jurisdictions and where and where not in obligation.jurisdictions:
        return False
    return not obligation.from_closure or obligation.keep.before(reference) <= asked


class Keeping:
    """Tells of records that are kept why, and until when."""

    def __init__(self, leaving: Mapping[str, Leaver] | Persons, policy: Policy | None) -> None:
        self._leaving = leaving
        erases = isinstance(leaving, Persons)
        binding = [each for each in (policy.kept if policy else ()) if each.erasures or not erases]
        self._obligations = [(each, python_reading(each.when)) for each in binding]

    def until(self, record: Record, reference: datetime) -> tuple[str, datetime] | None:
        """Return the reason that keeps a record longest, and its date; None where nothing certainly keeps it.

        The date is exact: at it the record, or the closure, is as old as the obligation says, and the next look takes
        it.
        """
        dates = [
            (date, each.reason)
            for each, reads in self._obligations
            if reads(record)
            for date in self._dates(each, record, reference)
        ]
        latest = max(dates, default=None)
        return None if latest is None else (latest[1], latest[0])

    def _dates(self, obligation: Obligation, record: Record, reference: datetime) -> Iterator[datetime]:
        """Give the dates of an obligation that are still to come, one for each owner that it binds."""
        for leaver in self._owners(record):
            if not _binds(obligation, leaver, reference):
                continue
            if obligation.from_closure:
                yield obligation.keep.due(leaver.requested_at or reference)
            elif record.clock is not None:
                start = moment(record.clock)
                if obligation.keep.before(reference) <= start <= _latest(reference):
                    yield obligation.keep.due(start)

    def _owners(self, record: Record) -> list[Leaver]:
        if isinstance(self._leaving, Persons):
            return [self._leaving.leaver(text) for text in self._leaving.of_record(record)]
        return [self._leaving[owner] for owner in record.accounts if owner in self._leaving]
