"""What a column looks like, by its name, its type and the shape of its table: a fixed list, and never a value.

Whoever may not look at data can still say where some of it must be. The rules are data (`looks_rules`), documented in
docs/coverage.md; what they find is a guess, which a person confirms by naming the column in the data map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from retentiond.domain.looks_rules import CARRIERS, CONFIDENCES, RECORDS, RULES, SETTINGS, Confidence, Kind, LookRule
from retentiond.domain.tableshape import ColumnShape, Family, TableShape
from retentiond.domain.words import words_of

SHORT_TEXT = 64
"""Text of at most so many characters holds no prompt and no answer."""

_UNNAMED = tuple(rule for rule in RULES if not rule.names)
_BY_LAST_WORD = {
    last: [(phrase, rule) for rule in RULES for phrase in rule.names if phrase[-1] == last]
    for last in {phrase[-1] for rule in RULES for phrase in rule.names}
}


@dataclass(frozen=True, slots=True)
class Look:
    """What one column looks like.

    Attributes:
        type: As the database calls it.
        confidence: Of the strongest rule.
        rules: The ids of the rules that say so, the strongest first.
    """

    column: str
    type: str
    kind: Kind
    confidence: Confidence
    rules: tuple[str, ...]


def looks_of(table: TableShape) -> tuple[Look, ...]:
    """Return what the columns of a table look like: one entry for each column and kind, in the table's order."""
    words = frozenset(words_of(table.name))
    by_name = {column.name: _matching(column, words, beside=False) for column in table.columns}
    if _holds_requests(words, (rule for rules in by_name.values() for rule in rules)):
        for column in table.columns:
            by_name[column.name] += _matching(column, words, beside=True)
    return tuple(look for column in table.columns for look in _looks(column, by_name[column.name]))


def _holds_requests(table: frozenset[str], found: Iterable[LookRule]) -> bool:
    """Tell whether a table's rows look like requests: by its name, or by a column that surely is content."""
    if table & SETTINGS:
        return False
    surely = any(rule.kind is Kind.CONTENT and rule.confidence is Confidence.SURE for rule in found)
    return surely or bool(table & RECORDS)


def _matching(column: ColumnShape, table: frozenset[str], *, beside: bool) -> list[LookRule]:
    named = dict.fromkeys([*_UNNAMED, *_named(words_of(column.name))])
    return [rule for rule in named if rule.beside is beside and _fits(rule, column, table)]


def _named(words: tuple[str, ...]) -> Iterator[LookRule]:
    """Yield the rules of which a phrase ends a name, but for words that carry it."""
    for end in range(len(words), 0, -1):
        for phrase, rule in _BY_LAST_WORD.get(words[end - 1], ()):
            before = words[: max(0, end - len(phrase))]
            if words[len(before) : end] == phrase and not (rule.unless.intersection(before) or (rule.whole and before)):
                yield rule
        if words[end - 1] not in CARRIERS:
            return


def _fits(rule: LookRule, column: ColumnShape, table: frozenset[str]) -> bool:
    """Tell whether a column's type and its table are such that a rule speaks of them."""
    if column.family not in rule.families or (rule.tables and not rule.tables & table):
        return False
    is_short = column.family is Family.TEXT and column.size is not None and column.size <= SHORT_TEXT
    return rule.short or not is_short


def _looks(column: ColumnShape, rules: Sequence[LookRule]) -> Iterator[Look]:
    for kind in Kind:
        mine = sorted((rule for rule in rules if rule.kind is kind), key=_by_strength)
        if mine:
            yield Look(column.name, column.type, kind, mine[0].confidence, tuple(rule.id for rule in mine))


def _by_strength(rule: LookRule) -> tuple[int, str]:
    return CONFIDENCES.index(rule.confidence), rule.id
