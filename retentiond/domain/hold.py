"""Legal holds: matters that forbid changing or removing the records they name, whatever else is due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
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
class Hold:
    """One hold of a matter."""

    id: str
    matter: str
    scope: Scope
    placed_at: datetime
    reason: str = ""


class HoldIndex:
    """Holds of one dataset, arranged so that each record is answered in constant time."""

    def __init__(self, holds: Iterable[Hold], dataset: str) -> None:
        self._accounts: defaultdict[str, list[str]] = defaultdict(list)
        self._keys: defaultdict[bytes, list[str]] = defaultdict(list)
        self._conditions: list[tuple[Reading, str]] = []
        for hold in holds:
            if hold.scope.dataset in ("", dataset):
                self._add(hold)

    def _add(self, hold: Hold) -> None:
        for account in hold.scope.accounts:
            self._accounts[account].append(hold.matter)
        for key in hold.scope.keys:
            self._keys[key].append(hold.matter)
        if hold.scope.condition is not None:
            self._conditions.append((python_reading(hold.scope.condition), hold.matter))

    def __bool__(self) -> bool:
        """Whether anything is held at all."""
        return bool(self._accounts or self._keys or self._conditions)

    @property
    def by_account(self) -> bool:
        """Whether any hold is by account, so that a record without an owner may be anybody's."""
        return bool(self._accounts)

    def matters(self, record: Record) -> tuple[str, ...]:
        """Return the matters that hold a record, each once; a condition that is unknown holds."""
        found = dict.fromkeys(self.named(record))
        found.update((matter, None) for reading, matter in self._conditions if reading(record) is not False)
        return tuple(found)

    def named(self, record: Record) -> tuple[str, ...]:
        """Return the matters that name a record by any owner or its key, each once; conditions are not asked."""
        found: dict[str, None] = {}
        for account in record.accounts:
            found.update(dict.fromkeys(self._accounts.get(account, ())))
        if self._keys:
            found.update(dict.fromkeys(self._keys.get(key_bytes(record.key), ())))
        return tuple(found)


def holding_cases(holds: Iterable[Hold], dataset: str) -> list[tuple[str, Case]]:
    """Return the conditions that hold records of a dataset, each with its matter, as cases.

    They hold where they are true and where they are unknown: what cannot be told stays. Put before the cases of a
    policy they keep the statement itself from what they hold by now, whatever a scan saw.
    """
    found = []
    for hold in holds:
        condition = hold.scope.condition
        if condition is not None and hold.scope.dataset in ("", dataset):
            found.append((hold.matter, Case(Disposition.HELD, Or((condition, Unknown(condition))), "held")))
    return found
