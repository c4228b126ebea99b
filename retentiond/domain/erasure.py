"""Requests for erasure: whose data they name, in which state they are, and what policy says of each record of theirs.

Whoever asks is a user inside an account, or the account itself. Both are named by those who take the request in, never
found out: a person is the exact account and the exact user, as the stores have them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from retentiond.domain.account import Leaver
from retentiond.domain.condition import ACCOUNT, ALWAYS, NAMED, USER, And, AnyOf, Condition, Missing, Not, Or
from retentiond.domain.dataset import Dataset
from retentiond.domain.decision import KEPT, OTHERS, Case, Cases, Disposition, Kept
from retentiond.domain.record import Record, canonical_strings

NOT_TOLD_APART = "users-not-told-apart"
USER_UNREADABLE = "user-unreadable"
_AT_ONCE = 8  # how many conditions stand side by side: databases bound how deep an expression goes


class Person(NamedTuple):
    """A user of an account; the account itself where the user is empty."""

    account: str
    user: str = ""

    @property
    def text(self) -> str:
        """The person as one text, from which `read` makes it again."""
        return canonical_strings([self.account, self.user] if self.user else [self.account]).decode()

    @classmethod
    def read(cls, text: str) -> Person:
        """Return the person of a text."""
        return cls(*json.loads(text))


class Persons(dict[str, str]):
    """People whose data goes, by `Person.text`, each with the id of the request.

    Args:
        known: What is known of them, where anything has to be kept of them.
    """

    def __init__(self, ids: Mapping[str, str], known: Mapping[str, Leaver] | None = None) -> None:
        super().__init__(ids)
        self._known = known or {}
        self._of: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for text in ids:
            person = Person.read(text)
            self._of[person.account][person.user] = text

    def leaver(self, text: str) -> Leaver:
        """Return what is known of one of them; of whom nothing is known, all is kept that has to be kept anywhere."""
        return self._known.get(text, Leaver())

    def of_record(self, record: Record) -> list[str]:
        """Return whose a record is."""
        users = ("", *(record.ties.users or ()))
        return [
            texts[user]
            for account in record.accounts
            if (texts := self._of.get(account))
            for user in users
            if user in texts
        ]

    def perhaps_of(self, record: Record) -> list[str]:
        """Return whose a record is, or may be where its account or users cannot be told."""
        if record.accounts and record.ties.users is not None:
            return self.of_record(record)
        accounts = record.accounts or record.ties.named
        return [text for account in accounts for text in self._of.get(account, {}).values()]


class ErasureState(StrEnum):
    """Where a request stands. RECEIVED: nobody has said yet how the identity of whoever asks was verified."""

    ASKED = "asked"
    RECEIVED = "received"
    VERIFIED = "verified"
    IN_PROGRESS = "in-progress"
    DONE = "done"
    REFUSED = "refused"
    CANCELLED = "cancelled"


OPEN = (ErasureState.RECEIVED, ErasureState.VERIFIED, ErasureState.IN_PROGRESS)
ENDED = (ErasureState.DONE, ErasureState.REFUSED, ErasureState.CANCELLED)
DUE = (ErasureState.VERIFIED, ErasureState.IN_PROGRESS)


class ErasureEvent(StrEnum):
    """What moves a request from one state to the next."""

    LOG = "log"
    VERIFY = "verify"
    BEGIN = "begin"
    ALL_GONE = "all-gone"
    REFUSE = "refuse"
    CANCEL = "cancel"
    EXTEND = "extend"


_MOVES = {
    (ErasureState.ASKED, ErasureEvent.LOG): ErasureState.RECEIVED,
    (ErasureState.RECEIVED, ErasureEvent.VERIFY): ErasureState.VERIFIED,
    (ErasureState.VERIFIED, ErasureEvent.BEGIN): ErasureState.IN_PROGRESS,
    (ErasureState.IN_PROGRESS, ErasureEvent.ALL_GONE): ErasureState.DONE,
    **{(state, ErasureEvent.REFUSE): ErasureState.REFUSED for state in OPEN},
    **{(state, ErasureEvent.EXTEND): state for state in OPEN},
    (ErasureState.RECEIVED, ErasureEvent.CANCEL): ErasureState.CANCELLED,
    (ErasureState.VERIFIED, ErasureEvent.CANCEL): ErasureState.CANCELLED,
}


def next_erasure_state(state: ErasureState, event: ErasureEvent) -> ErasureState:
    """Return the state after an event.

    Raises:
        ValueError: The event cannot happen in that state; the message names both.
    """
    try:
        return _MOVES[state, event]
    except KeyError as error:
        message = f"a request that is {state} cannot {event.value.replace('-', ' ')}"
        raise ValueError(message) from error


def erasure_cases(persons: Iterable[str], dataset: Dataset, kept: Sequence[Kept] = ()) -> Cases:
    """Return the cases of a dataset for people who asked for erasure: all of theirs goes, but for what is kept.

    A record of several users goes with any of them, as one of several accounts does. One whose account or users cannot
    be told, and may be theirs, stays and is counted: as long as it is there, nobody can say that all of it is gone. So
    does one of which nobody can tell whether it has to be kept. What goes is the second case, whatever is kept.

    Args:
        persons: As `Person.text`.
    """
    users, whole = _apart(persons)
    accounts = tuple(sorted({*users, *whole}))
    mine = Or((AnyOf(ACCOUNT, accounts), AnyOf(NAMED, accounts)))
    theirs = of_people(persons, dataset)
    leaves = And((theirs, *(each.over for each in kept))) if kept else theirs
    cases = [
        Case(Disposition.KEEP, Not(mine), OTHERS),
        Case(Disposition.PURGE, leaves, "erasure-requested"),
        *(Case(Disposition.KEEP, And((theirs, each.young)), KEPT, each.number, each.cutoff) for each in kept),
        Case(Disposition.UNDETERMINED, AnyOf(NAMED, accounts), "owner-unreadable"),
    ]
    if users and not dataset.no_users:
        some = AnyOf(ACCOUNT, tuple(sorted(users)))
        reason = USER_UNREADABLE if dataset.tells_users else NOT_TOLD_APART
        cases.append(Case(Disposition.UNDETERMINED, And((some, Missing(USER))), reason))
    if kept:
        cases.append(Case(Disposition.UNDETERMINED, theirs, "kept-unknown"))
    return Cases((*cases, Case(Disposition.KEEP, ALWAYS, OTHERS)))


def of_people(persons: Iterable[str], dataset: Dataset) -> Condition:
    """Return whether a record is of one of these people, as `Person.text`."""
    users, whole = _apart(persons)
    theirs = [AnyOf(ACCOUNT, tuple(whole))] if whole else []
    told = [] if dataset.no_users else [And((_of(each), AnyOf(USER, tuple(names)))) for each, names in users.items()]
    return _any([*theirs, *told])


def _apart(persons: Iterable[str]) -> tuple[Mapping[str, list[str]], list[str]]:
    """Return the users by account, and the accounts of which all is asked for."""
    users: defaultdict[str, list[str]] = defaultdict(list)
    whole: list[str] = []
    for account, user in sorted(map(Person.read, persons)):
        if user:
            users[account].append(user)
        else:
            whole.append(account)
    return users, whole


def _of(account: str) -> Condition:
    return AnyOf(ACCOUNT, (account,))


def _any(conditions: list[Condition]) -> Condition:
    """Return whether one of many is true, as a tree that is not deep."""
    while len(conditions) > _AT_ONCE:
        conditions = [Or(tuple(conditions[at : at + _AT_ONCE])) for at in range(0, len(conditions), _AT_ONCE)]
    return Or(tuple(conditions))
