"""A public schema as tables of a database, without a line of anybody's SQL: from its facts."""

from __future__ import annotations

from tests.coverage.schemas import Application

POSTGRESQL = {"float": "float8", "integer": "int4", "bigint": "int8", "enum": "text", "vector": "float4[]"}
SQLITE = {"timestamp": "DATETIME", "json": "JSON", "jsonb": "JSON", "bytea": "BLOB"}


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def ddl(app: Application) -> str:
    """Return statements that make an application's tables, with their keys."""
    types = SQLITE if app.source["kind"] == "sqlite" else POSTGRESQL
    made = []
    for table in app.tables:
        lines = [f"{quoted(each.name)} {_type(each.type, types)}" for each in table.columns]
        lines += [f"PRIMARY KEY ({', '.join(map(quoted, key))})" for key in table.keys]
        made.append(f"CREATE TABLE {quoted(table.name)} ({', '.join(lines)});")
    return "\n".join(made)


def _type(name: str, types: dict[str, str]) -> str:
    base = name.removesuffix("[]")
    return types.get(base, base) + ("[]" if name.endswith("[]") else "")
