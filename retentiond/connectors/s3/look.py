"""Looking for keys: all versions of each, from complete listings only, in few requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from retentiond.connectors.s3.bucket import PAGE
from retentiond.connectors.s3.listing import Page, Version, by_key
from retentiond.connectors.s3.names import in_order
from retentiond.errors import ConnectorError

_LEAST = 4 * PAGE
_PER_KEY = 10


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen.

    Attributes:
        versions: All versions of each key that was answered for, newest first; none is a complete answer too.
        failure: Why other keys were not answered for; None when all were.
    """

    versions: Mapping[str, list[Version]]
    failure: ConnectorError | None


def look(pages: Callable[[str], Iterator[Page]], keys: Iterable[str]) -> Look:
    """Look for keys in listings, each of all whose keys begin with a prefix.

    Keys that stand close together are read from one listing of what they begin with. Where that passes too much else,
    the rest is looked for in narrower listings, at last one for each key: every listing begins at the beginning of a
    prefix, because servers disagree on where one begins after a key that they do not have.
    """
    found: dict[str, list[Version]] = {}
    pending = [sorted(set(keys), key=in_order)]
    while pending:
        wanted = pending.pop()
        try:
            rest = _read(pages, wanted, found)
        except ConnectorError as error:
            return Look(found, error)
        pending.extend(_narrower(rest))
    return Look(found, None)


def _read(pages: Callable[[str], Iterator[Page]], wanted: list[str], found: dict[str, list[Version]]) -> list[str]:
    """Look for sorted keys in one listing, and return those that it did not come to."""
    if not wanted:
        return []
    most = _LEAST + _PER_KEY * len(wanted) if len(wanted) > 1 else None
    examined = position = 0
    for versions in by_key(pages(_shared(wanted))):
        key = versions[0].key
        while position < len(wanted) and wanted[position] != key and in_order(wanted[position]) < in_order(key):
            found[wanted[position]] = []
            position += 1
        if position < len(wanted) and wanted[position] == key:
            found[key] = versions
            position += 1
        examined += len(versions)
        if position == len(wanted) or (most is not None and examined > most):
            return wanted[position:]
    found.update((key, []) for key in wanted[position:])
    return []


def _shared(wanted: list[str]) -> str:
    """Return what all of some sorted keys begin with."""
    first, last = wanted[0], wanted[-1]
    return first[: next((index for index, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _narrower(wanted: list[str]) -> list[list[str]]:
    if not wanted:
        return []
    length = len(_shared(wanted)) + 1
    return [list(group) for _, group in groupby(wanted, key=lambda key: key[:length])]
