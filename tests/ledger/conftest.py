from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from retentiond.ledger import SqlLedger, open_ledger
from tests.ledger.processes import Starter, starter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger ?%41#'.sqlite"


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger to copy: making one runs all migrations."""
    path = tmp_path_factory.mktemp("empty") / "ledger.sqlite"
    open_ledger(path, create=True).close()
    return path


@pytest.fixture
def ledger(path: Path, empty: Path) -> Iterator[SqlLedger]:
    shutil.copy(empty, path)
    opened = open_ledger(path)
    yield opened
    opened.close()


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start another process that runs a piece of Python."""
    with starter() as start:
        yield start
