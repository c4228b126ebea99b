"""Which rows of a table are a dataset's, where the table holds those of several: told apart by what a column says.

Such tables hold comments, versions or files of anything, and a column names what of. A row is in the part for sure or
not at all: NULL is a value like others here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Word: TypeAlias = bool | int | str | None


@dataclass(frozen=True, slots=True)
class Only:
    """What a column of the rows says.

    Attributes:
        values: What it may say, of one type; None for NULL.
        others: Whether it may say everything but these.
    """

    column: str
    values: tuple[Word, ...]
    others: bool = False


Part: TypeAlias = tuple[Only, ...]
"""All of these hold; an empty one is the whole table."""


def apart(one: Part, other: Part) -> bool:
    """Return whether no row can be in both: a column that both ask about says different things."""
    return any(_apart(left, right) for left in one for right in other if left.column == right.column)


def _apart(left: Only, right: Only) -> bool:
    if left.others and right.others:
        return False
    if left.others:
        return _said(right.values) <= _said(left.values)
    if right.others:
        return _said(left.values) <= _said(right.values)
    return _said(left.values).isdisjoint(_said(right.values))


def _said(values: Sequence[Word]) -> frozenset[tuple[str, Word]]:
    """Return values so that 1 and true are told apart."""
    return frozenset((type(each).__name__, each) for each in values)
