"""The SQL reading of conditions on rows of a SQLite table, typed as strictly as the Python reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from retentiond.connectors.sqlite.database import Database, quoted
from retentiond.connectors.sqlite.layout import Source
from retentiond.connectors.sqlite.owning import OwnersInSql, same
from retentiond.connectors.sqlite.schema import Table
from retentiond.domain.condition import ACCOUNT, ATTRIBUTE, CLOCK, NAMED, TOMBSTONED, USER, Literal, Operator
from retentiond.domain.content import Change
from retentiond.domain.dataset import ClockFormat, ClockSource
from retentiond.domain.instant import FIRST_SECOND, LAST_SECOND, MICROSECONDS, UNITS_PER_SECOND
from retentiond.domain.record import Value

MOST_BOUND = 500
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_NUMBERS_ONLY = frozenset(UNITS_PER_SECOND) - {ClockFormat.AUTO}


class Parameters:
    """The parameters of one statement, by name; lists too long to be bound one by one stand in temporary tables."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.lists: dict[str, tuple[Literal, ...]] = {}

    def bind(self, value: Value) -> str:
        """Take a value and return its placeholder."""
        if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
            return "1e19" if value > 0 else "-1e19"  # beyond every integer of SQLite, so it compares alike
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def bind_list(self, literals: Sequence[Literal], bind: Callable[[Value], str]) -> str:
        """Take literals and return what stands in the brackets of IN."""
        if len(literals) <= MOST_BOUND:
            return ", ".join(bind(literal) for literal in literals)
        name = f"list_{len(self.lists)}"
        self.lists[name] = tuple(literals)
        return f"SELECT literal FROM temp.{name}"

    def provide(self, db: Database) -> None:
        """Fill the temporary tables that the statement reads."""
        for name, literals in self.lists.items():
            within = [each for each in literals if isinstance(each, str) or _SMALLEST <= each <= _LARGEST]
            db.fill(name, ("number", "literal"), ())
            for start in range(0, len(within), MOST_BOUND):
                some = {f"p{number}": each for number, each in enumerate(within[start : start + MOST_BOUND])}
                db.run(f"INSERT INTO temp.{name} (literal) VALUES {', '.join(f'(:{each})' for each in some)}", some)


class SqliteDialect:
    """Comparisons with the columns `account`, `clock`, `tombstoned` and `v0`, `v1` … that `Judge` puts side by side.

    Those hold an integer, a text or NULL, and have no affinity and no collation of their own, so `=` compares values
    of one type and byte for byte.
    """

    def __init__(
        self,
        attributes: Mapping[str, str],
        parameters: Parameters,
        changes: Mapping[Change, str],
        *,
        plain_owner: bool,
        users: bool = False,
    ) -> None:
        owners = OwnersInSql(parameters.bind_list)
        self._lists = {} if plain_owner else {ACCOUNT: owners, NAMED: owners}
        self._lists |= {USER: OwnersInSql(parameters.bind_list, "users")} if users else {}
        self._columns = {ACCOUNT: "account", CLOCK: "clock", TOMBSTONED: "tombstoned"}
        self._columns |= {ATTRIBUTE + name: column for name, column in attributes.items()}
        self._parameters = parameters
        self._changes = changes

    def compare(self, field: str, operator: Operator, literal: Literal, bind: Callable[[Value], str]) -> str:
        """Return an expression that is true, false or NULL."""
        if isinstance(literal, str) and operator is not Operator.EQUAL:
            message = f"{field} {operator} {literal!r}: order is for integers and times, not for text"
            raise TypeError(message)
        if field in self._lists:
            return self._lists[field].compare(field, operator, literal, bind)
        column = self._columns.get(field, "NULL")
        return _if_typed(column, literal, f"{column} {operator.value} {bind(literal)}")

    def any_of(self, field: str, literals: Sequence[Literal], bind: Callable[[Value], str]) -> str:
        """Return an expression that is true, false or NULL."""
        if field in self._lists:
            return self._lists[field].any_of(field, literals, bind)
        column = self._columns.get(field)
        if column is None:  # a long list need not be handed over for nothing
            return "NULL"
        listed = self._parameters.bind_list(literals, bind)
        return _if_typed(column, literals[0] if literals else "", f"{column} IN ({listed})" if literals else "FALSE")

    def stands(self, change: Change) -> str:
        """Return an expression that is true, false or NULL."""
        return self._changes[change]

    def missing(self, field: str) -> str:
        """Return an expression that is true or false."""
        if field in self._lists:
            return self._lists[field].missing(field)
        return f"({self._columns.get(field, 'NULL')} IS NULL)"


