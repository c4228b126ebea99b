"""The contract suite on a directory of files: clock by modification, owner by the path, hidden by a quarantine."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retentiond.connectors.files import connector as kind
from retentiond.connectors.files import walking
from retentiond.domain.dataset import ClockFormat, ClockSource, Dataset, Store, TombstoneTarget
from retentiond.domain.record import Key
from retentiond.ports.stores import Connector
from retentiond.testing.contract import (
    ChangeContract,
    ConnectorContract,
    DenialContract,
    FailureContract,
    TombstoneContract,
)
from retentiond.testing.contract_undo import DeniedRestoreContract, FailingRestoreContract, RestoreContract
from retentiond.testing.harness import Entry

NOBODY = 65_534
LONGEST_NAME_BYTES = 255


class FilesHarness:
    """A directory `exports/` with one directory for each account."""

    now = datetime(2026, 11, 24, 3, tzinfo=UTC)
    dataset = Dataset(
        "exports",
        "disk",
        "files",
        "export",
        clock=ClockSource(ClockFormat.MODIFIED),
        prefix="exports/",
        key_pattern="exports/{account}/{name}",
        account_field="account",
        tombstone=TombstoneTarget(directory=".quarantine"),
    )

    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = base / "root"
        (self.root / "exports").mkdir(parents=True)

    def connect(self) -> Connector:
        return kind.open(Store("disk", "files", {"root": "root"}), self.base)

    def connect_to_nothing(self) -> Connector:
        return kind.open(Store("disk", "files", {"root": "nothing"}), self.base)

    def accepts(self, name: str) -> bool:
        try:
            raw = name.encode()
        except UnicodeEncodeError:
            return False
        return 0 < len(raw) <= LONGEST_NAME_BYTES and name not in {".", ".."} and not set(name) & {"/", "\0"}

    def put(self, entry: Entry) -> Key:
        path = self.root / "exports" / f"{entry.account}" / entry.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 100)
        age = timedelta(days=entry.age_days or 0)
        os.utime(path, (0, (self.now - age).timestamp()))
        return (f"exports/{entry.account}/{entry.name}",)

    def spell(self, key: Key) -> str:
        return str(key[0])

    def left(self) -> frozenset[Key]:
        return self.visible() | self._beneath(self.root / ".quarantine", deeper=1)

    def visible(self) -> frozenset[Key]:
        return frozenset(key for key in self._beneath(self.root) if not str(key[0]).startswith(".quarantine"))

    def _beneath(self, top: Path, deeper: int = 0) -> frozenset[Key]:
        found = set()
        for directory, _, names in os.walk(top):
            parts = Path(directory).relative_to(top).parts
            if len(parts) >= deeper:
                found.update(("/".join((*parts[deeper:], name)),) for name in names)
        return frozenset(found)

    def take_away(self, key: Key) -> None:
        (self.root / str(key[0])).unlink()

    def take_away_hidden(self, key: Key) -> None:
        (found,) = (self.root / ".quarantine").glob(f"*/{glob.escape(str(key[0]))}")
        found.unlink()

    def reuse(self, key: Key) -> None:
        self.renew(key)

    def is_young(self, key: Key) -> bool:
        return (self.root / str(key[0])).read_bytes() == b"anew"

    def renew(self, key: Key) -> None:
        path = self.root / str(key[0])
        path.write_bytes(b"anew")
        os.utime(path, (0, (self.now - timedelta(days=5)).timestamp()))

    def add_stray(self) -> str:
        (self.root / "stray").mkdir()
        (self.root / "stray" / "file").write_bytes(b"stray")
        return "stray/"

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Unmount, as it were: the path leads to another, empty directory."""
        away = self.base / "away"
        self.root.rename(away)
        self.root.mkdir()
        yield
        self.root.rmdir()
        away.rename(self.root)

    @contextmanager
    def denying(self) -> Iterator[None]:
        """Take the right to change directories away; root, whom no mode stops, becomes somebody else."""
        directories = [Path(directory) for directory, _, _ in os.walk(self.root)]
        for directory in directories:
            directory.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(NOBODY)
        try:
            yield
        finally:
            if user == 0:
                os.seteuid(user)
            for directory in directories:
                directory.chmod(0o755)


class TestFiles(
    ConnectorContract,
    ChangeContract,
    TombstoneContract,
    RestoreContract,
    FailureContract,
    FailingRestoreContract,
    DenialContract,
    DeniedRestoreContract,
):
    @pytest.fixture
    def harness(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[FilesHarness]:
        monkeypatch.setattr(walking, "WINDOW_RECORDS", 7)
        base = Path(tempfile.mkdtemp())  # pytest's own directory may be entered by its owner only
        base.chmod(0o755)
        yield FilesHarness(base)
        shutil.rmtree(base)
