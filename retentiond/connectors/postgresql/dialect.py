"""The SQL reading of conditions on rows of a PostgreSQL table, typed as strictly as the Python reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from retentiond.connectors.postgresql.bulk import array_text
from retentiond.connectors.postgresql.fields import LARGEST, NOTHING, SMALLEST, Field, Kind
from retentiond.domain.condition import Literal, Operator
from retentiond.domain.content import Change
from retentiond.domain.instant import FIRST_SECOND, LAST_SECOND, MICROSECONDS
from retentiond.domain.record import Value, moment

UNKNOWN = "NULL::boolean"
Bind = Callable[[Value], str]


def stands(change: Change) -> str:
    """Return the field that says whether what a change would remove stands in a row."""
    return f"stands:{change!r}"


class Parameters:
    """The parameters of one statement, by name."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def bind(self, value: object) -> str:
        """Take a value and return its placeholder."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"%({name})s"


class PostgresqlDialect:
    """Comparisons with the fields of a table."""

    def __init__(self, fields: Mapping[str, Field], parameters: Parameters) -> None:
        self._fields = fields
        self._parameters = parameters

    def _field(self, name: str) -> Field:
        return self._fields.get(name, NOTHING)

    def compare(self, field: str, operator: Operator, literal: Literal, bind: Bind) -> str:
        """Return an expression that is true, false or NULL."""
        if isinstance(literal, str) and operator is not Operator.EQUAL:
            message = f"{field} {operator} {literal!r}: order is for integers and times, not for text"
            raise TypeError(message)
        found = self._field(field)
        if found.kind is Kind.TEXTS:
            return _one_of_many(found, literal, bind)
        if isinstance(literal, bool):
            return _truth(found, operator, literal, bind)
        if isinstance(literal, str):
            return _equal_text(found, literal, bind)
        if found.kind is Kind.TIME and FIRST_SECOND <= literal // MICROSECONDS <= LAST_SECOND:
            return f"({found.sql} {operator.value} {bind(moment(literal).isoformat())}::timestamptz)"
        if found.kind in (Kind.TIME, Kind.MICROS, Kind.INTEGER):
            return f"({found.micros} {operator.value} {_number(literal, bind)})"
        return UNKNOWN

    def any_of(self, field: str, literals: Sequence[Literal], bind: Bind) -> str:
        """Return an expression that is true, false or NULL."""
        found = self._field(field)
        sample = literals[0] if literals else ""
        if found.kind is Kind.TEXTS:
            return self._some_of_many(found, literals)
        if isinstance(sample, bool):
            parts = [_truth(found, Operator.EQUAL, bool(each), bind) for each in dict.fromkeys(literals)]
            return f"({' OR '.join(parts)})"
        if isinstance(sample, str):
            if found.kind is not Kind.TEXT:
                return UNKNOWN
            texts = [str(each) for each in dict.fromkeys(literals) if is_storable(str(each))]
            return _among(found.sql, f"{self._parameters.bind(array_text(texts))}::text[]")
        if found.kind not in (Kind.TIME, Kind.MICROS, Kind.INTEGER):
            return UNKNOWN
        numbers = [int(each) for each in dict.fromkeys(literals) if SMALLEST <= int(each) <= LARGEST]
        return _among(found.micros, f"{self._parameters.bind(array_text(numbers))}::int8[]")

    def _some_of_many(self, found: Field, literals: Sequence[Literal]) -> str:
        texts = [each for each in dict.fromkeys(literals) if isinstance(each, str)]
        if literals and not texts:
            return UNKNOWN
        storable = array_text(each for each in texts if is_storable(each))
        return f"({found.sql} && {self._parameters.bind(storable)}::text[])"

    def stands(self, change: Change) -> str:
        """Return an expression that is true, false or NULL."""
        return self._field(stands(change)).sql

    def missing(self, field: str) -> str:
        """Return an expression that is true or false."""
        return f"({self._field(field).sql} IS NULL)"


def is_storable(text: str) -> bool:
    """Whether a column of text can hold it: PostgreSQL has no NUL, and UTF-8 no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _equal_text(found: Field, literal: str, bind: Bind) -> str:
    if found.kind is not Kind.TEXT:
        return UNKNOWN
    if not is_storable(literal):
        return f"(CASE WHEN {found.sql} IS NOT NULL THEN FALSE END)"
    return f"({found.sql} = {bind(literal)}::text)"


def _one_of_many(found: Field, literal: Literal, bind: Bind) -> str:
    if not isinstance(literal, str):
        return UNKNOWN
    if not is_storable(literal):
        return f"(CASE WHEN {found.sql} IS NOT NULL THEN FALSE END)"
    return f"({bind(literal)}::text = ANY({found.sql}))"


def _among(expression: str, array: str) -> str:
    """Return whether a value is one of an array's; PostgreSQL calls NULL no member of an empty array."""
    return f"(CASE WHEN {expression} IS NOT NULL THEN {expression} = ANY({array}) END)"


def _number(literal: int, bind: Bind) -> str:
    return f"{bind(literal)}::int8" if SMALLEST <= literal <= LARGEST else f"'{literal}'::numeric"


def _truth(found: Field, operator: Operator, literal: bool, bind: Bind) -> str:  # noqa: FBT001 -- a literal of a rule
    """Compare with a truth value; 0 and 1 read as truth values, other numbers as nothing."""
    if found.kind is Kind.TEXT:
        return UNKNOWN
    number = f"{found.sql}::int4" if found.kind is Kind.BOOLEAN else found.micros
    return f"(CASE WHEN {number} IN (0, 1) THEN {number} {operator.value} {bind(int(literal))}::int4 END)"
