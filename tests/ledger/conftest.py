from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import retentiond
from retentiond.ledger import SqlLedger, open_ledger


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


Starter = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start another process that runs a piece of Python; what is left of them is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def starter(code: str, *arguments: object) -> subprocess.Popen[str]:
        home = Path(retentiond.__file__).parents[1]
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(home)},
        )
        started.append(process)
        return process

    yield starter
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints; fail with its errors when it ends instead."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        pytest.fail(process.communicate()[1])
    return line.strip()
