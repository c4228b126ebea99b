"""Conditions on records: one value with a Python reading and a SQL reading, held equal by a property test.

Both readings are three-valued (Kleene): a comparison with a value that is missing, unreadable or of another type than
the literal is *unknown*, and unknown is never taken for true or for false. `Missing` and `Unknown` turn that into a
two-valued answer, so that what cannot be told is selected on purpose and by name.

A record may have several owners. `ACCOUNT` equals a literal where one of them does, and is missing where not all of
them can be told; `NAMED` are the ones that could be read of those, and is missing everywhere else. `USER` are the
accounts' users whose data it is: nobody, somebody or several, and missing where they cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from retentiond.domain.content import Change
from retentiond.domain.record import Record, Value

ACCOUNT = "account"
NAMED = "named"
USER = "user"
CLOCK = "clock"
TOMBSTONED = "tombstoned"
ATTRIBUTE = "attribute:"

Literal: TypeAlias = bool | int | str
Truth: TypeAlias = bool | None
Reading: TypeAlias = Callable[[Record], Truth]


class Operator(StrEnum):
    """Comparisons between a field and a literal; order is for integers and times only."""

    EQUAL = "="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


@dataclass(frozen=True, slots=True)
class Always:
    """A constant."""

    value: bool


@dataclass(frozen=True, slots=True)
class Compare:
    """A field against a literal; unknown when the field's value is missing or of another type."""

    field: str
    operator: Operator
    literal: Literal


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A field against a set of literals of one type; unknown when the field's value is missing or of another type."""

    field: str
    literals: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """Whether the field has no readable value; never unknown."""

    field: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Whether the inner condition is unknown; never unknown itself."""

    inner: Condition


@dataclass(frozen=True, slots=True)
class Stands:
    """Whether a record holds something that a change would remove; unknown where any of its targets can't be read."""

    change: Change


@dataclass(frozen=True, slots=True)
class Not:
    """Negation; unknown stays unknown."""

    inner: Condition


@dataclass(frozen=True, slots=True)
class And:
    """Conjunction: false if any part is false, else unknown if any is unknown."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Disjunction: true if any part is true, else unknown if any is unknown."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = Always | Compare | AnyOf | Missing | Unknown | Stands | Not | And | Or
ALWAYS = Always(value=True)


def attribute(name: str) -> str:
    """Return the field that stands for an attribute of the data map."""
    return ATTRIBUTE + name


def fields(condition: Condition) -> frozenset[str]:
    """Return the fields that a condition reads."""
    match condition:
        case Compare(field) | AnyOf(field) | Missing(field):
            return frozenset((field,))
        case Unknown(inner) | Not(inner):
            return fields(inner)
        case And(parts) | Or(parts):
            return frozenset().union(*(fields(part) for part in parts))
        case Always() | Stands():
            return frozenset()


def changes(condition: Condition) -> frozenset[Change]:
    """Return the changes that a condition asks about."""
    match condition:
        case Stands(change):
            return frozenset((change,))
        case Unknown(inner) | Not(inner):
            return changes(inner)
        case And(parts) | Or(parts):
            return frozenset().union(*(changes(part) for part in parts))
        case _:
            return frozenset()


# --- the Python reading ------------------------------------------------------------------------------------------


def python_reading(condition: Condition) -> Reading:
    """Return a function that tells of a record whether the condition is true, false or (None) unknown."""
    match condition:
        case Always(value):
            return lambda _record: value
        case Compare(field, operator, literal):
            return _read_compare(field, operator, literal)
        case AnyOf(field, literals):
            return _read_any_of(field, literals)
        case Missing(field):
            return _read_missing(field)
        case Stands(change):
            return lambda record: record.ties.contents.get(change)
        case Unknown(inner):
            read = python_reading(inner)
            return lambda record: read(record) is None
        case Not(inner):
            read = python_reading(inner)
            return lambda record: _negate(read(record))
        case And(parts) | Or(parts):
            return _read_parts(parts, decisive=isinstance(condition, Or))


_OWNERS: dict[str, Callable[[Record], tuple[str, ...]]] = {
    ACCOUNT: lambda record: record.accounts,
    NAMED: lambda record: record.ties.named,
}
_SETS = frozenset((ACCOUNT, NAMED, USER))


def _value_of(field: str) -> Callable[[Record], Value]:
    if field in _OWNERS:
        owners = _OWNERS[field]
        return lambda record: next(iter(owners(record)), None)
    if field == USER:
        return lambda record: None if record.ties.users is None else next(iter(record.ties.users), "")
    if field == CLOCK:
        return lambda record: record.clock
    if field == TOMBSTONED:
        return lambda record: record.tombstoned
    name = field.removeprefix(ATTRIBUTE)
    return lambda record: record.attributes.get(name)


def _read_missing(field: str) -> Reading:
    value = _value_of(field)
    return lambda record: value(record) is None


def _comparable(value: Value, literal: Literal) -> Value:
    """Return the value in the literal's type, or None when it has another; 0 and 1 read as truth values."""
    if isinstance(literal, bool):
        return bool(value) if isinstance(value, int) and value in (0, 1) else None
    if isinstance(literal, int):
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    return value if isinstance(value, str) else None


