"""A database of an application, and a role that may connect and nothing else: it can read the catalogue, and no row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from retentiond.connectors.postgresql.store import PostgresqlStore
from retentiond.domain.tableshape import TableShape
from tests.servers.postgres import Server


@dataclass
class Made:
    """The database as its role sees it."""

    server: Server
    name: str
    store: PostgresqlStore

    def tables(self) -> dict[str, TableShape]:
        return {table.title: table for table in self.store.tables()}


Maker: TypeAlias = Callable[[str], Made]


@contextmanager
def made(server: Server, script: str) -> Iterator[Made]:
    with server.database() as name:
        with server.connect(name) as connection:
            connection.execute(script.encode())
        store = PostgresqlStore(server.dsn(name, server.role()), None, "app")
        try:
            yield Made(server, name, store)
        finally:
            store.close()
