"""Objects that rows name: which versions follow which row, and which objects no row names at all.

The objects are listed first and the rows' references read after, so an object whose row is written in between counts as
named. The index is a scratch database on disk, so that memory does not grow with the bucket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from retentiond.domain.record import Record, key_bytes
from retentiond.engine.identifiers import decode_records, encode_records
from retentiond.engine.scratch import Scratch

_CHUNK = 5_000
_SCHEMA = """
CREATE TABLE object (name BLOB NOT NULL, sequence INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (name, sequence))
    WITHOUT ROWID;
CREATE TABLE named (
    name BLOB PRIMARY KEY,
    rows INTEGER NOT NULL,
    purged INTEGER NOT NULL DEFAULT 0,
    hidden INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""


class BlobIndex(Scratch):
    """All objects of a following dataset, and how many rows name each."""

    def __init__(self) -> None:
        super().__init__(_SCHEMA)
        self._sequence = 0

    def add(self, records: Iterable[Record]) -> None:
        """Take objects of the listing, in its order."""
        rows = []
        for record in records:
            self._sequence += 1
            rows.append((key_bytes(record.key), self._sequence, encode_records([record])))
        self._write("INSERT INTO object VALUES (?, ?, ?)", rows)

    def refer(self, names: Iterable[str]) -> None:
        """Take names that rows refer to, one for each row."""
        self._write(
            "INSERT INTO named (name, rows) VALUES (?, 1) ON CONFLICT DO UPDATE SET rows = rows + 1",
            ((name.encode(),) for name in names),
        )

    def take(self, rows: Iterable[Record], *, hides: bool) -> list[tuple[Record, list[Record]]]:
        """Give, for each row that is due, the objects that go with it.

        An object is removed with the last row that names it, and hidden only when every row that names it is hidden
        or removed.
        """
        due = self._hidden if hides else self._purged
        with self._transaction():
            return [(row, [each for name in dict.fromkeys(row.blobs) for each in due(name.encode())]) for row in rows]

    def _purged(self, name: bytes) -> list[Record]:
        self._db.execute("UPDATE named SET purged = purged + 1 WHERE name = ?", (name,))
        found = self._db.execute("SELECT purged >= rows FROM named WHERE name = ?", (name,)).fetchone()
        return list(self._objects(name)) if found and found[0] else []

    def _hidden(self, name: bytes) -> list[Record]:
        self._db.execute("UPDATE named SET hidden = hidden + 1 WHERE name = ?", (name,))
        found = self._db.execute("SELECT purged + hidden >= rows FROM named WHERE name = ?", (name,)).fetchone()
        return list(self._objects(name)) if found and found[0] else []

    def orphans(self) -> Iterator[list[Record]]:
        """Give the objects that no row names, key by key in the order of the listing, in chunks."""
        chunk: list[Record] = []
        last = b""
        query = (
            "SELECT object.name, record FROM object LEFT JOIN named USING (name) "
            "WHERE named.name IS NULL ORDER BY object.name, sequence"
        )
        for name, record in self._db.execute(query):
            if len(chunk) >= _CHUNK and name != last:
                yield chunk
                chunk = []
            chunk.extend(decode_records(record))
            last = name
        if chunk:
            yield chunk

    def objects(self, name: str) -> list[Record]:
        """Give all objects of one name."""
        return list(self._objects(name.encode()))

    def _objects(self, name: bytes) -> Iterator[Record]:
        query = "SELECT record FROM object WHERE name = ? ORDER BY sequence"
        for (record,) in self._db.execute(query, (name,)).fetchall():
            yield from decode_records(record)
