"""JSON in columns of type json, jsonb and text: one value by its path, and what it says; never an error.

In `json`, a name of the path that stands twice, and escapes that no text can hold (NUL, half a surrogate pair), make
the document unreadable; `jsonb` holds neither. A text is unreadable, too, if it is no JSON (PostgreSQL tells without an
error from 16 on), or nested or long beyond what the server reads without one. What is unreadable is carried as the JSON
word `false`, which is neither a time nor an owner.
"""

from __future__ import annotations

from retentiond.connectors.postgresql.catalog import Column, Family
from retentiond.connectors.postgresql.fields import Field, Kind, literal, read_number, read_text
from retentiond.domain.dataset import ClockFormat, ClockSource
from retentiond.domain.instant import UNITS_PER_SECOND
from retentiond.domain.jsonpath import JsonPath

WHOLE = "^(0|-?[1-9][0-9]*)$"
_NUMBER = "^-?[0-9]{1,30}([.][0-9]{1,30})?$"
_WHOLE_NUMBER = "^-?[0-9]{1,30}$"
_HALF = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
UNSTORABLE = rf"\\u0000|{_HALF}(?!\\u[dD][c-fC-F])|(?<!{_HALF})\\u[dD][c-fC-F]"

READS_TEXT = 160_000  # server_version_num of the first that knows IS JSON
_DEEPEST = 500  # the server's parser recurses, and the end of its stack is an error of the whole statement
_LONGEST_BYTES = 1 << 26  # regular expressions take four bytes for each character, of 1 GiB
_STRINGS = r'"(?:[^"\\]|\\.)*(?:"|\\?$)'


def may_hold_json(column: Column) -> bool:
    """Whether JSON can stand in a column; in text only if the server is not older than READS_TEXT."""
    return column.family in (Family.JSON, Family.TEXT)


def base_of(column: Column) -> str:
    """Return as which type a column's JSON is read: `json`, a text too, or `jsonb`."""
    return "jsonb" if column.base == "jsonb" else "json"


def value_sql(column: Column, path: JsonPath | None) -> str:
    """Return the value at a path, of the type that `base_of` says; NULL where there is none."""
    base = base_of(column)
    value = column.of
    if column.family is Family.TEXT:
        text = f"{column.of}::text"
        value = f"(CASE WHEN {is_json(text)} THEN {text}::json WHEN {column.of} IS NOT NULL THEN 'false'::json END)"
    if base == "json":
        value = f"(CASE WHEN {value}::text ~ {literal(UNSTORABLE)} THEN 'false'::json ELSE {value} END)"
    for step in path.steps if path else ():
        if isinstance(step, int):
            value = element(base, value, step)
        else:
            value = _member(value, step) if base == "json" else f"({value} -> {literal(step)}::text)"
    return value


def is_json(text: str) -> str:
    """Return whether a text can be read as JSON; NULL for none.

    Only one with so many brackets can be nested so deep, and only then is that counted.
    """
    brackets = "length(x.s) - length(translate(x.s, '[{', ''))"
    bare = f"regexp_replace(regexp_replace(x.s, {literal(_STRINGS)}, '', 'g'), '[^][{{}}]', '', 'g')"
    depth = (
        "(SELECT max(b.depth) FROM (SELECT sum(CASE WHEN a.c IN ('[', '{') THEN 1 ELSE -1 END) OVER (ORDER BY a.n) AS"
        f" depth FROM unnest(string_to_array({bare}, NULL)) WITH ORDINALITY AS a(c, n)) AS b)"
    )
    return (
        f"(SELECT CASE WHEN octet_length(x.s) > {_LONGEST_BYTES} THEN FALSE"
        f" WHEN {brackets} > {_DEEPEST} THEN CASE WHEN {depth} > {_DEEPEST} THEN FALSE ELSE x.s IS JSON END"
        f" ELSE x.s IS JSON END FROM (SELECT {text} AS s OFFSET 0) AS x)"
    )


def element(base: str, value: str, index: int) -> str:
    """Return an element of an array only: PostgreSQL takes a lone value for an array of one."""
    found = f"CASE WHEN {base}_typeof(v.x) = 'array' THEN v.x -> {index} END"
    return f"(SELECT {found} FROM (SELECT {value} AS x OFFSET 0) AS v)"


def _member(value: str, name: str) -> str:
    members = f"json_each(CASE WHEN json_typeof(v.x) = 'object' THEN v.x END) AS e WHERE e.key = {literal(name)}"
    found = "CASE count(*) WHEN 0 THEN NULL WHEN 1 THEN min(e.value::text)::json ELSE 'false'::json END"
    return (
        f"(SELECT CASE WHEN v.x::text = 'false' THEN v.x ELSE (SELECT {found} FROM {members}) END"
        f" FROM (SELECT {value} AS x OFFSET 0) AS v)"
    )


def said_sql(column: Column, path: JsonPath | None) -> str:
    """Return a subquery of one row: `kind`, as json_typeof says it, and the value as `said`, a text."""
    return (
        f"(SELECT {base_of(column)}_typeof(v.x) AS kind, (v.x #>> '{{}}') COLLATE \"C\" AS said"
        f" FROM (SELECT {value_sql(column, path)} AS x OFFSET 0) AS v OFFSET 0)"
    )


def clock_in_json(column: Column, clock: ClockSource) -> Field:
    """Return a clock inside JSON: text in its grammar, numbers in their unit."""
    units = UNITS_PER_SECOND.get(clock.format)
    arms = []
    if clock.format in (ClockFormat.AUTO, ClockFormat.TEXT, ClockFormat.DATE):
        arms.append(f"WHEN q.kind = 'string' THEN {read_text('q.said', clock).micros}")
    if units is not None:
        pattern = _NUMBER if units == 1 else _WHOLE_NUMBER
        number = read_number("(q.said::numeric)", units)
        arms.append(f"WHEN q.kind = 'number' AND q.said ~ {literal(pattern)} THEN {number}")
    return Field(
        Kind.MICROS, f"(SELECT CASE {' '.join(arms)} END FROM {said_sql(column, clock.json)} AS q)", costly=True
    )
