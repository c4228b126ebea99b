"""Which column of a table is its clock: the guess, and what has to be asked before it counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from retentiond.domain.draft import Guess, Said
from retentiond.domain.drafting_rules import BEGINNINGS, CREATED, OTHER_TIMES, TIME_WORDS, UNITS
from retentiond.domain.looks_rules import Confidence
from retentiond.domain.tableshape import ColumnShape, Family, TableShape
from retentiond.domain.words import words_of

_TIMES = (Family.TIME_WITH_ZONE, Family.TIME, Family.DATE)
_NUMBERS = (Family.INTEGER, Family.NUMBER)
_SOME_TIME, _OTHER_TIME = 100, 200
_NARROW = ("int4", "integer", "int", "serial")


@dataclass(frozen=True, slots=True)
class _Candidate:
    rank: int
    column: ColumnShape

    @property
    def is_creation(self) -> bool:
        return words_of(self.column.name) in CREATED


def clock_of(table: TableShape) -> Guess | None:
    """Return the guess at a table's clock; None where no column looks like a time."""
    # Of names that say as much, the column whose type is a time comes first.
    found = sorted(_candidates(table), key=lambda each: (each.rank, each.column.family not in _TIMES))
    if not found:
        return None
    best = found[0]
    rivals = [each for each in found[1:] if each.is_creation or not best.is_creation]
    others = tuple(each.column.name for each in found[1:])
    value, doubt = _reading(best.column)
    named = best.is_creation and not rivals
    questions = [] if named else [f"is {best.column.name!r} when a record's retention period starts?"]
    questions += [doubt] if doubt else []
    confidence = (
        Confidence.SURE if not questions else Confidence.LIKELY if best.rank < _SOME_TIME else Confidence.POSSIBLE
    )
    return Guess("clock", value, confidence, " ".join(questions), others)


def _candidates(table: TableShape) -> Iterator[_Candidate]:
    for column in table.columns:
        words = words_of(column.name)
        if column.array or not _may_be_time(column, words):
            continue
        if words in BEGINNINGS:
            yield _Candidate(BEGINNINGS.index(words), column)
        elif OTHER_TIMES.intersection(words):
            yield _Candidate(_OTHER_TIME, column)
        else:
            last_two = next((BEGINNINGS.index(each) for each in BEGINNINGS if words[-len(each) :] == each), None)
            yield _Candidate(_SOME_TIME if last_two is None else last_two + len(BEGINNINGS), column)


def _may_be_time(column: ColumnShape, words: tuple[str, ...]) -> bool:
    if column.family in _TIMES:
        return True
    is_named = bool(words) and (words in BEGINNINGS or words[-1] in TIME_WORDS or words[-1] in UNITS)
    unlike = {"duration", "latency", "timeout", "elapsed", "took", "count", "limit", "interval", "zone", "first"}
    return column.family in (*_NUMBERS, Family.TEXT, Family.OTHER) and is_named and not unlike.intersection(words)


def _reading(column: ColumnShape) -> tuple[Said, str]:
    """Return how a column is read as a clock, and what is to be asked of it."""
    name = column.name
    if column.family is Family.TIME_WITH_ZONE:
        return {"column": name}, ""
    if column.family is Family.TIME:
        return {
            "column": name,
            "zone": "UTC",
        }, f"{name!r} names no time zone: in which one does the application write it?"
    if column.family is Family.DATE:
        return {"column": name, "zone": "UTC"}, f"{name!r} is a day: in which time zone does it end?"
    if column.family in _NUMBERS:
        unit = _unit(column)
        return {"column": name, "format": unit}, f"{name!r} is a number: in which unit does it count ({unit})?"
    return {"column": name}, f"{name!r} is text: is it always ISO 8601, with a time zone?"


def _unit(column: ColumnShape) -> str:
    said = next((UNITS[word] for word in reversed(words_of(column.name)) if word in UNITS), None)
    if said:
        return said
    return "unix-seconds" if column.type.lower() in _NARROW or column.family is Family.NUMBER else "unix-milliseconds"
