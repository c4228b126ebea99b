"""What a file is as a record: its key, its clock, its owner and attributes, as the dataset declares them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from retentiond.connectors.files.layout import Parts, Place, key_of
from retentiond.domain.dataset import ClockFormat, Dataset
from retentiond.domain.keypattern import KeyPattern
from retentiond.domain.record import NO_ATTRIBUTES, UNTIED, Record, Ties, Value, micros
from retentiond.errors import DatasetRefused

_NANOSECONDS_A_MICROSECOND = 1_000


class Reader:
    """Makes records of files; what a path does not tell stays None, which the cases call undetermined.

    Raises:
        DatasetRefused: The dataset declares what neither a path nor a file's status can tell.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        try:
            self._pattern = KeyPattern.parse(dataset.key_pattern) if dataset.key_pattern else None
        except ValueError as error:
            raise DatasetRefused(f"{error}", where=dataset.name, remedy="correct the key_pattern") from error
        for complaint, remedy in _complaints(dataset, self._pattern):
            raise DatasetRefused(complaint, where=dataset.name, remedy=remedy)

    def record(self, path: Parts, place: Place, status: os.stat_result) -> Record:
        """Return the record of a file at a place, with the status that was read of it."""
        key = key_of(path)
        text = key[0] if isinstance(key[0], str) else None
        named = (self._pattern.match(text) if self._pattern and text is not None else None) or {}
        return Record(
            key=key,
            account=named.get(self._dataset.account_field),
            clock=self._clock(text, status),
            size_bytes=status.st_size,
            place=place.text,
            tombstoned=place.hidden_at,
            attributes=self._attributes(named),
            ties=self._ties(named),
        )

    def _ties(self, named: Mapping[str, str]) -> Ties:
        user = named.get(self._dataset.user_field)
        return Ties(users=(user,)) if user else UNTIED

    def _clock(self, key: str | None, status: os.stat_result) -> int | None:
        source = self._dataset.clock
        if source.format is ClockFormat.MODIFIED:
            return status.st_mtime_ns // _NANOSECONDS_A_MICROSECOND
        if self._pattern is None or key is None:
            return None
        start = self._pattern.clock(key, source.field, source.zone)
        return None if start is None else micros(start)

    def _attributes(self, named: Mapping[str, str]) -> Mapping[str, Value]:
        if not self._dataset.attributes:
            return NO_ATTRIBUTES
        return {attribute: named.get(part) for attribute, part in self._dataset.attributes.items()}


def _complaints(dataset: Dataset, pattern: KeyPattern | None) -> Iterator[tuple[str, str]]:
    """Yield what of a dataset's declaration a directory cannot give, each with a remedy."""
    times = pattern.times if pattern else frozenset()
    names = pattern.names if pattern else frozenset()
    clock = dataset.clock
    if clock.format not in {ClockFormat.MODIFIED, ClockFormat.PATTERN}:
        yield "a file has no columns to read its clock from", "write `clock: modified` or `clock: {pattern: NAME}`"
    if clock.format is ClockFormat.PATTERN and clock.field not in times:
        yield f"its key pattern has no time {clock.field!r}", "add {date:%Y/%m/%d} or the like to the key_pattern"
    if dataset.owners:
        yield "a file has no columns to read its owner from", "write `account: {pattern: NAME}`"
    if dataset.users:
        yield "a file has no columns to read its user from", "write `user: {pattern: NAME}`"
    wanted = {dataset.account_field, dataset.user_field, *dataset.attributes.values()} - {""}
    for missing in sorted(wanted - names):
        yield f"its key pattern has no part {missing!r}", f"add {{{missing}}} to the key_pattern"
    if dataset.tombstone and not dataset.tombstone.directory:
        yield "a file has no column or marker to be hidden by", "write `tombstone: {directory: .quarantine}`"
