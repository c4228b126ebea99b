"""The ledger's noun for orders: verbs that somebody asks the daemon to carry out, and how they follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class OrderState(StrEnum):
    """Where an order stands."""

    WAITING = "waiting"
    RUNNING = "running"
    SIGNING = "signing"
    SIGNED = "signed"
    DONE = "done"


class Role(StrEnum):
    """Why a process attends to a ledger: whoever does is there, and not frozen."""

    SERVING = "serving"
    ASKING = "asking"


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A verb that somebody asks the daemon to carry out.

    Attributes:
        asker: The number under which whoever asks attends.
        verb: Its words, such as `account close`.
        arguments: By name, as JSON has them.
        offered: SSH public keys that may sign, as (type, base64).
        server: The number under which the daemon that took it attends; 0 before.
        text: What is to be signed, and with which key; empty before it is asked for.
        signature: Armoured; empty before.
        progress: How far it is: `what`, `done`, `total`, `notes`.
        answer: How it ended; empty before.
    """

    id: str
    asked_at: datetime
    asker: int
    verb: str
    arguments: Mapping[str, Any]
    offered: Sequence[Sequence[str]]
    state: OrderState = OrderState.WAITING
    server: int = 0
    text: Mapping[str, Any] = field(default_factory=dict)
    signature: str = ""
    progress: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)


class Orders(Protocol):
    """Orders. A row is there only while somebody waits for its end: it may name accounts."""

    def add(self, order: OrderRow) -> None:
        """Store an order."""
        ...

    def get(self, order: str) -> OrderRow | None:
        """Return an order by its id."""
        ...

    def all(self) -> Sequence[OrderRow]:
        """Return all of them, the oldest first."""
        ...

    def take(self, order: str, server: int) -> bool:
        """Take one that waits; False where another daemon has it, or nobody waits any more."""
        ...

    def put_back(self, order: str) -> None:
        """Let one that was taken wait again: nothing of it was done."""
        ...

    def ask(self, order: str, text: Mapping[str, object]) -> None:
        """Ask whoever waits for a signature."""
        ...

    def sign(self, order: str, signature: str) -> None:
        """Give the signature that was asked for."""
        ...

    def tell(self, order: str, progress: Mapping[str, object]) -> None:
        """Tell how far it is; does nothing where nobody waits any more."""
        ...

    def finish(self, order: str, answer: Mapping[str, object]) -> None:
        """Tell how it ended; does nothing where nobody waits any more."""
        ...

    def remove(self, order: str) -> None:
        """Forget an order, whatever became of it."""
        ...


class OrderBook(Protocol):
    """Where orders are given and taken, and who is there to do so."""

    def orders(self) -> AbstractContextManager[Orders]:
        """Begin a transaction on orders, beside whatever else is under way."""
        ...

    def attending(self, role: Role) -> AbstractContextManager[int]:
        """Be seen by others, under the number that this gives, until the block ends; 0 where nobody looks."""
        ...

    def attendants(self, role: Role) -> frozenset[int]:
        """Return the numbers of those who attend: who are there, and not frozen."""
        ...
