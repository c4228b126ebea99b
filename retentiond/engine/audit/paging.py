"""Rows of the ledger in the log's order, a page at a time; findings; and what a recovery is known to have lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from retentiond.engine.context import Context
from retentiond.ports.ledger import Transaction

_PAGE = 256
_MOST_OF_A_KIND = 100


class Indexed(Protocol):
    """A row that names its entry in the log."""

    @property
    def log_index(self) -> int | None:
        """Index of the entry."""
        ...


_Row = TypeVar("_Row", bound=Indexed)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be: where (a row, a file) and what is wrong."""

    where: str
    what: str


@dataclass(slots=True)
class Findings:
    """Findings as they come; of one kind only the first are kept, all are counted."""

    found: list[Finding] = field(default_factory=list)
    total: int = 0
    _kinds: Counter[str] = field(default_factory=Counter)

    def add(self, where: str, what: str) -> None:
        """Take note of a finding."""
        self.total += 1
        kind = where.split(" ", 1)[0]
        self._kinds[kind] += 1
        if self._kinds[kind] <= _MOST_OF_A_KIND:
            self.found.append(Finding(where, what))


class Rows(Generic[_Row]):
    """Rows that come with entries, read along with them."""

    def __init__(self, ctx: Context, read: Callable[[Transaction, int, int], Sequence[_Row]]) -> None:
        self._ctx = ctx
        self._read = read
        self._rows = self._all()
        self._next = next(self._rows, None)

    def at(self, index: int) -> _Row | None:
        """Return the row of an entry, whose indexes are asked for in order; None where there is none."""
        row = self._next
        if row is None or row.log_index != index:
            return None
        self._next = next(self._rows, None)
        return row

    def _all(self) -> Iterator[_Row]:
        after = -1
        while True:
            with self._ctx.ledger.begin() as tx:
                page = self._read(tx, after, _PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].log_index or 0


class Lost:
    """Which entries were made by a ledger that was lost: the one that was recovered has no rows of them."""

    def __init__(self, ctx: Context) -> None:
        with ctx.ledger.begin() as tx:
            events = tx.audits.of_kind("ledger.recovered")
        self._spans = {each.subject: (each.detail.get("from"), each.detail.get("to")) for each in events}
        self._signed: set[str] = set()

    def signed(self, recovery: str) -> None:
        """Take note that somebody signed a recovery, as the journal says."""
        self._signed.add(recovery)

    def has(self, index: int) -> bool:
        """Tell whether an entry is one of those."""
        spans = self._spans.values()
        return any(isinstance(start, int) and isinstance(end, int) and start <= index < end for start, end in spans)

    def unsigned(self) -> list[str]:
        """Name the recoveries that nobody signed."""
        return sorted(set(self._spans) - self._signed)
