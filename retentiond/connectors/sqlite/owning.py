"""Owners of rows, and their users, in SQL: one plain column, or whatever else is declared, read by a function of ours.

Owners that are not one plain column stand in the column `owners` of what `Judge` puts side by side, as a letter and a
JSON array of their UTF-8 in hexadecimals: `A` where these are all owners, `N` where others could not be read. Names of
any kind compare byte for byte so, and nothing in them can end one name or begin another. Users stand likewise in the
column `users`, as `A` or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from retentiond.connectors.sqlite.database import Database, quoted
from retentiond.connectors.sqlite.schema import Table
from retentiond.domain.condition import ACCOUNT, NAMED, USER, Literal, Operator
from retentiond.domain.owner import UNREADABLE, OwnerSource, Step, Via, read_owners, read_users
from retentiond.domain.record import Value

_LETTERS = {ACCOUNT: "A", NAMED: "N", USER: "A"}


def owners_sql(db: Database, owners: Sequence[OwnerSource], partners: Sequence[Sequence[Table]]) -> str:
    """Return an expression for the owners of row `t`, NULL where none could be read.

    Args:
        partners: For each owner in another table the tables on the way to it, none for the others.
    """
    return _call(_understand(db, tuple(owners)), owners, partners)


def users_sql(db: Database, users: Sequence[OwnerSource], partners: Sequence[Sequence[Table]]) -> str:
    """Return an expression for the users of row `t`, NULL where they cannot be told; arguments as for owners."""
    return _call(_understand_users(db, tuple(users)), users, partners)


def _call(function: str, sources: Sequence[OwnerSource], partners: Sequence[Sequence[Table]]) -> str:
    arguments = [argument for each in zip(sources, partners, strict=True) for argument in _arguments(*each)]
    return f"{function}({', '.join(arguments)})"


def _arguments(source: OwnerSource, partners: Sequence[Table]) -> tuple[str, str]:
    """Return the type of a value and its bytes; a missing partner, and partners that disagree, are unreadable."""
    if source.via is None:
        column = f"t.{quoted(source.column)}"
        return f"typeof({column})", f"CAST({column} AS BLOB)"
    return "'via'", _elsewhere("t", source.via, list(zip(source.via.steps, partners, strict=True)))


def _elsewhere(row: str, via: Via, steps: Sequence[tuple[Step, Table]]) -> str:
    """Return an expression for what a row finds by steps: a type and the hexadecimals of a value.

    It is `null:` where a column that it would look with is blank, and `lost:` where no row is there, or rows that
    disagree.
    """
    if not steps:
        taken = f"{row}.{quoted(via.take)}"
        return f"typeof({taken}) || ':' || hex(CAST({taken} AS BLOB))"
    (step, table), *rest = steps
    partner = f"p{len(rest)}"
    blank = " OR ".join(f"{row}.{quoted(mine)} IS NULL" for mine, _ in step.on)
    return (
        f"CASE WHEN {blank} THEN 'null:' ELSE (SELECT CASE WHEN MIN(v) = MAX(v) THEN MIN(v) ELSE 'lost:' END FROM"
        f" (SELECT {_elsewhere(partner, via, rest)} AS v FROM {table.sql} AS {partner}"
        f" WHERE {same(partner, row, step.on)})) END"
    )


def same(other: str, own: str, on: Sequence[tuple[str, str]]) -> str:
    """Return the condition that two rows have equal values; the first comparison can use an index.

    They are of one type, or one is a whole number and the other its decimals as text. The plus takes its column's
    affinity from a value, so that it is read as the indexed column would hold it.
    """
    pairs = ((f"{other}.{quoted(theirs)}", f"{own}.{quoted(mine)}") for mine, theirs in on)
    return " AND ".join(
        f"{theirs} = +{mine} AND CASE WHEN typeof({theirs}) = typeof({mine}) THEN {theirs} = {mine} COLLATE BINARY"
        f" ELSE typeof({theirs}) || typeof({mine}) IN ('integertext', 'textinteger')"
        f" AND CAST({theirs} AS TEXT) = CAST({mine} AS TEXT) COLLATE BINARY END"
        for theirs, mine in pairs
    )


def _understand(db: Database, owners: tuple[OwnerSource, ...]) -> str:
    def read(*arguments: object) -> str | None:
        values = [_value(kind, raw, db.encoding) for kind, raw in zip(arguments[::2], arguments[1::2], strict=True)]
        found = read_owners(values, owners)
        names = found.all or found.named
        letter = _LETTERS[ACCOUNT if found.all else NAMED]
        return letter + json.dumps([hexed(name) for name in names]) if names else None

    return db.teach(owners, 2 * len(owners), read)


def _understand_users(db: Database, users: tuple[OwnerSource, ...]) -> str:
    def read(*arguments: object) -> str | None:
        values = [_value(kind, raw, db.encoding) for kind, raw in zip(arguments[::2], arguments[1::2], strict=True)]
        found = read_users(values, users)
        return None if found is None else _LETTERS[USER] + json.dumps([hexed(name) for name in found])

    return db.teach((USER, users), 2 * len(users), read)


def _value(kind: object, raw: object, encoding: str) -> object:
    if kind == "null":
        return None
    if kind == "via":
        if not isinstance(raw, str):
            return UNREADABLE
        kind, _, digits = raw.partition(":")
        raw = bytes.fromhex(digits)
        return None if kind == "null" else _value(kind, raw, encoding)
    if kind not in ("text", "integer") or not isinstance(raw, bytes):
        return UNREADABLE
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return UNREADABLE
    return int(text) if kind == "integer" else text


def hexed(owner: str) -> str:
    """Return an owner as it stands in the column `owners`."""
    return owner.encode("utf-8", "surrogatepass").hex()


def named_in(field: str, owners: object) -> tuple[str, ...]:
    """Return the owners that a value of the column `owners` says, all of them or the named ones."""
    if not isinstance(owners, str) or owners[0] != _LETTERS[field]:
        return ()
    return tuple(bytes.fromhex(each).decode() for each in json.loads(owners[1:]))


class OwnersInSql:
    """Comparisons with the column `owners`, or `users`."""

    def __init__(
        self, bind_list: Callable[[Sequence[Literal], Callable[[Value], str]], str], column: str = "owners"
    ) -> None:
        self._bind_list = bind_list
        self._column = column

    def compare(self, field: str, operator: Operator, literal: Literal, bind: Callable[[Value], str]) -> str:
        """Return an expression that is true, false or NULL."""
        if operator is not Operator.EQUAL or not isinstance(literal, str):
            return "NULL"
        return self._known(field, f"instr({self._column}, {bind(chr(34) + hexed(literal) + chr(34))}) > 0")

    def any_of(self, field: str, literals: Sequence[Literal], bind: Callable[[Value], str]) -> str:
        """Return an expression that is true, false or NULL."""
        if not literals:
            return self._known(field, "FALSE")
        texts = [hexed(each) for each in literals if isinstance(each, str)]
        if len(texts) < len(literals):
            return "NULL"
        listed = self._bind_list(texts, bind)
        each = f"json_each(substr({self._column}, 2)) AS o"
        return self._known(field, f"EXISTS (SELECT 1 FROM {each} WHERE o.value IN ({listed}))")

    def missing(self, field: str) -> str:
        """Return an expression that is true or false."""
        return f"(coalesce(substr({self._column}, 1, 1), '') <> '{_LETTERS[field]}')"

    def _known(self, field: str, expression: str) -> str:
        return f"(CASE WHEN substr({self._column}, 1, 1) = '{_LETTERS[field]}' THEN {expression} END)"
