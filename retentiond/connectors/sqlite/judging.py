"""The one predicate: rows of a table judged inside SQLite by the cases of a decision.

The judgements stand in the temporary table `judged` (`n`, the winning case `c`, the row's address `a0` …, its clock,
tombstone and owner), made in the same transaction that counts, hands out, changes or verifies the rows. A clock is read
once for each row: SQLite would repeat the expression for every comparison, which the materialised query keeps it from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from retentiond.connectors.sqlite.content import stands_sql
from retentiond.connectors.sqlite.database import Database, quoted
from retentiond.connectors.sqlite.dialect import (
    Parameters,
    SqliteDialect,
    account_sql,
    attribute_sql,
    clock_elsewhere,
    clock_sql,
    nameable_sql,
)
from retentiond.connectors.sqlite.kin import is_left_sql, links_of, links_sql, standing_of, standing_sql
from retentiond.connectors.sqlite.layout import Source
from retentiond.connectors.sqlite.owning import named_in, owners_sql, users_sql
from retentiond.connectors.sqlite.parting import part_sql
from retentiond.domain.condition import ACCOUNT, NAMED, TOMBSTONED, USER, fields
from retentiond.domain.content import Change
from retentiond.domain.dataset import ClockSource
from retentiond.domain.decision import Cases
from retentiond.domain.record import NO_ATTRIBUTES, Key, Record, Ties
from retentiond.errors import ConnectorError
from retentiond.ports.stores import UNNAMEABLE, Found, Tally

BLOCKED = -2
ELSEWHERE = -3
"""In place of a case: a row of the table that is another dataset's, or nobody's."""
TOMBSTONE_CLOCK = ClockSource()


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said of one row.

    Attributes:
        case: The index of the case that won.
        hidden: Whether it bears a readable tombstone.
        stands: Whether what a change would remove stands in it; None where that can't be read, or nobody asked.
    """

    case: int
    hidden: bool
    stands: bool | None = None


def load_batch(db: Database, parts_of_key: int, keys: Iterable[Key]) -> None:
    """Put the keys that `Judge.judge_batch` looks for into the connection's temporary table."""
    parts = [f"k{index}" for index in range(parts_of_key)]
    db.fill("batch", ("n", *parts), ((number, *key) for number, key in enumerate(keys)))


