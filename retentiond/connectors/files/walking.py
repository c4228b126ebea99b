"""Walks through a directory tree, and scans of a dataset.

A walk goes depth first, in the order of names, and holds one open directory and the names of one directory at a time:
about 100 bytes for each name, so 100 MB for a directory of a million files. What vanishes while it runs is passed
over; anything that cannot be listed ends it with an error, for a listing that is incomplete must not look like an end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from retentiond.connectors.files.layout import LEAVING, LIVE, MARK, Layout, Parts, Place, shown
from retentiond.connectors.files.reading import Reader
from retentiond.connectors.files.tree import Tree, look, names, trouble
from retentiond.domain.decision import Cases
from retentiond.domain.record import Record
from retentiond.ports.stores import Found, Tally, Window

WINDOW_RECORDS = 4_096
BARRED = frozenset((errno.ELOOP, errno.EXDEV))

Barred = Callable[[Parts, str], None]


@dataclass(slots=True)
class Listing:
    """One directory, open while the walk stands in it; its names are sorted.

    Attributes:
        fd: Its descriptor; the walk closes it.
        files: Names of regular files.
        links: How many symbolic links it holds.
        others: How many pipes, sockets and devices it holds.
    """

    parts: Parts
    fd: int
    files: list[bytes] = field(default_factory=list)
    directories: list[bytes] = field(default_factory=list)
    links: int = 0
    others: int = 0

    @property
    def leaving(self) -> bool:
        """Whether it is the directory for files on their way out."""
        return self.parts[-1:] == (LEAVING,)


def walk(tree: Tree, start: Parts, stem: bytes, barred: Barred) -> Iterator[Listing]:
    """Yield every directory from `start` on.

    Args:
        stem: What names in `start` itself must begin with to count.
        barred: Told of each directory that is not entered, and why: a mount point, a quarantine.

    Raises:
        FileNotFoundError: There is no directory `start`.
        ConnectorError: A directory could not be listed to its end.
    """
    pending = [start]
    while pending:
        parts = pending.pop()
        fd = _open(tree, parts, start, barred)
        if fd is None:
            continue
        try:
            listing = _list(tree, parts, fd, stem if parts in {start, (*start, LEAVING)} else b"")
            if MARK in listing.files:
                barred(parts, "it is a quarantine")
                continue
            yield listing
            pending.extend((*parts, name) for name in reversed(listing.directories))
        finally:
            os.close(fd)


def hidden_places(tree: Tree, layout: Layout) -> Sequence[Place]:
    """Return the places of a dataset's hidden records, oldest first.

    Raises:
        OSError: The quarantine cannot be listed.
    """
    if layout.quarantine is None:
        return []
    try:
        with tree.directory(layout.quarantine) as fd:
            stamps = names(fd)
    except FileNotFoundError:
        return []
    return [place for stamp in stamps if (place := layout.hidden(stamp))]


def files(tree: Tree, layout: Layout, reader: Reader) -> Iterator[Record]:
    """Yield every record of a dataset: the visible, the hidden, and those on their way out.

    Raises:
        ConnectorError: The dataset's directory is not there, or something could not be read to its end.
    """
    try:
        hidden = hidden_places(tree, layout)
    except OSError as error:
        raise trouble(error, "the quarantine cannot be listed", located(tree, layout.quarantine or ())) from error
    for place in (LIVE, *hidden):
        start = (*place.top, *layout.base)
        try:
            for listing in walk(tree, start, layout.stem, _pass_over):
                yield from _records(tree, listing, place, reader)
        except FileNotFoundError as error:
            if place is LIVE:
                raise trouble(error, "the dataset's directory is not there", located(tree, start)) from error


def scan(tree: Tree, layout: Layout, reader: Reader, cases: Cases, wanted: frozenset[int]) -> Iterator[Window]:
    """Yield the windows of a dataset; as `ports.stores.Connector.scan`."""
    winner = cases.python()
    window = _Window()
    for record in files(tree, layout, reader):
        window.add(record, winner(record), wanted)
        if window.examined >= WINDOW_RECORDS:
            yield window.done()
            window = _Window()
    if window.examined:
        yield window.done()


def located(tree: Tree, parts: Parts) -> str:
    """Return the full path of a directory for a terminal."""
    return shown((os.fsencode(tree.path), *parts))


class _Window:
    """Counts one window of a scan."""

    def __init__(self) -> None:
        self.examined = 0
        self._found: list[Found] = []
        self._tallies: dict[int, Tally] = {}

    def add(self, record: Record, case: int, wanted: frozenset[int]) -> None:
        self.examined += 1
        one = Tally(1, record.size_bytes, record.clock)
        self._tallies[case] = self._tallies[case].plus(one) if case in self._tallies else one
        if case in wanted:
            self._found.append(Found(record, case))

    def done(self) -> Window:
        return Window(tuple(self._found), self._tallies)


def _pass_over(_parts: Parts, _why: str) -> None:
    """Say nothing: `survey` reports what is not entered."""


def _open(tree: Tree, parts: Parts, start: Parts, barred: Barred) -> int | None:
    """Open a directory of a walk; None to pass over it, which is not allowed for its start."""
    try:
        return tree.open(parts)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        if parts == start and gone:
            raise
        if parts == start or not (gone or error.errno in BARRED):
            raise trouble(error, "a directory cannot be entered", located(tree, parts)) from error
        if not gone:
            barred(parts, error.strerror or str(error))
        return None


def _list(tree: Tree, parts: Parts, fd: int, stem: bytes) -> Listing:
    listing = Listing(parts, fd)
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if name.startswith(stem) or name in {LEAVING, MARK}:
                    _sort_in(listing, entry, name)
    except OSError as error:
        raise trouble(error, "a directory cannot be listed", located(tree, parts)) from error
    listing.files.sort()
    listing.directories.sort()
    return listing


def _sort_in(listing: Listing, entry: os.DirEntry[str], name: bytes) -> None:
    if entry.is_symlink():
        listing.links += 1
    elif entry.is_dir(follow_symlinks=False):
        listing.directories.append(name)
    elif entry.is_file(follow_symlinks=False):
        listing.files.append(name)
    else:
        listing.others += 1


def _records(tree: Tree, listing: Listing, place: Place, reader: Reader) -> Iterator[Record]:
    above = listing.parts[len(place.top) :]
    if listing.leaving:
        above, place = above[:-1], place.on_its_way_out()
    for name in listing.files:
        try:
            status = look(listing.fd, name)
        except OSError as error:
            raise trouble(error, "a file cannot be looked at", located(tree, listing.parts)) from error
        if status is not None and stat.S_ISREG(status.st_mode):
            yield reader.record((*above, name), place, status)
