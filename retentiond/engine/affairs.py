"""What closures and requests for erasure have in common: data of somebody goes, until nothing of it is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from retentiond.domain.account import AccountState, Remainder
from retentiond.domain.erasure import ErasureState, Person, Persons
from retentiond.domain.plan import Trigger
from retentiond.ports.ledger import Transaction


class Affair(Protocol):
    """One of the two kinds. `who` is an account, or a `Person.text`.

    Attributes:
        kind: Of the receipt.
        ended: Kind of the journal's record that one has ended well.
        guard: The guard that has a plan wait for a person.
    """

    trigger: Trigger
    kind: str
    ended: str
    guard: str

    def leaving(self, who: Mapping[str, str]) -> Mapping[str, str]:
        """Return what is to be planned, each with the id of its closure or request."""
        ...

    def account_of(self, who: str) -> str:
        """Return the account that a receipt is for."""
        ...

    def plans_of(self, tx: Transaction, ids: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Return (id, plan) for each plan that serves one of these."""
        ...

    def served_by(self, tx: Transaction, plan: str) -> Sequence[str]:
        """Return which of them a plan serves."""
        ...

    def is_under_way(self, tx: Transaction, name: str) -> bool:
        """Tell whether one has begun and has not ended."""
        ...

    def note(self, tx: Transaction, name: str, remainder: Remainder) -> None:
        """Keep what is left."""
        ...

    def closure_in_receipt(self, name: str) -> str:
        """Return the closure that a receipt names in the ledger; empty for none."""
        ...


class _Closures:
    trigger = Trigger.CLOSURE
    kind = "closure"
    ended = "closure-closed"
    guard = "closure-cap"

    def leaving(self, who: Mapping[str, str]) -> Mapping[str, str]:
        return dict(who)

    def account_of(self, who: str) -> str:
        return who

    def plans_of(self, tx: Transaction, ids: Sequence[str]) -> Sequence[tuple[str, str]]:
        return tx.plans.of_closures(ids)

    def served_by(self, tx: Transaction, plan: str) -> Sequence[str]:
        return tx.plans.closures_of(plan)

    def is_under_way(self, tx: Transaction, name: str) -> bool:
        closure = tx.closures.get(name)
        return closure is not None and closure.state is AccountState.CLOSING

    def note(self, tx: Transaction, name: str, remainder: Remainder) -> None:
        tx.closures.note(name, remainder)

    def closure_in_receipt(self, name: str) -> str:
        return name


class _Erasures:
    trigger = Trigger.ERASURE
    kind = "erasure"
    ended = "erasure-done"
    guard = "erasure-approval"

    def leaving(self, who: Mapping[str, str]) -> Mapping[str, str]:
        return Persons(who)

    def account_of(self, who: str) -> str:
        return Person.read(who).account

    def plans_of(self, tx: Transaction, ids: Sequence[str]) -> Sequence[tuple[str, str]]:
        return tx.erasures.plans_of(ids)

    def served_by(self, tx: Transaction, plan: str) -> Sequence[str]:
        return tx.erasures.of_plan(plan)

    def is_under_way(self, tx: Transaction, name: str) -> bool:
        erasure = tx.erasures.get(name)
        return erasure is not None and erasure.state is ErasureState.IN_PROGRESS

    def note(self, tx: Transaction, name: str, remainder: Remainder) -> None:
        tx.erasures.note(name, remainder)

    def closure_in_receipt(self, name: str) -> str:
        del name
        return ""


CLOSURES: Affair = _Closures()
ERASURES: Affair = _Erasures()
