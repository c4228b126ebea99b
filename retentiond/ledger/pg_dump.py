"""Copies of a ledger in PostgreSQL: an archive of its schema, written by the server's own pg_dump."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from psycopg import pq

from retentiond.errors import LedgerError
from retentiond.ledger import files
from retentiond.ledger.database import Database
from retentiond.ledger.pg_locks import quoted
from retentiond.ledger.pg_session import parsed

_PLACES = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin")
_VERSION = re.compile(r"pg_dump \(PostgreSQL\) (\d+)")
_MAGIC = b"PGDMP"
_KEPT = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "KRB5CCNAME")


def dump(database: Database, where: str, server_version: int, target: Path) -> None:
    """Write an archive (custom format) of the ledger's schema, as it is in one snapshot.

    `pg_restore --dbname … FILE` brings it back.

    Args:
        server_version: Of the server, as libpq numbers it: 160004.

    Raises:
        LedgerError: The target exists or cannot be written, no fitting pg_dump is there, or it failed.
    """
    major = server_version // 10_000
    program = _program(major, where)
    with files.appearing(target) as draft:
        command = [
            str(program), "--format=custom", f"--schema={quoted(database.schema)}", "--no-owner", "--no-privileges",
            "--lock-wait-timeout=10s", "--no-password", f"--file={draft}",
        ]  # fmt: skip
        done = subprocess.run(
            command, env=_environment(database, where), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode or not _is_archive(draft):
            said = " ".join(done.stderr.decode(errors="replace").split())
            raise LedgerError(
                f"pg_dump could not copy the ledger: {said}",
                where=where,
                remedy="correct what it says; the role needs SELECT on all tables and sequences of the schema",
            )


def _program(major: int, where: str) -> Path:
    """Return a pg_dump that can read the server: of its version, else the oldest newer one."""
    found = {version: program for program in _candidates(major) if (version := _version(program)) >= major}
    if not found:
        raise LedgerError(
            f"there is no pg_dump of PostgreSQL {major} or newer on this machine",
            where=where,
            remedy=f"install the client programs of PostgreSQL {major} (postgresql-client-{major}), or put pg_dump on "
            "the PATH; or let the database's own backups do it",
        )
    return found[min(found)]


def _candidates(major: int) -> Iterator[Path]:
    directories = [*(place.format(major=major) for place in _PLACES), *os.environ.get("PATH", "").split(os.pathsep)]
    for directory in directories:
        program = shutil.which("pg_dump", path=directory) if directory else None
        if program:
            yield Path(program)


def _version(program: Path) -> int:
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False)
    found = _VERSION.match(done.stdout)
    return int(found[1]) if found else 0


def _environment(database: Database, where: str) -> Mapping[str, str]:
    """Return the environment that tells pg_dump where to connect: its arguments are for everybody to see."""
    given = {name.encode(): str(value) for name, value in parsed(database.dsn, where).items()}
    variables = {
        option.envvar.decode(): given[option.keyword]
        for option in pq.Conninfo.get_defaults()
        if option.envvar and option.keyword in given
    }
    return {
        name: os.environ[name] for name in os.environ if name in _KEPT or name.startswith(("PG", "LC_"))
    } | variables


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
