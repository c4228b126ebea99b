"""Owners of rows in SQL: several columns, JSON, arrays, other tables, as `retentiond.domain.owner` reads them.

Each place is a subquery of one row: the `names` found there, and whether that is all it says (`complete`). Together
they give two fields: all owners (ACCOUNT), or those that are known where not all are (NAMED), each an array or NULL.
Users (USER) are read from the same places; nobody is an empty array.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from retentiond.connectors.postgresql.catalog import Column, Family, Table
from retentiond.connectors.postgresql.fields import Field, Kind
from retentiond.connectors.postgresql.joining import equal_sql
from retentiond.connectors.postgresql.jsons import WHOLE, base_of, said_sql, value_sql
from retentiond.connectors.postgresql.names import quoted
from retentiond.domain.condition import ACCOUNT, NAMED, USER
from retentiond.domain.owner import OwnerSource, Step

OWNER_FAMILIES = frozenset((Family.TEXT, Family.INTEGER, Family.UUID, Family.ENUM))
_NOBODY = "'{}'::text[]"
_BLANK = "(q.kind IS NULL OR q.kind = 'null' OR (q.kind = 'string' AND q.said = ''))"
_OWNER = f"((q.kind = 'string' AND q.said <> '') OR (q.kind = 'number' AND q.said ~ '{WHOLE}'))"


def families_of(owner: OwnerSource) -> AbstractSet[Family]:
    """Return what an owner's column may be made of."""
    inside = {Family.JSON, Family.TEXT}
    return inside if owner.json else {*inside, Family.ARRAY} if owner.array else OWNER_FAMILIES


def owner_fields(
    owners: Sequence[OwnerSource], table: Table, partners: Sequence[Sequence[Table]]
) -> Mapping[str, Field]:
    """Return the fields ACCOUNT and NAMED of owners that are not one plain column.

    Args:
        partners: For each owner in another table the tables on the way to it, none for the others.
    """
    together = _together(owners, table, partners)
    known = "cardinality(o.names) > 0"
    return {
        ACCOUNT: _field(f"(SELECT CASE WHEN {known} AND o.complete THEN o.names END {together})"),
        NAMED: _field(f"(SELECT CASE WHEN {known} AND NOT o.complete THEN o.names END {together})"),
    }


def user_fields(users: Sequence[OwnerSource], table: Table, partners: Sequence[Sequence[Table]]) -> Mapping[str, Field]:
    """Return the field USER."""
    together = _together(users, table, partners)
    return {USER: _field(f"(SELECT CASE WHEN o.complete THEN o.names END {together})")}


def _together(owners: Sequence[OwnerSource], table: Table, partners: Sequence[Sequence[Table]]) -> str:
    places = [_place(owner, table, partner) for owner, partner in zip(owners, partners, strict=True)]
    rows = ", ".join(f"({place}) AS s{number}" for number, place in enumerate(places))
    names = " || ".join(f"s{number}.names" for number in range(len(places)))
    complete = " AND ".join(f"s{number}.complete" for number in range(len(places)))
    return f"FROM (SELECT {names} AS names, {complete} AS complete FROM {rows} OFFSET 0) AS o"


def _field(sql: str) -> Field:
    return Field(Kind.TEXTS, sql, costly=True)


def _place(owner: OwnerSource, table: Table, partners: Sequence[Table]) -> str:
    if owner.via is None:
        return _here(owner, table, owner.column)
    return _elsewhere(owner, owner.via.take, table, list(zip(owner.via.steps, partners, strict=True)))


def _here(owner: OwnerSource, table: Table, name: str) -> str:
    optional = "TRUE" if owner.optional else "FALSE"
    column = _column(table, name)
    if column.family is Family.JSON or (column.family is Family.TEXT and (owner.json or owner.array)):
        return _json_array(column, owner, optional) if owner.array else _json(column, owner, optional)
    if owner.array:
        return _array(column, optional)
    said = f'{column.of}::text COLLATE "C"'
    return (
        f"SELECT CASE WHEN q.said <> '' THEN ARRAY[q.said] ELSE {_NOBODY} END AS names,"
        f" CASE WHEN q.said <> '' THEN TRUE ELSE {optional} END AS complete FROM (SELECT {said} AS said OFFSET 0) AS q"
    )


