"""The advisory locks of a ledger in PostgreSQL. Their numbers come from the schema, so that ledgers do not meet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from retentiond.ports.orders import Role

_MOST = 2**31 - 1  # of a lock's number in two halves


@dataclass(frozen=True, slots=True)
class Locks:
    """Statements that take the locks of one ledger, and the number of its session lock.

    Attributes:
        turn: Waits for its turn to be the only writer; ends with the transaction.
        shared_turn: Waits for its turn to write beside others.
        appends: Waits for its turn to add entries and events.
        acting: The number of the lock of the one process that acts.
        groups: By role, the first half of the numbers of the locks of those who attend.
        quoted_schema: The schema, as SQL spells it.
    """

    schema: str
    turn: str = field(init=False)
    shared_turn: str = field(init=False)
    appends: str = field(init=False)
    acting: int = field(init=False)
    groups: Mapping[Role, int] = field(init=False)
    quoted_schema: str = field(init=False)

    def __post_init__(self) -> None:
        turn = self._number("turn")
        values = {
            "turn": f"SELECT pg_advisory_xact_lock({turn})",
            "shared_turn": f"SELECT pg_advisory_xact_lock_shared({turn})",
            "appends": f"SELECT pg_advisory_xact_lock({self._number('appends')})",
            "acting": self._number("acting"),
            "groups": {role: self._number(role) & _MOST for role in Role},
            "quoted_schema": quoted(self.schema),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _number(self, purpose: str) -> int:
        digest = hashlib.sha256(f"retentiond/ledger/{purpose}/{self.schema}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
