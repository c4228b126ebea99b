"""The moments of a process, found by listening in and not from a list; it can be killed at one of them.

A moment is right before or right after
- a commit of the ledger, whatever engine it has;
- a round trip of a store's connection to PostgreSQL (whatever psycopg waits for);
- a request of a store over HTTP (whatever urllib3 sends);
- an act of a SQLite store;
or a change of a directory: a file that is opened for writing, renamed, linked or removed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from urllib3.connectionpool import HTTPConnectionPool

from retentiond.bootstrap import ConnectorKinds
from retentiond.cli import main
from retentiond.connectors.postgresql.session import APPLICATION
from retentiond.connectors.sqlite.acting import Acting
from retentiond.ledger.postgresql import PostgresqlBackend
from retentiond.ledger.sqlite import SqliteBackend

_FILES = frozenset(("os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
LEDGER, STATEMENT, REQUEST, ROWS, FILES = "ledger commit", "statement", "request", "rows of a file", "change of a file"


@dataclass(frozen=True, slots=True)
class Accident:
    """What happens to a process, and at which moment, from one; 0 for never.

    Attributes:
        beside: Whether it happens to the processes that it started, and not to itself.
    """

    at: int = 0
    signal: signal.Signals = signal.SIGKILL
    beside: bool = False

    def happen(self) -> None:
        """Send the signal."""
        for pid in _children() if self.beside else [os.getpid()]:
            os.kill(pid, self.signal)


class Moments:
    """Counts the moments of this process, and ends or freezes it at one of them; tells which it was."""

    def __init__(self, accident: Accident, tell: int) -> None:
        self._accident = accident
        self._tell = tell
        self.kinds: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self.kinds.total()

    def listen(self) -> None:
        for backend in (SqliteBackend, PostgresqlBackend):
            self._around(backend, "commit", lambda _: LEDGER)
        self._around(psycopg.Connection, "wait", _of_a_store)
        self._around(HTTPConnectionPool, "_make_request", lambda _: REQUEST)
        self._around(Acting, "run", lambda _: ROWS)
        sys.addaudithook(self._audit)

    def _around(self, owner: type, name: str, kind: Callable[[Any], str]) -> None:
        function = getattr(owner, name)

        def wrapped(this: Any, *arguments: Any, **named: Any) -> Any:
            what = kind(this)
            self._pass(what, f"before a {what}")
            result = function(this, *arguments, **named)
            self._pass(what, f"after a {what}")
            return result

        setattr(owner, name, wrapped)

    def _audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name in _FILES or (name == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING):
            self._pass(FILES, f"{name} {str(arguments[0])[-40:]}")

    def _pass(self, kind: str, what: str) -> None:
        if not kind:
            return
        self.kinds[kind] += 1
        if self.count == self._accident.at:
            os.write(self._tell, f"{what}\n".encode())
            self._accident.happen()


def _children() -> list[int]:
    """Return the processes that this one started, in whichever of its threads."""
    return [int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]


def _of_a_store(connection: psycopg.Connection[Any]) -> str:
    if connection.pgconn.status != psycopg.pq.ConnStatus.OK:
        return ""
    return STATEMENT if connection.info.get_parameters().get("application_name") == APPLICATION else ""


def warm_up() -> None:
    """Import what a fork would import otherwise, each time."""
    dict(ConnectorKinds())


@dataclass(frozen=True, slots=True)
class Forked:
    """A command that runs in a fork of this process."""

    pid: int
    pipe: int

    def await_stop(self) -> bool:
        """Wait until it was stopped; False where it ended before."""
        ended = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        return ended is not None and ended.si_code == os.CLD_STOPPED

    def end(self) -> tuple[int, str]:
        """Let it go on if it was stopped, wait, and return how it ended and what it told."""
        os.kill(self.pid, signal.SIGCONT)
        with os.fdopen(self.pipe) as pipe:
            told = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status), told


def fork(
    config: Path,
    environ: Mapping[str, str],
    words: tuple[str, ...],
    accident: Accident,
    prepare: Callable[[], None] = lambda: None,
) -> Forked:
    """Run a command of retentiond in a fork of this process, with an accident; `prepare` is called there before.

    What it tells in the end is the moment at which it was killed, or all moments as lines of `kind: count`.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.environ.update(environ)
        prepare()
        _run(("--config", str(config), *words), accident, writing)
    os.close(writing)
    return Forked(child, reading)


def run_in_fork(
    config: Path,
    environ: Mapping[str, str],
    words: tuple[str, ...],
    last: int = 0,
    prepare: Callable[[], None] = lambda: None,
) -> tuple[int, str]:
    """Run a command in a fork, killed at a moment (0 for none); return how it ended, and what `fork` says it tells."""
    return fork(config, environ, words, Accident(last), prepare).end()


def _run(words: tuple[str, ...], accident: Accident, writing: int) -> None:
    os.setsid()
    said = os.open(os.environ.get("FAULTS_SAID", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    moments, code = Moments(accident, writing), 1
    sys.argv = ["retentiond", *words]
    try:
        moments.listen()
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
        os.write(writing, "\n".join(f"{kind}: {count}" for kind, count in moments.kinds.items()).encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
