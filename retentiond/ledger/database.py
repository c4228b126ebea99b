"""Where a ledger in PostgreSQL stands."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_SCHEMA = "retentiond"


@dataclass(frozen=True, slots=True)
class Database:
    """A database of PostgreSQL, and the schema in it that is the ledger's own.

    Attributes:
        dsn: As libpq takes it, a URI or `key=value` pairs. It may hold a password, so it is never shown.
    """

    dsn: str = field(repr=False)
    schema: str = DEFAULT_SCHEMA