_COMPARISONS: dict[Operator, Callable[[int, int], bool]] = {
    Operator.LESS: lambda left, right: left < right,
    Operator.LESS_OR_EQUAL: lambda left, right: left <= right,
    Operator.GREATER: lambda left, right: left > right,
    Operator.GREATER_OR_EQUAL: lambda left, right: left >= right,
}


def _read_owners(field: str, literals: tuple[Literal, ...]) -> Reading:
    """Read whether one of several owners is among the literals; owners are text, so other literals are unknown."""
    wanted = frozenset(literals)
    textual = not literals or isinstance(literals[0], str)
    if field == USER:  # of which a record may have none
        return lambda record: (
            None if record.ties.users is None or not textual else not wanted.isdisjoint(record.ties.users)
        )
    owners = _OWNERS[field]

    def read(record: Record) -> Truth:
        found = owners(record)
        return not wanted.isdisjoint(found) if found and textual else None

    return read


def _read_compare(field: str, operator: Operator, literal: Literal) -> Reading:
    if field in _SETS and operator is Operator.EQUAL:
        return _read_owners(field, (literal,))
    value = _value_of(field)

    def equal(record: Record) -> Truth:
        found = _comparable(value(record), literal)
        return None if found is None else found == literal

    if operator is Operator.EQUAL:
        return equal
    if isinstance(literal, str):
        message = f"{field} {operator} {literal!r}: order is for integers and times, not for text"
        raise TypeError(message)
    compare = _COMPARISONS[operator]

    def ordered(record: Record) -> Truth:
        found = _comparable(value(record), literal)
        return compare(found, literal) if isinstance(found, int) else None

    return ordered


def _read_any_of(field: str, literals: tuple[Literal, ...]) -> Reading:
    if field in _SETS:
        return _read_owners(field, literals)
    value = _value_of(field)
    wanted = frozenset(literals)
    sample = literals[0] if literals else ""

    def read(record: Record) -> Truth:
        found = _comparable(value(record), sample)
        return None if found is None else found in wanted

    return read


def _negate(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _read_parts(parts: tuple[Condition, ...], *, decisive: bool) -> Reading:
    reads = tuple(python_reading(part) for part in parts)

    def read(record: Record) -> Truth:
        answer: Truth = not decisive
        for part in reads:
            truth = part(record)
            if truth is decisive:
                return decisive
            if truth is None:
                answer = None
        return answer

    return read


# --- the SQL reading ---------------------------------------------------------------------------------------------


class SqlDialect(Protocol):
    """How one database and one table express comparisons; each must be NULL exactly where Python says unknown."""

    def compare(self, field: str, operator: Operator, literal: Literal, bind: Callable[[Value], str]) -> str:
        """Return an expression that is true, false or NULL; `bind` takes a value and returns its placeholder."""
        ...

    def any_of(self, field: str, literals: Sequence[Literal], bind: Callable[[Value], str]) -> str:
        """Return an expression that is true, false or NULL."""
        ...

    def missing(self, field: str) -> str:
        """Return an expression that is true or false."""
        ...

    def stands(self, change: Change) -> str:
        """Return an expression that is true, false or NULL."""
        ...


def sql_reading(condition: Condition, dialect: SqlDialect, bind: Callable[[Value], str]) -> str:
    """Return the condition as an SQL expression, its parameters handed to `bind` from left to right."""
    match condition:
        case Always(value):
            return "TRUE" if value else "FALSE"
        case Compare(field, operator, literal):
            return dialect.compare(field, operator, literal, bind)
        case AnyOf(field, literals):
            return dialect.any_of(field, literals, bind)
        case Missing(field):
            return dialect.missing(field)
        case Stands(change):
            return dialect.stands(change)
        case Unknown(inner):
            return f"(({sql_reading(inner, dialect, bind)}) IS NULL)"
        case Not(inner):
            return f"(NOT {sql_reading(inner, dialect, bind)})"
        case And(parts) | Or(parts):
            joint, empty = (" AND ", "TRUE") if isinstance(condition, And) else (" OR ", "FALSE")
            return _sql_parts(parts, joint, empty, dialect, bind)


def _sql_parts(
    parts: tuple[Condition, ...], joint: str, empty: str, dialect: SqlDialect, bind: Callable[[Value], str]
) -> str:
    if not parts:
        return empty
    return "(" + joint.join(sql_reading(part, dialect, bind) for part in parts) + ")"
