"""Names: as SQL has them, and as the data map writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

DEFAULT_SCHEMA = "public"
_QUOTED = r'"((?:[^"]|"")+)"'
_PART = re.compile(rf'{_QUOTED}|([^".]+)')


def quoted(name: str) -> str:
    """Return an identifier as it stands in a statement that has parameters."""
    return shown(name).replace("%", "%%")


def shown(name: str) -> str:
    """Return an identifier as a person types it in SQL."""
    return '"' + name.replace('"', '""') + '"'


def table_candidates(written: str) -> Sequence[tuple[str, str]]:
    """Return what the data map may mean by a table: pairs of schema and name.

    A name stands there exactly as the database has it: `api_requests` in schema public, or `schema.table`. Where dots
    are parts of names, each reading is tried; double quotes, as in SQL, leave only one: `"my.schema"."my.table"`.
    """
    pairs = [(DEFAULT_SCHEMA, written)]
    pairs += [(written[:at], written[at + 1 :]) for at, sign in enumerate(written) if sign == "."]
    parts = _unquoted(written)
    if parts is not None:
        pairs.append(parts)
    return [pair for pair in dict.fromkeys(pairs) if all(pair)]


def _unquoted(written: str) -> tuple[str, str] | None:
    """Return the parts of a name that is written with double quotes; None where it is not."""
    if '"' not in written:
        return None
    parts: list[str] = []
    rest = written
    while rest:
        match = _PART.match(rest)
        if match is None or len(parts) > 1:
            return None
        parts.append(match[1].replace('""', '"') if match[1] else match[2])
        rest = rest[match.end() :]
        if rest and not rest.startswith("."):
            return None
        rest = rest[1:]
    return (DEFAULT_SCHEMA, parts[0]) if len(parts) == 1 else (parts[0], parts[1])
