"""Tables as a store's catalogue describes them: names, types, keys and links, and never a value of any row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """Types that mean the same to whoever looks for data, whatever a database calls them."""

    TEXT = "text"
    JSON = "json"
    BYTES = "bytes"
    VECTOR = "vector"
    SEARCH = "search index"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    UUID = "uuid"
    ENUM = "enum"
    ADDRESS = "network address"
    TIME_WITH_ZONE = "time with zone"
    TIME = "time without zone"
    DATE = "date"
    LARGE_OBJECT = "large object"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """A column.

    Attributes:
        type: As the database calls it.
        size: The most characters that a value may have; None where nothing limits them, or it is no text.
        computed: Whether its value follows from other columns.
    """

    name: str
    type: str
    family: Family
    array: bool = False
    size: int | None = None
    not_null: bool = False
    computed: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key: columns here, and the table and columns there that they point at.

    Attributes:
        on_delete: What happens to rows here when the row there goes: `no action`, `restrict`, `cascade`, `set null` or
            `set default`.
    """

    columns: tuple[str, ...]
    schema: str
    table: str
    references: tuple[str, ...]
    on_delete: str = "no action"


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table, with all its partitions, or another thing that holds rows.

    Attributes:
        schema: Empty where the store has none.
        kind: `table`, `partitioned table`, `materialised view`, `foreign table` or `virtual table`.
        keys: Columns of each key that the database itself keeps unique, the primary key first.
        indexes: Columns that an index over all rows begins with, of each of them.
        rows: About how many rows the database's statistics say that there are; None where they say nothing.
    """

    schema: str
    name: str
    kind: str
    columns: tuple[ColumnShape, ...]
    keys: tuple[tuple[str, ...], ...] = ()
    links: tuple[Link, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    rows: int | None = None

    @property
    def title(self) -> str:
        """The table as findings and `ignore` call it."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def column(self, name: str) -> ColumnShape | None:
        """Return the column of exactly this name."""
        return next((column for column in self.columns if column.name == name), None)
