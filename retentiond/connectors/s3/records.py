"""Versions of an object as records: their clock, owner, place, and since when they are hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from retentiond.connectors.s3.listing import Version
from retentiond.connectors.s3.names import NULL, UPLOAD, key_of
from retentiond.domain.dataset import ClockFormat, ClockSource, Dataset
from retentiond.domain.instant import read_clock
from retentiond.domain.keypattern import KeyPattern
from retentiond.domain.record import NO_ATTRIBUTES, UNTIED, Record, Ties, Value, micros
from retentiond.domain.versions import MARKER, NONCURRENT
from retentiond.errors import DatasetRefused

Labels = Mapping[tuple[str, str], Mapping[str, str]]
NO_LABELS: Labels = {}

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)


class RecordReader:
    """Reads the records of one dataset.

    Raises:
        DatasetRefused: The dataset declares a clock or an owner that its objects cannot have.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._pattern = _pattern_of(dataset)

    def records(self, versions: Sequence[Version], labels: Labels = NO_LABELS) -> list[Record]:
        """Return the records of all versions of one key, in the order given: newest first.

        A version is hidden since the next newer one was stored; the marker on top since itself, so that the grace of
        a tombstone counts for it too and it is never hidden once more.

        Args:
            labels: Tags and metadata by key and version id, named as the dataset names them.
        """
        return [
            self._upload(each) if each.upload else self._record(each, versions[index - 1] if index else None, labels)
            for index, each in enumerate(versions)
        ]

    def _record(self, each: Version, newer: Version | None, labels: Labels) -> Record:
        said = labels.get((each.key, each.version), {})
        clock = self._clock(each, said)
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
            account=self._named(self._dataset.account_field, each.key, said),
            clock=clock,
            size_bytes=each.size_bytes,
            place=_place(each, newer),
            tombstoned=tombstoned,
            attributes=self._attributes(said),
            ties=self._ties(each.key, said),
        )

    def _upload(self, each: Version) -> Record:
        """Return an upload that was never completed: nobody sees it, so it is hidden since it began."""
        return Record(
            key=key_of(each.key),
            version=each.version.encode(),
            account=self._named(self._dataset.account_field, each.key, {}),
            clock=each.modified,
            place=UPLOAD,
            tombstoned=each.modified,
            attributes=self._attributes({}),
            ties=self._ties(each.key, {}),
        )

    def _ties(self, key: str, said: Mapping[str, str]) -> Ties:
        user = self._named(self._dataset.user_field, key, said)
        return Ties(users=(user,)) if user else UNTIED

    def _named(self, field: str, key: str, said: Mapping[str, str]) -> str | None:
        if not field:
            return None
        if is_label(field):
            name = said.get(field) or None
        else:
            name = (self._pattern.match(key) or {}).get(field) if self._pattern else None
        return name if name is not None and key_of(name) == (name,) else None

    def _clock(self, each: Version, said: Mapping[str, str]) -> int | None:
        source = self._dataset.clock
        if is_label(source.field):
            # A marker has no tags; it is our own word or the application's, of the time at which it was put.
            return each.modified if each.marker else _written(said.get(source.field, ""), source)
        if source.format is not ClockFormat.PATTERN or self._pattern is None:
            return each.modified
        moment = self._pattern.clock(each.key, source.field, source.zone)
        return micros(moment) if moment else None

    def _attributes(self, said: Mapping[str, str]) -> Mapping[str, Value]:
        declared = self._dataset.attributes
        return {name: _value(said.get(label)) for name, label in declared.items()} if declared else NO_ATTRIBUTES


def is_label(field: str) -> bool:
    """Tell whether a dataset names a tag or metadata: part names of a key pattern have no colon."""
    return field.startswith(("tag:", "metadata:"))


def _written(text: str, source: ClockSource) -> int | None:
    return read_clock(int(text) if text.isascii() and text.isdigit() else text, source)


def _value(text: str | None) -> Value:
    """Return an attribute as conditions compare it: texts that are whole numbers or truth values as such."""
    if text is None:
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return int(text) if _WHOLE.fullmatch(text) else text


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
    in_key = any(field and not is_label(field) for field in (dataset.account_field, dataset.user_field))
    if pattern is None and (source.format is ClockFormat.PATTERN or in_key):
        raise _unsuitable(dataset, "clock or owner stand in the key, and there is no `key_pattern`")
    if dataset.owners or dataset.users or not all(map(is_label, dataset.attributes.values())):
        raise _unsuitable(dataset, "objects have no columns: owner and attributes stand in the key, tags or metadata")
    if not is_label(source.field) and source.format not in (
        ClockFormat.AUTO,
        ClockFormat.MODIFIED,
        ClockFormat.PATTERN,
    ):
        raise _unsuitable(dataset, f"objects have no clock of format {source.format}")
    return pattern


def _unsuitable(dataset: Dataset, what: str) -> DatasetRefused:
    remedy = "write `clock: modified`, or `clock: {pattern: FIELD}` with a time that `key_pattern` names"
    return DatasetRefused(what, where=dataset.name, remedy=remedy)
