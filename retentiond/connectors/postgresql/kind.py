"""What the data map says of a PostgreSQL store, and how it is opened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from retentiond.connectors.postgresql import visiting
from retentiond.connectors.postgresql.store import WINDOW_ROWS, PostgresqlStore
from retentiond.domain.dataset import Store
from retentiond.errors import ConnectorError
from retentiond.ports.looking import Visit

_Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_File = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]


class PostgresqlOptions(BaseModel):
    """The options of a store of kind `postgresql`: where its connection strings stand, never they themselves.

    Attributes:
        dsn_env: Environment variable with the connection string of the role that acts.
        dsn_file: File with it, relative to the config directory.
        verify_dsn_env: Environment variable with the connection string of a role that verifies and cannot write.
        verify_dsn_file: File with it.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    dsn_env: _Variable | None = None
    dsn_file: _File | None = None
    verify_dsn_env: _Variable | None = None
    verify_dsn_file: _File | None = None

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if (self.dsn_env is None) == (self.dsn_file is None):
            raise ValueError("give one of dsn_env and dsn_file: the connection string itself stands in neither")
        if self.verify_dsn_env is not None and self.verify_dsn_file is not None:
            raise ValueError("give one of verify_dsn_env and verify_dsn_file, or none")
        return self


class PostgresqlKind:
    """Stores of kind `postgresql`.

    Attributes:
        window_rows: How many rows one step of a scan examines.
    """

    kind = "postgresql"
    options: type[BaseModel] = PostgresqlOptions

    def __init__(self, window_rows: int = WINDOW_ROWS) -> None:
        self._window_rows = window_rows

    def open(self, store: Store, base: Path) -> PostgresqlStore:
        """Read the connection strings; connections are made when they are needed.

        Raises:
            ConnectorError: A variable is not set, or a file cannot be read.
        """
        options = PostgresqlOptions.model_validate(dict(store.options))
        dsn = _secret(options.dsn_env, options.dsn_file, store, base)
        verifier = _secret(options.verify_dsn_env, options.verify_dsn_file, store, base)
        if dsn is None:
            raise ConnectorError("no connection string is named", where=store.name, remedy="give `dsn_env`")
        return PostgresqlStore(dsn, verifier, store.name, self._window_rows)

    def takes(self, url: str) -> bool:
        """Tell whether a text is the URL of a database of PostgreSQL."""
        return visiting.is_url(url)

    def visit(self, url: str, given: Mapping[str, str]) -> Visit:
        """Look at a database's catalogue, in a transaction that cannot write.

        Raises:
            ConnectorError: It cannot be reached, or its catalogue cannot be read.
        """
        del given
        return visiting.visit(url)


def _secret(variable: str | None, file: str | None, store: Store, base: Path) -> str | None:
    if variable is not None:
        value = os.environ.get(variable, "")
        what, remedy = f"environment variable {variable} is not set", "set it to the connection string"
    elif file is not None:
        what, remedy = f"file {file} holds no connection string", "write it there, readable by retentiond only"
        try:
            value = (base / file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConnectorError(f"file {file} cannot be read", where=store.name, remedy=remedy) from error
    else:
        return None
    if not value.strip():
        raise ConnectorError(what, where=store.name, remedy=remedy)
    return value
