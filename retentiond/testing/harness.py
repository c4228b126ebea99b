"""What the contract suite needs of a store under test, besides its connector.

A harness fills and inspects the store by means of its own: what it reports must not come from the connector.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from retentiond.domain.dataset import Dataset
from retentiond.domain.record import Key
from retentiond.ports.stores import Connector


@dataclass(frozen=True, slots=True)
class Entry:
    """One record to put into the store.

    Attributes:
        name: What its key is made of; the suite asks `Harness.accepts` first.
        account: Its owner; None for a record whose owner cannot be read (`DoubtContract` only).
        age_days: Whole days from the start of its clock to `Harness.now`, give or take a day; None for a clock that
            cannot be read (`DoubtContract` only).
        flagged: Value of the attribute `flagged` (`AttributeContract` only); None for none.
    """

    name: str
    account: str | None = "account-1"
    age_days: int | None = 5
    flagged: bool | None = False


class Harness(Protocol):
    """A fresh, empty store with one dataset, which has owners."""

    @property
    def dataset(self) -> Dataset:
        """The dataset under test."""
        ...

    @property
    def now(self) -> datetime:
        """The reference time, aware; the same during one test."""
        ...

    def connect(self) -> Connector:
        """Open the store. Where the connector reads in windows, small ones (say, of 7 records) test more."""
        ...

    def connect_to_nothing(self) -> Connector:
        """Open a store of this kind where there is none; raising `ConnectorError` at once is as good."""
        ...

    def accepts(self, name: str) -> bool:
        """Tell whether the store can hold a record of this name."""
        ...

    def put(self, entry: Entry) -> Key:
        """Store one record, durably, and return its key with the types that the store has it in."""
        ...

    def spell(self, key: Key) -> str:
        """Return the key as an operator types it."""
        ...

    def left(self) -> frozenset[Key]:
        """Return the keys of all records that the store still holds anything of, hidden ones included."""
        ...

    def take_away(self, key: Key) -> None:
        """Remove a record behind the connector's back."""
        ...

    def add_stray(self) -> str:
        """Store something that the dataset does not cover; return the name under which it is unmapped."""
        ...


class HidingHarness(Harness, Protocol):
    """A store whose dataset declares a tombstone (`TombstoneContract`, and those of `contract_undo`)."""

    def visible(self) -> frozenset[Key]:
        """Return the keys of the records that users of the application see."""
        ...

    def take_away_hidden(self, key: Key) -> None:
        """Remove a record that is hidden behind the connector's back."""
        ...


class ReusingHarness(HidingHarness, Protocol):
    """The same, for what happens to a record's name while it is hidden (`RestoreContract`)."""

    def reuse(self, key: Key) -> None:
        """Write a record of this key that is five days old, as an application would to which it is not there."""
        ...

    def is_young(self, key: Key) -> bool:
        """Tell whether the record that users see under this key is the one that `reuse` wrote."""
        ...


class ChangingHarness(Harness, Protocol):
    """A store in which a record can change under its identity (`ChangeContract`)."""

    def renew(self, key: Key) -> None:
        """Make a record five days old, as an application would that writes it anew."""
        ...


class FailingHarness(Harness, Protocol):
    """A store that can be made to fail (`FailureContract`)."""

    def failing(self) -> AbstractContextManager[None]:
        """Let every read and every change of the store fail for a while, also on connections that are open."""
        ...


class DenyingHarness(Harness, Protocol):
    """A store that can deny removal while it still allows reading (`DenialContract`)."""

    def denying(self) -> AbstractContextManager[None]:
        """Let every change of the store be denied for a while."""
        ...
