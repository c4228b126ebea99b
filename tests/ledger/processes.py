"""Other processes that open a ledger, and run a piece of Python on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import retentiond
from retentiond.ledger import Database

OPEN = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from retentiond.ledger import Database, open_ledger
NOW = datetime(2026, 11, 24, tzinfo=UTC)
kind, _, rest = sys.argv[1].partition(":")
place = Path(rest) if kind == "file" else Database(rest)
ledger = open_ledger(place, create=sys.argv[2:] == ["create"])
def say(text):
    print(text, flush=True)
def wait():
    sys.stdin.readline()
"""

Starter = Callable[..., "subprocess.Popen[str]"]


def argument(place: Path | Database) -> str:
    """Return where a ledger is, as the first argument of OPEN."""
    return f"file:{place}" if isinstance(place, Path) else f"dsn:{place.dsn}"


@contextmanager
def starter() -> Iterator[Starter]:
    """Start other processes; what is left of them is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, place: Path | Database, *arguments: object) -> subprocess.Popen[str]:
        home = Path(retentiond.__file__).parents[1]
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", OPEN + code, argument(place), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(home)},
        )
        started.append(process)
        return process

    yield start
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


def go_on(process: subprocess.Popen[str]) -> None:
    """Let a process go on that waits."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
