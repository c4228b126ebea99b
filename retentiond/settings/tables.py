"""Tables as operators name them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, WrapSerializer

from retentiond.settings.values import Column, Declared, Text


class TableName(Declared):
    """A table whose schema stands apart, for names that hold dots."""

    schema_name: Text = Field("", alias="schema")
    name: Text


def _table(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _as_written(value: TableName, plain: SerializerFunctionWrapHandler) -> Any:  # noqa: ANN401 -- JSON
    return plain(value) if value.schema_name else value.name


Table = Annotated[
    TableName, BeforeValidator(_table, json_schema_input_type=TableName | str), WrapSerializer(_as_written)
]


class ClearedModel(Declared):
    """A column of another table that the database empties when a row goes, as its foreign key says."""

    table: Table
    column: Column


class TriggerModel(Declared):
    """A trigger that may act on deletions: what it is, as `check` prints it, and the tables that it writes into."""

    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    writes: list[Table] = Field(default_factory=list)
