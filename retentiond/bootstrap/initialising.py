"""Making a new instance: configuration, keys, ledger, log."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from retentiond.bootstrap.parts import (
    APPROVERS,
    DATAMAP,
    POLICIES,
    SERVICE,
    key_sources,
    ledger_place,
    make_log,
    open_keys,
)
from retentiond.clock import Clock, SystemClock
from retentiond.engine.keychange import log_first_keys
from retentiond.errors import ConfigError, RetentiondError
from retentiond.keys import create_all
from retentiond.ledger import Database, SqlLedger, open_ledger
from retentiond.settings import load_service
from retentiond.settings.ledger import read_ledger
from retentiond.settings.problems import Problem

_PLACE = re.compile(r"@(\w+)@([\w.]*)")
# What YAML reads as the text that it is, without quotes.
_PLAIN = re.compile(r"(?!(?:true|false|null|~)\Z)[a-z./~](?:[\w./~@+-]|:(?=/))*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Names:
    """What a new instance is called; each is made up where it is not given.

    Attributes:
        ledger_dsn_env: The variable that holds the DSN of a ledger in PostgreSQL; a file where there is none.
    """

    instance: str | None = None
    issuer_id: str | None = None
    origin: str | None = None
    ledger_dsn_env: str | None = None


def initialise(
    directory: Path,
    *,
    state: str = ".",
    names: Names | None = None,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    datamap: str | None = None,
) -> list[str]:
    """Write a commented configuration, keys and an empty ledger; never over anything that is there.

    Args:
        state: Where ledger, log, keys, receipts and journal go, relative to the directory.
        names: What the instance is called; the log's name can't be changed later.
        environ: Where the DSN of a ledger in PostgreSQL is found.
        datamap: The text of the data map; None for an example.

    Raises:
        ConfigError: One of the files is there already, a name is none, or the ledger is in use by another instance.
        LedgerError: The ledger cannot be made.
    """
    now = (clock or SystemClock()).now().replace(microsecond=0)
    names = names or Names()
    instance = names.instance or f"retentiond-{os.urandom(4).hex()}"
    values = {
        "instance": instance,
        "issuer_id": names.issuer_id or f"https://issuer.example/{instance}",
        "origin": names.origin or f"issuer.example/{instance}",
        "state": "" if state == "." else f"{state}/",
    }
    dsn_env = names.ledger_dsn_env
    dsn = {name: value for name, value in (environ or {}).items() if name == dsn_env}
    if dsn_env is not None:
        _prepare_database(directory, dsn_env, dsn)
    written = []
    _make(directory)
    for name in (SERVICE, DATAMAP, POLICIES, APPROVERS):
        template = resources.files("retentiond.settings").joinpath("templates", name).read_text(encoding="utf-8")
        template = template.replace("@ledger@", "@state@ledger.db" if dsn_env is None else f"{{dsn_env: {dsn_env}}}")
        filled = _PLACE.sub(lambda found: _scalar(values[found[1]] + found[2]), template)
        written.append(_create(directory / name, datamap if datamap and name == DATAMAP else filled))
    try:
        service = load_service(directory, dsn)
        _make(directory / state)
        ledger = open_ledger(ledger_place(service), create=True)
    except RetentiondError:
        for path in written:  # what was typed wrong is typed again
            path.unlink()
        raise
    try:
        _require_unused(ledger)
        sources = key_sources(service, {})
        create_all(sources.directory, service.origin, now)
        keys = open_keys(service, sources, ledger, clock or SystemClock(), mending=False)
        log_first_keys(make_log(service, keys, ledger), ledger, keys)
    finally:
        ledger.close()
    return [*map(str, (*written, sources.directory)), ledger.where, str(service.log)]


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _prepare_database(directory: Path, variable: str, environ: Mapping[str, str]) -> None:
    """Make the ledger in its database before anything is written, so that a wrong DSN leaves nothing behind."""
    for name in (SERVICE, DATAMAP, POLICIES, APPROVERS):
        if (directory / name).exists():
            raise _in_the_way(directory / name, "it is there already")
    problems: list[Problem] = []
    found = read_ledger({"dsn_env": variable}, directory, environ, problems)
    if found is None:
        raise ConfigError(problems[0].what, where="--ledger-dsn-env", remedy=problems[0].remedy)
    ledger = open_ledger(Database(found.dsn, found.schema), create=True)
    try:
        _require_unused(ledger)
    finally:
        ledger.close()


def _require_unused(ledger: SqlLedger) -> None:
    if ledger.log_state.size():
        raise ConfigError(
            "this ledger is another instance's: it holds entries of a log",
            where=ledger.where,
            remedy="name another database or another `schema`, and remove the files that were written here",
        )


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be made: {error.strerror}", where=str(directory), remedy="name another directory"
        ) from error


def _create(path: Path, text: str) -> Path:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise _in_the_way(path, error.strerror or "") from error
    return path


def _in_the_way(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} cannot be written: {why}",
        where=str(path),
        remedy="`init` never writes over a file; name an empty directory",
    )
