"""The one predicate: rows of a table judged inside PostgreSQL by the cases of a decision.

`Judge.verdict` is an expression of row `t` that gives the index of the case that wins; the same stands in the statement
that counts and hands out, in the one that removes, and in the one that verifies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from typing import Any

from retentiond.connectors.postgresql import bulk, kin
from retentiond.connectors.postgresql.bulk import Bulk
from retentiond.connectors.postgresql.catalog import Column, Family
from retentiond.connectors.postgresql.content import stands_sql
from retentiond.connectors.postgresql.dialect import UNKNOWN, Parameters, PostgresqlDialect, stands
from retentiond.connectors.postgresql.fields import NOTHING, Field, Kind
from retentiond.connectors.postgresql.layout import Source
from retentiond.connectors.postgresql.names import quoted
from retentiond.connectors.postgresql.session import Transaction
from retentiond.domain.condition import ACCOUNT, ATTRIBUTE, CLOCK, NAMED, TOMBSTONED, USER, fields
from retentiond.domain.content import Change
from retentiond.domain.decision import Cases
from retentiond.domain.record import NO_ATTRIBUTES, UNTIED, Key, Record, Ties, Value
from retentiond.domain.records import Records, Same, columns_of
from retentiond.ports.stores import UNNAMEABLE, Tally

ELSEWHERE = -3
"""In place of a case: a row of the table that is another dataset's, or nobody's."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said of one row.

    Attributes:
        case: The index of the case that won.
        hidden: Whether it bears a readable tombstone.
        blocked: Whether children keep it.
        stands: Whether what a change would remove stands in it; None where that can't be read, or nobody asked.
    """

    case: int
    hidden: bool
    blocked: bool = False
    stands: bool | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """How the rows of a batch of keys are found, and how a row tells which key it has.

    A list of single values is looked up in one pass through the index, which takes half as long as a join with the
    list; rows then come back with their value instead of their place in the list.

    Attributes:
        using: A table of the keys beside the table itself; empty for a list of single values.
        place: An expression of the row: its place in the batch, from 1, or its key.
        column: The key's column where `place` is the key.
        keys: The keys, in the order of the batch.
    """

    using: str
    where: str
    place: str
    column: Column | None
    keys: Sequence[Key]

    def numbers(self, places: Iterable[Any]) -> list[int]:
        """Return rows' places in the batch, from 0; rows are given by their place or key."""
        if self.column is None:
            return [place - 1 for place in places]
        known = dict(zip(map(itemgetter(0), self.keys), range(len(self.keys)), strict=True))
        return [known[place] for place in places]

    def together(self, name: str) -> Bulk:
        """Return how the places of many rows come back."""
        return bulk.key_part(self.column, name) if self.column else bulk.integers(name)


