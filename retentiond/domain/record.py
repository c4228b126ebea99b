"""Records: one row, or one version of an object, named by (dataset, key, version).

Times of records are whole microseconds since 1970-01-01T00:00:00Z: every store and language compares them alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias
from uuid import UUID

from retentiond.domain.content import Change, Content

KeyPart: TypeAlias = int | str | bytes | UUID
Key: TypeAlias = tuple[KeyPart, ...]
Value: TypeAlias = bool | int | str | None

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_ATTRIBUTES: Mapping[str, Value] = {}


def micros(moment: datetime) -> int:
    """Return whole microseconds since the epoch of an aware time."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(micros_since_epoch: int) -> datetime:
    """Return the aware UTC time of whole microseconds since the epoch.

    Raises:
        OverflowError: The time lies outside the years 1 to 9999.
    """
    return EPOCH + timedelta(microseconds=micros_since_epoch)


@dataclass(frozen=True, slots=True)
class Standing:
    """Rows of a child dataset that name one row of its parent.

    Attributes:
        link: The values that both have, as one text.
        live: How many stand in the child's own table.
        hidden: How many stand in its quarantine table.
    """

    dataset: str
    link: str
    live: int
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Ties:
    """What few records have besides: one value, so that the many without it cost nothing more to make.

    Attributes:
        others: Further owners than `Record.account`, each once.
        named: Owners that could be read where not all could, so that the record is undetermined and yet theirs.
        parents: For a row that goes before others: (dataset, link) for each row that it names. A link is the values
            that both have, as one text; rows with equal links belong together.
        standing: For a row that goes after others: how many of these stand, by dataset. Only a scan fills these two.
        users: The accounts' users whose data it is; None where nobody asked, or they cannot be told.
        contents: Whether what a change would remove stands in the record; None where that can't be read. Only filled
            where somebody asks about one record.
    """

    others: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    parents: tuple[tuple[str, str], ...] = ()
    standing: tuple[Standing, ...] = ()
    users: tuple[str, ...] | None = None
    contents: Mapping[Change, Content] = field(default_factory=dict, hash=False)


UNTIED = Ties()


class Record(NamedTuple):
    """One record as a scan found it; a tuple, since millions are made and read again, column by column.

    Attributes:
        key: The key's parts with the types that the store has them in.
        version: The version's name in the store; empty where the store has none.
        account: The owner, or the first of several; None where the dataset has no owners, or they cannot be told.
        clock: Start of the record's clock, microseconds since the epoch.
        size_bytes: The content's size as the store tells it; an estimate for rows.
        place: Where the record stands inside its dataset; empty for its usual place, else the connector's own words
            (such as the quarantine directory or table that a tombstone moved it to).
        tombstoned: When it was hidden, microseconds since the epoch; None while it is visible.
        blobs: Keys of the objects that this row names and that go before it.
        attributes: Values of the attributes that conditions read.
        ties: What else it has to do with: further owners, and rows that go before or after it. Most have none.
    """

    key: Key
    version: bytes = b""
    account: str | None = None
    clock: int | None = None
    size_bytes: int = 0
    place: str = ""
    tombstoned: int | None = None
    blobs: tuple[str, ...] = ()
    attributes: Mapping[str, Value] = NO_ATTRIBUTES
    ties: Ties = UNTIED

    def __hash__(self) -> int:
        """Return the hash of its name: attributes have none."""
        return hash((self.key, self.version, self.place))

    @property
    def accounts(self) -> tuple[str, ...]:
        """All owners; none where the dataset has none, or they cannot be told."""
        return (self.account, *self.ties.others) if self.account is not None else ()


def key_bytes(key: Key) -> bytes:
    """Return the key as receipts name it (RECEIPTS.md, Items and accounts).

    A single part: text as UTF-8, integers decimal, UUIDs lower-case canonical, bytes raw. Several parts: the JSON
    array (RFC 8785) of those texts, bytes as lower-case hex.

    Raises:
        UnicodeEncodeError: A text holds a lone surrogate.
    """
    if len(key) == 1:
        part = key[0]
        return part if isinstance(part, bytes) else str(part).encode()
    texts = [part.hex() if isinstance(part, bytes) else str(part) for part in key]
    return canonical_strings(texts)


def key_names(keys: Sequence[Key]) -> list[bytes]:
    """Return the keys of many records of one dataset; as key_bytes(), and faster for single texts and integers.

    Raises:
        UnicodeEncodeError: A text holds a lone surrogate.
    """
    if {*map(len, keys)} == {1}:
        return part_names([part for (part,) in keys])
    return [key_bytes(key) for key in keys]


def part_names(parts: Sequence[KeyPart]) -> list[bytes]:
    """Return keys of a single part, given by this part, as key_bytes().

    Raises:
        UnicodeEncodeError: A text holds a lone surrogate.
    """
    kinds = {*map(type, parts)}
    if kinds == {str}:
        return list(map(str.encode, parts))  # type: ignore[arg-type]  # all are texts
    if kinds == {int}:
        return list(map(b"%d".__mod__, parts))
    return [key_bytes((part,)) for part in parts]


def canonical_strings(texts: list[str]) -> bytes:
    """Return the RFC 8785 form of an array of strings."""
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()