def _if_typed(column: str, literal: Literal, expression: str) -> str:
    if isinstance(literal, bool):
        return f"(CASE WHEN {column} IN (0, 1) THEN {expression} END)"
    kind = "integer" if isinstance(literal, int) else "text"
    return f"(CASE WHEN typeof({column}) = '{kind}' THEN {expression} END)"


# --- columns of a table, read as fields ---------------------------------------------------------------------------


def clock_sql(db: Database, column: str, clock: ClockSource) -> str:
    """Return an expression for microseconds since the epoch, NULL where the column's value is not readable as a time.

    Args:
        column: The column as it stands in SQL.
    """
    if clock.json:
        return f"CASE typeof({column}) WHEN 'text' THEN {db.understand(clock)}(CAST({column} AS BLOB)) END"
    arms = []
    units = UNITS_PER_SECOND.get(clock.format)
    if units is not None:
        arms.append(f"WHEN 'integer' THEN {_whole(column, units)}")
    if units == 1:
        within = f"{column} >= {FIRST_SECOND} AND {column} < {LAST_SECOND + 1}"
        arms.append(f"WHEN 'real' THEN CASE WHEN {within} THEN CAST({column} * {MICROSECONDS} AS INTEGER) END")
    if clock.format not in _NUMBERS_ONLY:
        arms.append(f"WHEN 'text' THEN {db.understand(clock)}(CAST({column} AS BLOB))")
    return f"CASE typeof({column}) {' '.join(arms)} END"


def clock_elsewhere(db: Database, clock: ClockSource, table: Table) -> str:
    """Return the clock that stands in another table; NULL where no row is there, and where rows disagree."""
    via = clock.via
    if via is None:
        return "NULL"
    read = clock_sql(db, f"p.{quoted(via.take)}", clock)
    return (
        f"(SELECT CASE WHEN COUNT(x) = COUNT(*) AND MIN(x) = MAX(x) THEN MIN(x) END FROM"
        f" (SELECT {read} AS x FROM {table.sql} AS p WHERE {same('p', 't', via.on)}))"
    )


def _whole(column: str, units: int) -> str:
    micros = f"{column} * {MICROSECONDS // units}" if units <= MICROSECONDS else f"{column} / {units // MICROSECONDS}"
    lowest = max(FIRST_SECOND * units, _SMALLEST)
    highest = min((LAST_SECOND + 1) * units - 1, _LARGEST)
    return f"CASE WHEN {column} BETWEEN {lowest} AND {highest} THEN {micros} END"


def account_sql(column: str) -> str:
    """Return an expression for the owner as text: text as it is, an integer in decimals, NULL for all else."""
    filled = f"CASE WHEN CAST({column} AS BLOB) <> x'' THEN {column} END"
    return f"CASE typeof({column}) WHEN 'text' THEN {filled} WHEN 'integer' THEN CAST({column} AS TEXT) END"


def attribute_sql(column: str) -> str:
    """Return an expression for an attribute: integers and text as they are, NULL for all else."""
    return f"CASE WHEN typeof({column}) IN ('integer', 'text') THEN {column} END"


def nameable_sql(source: Source) -> str:
    """Return an expression that is true where the row's key, and the object it names, can be written in a receipt."""
    parts = [f"typeof(t.{quoted(name)}) IN ('integer', 'text', 'blob')" for name in source.dataset.key]
    if source.dataset.blobs:
        parts.append(f"typeof(t.{quoted(source.dataset.blobs.column)}) IN ('text', 'null')")
    return " AND ".join(parts)