class Judge:
    """Judges the rows of one table.

    Args:
        cases: The decision; None to look at rows without judging them, under case 0.
        change: What is asked about besides: whether something stands in a row that it would remove.
    """

    def __init__(self, source: Source, cases: Cases | None, change: Change | None = None) -> None:
        self.source = source
        self.parameters = Parameters()
        self._cases = cases
        asked = dict.fromkeys(cases.changes() if cases else ())
        inside = {stands(each): Field(Kind.BOOLEAN, stands_sql(source, each), costly=True) for each in asked}
        self._stands = stands_sql(source, change) if change else UNKNOWN
        self._fields = {**_asked(source.fields, cases), **inside}
        self._names = {field: f"f{number}" for number, field in enumerate(self._fields)}
        self._unread = self._unread_tombstone()
        self.verdict = self._verdict_of_mine if source.part else self._verdict()

    # --- the verdict ---

    def _unread_tombstone(self) -> str:
        """Return whether row `t` is doubtful because its tombstone is no time, where anything depends on it."""
        hidden = self.source.tombstone
        asked = self._cases is None or any(TOMBSTONED in fields(case.when) for case in self._cases.cases)
        if hidden is None or not asked:
            return "FALSE"
        return f"({hidden.of} IS NOT NULL AND {self.source.fields[TOMBSTONED].sql} IS NULL)"

    def _verdict(self) -> str:
        if not any(field.costly for field in self._fields.values()):
            return self._case(self._fields, self._unread)
        # What is costly is read once for a row; OFFSET keeps PostgreSQL from repeating it in each comparison.
        return f"(SELECT {self._case(self._aliased('x'), 'x.unread')} FROM (SELECT {self._read_once()} OFFSET 0) AS x)"

    def _read_once(self) -> str:
        columns = [f"{field.sql} AS {self._names[name]}" for name, field in self._fields.items()]
        return ", ".join((*columns, f"{self._unread} AS unread"))

    def _aliased(self, table: str) -> dict[str, Field]:
        return {name: Field(field.kind, f"{table}.{self._names[name]}") for name, field in self._fields.items()}

    def _case(self, known: Mapping[str, Field], unread: str) -> str:
        case = "0"
        if self._cases is not None:
            case = self._cases.sql(PostgresqlDialect(known, self.parameters), self.parameters.bind)
        return f"(CASE WHEN {unread} THEN {UNNAMEABLE} ELSE {case} END)"

    @property
    def _verdict_of_mine(self) -> str:
        """The verdict on a row `t` that may be another dataset's: one of those has changed, and is no longer ours."""
        return f"(CASE WHEN {self.source.part} THEN {self._verdict()} ELSE {ELSEWHERE} END)"

    @property
    def hidden(self) -> str:
        """An expression that is true where row `t` bears a readable tombstone."""
        return f"({self.source.fields.get(TOMBSTONED, NOTHING).sql} IS NOT NULL)"

    # --- rows of a batch ---

    def locate(self, keys: Sequence[Key]) -> Located:
        """Return how rows of exactly these keys are found."""
        column = self.source.key[0]
        if len(self.source.key) == 1 and column.plain and column.family is not Family.NUMERIC:  # 1.0 is 1.00
            array = f"{self.parameters.bind(bulk.array_text(map(itemgetter(0), keys)))}::{bulk.array_type(column)}[]"
            return Located("", f"{column.of} = ANY({array})", bulk.key_sql(column), column, keys)
        return Located(self.batch(keys), self.matches(), "b.n::int8", None, keys)

    def batch(self, keys: Sequence[Key]) -> str:
        """Return exactly these keys as a table `b`: `k0` … and the place `n`, from 1."""
        parts = []
        for number, column in enumerate(self.source.key):
            text = bulk.array_text(key[number] for key in keys)
            parts.append(f"{self.parameters.bind(text)}::{bulk.array_type(column)}[]")
        names = ", ".join(f"k{number}" for number in range(len(parts)))
        return f"unnest({', '.join(parts)}) WITH ORDINALITY AS b({names}, n)"

    def matches(self) -> str:
        """Return the condition that row `t` is the one of a key of `b`: the same bytes, not only equal."""
        return " AND ".join(_same(column, f"b.k{number}") for number, column in enumerate(self.source.key))

    def judge(self, tx: Transaction, keys: Sequence[Key], blocked: str = "FALSE") -> dict[int, Judged]:
        """Judge the rows of keys; return judgements by place in the list, none for a key that no row has.

        Args:
            blocked: The condition that children keep a row `t`.
        """
        if not keys:
            return {}
        located = self.locate(keys)
        using = f", {located.using}" if located.using else ""
        rows = tx.rows(
            f"SELECT {located.place}, {self.verdict}::int4, {self.hidden}, ({blocked}), {self._stands}"
            f" FROM {self.source.table.only} AS t{using} WHERE {located.where}",
            self.parameters.values,
        )
        if not rows:  # as mostly after the act
            return {}
        numbers = located.numbers(place for place, *_ in rows)
        return {number: Judged(*said) for number, (_, *said) in zip(numbers, rows, strict=True)}

    def values(self, tx: Transaction, keys: Sequence[Key], columns: str) -> list[tuple[int, Sequence[object]]]:
        """Return columns of the rows of keys, each with its place in the list."""
        located = self.locate(keys)
        using = f", {located.using}" if located.using else ""
        rows = tx.rows(
            f"SELECT {located.place}, {columns} FROM {self.source.table.only} AS t{using} WHERE {located.where}",
            self.parameters.values,
        )
        numbers = located.numbers(place for place, *_ in rows)
        return [(number, row[1:]) for number, row in zip(numbers, rows, strict=True)]

    # --- rows handed out ---

    def examine(
        self, tx: Transaction, rows: str, wanted: Sequence[int]
    ) -> tuple[list[tuple[int, Records]], dict[int, Tally]]:
        """Judge rows; return those that are wanted, case by case, and the count of all by case.

        Args:
            rows: What stands behind FROM, with the table's rows as `t`.
        """
        extra, bulks = self._extra(), self._bulks()
        inner = ", ".join((self._read_once(), *(f"{sql} AS {name}" for name, sql in extra.items())))
        verdict = self._case(self._aliased("f"), "f.unread")
        chosen = f"FILTER (WHERE g.c = ANY({self.parameters.bind(list(wanted))}::int4[]))"
        aggregates = ", ".join(f"{each.aggregate} {chosen}" for each in bulks.values())
        clock = Field(self.source.fields[CLOCK].kind, f"min(g.{self._names[CLOCK]})").micros
        answer = tx.rows(
            f"SELECT g.c::int4, count(*), {clock}, {aggregates}"
            f" FROM (SELECT {verdict} AS c, f.* FROM (SELECT {inner} FROM {rows}{self.source.mine} OFFSET 0) AS f"
            f" OFFSET 0) AS g"
            f" GROUP BY g.c ORDER BY g.c",
            self.parameters.values,
        )
        found: list[tuple[int, Records]] = []
        tallies: dict[int, Tally] = {}
        for case, count, oldest, *raw in answer:
            tallies[case] = Tally(count, 0, oldest)
            if case in wanted:
                lists = {name: each.decode(some) for (name, each), some in zip(bulks.items(), raw, strict=True)}
                found.append((case, self._records(lists)))
                tallies[case] = Tally(count, sum(lists["size"]), oldest)
        return found, tallies

    def count(self, tx: Transaction, rows: str) -> dict[int, Tally]:
        """Judge rows and only count them, by case; what stands behind FROM is given as to `examine`."""
        clock = self.source.fields[CLOCK]
        oldest = Field(clock.kind, f"min({clock.sql})").micros
        answer = tx.rows(
            f"SELECT {self.verdict}::int4 AS c, count(*), {oldest} FROM {rows} GROUP BY 1", self.parameters.values
        )
        return {case: Tally(count, 0, first) for case, count, first in answer}

    def _extra(self) -> dict[str, str]:
        """Return what is handed out besides fields: name and expression of row `t`."""
        source = self.source
        extra = {f"k{number}": bulk.key_sql(column) for number, column in enumerate(source.key)}
        extra["size"] = f"({source.table.size})::int8"
        blob = source.table.column(source.dataset.blobs.column) if source.dataset.blobs else None
        return {**extra, **({"blob": f"{blob.of}::text"} if blob else {}), **dict(kin.linked(source))}

    def _bulks(self) -> dict[str, Bulk]:
        """Return how each value of a record comes back."""
        source, names = self.source, self._names
        bulks = {f"k{number}": bulk.key_part(column, f"g.k{number}") for number, column in enumerate(source.key)}
        bulks["size"] = bulk.integers("g.size")
        if source.dataset.blobs:
            bulks["blob"] = bulk.values("g.blob")
        for name, field in self._fields.items():
            if name in (CLOCK, TOMBSTONED):
                bulks[name] = bulk.times(field, f"g.{names[name]}")
            elif field.kind is Kind.TEXTS:
                bulks[name] = bulk.lists(f"g.{names[name]}")
            else:
                bulks[name] = bulk.values(f"g.{names[name]}")
        return bulks | dict(kin.bulks(source))

    def _records(self, lists: Mapping[str, Sequence[Any]]) -> Records:
        source, size = self.source, len(lists["size"])
        if {NAMED, USER} & self._fields.keys() or source.dataset.parents or source.relations.children:
            return columns_of(list(self._tied(lists)))
        account, clock, hidden = (lists.get(name) or Same(None, size) for name in (ACCOUNT, CLOCK, TOMBSTONED))
        return Records(
            key=tuple(lists[f"k{number}"] for number in range(len(source.key))),
            version=Same(b"", size),
            account=account,
            clock=clock,
            size_bytes=lists["size"],
            place=Same(source.place, size),
            tombstoned=hidden,
            blobs=[(each,) if each else () for each in lists["blob"]] if lists.get("blob") else Same((), size),
            attributes={name: lists[ATTRIBUTE + name] for name in source.dataset.attributes},
            ties=Same(UNTIED, size),
        )

    def _tied(self, lists: Mapping[str, Sequence[Any]]) -> Iterator[Record]:
        """Yield records with what a plain column does not say: several owners, and the rows they are linked to."""
        source = self.source
        attributes = self._attributes(lists)
        none: list[Any] = [None] * len(lists["size"])
        for row, known in zip(range(len(none)), attributes):  # noqa: B905 -- attributes may never end
            owners = (lists.get(ACCOUNT) or none)[row]
            several = tuple(dict.fromkeys(owners)) if isinstance(owners, list) else (owners,)
            named = tuple(dict.fromkeys((lists.get(NAMED) or none)[row] or ()))
            links, standing = kin.links(source, lists, row), kin.standing(source, lists, row)
            users = (lists.get(USER) or none)[row]
            ties = Ties(several[1:], named, links, standing, None if users is None else tuple(dict.fromkeys(users)))
            key = tuple(lists[f"k{number}"][row] for number in range(len(source.key)))
            clock, hidden, blob = ((lists.get(name) or none)[row] for name in (CLOCK, TOMBSTONED, "blob"))
            blobs = (blob,) if blob else ()
            yield Record(key, b"", several[0], clock, lists["size"][row], source.place, hidden, blobs, known, ties)

    def _attributes(self, lists: Mapping[str, Sequence[Any]]) -> Iterator[Mapping[str, Value]]:
        names = list(self.source.dataset.attributes)
        if not names:
            return repeat(NO_ATTRIBUTES)
        columns = (lists[ATTRIBUTE + name] for name in names)
        return (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))


def _asked(known: Mapping[str, Field], cases: Cases | None) -> Mapping[str, Field]:
    """Return the fields that a decision needs: whose users' data a row is costs something, and few ask."""
    if cases is None or any(USER in fields(case.when) for case in cases.cases):
        return known
    return {name: field for name, field in known.items() if name != USER}


def _same(column: Column, part: str) -> str:
    """Return the condition that a column of row `t` is exactly a part of a key of `b`; its index can find it."""
    if column.plain:
        return f"{column.of} = {part}"
    equal = f"{column.of} = {part}"
    if column.is_citext:
        schema = quoted(column.schema)
        equal = f"{column.of} OPERATOR({schema}.=) {part}::{column.type}"
    return f'{equal} AND {column.of}::text COLLATE "C" = {part}'
