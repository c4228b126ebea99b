"""Reading a dataset: all of it in windows, the objects that its rows name, and single records by their key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import product

from retentiond.connectors.sqlite.database import Database, explained, quoted
from retentiond.connectors.sqlite.judging import Judge, load_batch
from retentiond.connectors.sqlite.layout import Layout, Source
from retentiond.domain.decision import Cases
from retentiond.domain.record import KeyPart, Record
from retentiond.errors import ConnectorError, UsageError
from retentiond.ports.stores import Window

_BLOB_QUOTES = ("x'", "X'")
_LONGEST_INTEGER = len("-9223372036854775808")


def windows(db: Database, source: Source, cases: Cases, wanted: frozenset[int], size: int) -> Iterator[Window]:
    """Yield everything in one table, judged, `size` rows at a time; no lock is held in between."""
    with explained(source.dataset.name):
        judge = Judge(db, source, cases)
    while True:
        with explained(source.dataset.name), db.reading():
            examined = judge.judge_window(size)
            found, tallies = judge.window(wanted)
        yield Window(found, tallies)
        if examined < size:
            return


def owners(db: Database, source: Source, size: int) -> Iterator[Sequence[str]]:
    """Yield the owners of `size` rows at a time, each once; of rows of which not all can be read, those that can."""
    with explained(source.dataset.name):
        judge = Judge(db, source, None)
    while True:
        with explained(source.dataset.name), db.reading():
            examined = judge.judge_window(size)
            found = judge.owners()
        yield found
        if examined < size:
            return


def references(db: Database, source: Source, column: str, size: int) -> Iterator[Sequence[str]]:
    """Yield what each row of a table names in its `blobs` column.

    Raises:
        ConnectorError: A row names an object by something that is not text, so that nobody can tell which.
    """
    name = f"t.{quoted(column)}"
    with explained(source.dataset.name):
        judge = Judge(db, source, None)
    while True:
        with explained(source.dataset.name), db.reading():
            examined = judge.judge_window(size)
            rows = db.rows(
                f"SELECT {name}, typeof({name}) FROM temp.judged AS j CROSS JOIN {source.table.sql} AS t"
                f" ON {judge.matches('j')} WHERE {name} IS NOT NULL ORDER BY j.n"
            )
        for value, kind in rows:
            if kind != "text" or not _is_encodable(value):
                raise ConnectorError(
                    f"a row names an object in {column!r} by something that is no text",
                    where=source.dataset.name,
                    remedy=f"SELECT * FROM {source.table.sql} AS t WHERE typeof({name}) NOT IN ('text', 'null')",
                )
            if value:
                yield (value,)
        if examined < size:
            return


def find(db: Database, layout: Layout, typed: str) -> Sequence[Record]:
    """Return the records of a key as an operator types it.

    A text is itself; digits also mean that integer; `x'00ff'`, or plain hexadecimals as receipts have them, those
    bytes. A key of several columns is a JSON array of such texts.

    Raises:
        UsageError: The key has several columns, and this is no JSON array of as many.
        ConnectorError: A row has the key, and an owner, object or tombstone that cannot be read.
    """
    parts = _parts(typed, layout)
    candidates = product(*(_readings(part) for part in parts))
    found: list[Record] = []
    with explained(layout.dataset.name), db.reading():
        load_batch(db, len(layout.dataset.key), candidates)
        for source in layout.sources:
            judge = Judge(db, source, None, users=True)
            judge.judge_batch()
            found.extend(judge.records())
    return found


def _parts(typed: str, layout: Layout) -> list[object]:
    columns = layout.dataset.key
    if len(columns) == 1:
        return [typed]
    try:
        parts = json.loads(typed)
    except ValueError:
        parts = None
    if not isinstance(parts, list) or len(parts) != len(columns):
        raise UsageError(
            f"{typed!r} is no key of {layout.dataset.name}, which has {len(columns)} columns",
            where=layout.dataset.name,
            remedy=f"write a JSON array: {json.dumps(list(columns))}",
        )
    return parts


def _readings(part: object) -> list[KeyPart]:
    """Return what a part of a key may mean; a value that no column can hold means nothing."""
    if isinstance(part, bool) or not isinstance(part, str | int):
        return []
    text = str(part)
    readings: list[KeyPart] = [text] if _is_encodable(text) else []
    if len(text) <= _LONGEST_INTEGER and text.removeprefix("-").isdecimal() and str(int(text)) == text:
        number = int(text)
        readings += [number] if -(2**63) <= number < 2**63 else []
    quoted_hex = text.startswith(_BLOB_QUOTES) and text.endswith("'")
    try:
        readings.append(bytes.fromhex(text[2:-1] if quoted_hex else text))
    except ValueError:
        return readings
    return readings


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