def _column(table: Table, name: str) -> Column:
    return next(column for column in table.columns if column.name == name)


def _json(column: Column, owner: OwnerSource, optional: str) -> str:
    return (
        f"SELECT CASE WHEN {_OWNER} THEN ARRAY[q.said] ELSE {_NOBODY} END AS names,"
        f" CASE WHEN {_BLANK} THEN {optional} ELSE coalesce({_OWNER}, FALSE) END AS complete"
        f" FROM {said_sql(column, owner.json)} AS q"
    )


def _json_array(column: Column, owner: OwnerSource, optional: str) -> str:
    base, value = base_of(column), value_sql(column, owner.json)
    elements = (
        f"(SELECT {base}_typeof(e.x) AS kind, (e.x #>> '{{}}') COLLATE \"C\" AS said FROM {base}_array_elements("
        f"CASE WHEN q.kind = 'array' THEN v.x END) AS e(x))"
    )
    return (
        f"SELECT coalesce(n.names, {_NOBODY}) AS names, CASE WHEN {_BLANK} THEN {optional} WHEN q.kind <> 'array' THEN"
        f" FALSE WHEN n.count = 0 THEN {optional} ELSE n.sound END AS complete"
        f" FROM (SELECT {value} AS x OFFSET 0) AS v"
        f" CROSS JOIN LATERAL (SELECT {base}_typeof(v.x) AS kind, v.x #>> '{{}}' AS said) AS q"
        f" CROSS JOIN LATERAL (SELECT array_agg(i.said) FILTER (WHERE {_inner()}) AS names, count(*) AS count,"
        f" bool_and(coalesce({_inner()}, FALSE)) AS sound FROM {elements} AS i) AS n"
    )


def _inner() -> str:
    return _OWNER.replace("q.", "i.")


def _array(column: Column, optional: str) -> str:
    return (
        f"SELECT coalesce(array_agg(i.said) FILTER (WHERE i.said <> ''), {_NOBODY}) AS names,"
        f" CASE count(*) WHEN 0 THEN {optional} ELSE bool_and(coalesce(i.said <> '', FALSE)) END AS complete"
        f' FROM unnest({column.of}::text[] COLLATE "C") AS i(said)'
    )


def _elsewhere(owner: OwnerSource, take: str, table: Table, steps: Sequence[tuple[Step, Table]]) -> str:
    """Look at another table: a missing partner, and partners that disagree, are unreadable; a blank one is nobody.

    Inside, the partner is the row `t`, so that it is read as the record's own row would be.
    """
    if not steps:
        return _here(owner, table, take)
    (step, partner), *rest = steps
    blank = " OR ".join(f"t.{quoted(mine)} IS NULL" for mine, _ in step.on)
    joined = " AND ".join(same(_column(partner, theirs), "p", _column(table, mine), "t") for mine, theirs in step.on)
    agree = "count(DISTINCT s.names) = 1 AND count(DISTINCT s.complete) = 1"
    found = (
        f"(SELECT {agree} AS agree, min(s.names) AS names, bool_and(s.complete) AS complete"
        f" FROM (SELECT p.* FROM {partner.only} AS p WHERE {joined}) AS t"
        f" CROSS JOIN LATERAL ({_elsewhere(owner, take, partner, rest)}) AS s)"
    )
    return (
        f"SELECT CASE WHEN q.agree THEN q.names ELSE {_NOBODY} END AS names,"
        f" CASE WHEN {blank} THEN {'TRUE' if owner.optional else 'FALSE'} ELSE q.agree AND q.complete END AS complete"
        f" FROM {found} AS q"
    )


def same(one: Column, of_one: str, other: Column, of_other: str) -> str:
    """Return the condition that columns of two rows have an equal value, byte for byte; an index can find it."""
    left, right = f"{of_one}.{quoted(one.name)}", f"{of_other}.{quoted(other.name)}"
    if one.family is not other.family:
        return equal_sql(one, left, other, right)
    if one.plain and other.plain:
        return f"{left} = {right}"
    return f'{left}::text = {right}::text AND {left}::text COLLATE "C" = {right}::text COLLATE "C"'
