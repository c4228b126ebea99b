"""Where the ledger is: `ledger: FILE`, or `ledger: {dsn_env: NAME}` or `{dsn_file: PATH}` for a database."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from retentiond.settings.problems import Problem, refuse, shown, validated
from retentiond.settings.values import Declared

DEFAULT_SCHEMA = "retentiond"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LOOKS_LIKE_DSN = re.compile(r"://|\b(?:host|hostaddr|dbname|user|password|service|port)\s*=", re.ASCII)
_MOST_BYTES_OF_NAME = 63
_MOST_BYTES_OF_DSN = 8192
_OTHERS = stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class LedgerDatabase:
    """The database and the schema that hold the ledger.

    Attributes:
        dsn: As libpq takes it. It may hold a password, so it is never shown.
    """

    dsn: str = field(repr=False)
    schema: str = DEFAULT_SCHEMA


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        what = "this" if looks_like_dsn(value) else shown(value)
        raise refuse(f"{what} is no name of an environment variable", "write the name of the variable, not the DSN")
    return value


def _schema(value: str) -> str:
    if not value or not value.isprintable() or len(value.encode()) > _MOST_BYTES_OF_NAME:
        raise refuse(f"{shown(value)} cannot name a schema", f"use up to {_MOST_BYTES_OF_NAME} bytes that can be seen")
    if value.startswith("pg_") or value == "information_schema":
        raise refuse(f"{shown(value)} is a schema of PostgreSQL itself", f"write a name such as {DEFAULT_SCHEMA}")
    return value


class LedgerModel(Declared):
    """A ledger in PostgreSQL, as operators write it."""

    dsn_env: Annotated[str, AfterValidator(_variable)] | None = None
    dsn_file: str | None = None
    schema_name: Annotated[str, AfterValidator(_schema)] = Field(default=DEFAULT_SCHEMA, alias="schema")

    @model_validator(mode="after")
    def _one_source(self) -> LedgerModel:
        if (self.dsn_env is None) == (self.dsn_file is None):
            raise refuse(
                "a ledger in a database needs exactly one of dsn_env, dsn_file",
                "write {dsn_env: NAME}, the variable that holds the DSN, or {dsn_file: PATH}",
            )
        return self


def looks_like_dsn(value: str) -> bool:
    """Tell whether a text looks like a DSN, which may hold a password and is not repeated then."""
    return _LOOKS_LIKE_DSN.search(value) is not None


def read_ledger(
    value: object, base: Path, environ: Mapping[str, str], problems: list[Problem]
) -> LedgerDatabase | None:
    """Return the database that a mapping names, its DSN read; None after adding what is wrong to the problems.

    Args:
        base: The directory that a file's path is relative to.
    """
    model = validated(LedgerModel, value, ("ledger",), problems)
    if model is None:
        return None
    found = _from_variable(model, environ) if model.dsn_env is not None else _from_file(model, base)
    if isinstance(found, Problem):
        problems.append(found)
        return None
    return LedgerDatabase(found, model.schema_name)


def _from_variable(model: LedgerModel, environ: Mapping[str, str]) -> str | Problem:
    dsn = environ.get(model.dsn_env or "", "").strip()
    if dsn:
        return dsn
    remedy = f"put the ledger's DSN into it: export {model.dsn_env}='postgresql://…'"
    return Problem(("ledger", "dsn_env"), f"the environment variable {model.dsn_env} is not set", remedy)


def _from_file(model: LedgerModel, base: Path) -> str | Problem:
    path = base / (model.dsn_file or "")
    place = ("ledger", "dsn_file")
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            dsn = file.read(_MOST_BYTES_OF_DSN + 1).decode().strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        return Problem(
            place, f"the DSN cannot be read from {path}: {why}", "let the file hold the DSN, and nothing else"
        )
    if mode & _OTHERS:
        return Problem(place, f"everybody may read the DSN in {path}", f"chmod o= {path}")
    if not dsn or len(dsn) > _MOST_BYTES_OF_DSN or "\x00" in dsn or "\n" in dsn:
        return Problem(place, f"{path} holds no DSN", "let the file hold the DSN on one line, and nothing else")
    return dsn