class Judge:
    """Judges the rows of one table on one connection.

    Args:
        cases: The decision; None to look at rows without judging them.
        change: What is asked about besides: whether something stands in a row that it would remove.
        users: Whether records say whose users' data they are, though the decision does not ask.
    """

    def __init__(
        self, db: Database, source: Source, cases: Cases | None, change: Change | None = None, *, users: bool = False
    ) -> None:
        self._db = db
        self._source = source
        self._parameters = Parameters()
        self._is_plain = not source.dataset.owners or bool(source.dataset.plain_owner)
        wanted = users or any(USER in fields(case.when) for case in (cases.cases if cases else ()))
        self._users = wanted and bool(source.dataset.users)
        self._address = [f"a{index}" for index in range(len(source.table.address))]
        self._attributes = {name: f"v{index}" for index, name in enumerate(source.dataset.attributes)}
        asked = dict.fromkeys((*(cases.changes() if cases else ()), *((change,) if change else ())))
        self._changes = {each: f"s{index}" for index, each in enumerate(asked)}
        self._stands = self._changes[change] if change else "NULL"
        self._selected = ", ".join((*self._addresses(), *self._fields(cases)))
        dialect = SqliteDialect(
            self._attributes, self._parameters, self._changes, plain_owner=self._is_plain, users=self._users
        )
        self._case = cases.sql(dialect, self._parameters.bind) if cases else "0"
        self._parameters.provide(db)
        self._empty()

    def _addresses(self) -> Iterator[str]:
        return (f"t.{name} AS {alias}" for name, alias in zip(self._source.table.address, self._address, strict=True))

    def _fields(self, cases: Cases | None) -> Iterator[str]:
        dataset, tombstone = self._source.dataset, self._source.tombstone
        sound = nameable_sql(self._source)
        hidden_since = "NULL"
        if tombstone:
            hidden_since = clock_sql(self._db, f"t.{quoted(tombstone)}", TOMBSTONE_CLOCK)
            if cases is None or any(TOMBSTONED in fields(case.when) for case in cases.cases):
                sound += f" AND (t.{quoted(tombstone)} IS NULL OR {hidden_since} IS NOT NULL)"
        yield f"{part_sql(dataset.where, 't')} AS mine"
        yield f"{sound} AS sound"
        yield f"{hidden_since} AS tombstoned"
        yield f"{self._clock()} AS clock"
        yield f"{self._owner()} AS {'account' if self._is_plain else 'owners'}"
        users = users_sql(self._db, dataset.users, self._source.relations.users) if self._users else "NULL"
        yield f"{users} AS users"
        for name, alias in self._attributes.items():
            yield f"{attribute_sql(f't.{quoted(dataset.attributes[name])}')} AS {alias}"
        for change, alias in self._changes.items():
            yield f"{stands_sql(self._db, self._source, change)} AS {alias}"

    def _clock(self) -> str:
        clock, partner = self._source.dataset.clock, self._source.relations.clock
        if clock.via is not None and partner is not None:
            return clock_elsewhere(self._db, clock, partner)
        return clock_sql(self._db, f"t.{quoted(clock.column)}", clock) if clock.column else "NULL"

    def _owner(self) -> str:
        owners = self._source.dataset.owners
        if not owners:
            return "NULL"
        if self._is_plain:
            return account_sql(f"t.{quoted(owners[0].column)}")
        return owners_sql(self._db, owners, self._source.relations.partners)

    def _empty(self) -> None:
        self._db.fill("judged", ("n", "c", *self._address, "clock", "tombstoned", "account", "users", "stands"), ())

    def _judge(self, first: str, rows: str, parameters: dict[str, object]) -> int:
        columns = ", ".join((*self._address, "clock", "tombstoned"))
        return self._db.run(
            f"WITH field AS MATERIALIZED (SELECT {first} AS n, {self._selected} FROM {rows}) "
            f"INSERT INTO temp.judged (n, c, {columns}, account, users, stands) "
            f"SELECT n, CASE WHEN NOT mine THEN {ELSEWHERE} WHEN sound THEN {self._case} ELSE {UNNAMEABLE} END, "
            f"{columns}, {'account' if self._is_plain else 'owners'}, users, {self._stands} FROM field",
            self._parameters.values | parameters,
        )

    def judge_window(self, size: int) -> int:
        """Judge the next rows after those judged last, in the order of their address; return how many there were."""
        table = self._source.table
        address = ", ".join(f"t.{name}" for name in table.address)
        columns = ", ".join(self._address)
        self._db.fill("edge", ("n", *self._address), self._db.rows(_LAST.format(columns=columns)))
        after = f" AND ({address}) > (SELECT {columns} FROM temp.edge)" if self._db.rows(_EDGE) else ""
        self._db.run("DELETE FROM temp.judged")
        own = f"WHERE {part_sql(self._source.dataset.where, 't')}{after}"
        return self._judge("NULL", f"{table.sql} AS t {own} ORDER BY {address} LIMIT :size", {"size": size})

    def judge_batch(self) -> dict[int, Judged]:
        """Judge the rows of the loaded batch; return judgements by place in it, none for a key that no row has."""
        self._empty()
        self._judge("b.n", self._rows_of_batch(), {})
        rows = self._db.rows("SELECT n, c, tombstoned IS NOT NULL, stands FROM temp.judged")
        return {
            number: Judged(case, bool(hidden), None if stands is None else bool(stands))
            for number, case, hidden, stands in rows
        }

    def values(self, columns: Sequence[str], condition: str) -> Iterator[tuple[int, Sequence[object]]]:
        """Yield columns of the rows of the batch for which a condition on `j`, their judgement, is true."""
        listed = ", ".join(f"t.{quoted(name)}" for name in columns)
        rows = self._db.each(
            f"SELECT j.n, {listed} FROM temp.judged AS j CROSS JOIN {self._source.table.sql} AS t"
            f" ON {self.matches('j')} WHERE {condition} ORDER BY j.n"
        )
        return ((number, values) for number, *values in rows)

    def _rows_of_batch(self) -> str:
        # The first comparison, in the column's own collation, can use its index; the others make it exact.
        same = " AND ".join(
            f"t.{name} = b.{part} AND t.{name} = b.{part} COLLATE BINARY AND typeof(t.{name}) = typeof(b.{part})"
            for name, part in ((quoted(name), f"k{index}") for index, name in enumerate(self._source.dataset.key))
        )
        return f"temp.batch AS b CROSS JOIN {self._source.table.sql} AS t ON {same}"

    def explain_batch(self) -> list[str]:
        """Return the steps in which SQLite finds the rows of a batch."""
        rows = self._db.rows(f"EXPLAIN QUERY PLAN SELECT {self._selected} FROM {self._rows_of_batch()}")
        return [str(detail) for *_, detail in rows]

    def window(self, wanted: frozenset[int]) -> tuple[tuple[Found, ...], dict[int, Tally]]:
        """Return the records judged last that are wanted, and the count of all by case."""
        tallies = {
            case: Tally(count, 0, oldest)
            for case, count, oldest in self._db.rows("SELECT c, COUNT(*), MIN(clock) FROM temp.judged GROUP BY c")
        }
        found: list[Found] = []
        for case in sorted(wanted & tallies.keys()):
            named, nameless = self._split(self._records(f"j.c = {case}"))
            found.extend(Found(record, case) for record in named)
            tallies[case] = _tally(named)
            if nameless:
                tallies[UNNAMEABLE] = tallies.get(UNNAMEABLE, Tally()).plus(_tally(nameless))
        return tuple(found), {case: tally for case, tally in tallies.items() if tally.count}

    def owners(self) -> list[str]:
        """Return the owners of the rows judged last, each once; also of rows of which not all owners can be read."""
        written = [said for (said,) in self._db.rows(_OWNERS)]
        if self._is_plain:
            return written
        return list(dict.fromkeys(name for said in written for field in _WHOSE for name in named_in(field, said)))

    def records(self) -> list[Record]:
        """Return all records judged last.

        Raises:
            ConnectorError: One of them bears a name or a tombstone that cannot be read.
        """
        named, nameless = self._split(self._records(f"j.c <> {ELSEWHERE}"))
        sound = self._db.rows(f"SELECT 1 FROM temp.judged WHERE c = {UNNAMEABLE}") == []
        if nameless or not sound:
            raise ConnectorError(
                f"a row of {self._source.table.name!r} has an owner, object or tombstone that cannot be read",
                where=self._source.dataset.name,
                remedy="correct that row; until then it is kept, and counted as undetermined",
            )
        return named

    @staticmethod
    def _split(records: Iterable[tuple[Record, bool]]) -> tuple[list[Record], list[Record]]:
        named: list[Record] = []
        nameless: list[Record] = []
        for record, is_named in records:
            (named if is_named else nameless).append(record)
        return named, nameless

    def _records(self, condition: str) -> Iterator[tuple[Record, bool]]:
        """Yield records with whether their names are UTF-8."""
        source = self._source
        key_size = len(source.dataset.key)
        blob = f"t.{quoted(source.dataset.blobs.column)}" if source.dataset.blobs else "NULL"
        keys = (f"t.{quoted(name)}" for name in source.dataset.key)
        values = (attribute_sql(f"t.{quoted(column)}") for column in source.dataset.attributes.values())
        links, standing = links_sql(source), standing_sql(source)
        columns = ", ".join((*keys, *values, *links, *standing))
        rows = self._db.rows(
            f"SELECT j.account, j.users, {blob}, j.clock, j.tombstoned, {source.table.size}, {columns} "
            f"FROM temp.judged AS j CROSS JOIN {source.table.sql} AS t ON {self.matches('j')} "
            f"WHERE {condition} ORDER BY j.n"
        )
        # Texts are checked together: one that is not UTF-8 is rare, and only then each is looked at by itself.
        all_named = _are_utf8(
            value for account, _, name, _, _, _, *rest in rows for value in (account, name, *rest[:key_size])
        )
        has_more = bool(links or standing or not self._is_plain or self._users)
        for account, users, name, clock, hidden, size, *rest in rows:
            key = tuple(rest[:key_size])
            attributes = (
                dict(zip(self._attributes, rest[key_size:], strict=False)) if self._attributes else NO_ATTRIBUTES
            )
            blobs = (name,) if name else ()
            owner = account if self._is_plain else None
            record = Record(key, b"", owner, clock, size, source.place, hidden, blobs, attributes)
            if has_more:
                record = self._related(record, (account, users), rest[key_size + len(self._attributes) :])
            yield record, all_named or _are_utf8((account, name, *key))

    def _related(self, record: Record, persons: tuple[object, object], values: Sequence[str | int]) -> Record:
        """Return a record with what a plain column does not say: several owners, and the rows it is linked to."""
        links = len(self._source.dataset.parents)
        owners, users = persons
        first, others = record.account, list[str]()
        if not self._is_plain:
            first, *others = named_in(ACCOUNT, owners) or (None,)
        ties = Ties(
            others=tuple(others),
            named=named_in(NAMED, owners) if not self._is_plain else (),
            parents=links_of(self._source, [str(each) for each in values[:links]]),
            standing=standing_of(self._source, values[links:]),
            users=None if users is None else named_in(USER, users),
        )
        return record._replace(account=first, ties=ties)

    def matches(self, judged: str) -> str:
        """Return the condition that row `t` is the one at the address of a judgement."""
        pairs = zip(self._source.table.address, self._address, strict=True)
        return " AND ".join(f"t.{name} = {judged}.{alias}" for name, alias in pairs)

    def leave_blocked(self, case: int, *, hides: bool) -> set[int]:
        """Take rows of the batch that have children left from those the case won for; return their places in it."""
        if not self._source.relations.children:
            return set()
        left = is_left_sql(self._source, hides=hides)
        rows = self._db.rows(
            f"SELECT j.n FROM temp.judged AS j CROSS JOIN {self._source.table.sql} AS t ON {self.matches('j')} "
            f"WHERE j.c = {case} AND ({left})"
        )
        blocked = {n for (n,) in rows}
        self.leave(blocked)
        return blocked

    def leave(self, numbers: AbstractSet[int]) -> None:
        """Take rows of the batch, by their place in it, from those that any case won for."""
        self._db.run(f"UPDATE temp.judged SET c = {BLOCKED} WHERE n IN ({', '.join(map(str, numbers))})")

    def addressed(self, case: int, alias: str = "") -> str:
        """Return the condition that a row stands in the batch and the case won for it."""
        address = ", ".join(f"{alias}.{name}" if alias else name for name in self._source.table.address)
        return f"({address}) IN (SELECT {', '.join(self._address)} FROM temp.judged WHERE c = {case})"

    def count(self, case: int) -> int:
        """Return how many rows of the batch the case won for."""
        rows = self._db.rows(
            f"SELECT COUNT(*) FROM (SELECT DISTINCT {', '.join(self._address)} FROM temp.judged WHERE c = {case})"
        )
        return int(rows[0][0])


_LAST = "SELECT 0, {columns} FROM temp.judged ORDER BY n DESC LIMIT 1"
_OWNERS = "SELECT DISTINCT account FROM temp.judged WHERE account IS NOT NULL"
_WHOSE = (ACCOUNT, NAMED)
_EDGE = "SELECT 1 FROM temp.edge"


def _are_utf8(values: Iterable[object]) -> bool:
    text = "".join(value for value in values if isinstance(value, str))
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _tally(records: Sequence[Record]) -> Tally:
    oldest = min((record.clock for record in records if record.clock is not None), default=None)
    return Tally(len(records), sum(record.size_bytes for record in records), oldest)
