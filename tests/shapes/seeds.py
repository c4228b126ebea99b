"""Seeded tables, and what must become of each row. By construction: a row is written from what is true of it.

Nothing here reads a clock or an owner back from a table, and nothing is shared with the program.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock_time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

KEEP = timedelta(days=30)
BERLIN = ZoneInfo("Europe/Berlin")
AUTUMN = datetime(2026, 11, 24, 1, 10, tzinfo=UTC)  # 30 days before, 02:10 stood on Berlin's clocks twice
SPRING = datetime(2026, 4, 28, 1, 10, tzinfo=UTC)  # 30 days before, 02:10 was missing there
ROWS = 4_200  # four clocks outside of their range are less than 0.1 % of them
ACCOUNT, OTHER = "acct-a'\"--\u202e%2e", "\U0001f5d1 ../b"


@dataclass(frozen=True)
class Real:
    """A number with a fraction in a column that is not for such numbers."""

    value: float


@dataclass(frozen=True)
class Row:
    """One row, and what is true of it.

    Attributes:
        values: Column to value.
        instant: When its clock starts; None where nobody can tell, or it is absurd.
        owners: Whose it is; None where nobody can tell all of them.
        named: Those of them that can be told in any case.
    """

    values: dict[str, Any]
    instant: datetime | None
    owners: frozenset[str] | None = frozenset()
    named: frozenset[str] = frozenset()

    def is_due(self, now: datetime) -> bool:
        """Tell whether policy removes it: read in full, and older than the period."""
        return self.instant is not None and self.owners is not None and self.instant < now - KEEP

    @property
    def is_doubtful(self) -> bool:
        return self.instant is None or self.owners is None


@dataclass
class Table:
    """A table: columns with the kind of value that each holds, the key among them, and indexes besides the key's.

    Kinds: int, text, uuid, bytes, json, array, timestamp, timestamptz, date.
    """

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    indexes: tuple[tuple[str, ...], ...] = ()
    schema: str = ""

    def key_of(self, row: Row) -> tuple[Any, ...]:
        return tuple(row.values[name] for name in self.key)


@dataclass
class Seed:
    """One shape: the table in question, what the data map says of it, and tables beside it."""

    id: str
    table: Table
    declares: dict[str, Any]
    now: datetime = AUTUMN
    beside: list[Table] = field(default_factory=list)
    account: str = ""

    def __str__(self) -> str:
        return self.id


# --- clocks -----------------------------------------------------------------------------------------------------------

Write = Callable[[datetime], Any]


def instants(now: datetime, unit: timedelta) -> Iterator[datetime]:
    """Yield instants around the cutoff and all over two years, in whole units."""
    random_ = random.Random(20261124)
    cutoff = now - KEEP
    for steps in (-3, -2, -1, 0, 1, 2):
        yield cutoff + steps * unit
    while True:
        yield cutoff + int(random_.triangular(-300 * 86400, 30 * 86400, 0) * timedelta(seconds=1) / unit) * unit


def clocked(id_: str, kind: str, clock: dict[str, Any], write: Write, odd: Iterable[Row], **more: Any) -> Seed:
    """Return a seed whose rows have a clock of one kind; `odd` are the rows that test it."""
    now, unit = more.get("now", AUTUMN), more.get("unit", timedelta(microseconds=1))
    zone, instant_of = more.get("zone"), more.get("instant_of", lambda at: at)
    rows = [Row({"at": value.values["at"]}, value.instant) for value in odd]
    for at in instants(now, unit):
        if len(rows) == ROWS:
            break
        if zone is None or _stands_once(at, zone):
            rows.append(Row({"at": write(at)}, instant_of(at)))
    table = Table("requests", {"id": "int", "at": kind}, ("id",))
    table.rows = [Row({"id": number, **row.values}, row.instant) for number, row in enumerate(rows)]
    return Seed(id_, table, {"clock": {"column": "at", "earliest": "2015-01-01", **clock}}, now)


def _stands_once(at: datetime, zone: ZoneInfo) -> bool:
    local = at.astimezone(zone)
    return local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset()


def odd(*rows: tuple[Any, datetime | None]) -> list[Row]:
    return [Row({"at": value}, instant) for value, instant in rows]


def utc(year: int, month: int, day: int, *time: int) -> datetime:
    return datetime.combine(date(year, month, day), clock_time(*time), UTC)


def wall(text: str) -> datetime:
    """Return what a clock on a wall shows."""
    return datetime.fromisoformat(text)


NEVER_A_CLOCK: tuple[tuple[Any, None], ...] = (
    (None, None), (b"2020-01-01", None), ("", None), ("yesterday", None), ("NULL", None), ("0000-00-00 00:00:00", None),
    ("2020-02-30 00:00:00", None), ("2020-01-01T24:00:00", None), ("2020-01-01T00:00:00+24:00", None),
)  # fmt: skip
# What stood on Berlin's clocks twice counts as the later, and so does what never stood there.
TWICE = (
    (wall("2026-10-25T01:59:00"), utc(2026, 10, 24, 23, 59)),
    (wall("2026-10-25T02:05:00"), utc(2026, 10, 25, 1, 5)),
    (wall("2026-10-25T02:09:59.999999"), utc(2026, 10, 25, 1, 9, 59, 999_999)),
    (wall("2026-10-25T02:10:00"), utc(2026, 10, 25, 1, 10)),
    (wall("2026-10-25T02:15:00"), utc(2026, 10, 25, 1, 15)),
    (wall("2026-10-25T03:00:00"), utc(2026, 10, 25, 2, 0)),
)
NEVER = (
    (wall("2026-03-29T01:59:00"), utc(2026, 3, 29, 0, 59)),
    (wall("2026-03-29T02:05:00"), utc(2026, 3, 29, 1, 5)),
    (wall("2026-03-29T02:10:00"), utc(2026, 3, 29, 1, 10)),
    (wall("2026-03-29T02:15:00"), utc(2026, 3, 29, 1, 15)),
    (wall("2026-03-29T03:15:00"), utc(2026, 3, 29, 1, 15)),
)


def _iso(at: datetime) -> str:
    hours = (at.minute * 7 + at.second) % 27 - 13
    text = (
        at.astimezone(UTC).isoformat() if hours == 0 else at.astimezone(timezone(timedelta(hours=hours))).isoformat(" ")
    )
    return text.replace("+00:00", "Z")


def _local(at: datetime) -> datetime:
    return at.astimezone(BERLIN).replace(tzinfo=None)


def _midnight_after(day: date) -> datetime:
    following = day + timedelta(days=1)
    return datetime(following.year, following.month, following.day, tzinfo=BERLIN).astimezone(UTC)


def _epoch(at: datetime, per_second: int) -> int:
    microseconds = (at - utc(1970, 1, 1)) // timedelta(microseconds=1)
    return microseconds * per_second // 1_000_000


def _epochs(word: str, per_second: int, wrong: Iterable[int]) -> Seed:
    unit = max(timedelta(seconds=1) / per_second, timedelta(microseconds=1))
    old = _epoch(AUTUMN - 2 * KEEP, per_second)
    rows = odd(
        (None, None), (Real(1.5), None), ("1", None), (b"1", None), (2**63 - 1, None),
        *((value, None) for value in wrong),
        (old, AUTUMN - 2 * KEEP),
    )  # fmt: skip
    rows = [row for row in rows if not (per_second == 1 and isinstance(row.values["at"], Real))]
    return clocked(
        f"epoch {word}", "int", {"format": f"unix-{word}"}, lambda at: _epoch(at, per_second), rows, unit=unit
    )


def _json_clock(id_: str, clock: dict[str, Any], write: Write, unit: timedelta) -> Seed:
    old = write(AUTUMN - 2 * KEEP)
    text = json.dumps(old)
    rows = odd(
        (None, None), ("", None), ("{", None), ("null", None), ("{}", None), ('{"meta": null}', None),
        ('{"meta": {}}', None), ('{"meta": {"created": null}}', None), ('{"meta": {"created": true}}', None),
        ('{"meta": {"created": [1]}}', None), ('{"meta": {"created": "soon"}}', None), ('{"meta": [1]}', None),
        (f'{{"meta": {{"created": {text}, "created": {text}}}}}', None), (f'{{"meta.created": {text}}}', None),
        (f'{{"Meta": {{"created": {text}}}}}', None), (f'{{"meta": {{"created": {text}}}}} x', None),
        ("{'meta': {}}", None), ("[" * 5_000, None), (f'{{"a": NaN, "meta": {{"created": {text}}}}}', None),
        (b'{"meta": {"created": "2020-01-01"}}', None), (7, None),
        (f'{{"x": [1, {{"created": 1}}], "meta": {{"created": {text}}}}}', AUTUMN - 2 * KEEP),
    )  # fmt: skip
    return clocked(
        id_, "json", {"json": "$.meta.created", **clock},
        lambda at: json.dumps({"meta": {"created": write(at), "who": "\u202e'"}, "created": "1999-01-01"}),
        rows, unit=unit,
    )  # fmt: skip


def clock_seeds() -> Iterator[Seed]:
    """Yield one seed for each way to write a clock."""
    far = odd(("1999-12-31T00:00:00Z", None), ("2031-01-01T00:00:00Z", None))
    never = odd(*NEVER_A_CLOCK)
    yield clocked("ISO text", "text", {"format": "text"}, _iso, [*never, *far])
    for name, now, local in (("autumn", AUTUMN, TWICE), ("spring", SPRING, NEVER)):
        texts = odd(*((wall.isoformat(), instant) for wall, instant in local))
        zoned = {"zone": "Europe/Berlin"}
        yield clocked(
            f"ISO text without an offset, {name}", "text", zoned, lambda at: _local(at).isoformat(" "),
            [*texts, *never], now=now, zone=BERLIN,
        )  # fmt: skip
        yield clocked(
            f"timestamp, {name}", "timestamp", zoned, _local, [*odd(*local), *odd((None, None))], now=now, zone=BERLIN
        )
    yield clocked("timestamptz", "timestamptz", {}, lambda at: at, odd((None, None)))
    days = odd((None, None), (date(2026, 10, 24), utc(2026, 10, 24, 22)), (date(2026, 10, 25), utc(2026, 10, 25, 23)))
    yield clocked(
        "date", "date", {"format": "date", "zone": "Europe/Berlin"}, lambda at: at.date(), days,
        instant_of=lambda at: _midnight_after(at.date()),
    )  # fmt: skip
    seconds = int(AUTUMN.timestamp())
    yield _epochs("seconds", 1, [seconds * 1_000, 0])
    yield _epochs("milliseconds", 1_000, [seconds, seconds * 10**6])
    yield _epochs("microseconds", 10**6, [seconds * 1_000, seconds])
    yield _epochs("nanoseconds", 10**9, [seconds * 10**6, seconds])
    yield _json_clock("text in JSON", {}, _iso, timedelta(microseconds=1))
    milliseconds = {"format": "unix-milliseconds"}
    yield _json_clock("milliseconds in JSON", milliseconds, lambda at: _epoch(at, 1_000), timedelta(milliseconds=1))


# --- keys and names ---------------------------------------------------------------------------------------------------

AT = {"clock": {"column": "at", "earliest": "2015-01-01"}}
OLD, YOUNG = AUTUMN - KEEP - timedelta(seconds=1), AUTUMN - KEEP


def keyed(id_: str, columns: dict[str, str], keys: Iterable[tuple[Any, ...]]) -> Seed:
    """Return a seed with each key twice as hard: every second one is due."""
    table = Table("requests", {**columns, "at": "timestamptz"}, tuple(columns))
    for number, key in enumerate(keys):
        instant = OLD if number % 2 else YOUNG
        table.rows.append(Row({**dict(zip(columns, key, strict=True)), "at": instant}, instant))
    return Seed(id_, table, AT)


def key_seeds(hostile: Iterable[str]) -> Iterator[Seed]:
    """Yield one seed for each kind of key."""
    names = [*hostile, *(f"{name}2" for name in hostile)]
    yield keyed("text key", {"id": "text"}, ((name,) for name in names))
    yield keyed("uuid key", {"id": "uuid"}, ((UUID(int=number * 2**64 + 7),) for number in range(50)))
    blobs = [bytes([number, 0, 255, 39]) * (1 + number % 256) for number in range(256)]
    yield keyed("bytes key", {"id": "bytes"}, ((blob,) for blob in blobs))
    pairs = [(name, number) for name in names[:20] for number in (-1, 0, 2**62)]
    yield keyed("composite key", {"tenant": "text", "number": "int"}, pairs)
    three = [(UUID(int=number), bytes([number]), "x") for number in range(30)]
    yield keyed("composite key of three kinds", {"a": "uuid", "b": "bytes", "c": "text"}, three)


def named_seed() -> Seed:
    """Return a seed whose names are as bad as a database allows."""
    table = Table(
        'Api.Requests "v2"; --', {"Request Id'": "int", "SELECT": "timestamptz", "it's Mine.Id": "text"},
        ("Request Id'",), schema="Sales.EU",
    )  # fmt: skip
    for number in range(40):
        instant = OLD if number % 2 else YOUNG
        owner = ACCOUNT if number % 3 else OTHER
        values = {"Request Id'": number, "SELECT": instant, "it's Mine.Id": owner}
        table.rows.append(Row(values, instant, frozenset((owner,))))
    declares = {"clock": {"column": "SELECT", "earliest": "2015-01-01"}, "account": "it's Mine.Id"}
    return Seed("names that need quotes", table, declares, account=ACCOUNT)
