"""A directory with one dataset, filled and inspected without the connector."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retentiond.connectors.files import connector as kind
from retentiond.connectors.files import tree
from retentiond.domain.dataset import ClockFormat, ClockSource, Dataset, Store, TombstoneTarget
from retentiond.domain.decision import Cases, Disposition, cases_of
from retentiond.domain.period import Period
from retentiond.domain.policy import Action, Policy, Rule
from retentiond.domain.record import Record
from retentiond.ports.stores import Acted, Connector, Order, Verified

NOBODY = 65_534
NOW = datetime(2026, 11, 24, 3, 10, 37, tzinfo=UTC)
STAMP = "20261124T031037Z"
OLD, YOUNG = 40, 5
PURGE = Rule(1, Period(days=30))
TOMBSTONE = Rule(1, Period(days=30), then=Action.TOMBSTONE, grace=Period(days=5))


class Disk:
    """One store of kind `files`, whose dataset `exports` begins as `exports/` with a quarantine."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = base / "root"
        self.outside = base / "outside"
        (self.root / "exports").mkdir(parents=True)
        self.outside.mkdir()
        self.dataset = Dataset(
            "exports",
            "disk",
            "files",
            "export",
            clock=ClockSource(ClockFormat.MODIFIED),
            prefix="exports/",
            tombstone=TombstoneTarget(directory=".quarantine"),
        )
        self._open: list[Connector] = []

    def declare(self, **changes: object) -> Dataset:
        """Change the dataset's declaration."""
        self.dataset = replace(self.dataset, **changes)  # type: ignore[arg-type]
        return self.dataset

    def connect(self) -> Connector:
        """Open the store; it is closed at the end of the test."""
        self._open.append(kind.open(Store("disk", "files", {"root": "root"}), self.base))
        return self._open[-1]

    def close(self) -> None:
        """Close what was opened."""
        for connector in self._open:
            connector.close()

    def put(self, path: str | bytes, age_days: int = OLD, content: bytes = b"prompt") -> Path:
        """Write a file below the root and give it an age."""
        full = self.root / os.fsdecode(path)
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(content)
        self.age(full, age_days)
        return full

    @staticmethod
    def age(path: Path, days: int) -> None:
        """Give a file an age in days before the reference time."""
        when = (NOW - timedelta(days=days)).timestamp()
        os.utime(path, (when, when), follow_symlinks=False)

    def cases(self, *rules: Rule, later_days: int = 0) -> Cases:
        """Return the cases of a policy, now or some days later."""
        return cases_of(Policy("p", "export", rules or (PURGE,)), self.dataset, NOW + timedelta(days=later_days))

    def due(self, cases: Cases | None = None) -> list[Record]:
        """Return the records that a scan says are due."""
        wanted = cases or self.cases()
        windows = self.connect().scan(self.dataset, wanted, frozenset(wanted.due))
        return [found.record for window in windows for found in window.found]

    def counted(self, cases: Cases | None = None) -> dict[str, int]:
        """Return how many records a scan counts for each reason."""
        wanted = cases or self.cases()
        counts: dict[str, int] = {}
        for window in self.connect().scan(self.dataset, wanted, frozenset()):
            for case, tally in window.tallies.items():
                reason = wanted.reason(case).reason
                counts[reason] = counts.get(reason, 0) + tally.count
        return counts

    def order(
        self,
        records: Sequence[Record] | None = None,
        fence: Callable[[], None] = lambda: None,
        *,
        cases: Cases | None = None,
        action: Action = Action.PURGE,
    ) -> Order:
        """Return an order for records that are due, all of them unless named."""
        wanted = cases or self.cases()
        case = next(index for index in wanted.due if wanted.reason(index).disposition == Disposition(action))
        chosen = self.due(wanted) if records is None else records
        return Order(self.dataset, action, wanted, case, chosen, NOW, fence)

    def hiding(self, fence: Callable[[], None] = lambda: None) -> Order:
        """Return the order to hide all that is due."""
        return self.order(fence=fence, cases=self.cases(TOMBSTONE), action=Action.TOMBSTONE)

    def after_grace(self) -> Order:
        """Return the order to purge what was hidden, once its grace is over."""
        return self.order(cases=self.cases(TOMBSTONE, later_days=9))

    def act(self, order: Order) -> Acted:
        """Carry out an order through a connection of its own."""
        return self.connect().act(order)

    def verify(self, order: Order) -> Verified:
        """Verify an order through a connection of its own."""
        return self.connect().verify(order)

    def files(self) -> set[str]:
        """Return the paths of everything but directories below the root, the quarantine's own mark left out."""
        found = set()
        for directory, directories, names in os.walk(self.root):
            links = [name for name in directories if (Path(directory) / name).is_symlink()]
            found |= {os.fspath((Path(directory) / name).relative_to(self.root)) for name in (*names, *links)}
        return {path for path in found if not path.endswith(".retentiond-quarantine")}

    def directories(self) -> set[str]:
        """Return the paths of all directories below the root."""
        return {os.fspath(Path(directory).relative_to(self.root)) for directory, _, _ in os.walk(self.root)} - {"."}


@contextmanager
def unprivileged() -> Iterator[None]:
    """Let modes count: root, whom none stops, is nobody for a while."""
    user = os.geteuid()
    datetime.strptime("2026", "%Y").astimezone()  # imports a module, which nobody may not
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(user)


def mount(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let a directory look as if another file system were mounted there, which only root could do."""
    inode = path.stat().st_ino
    fstat = os.fstat

    def elsewhere(fd: int) -> os.stat_result:
        status = fstat(fd)
        fields = list(status)
        fields[2] += status.st_ino == inode
        return os.stat_result(fields)

    monkeypatch.setattr(tree.os, "fstat", elsewhere)
