"""Values of two tables that mean the same though one column holds text and the other integers or uuid.

Tables that different programs made are often so. What is no number, or no uuid, equals none. Each
condition can be found by an index on the first of the two columns, and fails for nothing that a row holds.
"""

from __future__ import annotations

from retentiond.connectors.postgresql.catalog import Column, Family

_LARGEST = 2**63 - 1
_WRITTEN = frozenset((Family.INTEGER, Family.UUID))
_INTEGER = "^(0|-?[1-9][0-9]{0,17}|[1-9][0-9]{18})$"
_UUID = "^([0-9a-f]{32}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12})$"


def joins(one: Family, other: Family) -> bool:
    """Whether values of two families can be compared: they are of one type, or text stands for the other."""
    if one is other:
        return True
    return (one is Family.TEXT and other in _WRITTEN) or (other is Family.TEXT and one in _WRITTEN)


def equal_sql(one: Column, of_one: str, other: Column, of_other: str) -> str:
    """Return the condition that two columns of different families have one value.

    Args:
        of_one: The first as it stands in SQL, without a cast; likewise the other.
    """
    if one.family is Family.TEXT:
        return f"{of_one} IN ({', '.join(_spellings(other, of_other))})"
    text = f'{of_other}::text COLLATE "C"'
    if one.family is Family.UUID:
        return f"{of_one} = (CASE WHEN {text} ~* '{_UUID}' THEN {of_other}::text::uuid END)"
    sound = f"{text} ~ '{_INTEGER}' AND (length({text}) < 19 OR left({text}, 1) = '-' OR {text} <= '{_LARGEST}')"
    return f"{of_one} = (CASE WHEN {sound} THEN {of_other}::text::int8 END)"


def _spellings(column: Column, of: str) -> list[str]:
    """Return the ways in which programs write a value as text."""
    if column.family is not Family.UUID:
        return [f"{of}::text"]
    plain, bare = f"{of}::text", f"replace({of}::text, '-', '')"
    return [plain, f"upper({plain})", bare, f"upper({bare})"]
