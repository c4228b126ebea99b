"""Versions of an object as records: their clock, owner, place, and since when they are hidden."""

from __future__ import annotations

from collections.abc import Sequence

from retentiond.connectors.s3.listing import Version
from retentiond.connectors.s3.names import NULL, UPLOAD, key_of
from retentiond.domain.dataset import ClockFormat, Dataset
from retentiond.domain.keypattern import KeyPattern
from retentiond.domain.record import Record, micros
from retentiond.domain.versions import MARKER, NONCURRENT
from retentiond.errors import DatasetRefused


class RecordReader:
    """Reads the records of one dataset.

    Raises:
        DatasetRefused: The dataset declares a clock or an owner that its objects cannot have.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._pattern = _pattern_of(dataset)

    def records(self, versions: Sequence[Version]) -> list[Record]:
        """Return the records of all versions of one key, in the order given: newest first.

        A version is hidden since the next newer one was stored; the marker on top since itself, so that the grace of
        a tombstone counts for it too and it is never hidden once more.
        """
        key = versions[0].key
        account, pattern_clock = self._account(key), self._pattern_clock(key)
        return [
            self._record(each, versions[index - 1] if index else None, account, pattern_clock)
            for index, each in enumerate(versions)
        ]

    def _record(self, each: Version, newer: Version | None, account: str | None, pattern_clock: int | None) -> Record:
        if each.upload:
            return self._upload(each, account)
        clock = pattern_clock if self._dataset.clock.format is ClockFormat.PATTERN else each.modified
        since = newer or (each if each.marker else None)
        tombstoned = since.modified if since else None
        if since and tombstoned is None:
            clock = None  # hidden, and nobody can tell since when: undetermined, not visible
        elif tombstoned is not None and each.modified is not None:
            # A multipart upload bears the time of its beginning, so a newer version can look older.
            tombstoned = max(tombstoned, each.modified)
        return Record(
            key=key_of(each.key),
            version=each.version.encode(),
            account=account,
            clock=clock,
            size_bytes=each.size_bytes,
            place=_place(each, newer),
            tombstoned=tombstoned,
        )

    def _upload(self, each: Version, account: str | None) -> Record:
        """Return an upload that was never completed: nobody sees it, so it is hidden since it began."""
        return Record(
            key=key_of(each.key),
            version=each.version.encode(),
            account=account,
            clock=each.modified,
            place=UPLOAD,
            tombstoned=each.modified,
        )

    def _account(self, key: str) -> str | None:
        if self._pattern is None or not self._dataset.account_field:
            return None
        parts = self._pattern.match(key)
        account = parts.get(self._dataset.account_field) if parts else None
        return account if account is not None and key_of(account) == (account,) else None

    def _pattern_clock(self, key: str) -> int | None:
        source = self._dataset.clock
        if self._pattern is None or source.format is not ClockFormat.PATTERN:
            return None
        moment = self._pattern.clock(key, source.field, source.zone)
        return micros(moment) if moment else None


def _place(each: Version, newer: Version | None) -> str:
    if each.marker:
        return MARKER
    if each.version in ("", NULL):
        # The next upload takes its place under the same name, so the plan remembers what it meant.
        return f"as {each.modified} {each.etag}"
    return NONCURRENT if newer else ""


def replaceable(record: Record) -> bool:
    """Tell whether an upload can take a record's place under the same name."""
    return record.place != UPLOAD and record.version in (b"", NULL.encode())


def _pattern_of(dataset: Dataset) -> KeyPattern | None:
    source = dataset.clock
    try:
        pattern = KeyPattern.parse(dataset.key_pattern) if dataset.key_pattern else None
        if source.format is ClockFormat.PATTERN and pattern:
            pattern.clock("", source.field, source.zone)
    except (KeyError, ValueError) as error:
        raise _unsuitable(dataset, f"`key_pattern` and clock do not fit together: {error}") from error
    if pattern is None and (source.format is ClockFormat.PATTERN or dataset.account_field):
        raise _unsuitable(dataset, "clock or owner stand in the key, and there is no `key_pattern`")
    if source.format not in (ClockFormat.AUTO, ClockFormat.MODIFIED, ClockFormat.PATTERN):
        raise _unsuitable(dataset, f"objects have no clock of format {source.format}")
    return pattern


def _unsuitable(dataset: Dataset, what: str) -> DatasetRefused:
    remedy = "write `clock: modified`, or `clock: {pattern: FIELD}` with a time that `key_pattern` names"
    return DatasetRefused(what, where=dataset.name, remedy=remedy)
