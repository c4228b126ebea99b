"""Legal holds: matters that forbid changing or removing the records they name, whatever else is due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from retentiond.domain.condition import ACCOUNT, ALWAYS, AnyOf, Condition, Or, Reading, Unknown, python_reading
from retentiond.domain.decision import Case, Disposition
from retentiond.domain.record import Record, key_bytes


@dataclass(frozen=True, slots=True)
class Scope:
    """What a hold or a manual request names; exactly one of accounts, keys and condition is set.

    Attributes:
        dataset: The dataset; empty for all of them (accounts only).
        keys: Keys in the form of `key_bytes`.
    """

    dataset: str = ""
    accounts: tuple[str, ...] = ()
    keys: tuple[bytes, ...] = ()
    condition: Condition | None = None

    @property
    def selects(self) -> Condition:
        """What must be true of a record, besides its key where keys are named."""
        if self.condition is not None:
            return self.condition
        return AnyOf(ACCOUNT, self.accounts) if self.accounts else ALWAYS


@dataclass(frozen=True, slots=True)
class Custody:
    """What is preserved of one custodian: the person or account whose data it is; empty where nobody is named."""

    scope: Scope
    custodian: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold of a matter: what is preserved of one custodian.

    Attributes:
        reason: Why it was placed, in people's words.
        review_at: When somebody is to look whether it is needed still; it stays in force whatever the date.
        released_at: When it ceased to hold; None while it is in force.
    """

    id: str
    matter: str
    scope: Scope
    placed_at: datetime
    reason: str = ""
    custodian: str = ""
    review_at: datetime | None = None
    released_at: datetime | None = None


def custodies(
    custodian: str,
    datasets: Sequence[str] = (),
    accounts: Sequence[str] = (),
    keys: Sequence[bytes] = (),
    conditions: Sequence[Condition] = (),
) -> tuple[Custody, ...]:
    """Return what is preserved of a custodian, dataset by dataset, so that each can be let go on its own.

    Where nothing is named but the custodian, it is the account of that name.

    Args:
        datasets: None for all of them, those to come among them.
        conditions: One for each dataset, or none.
    """
    if custodian and not accounts and not keys and not conditions:
        accounts = (custodian,)
    scopes = [Scope(dataset, tuple(accounts), tuple(keys)) for dataset in datasets or ("",)]
    if conditions:
        scopes = [replace(scope, condition=each) for scope, each in zip(scopes, conditions, strict=True)]
    return tuple(Custody(scope, custodian) for scope in scopes)


class HoldIndex:
    """Holds of one dataset, arranged so that each record is answered in constant time, by the ids of its holds.

    Matters are confidential, and whoever decides about a record does not need them.
    """

    def __init__(self, holds: Iterable[Hold], dataset: str) -> None:
        self._accounts: defaultdict[str, list[str]] = defaultdict(list)
        self._keys: defaultdict[bytes, list[str]] = defaultdict(list)
        self._conditions: list[tuple[Reading, str]] = []
        for hold in holds:
            if hold.scope.dataset in ("", dataset):
                self._add(hold)

    def _add(self, hold: Hold) -> None:
        for account in hold.scope.accounts:
            self._accounts[account].append(hold.id)
        for key in hold.scope.keys:
            self._keys[key].append(hold.id)
        if hold.scope.condition is not None:
            self._conditions.append((python_reading(hold.scope.condition), hold.id))

    def __bool__(self) -> bool:
        """Whether anything is held at all."""
        return bool(self._accounts or self._keys or self._conditions)

    @property
    def by_account(self) -> bool:
        """Whether any hold is by account, so that a record without an owner may be anybody's."""
        return bool(self._accounts)

    def ids(self, record: Record) -> tuple[str, ...]:
        """Return the ids of what holds a record, each once; a condition that is unknown holds."""
        found = dict.fromkeys(self.named(record))
        found.update((hold, None) for reading, hold in self._conditions if reading(record) is not False)
        return tuple(found)

    def named(self, record: Record) -> tuple[str, ...]:
        """Return the ids of what names a record by any owner or its key, each once; conditions are not asked."""
        found: dict[str, None] = {}
        for account in record.accounts:
            found.update(dict.fromkeys(self._accounts.get(account, ())))
        if self._keys:
            found.update(dict.fromkeys(self._keys.get(key_bytes(record.key), ())))
        return tuple(found)


def holding_cases(holds: Iterable[Hold], dataset: str) -> list[tuple[str, Case]]:
    """Return the conditions that hold records of a dataset, each with the id of its hold, as cases.

    They hold where they are true and where they are unknown: what cannot be told stays. Put before the cases of a
    policy they keep the statement itself from what they hold by now, whatever a scan saw.
    """
    found = []
    for hold in holds:
        condition = hold.scope.condition
        if condition is not None and hold.scope.dataset in ("", dataset):
            found.append((hold.id, Case(Disposition.HELD, Or((condition, Unknown(condition))), "held")))
    return found
