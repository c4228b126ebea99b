"""Which rows of a table are a dataset's, as SQL: a condition that is true or false of each row, never NULL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retentiond.connectors.postgresql.catalog import Family, Table
from retentiond.connectors.postgresql.fields import literal
from retentiond.connectors.postgresql.names import quoted
from retentiond.domain.part import Only, Part, Word

_TYPES: dict[type, frozenset[Family]] = {
    str: frozenset((Family.TEXT, Family.UUID, Family.ENUM)),
    int: frozenset((Family.INTEGER,)),
    bool: frozenset((Family.BOOLEAN,)),
}


def part_problems(where: Part, table: Table) -> Iterator[tuple[str, str]]:
    """Yield what keeps a part from being told by a table's columns, with the remedy."""
    for only in where:
        column = table.column(only.column)
        kinds = {type(each) for each in only.values if each is not None}
        if column is not None and any(column.family not in _TYPES[kind] for kind in kinds):
            what = f"`where` compares column {column.name!r} of type {column.type} with a value of another type"
            yield what, "write text for text, whole numbers for integers, true and false for booleans"


def part_sql(where: Part, table: Table, alias: str) -> str:
    """Return the condition that a row is in a part; the columns must be there and of the values' types."""
    return " AND ".join(_said(only, table, alias) for only in where) or "TRUE"


def leftover_sql(parts: Sequence[Part], table: Table) -> str:
    """Return a query that says whether a table has a row in none of these parts."""
    taken = " OR ".join(f"({part_sql(each, table, 't')})" for each in parts)
    return f"SELECT EXISTS (SELECT FROM {table.only} AS t WHERE NOT ({taken}))"


def _said(only: Only, table: Table, alias: str) -> str:
    column = next(each for each in table.columns if each.name == only.column)
    found = f"{alias}.{quoted(column.name)}"
    if column.family in _TYPES[str]:
        found = f'{found}::text COLLATE "C"'
    values = [_written(each) for each in only.values if each is not None]
    among = f"coalesce({found} IN ({', '.join(values)}), FALSE)" if values else "FALSE"
    said = f"({among} OR {found} IS NULL)" if None in only.values else among
    return f"NOT {said}" if only.others else said


def _written(value: Word) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return f"'{value}'::numeric" if isinstance(value, int) else f"{literal(str(value))}::text"
