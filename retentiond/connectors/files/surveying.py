"""What a directory looks like before it is planned: permissions, what is not covered, what would not work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from retentiond.connectors.files.layout import LEAVING, MARK, Layout, Parts, shown, time_of
from retentiond.connectors.files.tree import Tree, names, trouble
from retentiond.connectors.files.walking import Listing, located, walk
from retentiond.domain.dataset import Dataset
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Finding, Survey

_CHANGE = os.W_OK | os.X_OK


@dataclass(slots=True)
class _Seen:
    """What a walk through the dataset met."""

    holding: int = 0
    locked: list[str] = field(default_factory=list)
    barred: list[tuple[str, str]] = field(default_factory=list)
    links: int = 0
    others: int = 0
    left: int = 0

    def add(self, tree: Tree, listing: Listing) -> None:
        self.links += listing.links
        self.others += listing.others
        if listing.leaving:
            self.left += len(listing.files)
        elif listing.files:
            self.holding += 1
            if not may(listing.fd, _CHANGE):
                self.locked.append(located(tree, listing.parts))


def may(directory: int, mode: int) -> bool:
    """Return whether this process may do something to an open directory, by its effective ids."""
    return os.access(".", mode, dir_fd=directory, effective_ids=True)


def survey(tree: Tree, layout: Layout) -> Survey:
    """Look at a dataset; as `ports.stores.Connector.survey`."""
    seen = _Seen()
    where = located(tree, layout.base)
    try:
        for listing in walk(tree, layout.base, layout.stem, _note(tree, layout, seen)):
            seen.add(tree, listing)
    except ConnectorError as error:
        return Survey((Finding(error.what, error.where, error.remedy, refuses=True),))
    except FileNotFoundError as error:
        told = trouble(error, "the dataset's directory is not there", where)
        return Survey((Finding(told.what, where, told.remedy, refuses=True),))
    findings = (*_locked(seen), *_barred(seen), *_quarantine(tree, layout))
    return Survey(findings, tuple(_notes(seen)))


def _note(tree: Tree, layout: Layout, seen: _Seen) -> Callable[[Parts, str], None]:
    def barred(parts: Parts, why: str) -> None:
        if parts != layout.quarantine:
            seen.barred.append((located(tree, parts), why))

    return barred


def _locked(seen: _Seen) -> Iterator[Finding]:
    if seen.locked:
        yield Finding(
            f"files cannot be removed from {len(seen.locked)} of {seen.holding} directories",
            seen.locked[0],
            "let the user that retentiond runs as write to it and search it",
            refuses=len(seen.locked) == seen.holding,
        )


def _barred(seen: _Seen) -> Iterator[Finding]:
    for where, why in seen.barred:
        yield Finding(
            f"a directory is not entered, and its files are not covered: {why}",
            where,
            "declare it as a store or dataset of its own",
        )


def _notes(seen: _Seen) -> Iterator[str]:
    if seen.links:
        yield f"{seen.links} symbolic links are no records: they are neither followed nor removed"
    if seen.others:
        yield f"{seen.others} pipes, sockets or devices are no records"
    if seen.left:
        yield f"{seen.left} files stand in {LEAVING.decode()} since a purge was cut off: the next run decides on them"


def _quarantine(tree: Tree, layout: Layout) -> Iterator[Finding]:
    if layout.quarantine is None:
        return
    where = located(tree, layout.quarantine)
    try:
        fd, missing = _nearest(tree, layout.quarantine)
    except OSError as error:
        told = trouble(error, "the quarantine cannot be entered", where)
        yield Finding(told.what, where, told.remedy, refuses=True)
        return
    try:
        if not may(fd, _CHANGE):
            yield Finding(
                "files cannot be moved to the quarantine" if not missing else "the quarantine cannot be made",
                where,
                "let the user that retentiond runs as write there, or make it and give it to that user",
                refuses=True,
            )
        if not missing:
            yield from _strangers(fd, where)
    except OSError as error:
        told = trouble(error, "the quarantine cannot be listed", where)
        yield Finding(told.what, where, told.remedy, refuses=True)
    finally:
        os.close(fd)


def _nearest(tree: Tree, parts: Parts) -> tuple[int, bool]:
    """Open a directory, or the nearest one above it that there is; tell whether some of it is missing."""
    for depth in range(len(parts), 0, -1):
        try:
            return tree.open(parts[:depth]), depth < len(parts)
        except FileNotFoundError:
            continue
    return tree.open(()), True


def _strangers(quarantine: int, where: str) -> Iterator[Finding]:
    strange = [name for name in names(quarantine) if name != MARK and time_of(name) is None]
    if strange:
        first = shown((strange[0],))
        yield Finding(
            f"{len(strange)} entries of the quarantine bear no time and are not covered, the first {first}",
            where,
            "move them elsewhere, or remove them by hand",
        )


def unmapped(tree: Tree, datasets: Sequence[Dataset], ignored: Callable[[str], bool]) -> Iterator[str]:
    """Yield what no dataset covers; as `ports.stores.Connector.unmapped`. Directories end with a slash."""
    covered = [dataset.prefix.encode() for dataset in datasets]
    hides = [each.tombstone.directory for each in datasets if each.tombstone and each.tombstone.directory]
    covered += [directory.rstrip("/").encode() + b"/" for directory in hides]
    yield from _uncovered(tree, (), covered, ignored)


def _uncovered(tree: Tree, parts: Parts, covered: Sequence[bytes], ignored: Callable[[str], bool]) -> Iterator[str]:
    try:
        entries = _entries(tree, parts)
    except FileNotFoundError:
        return
    except OSError as error:
        raise trouble(error, "a directory cannot be listed", located(tree, parts)) from error
    for name, is_directory in entries:
        path = b"/".join((*parts, name)) + b"/" * is_directory
        text = path.decode("utf-8", "backslashreplace")
        if name == LEAVING or any(path.startswith(prefix) for prefix in covered) or ignored(text):
            continue
        if is_directory and any(prefix.startswith(path) for prefix in covered):
            yield from _uncovered(tree, (*parts, name), covered, ignored)
        elif not is_directory or _holds_data(tree, (*parts, name)):
            yield text


def _entries(tree: Tree, parts: Parts) -> list[tuple[bytes, bool]]:
    """Return the names of a directory that may stand for data, sorted, and which are directories."""
    with tree.directory(parts) as fd, os.scandir(fd) as entries:
        found = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False), _is_data(entry)) for entry in entries]
    return sorted((name, is_directory) for name, is_directory, is_data in found if is_directory or is_data)


def _is_data(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() or entry.is_file(follow_symlinks=False)


def _holds_data(tree: Tree, parts: Parts) -> bool:
    """Tell whether a directory holds a file, or something that cannot be looked into."""
    barred: list[str] = []
    try:
        for listing in walk(tree, parts, b"", lambda _parts, why: barred.append(why)):
            if listing.files or listing.links:
                return True
    except FileNotFoundError:
        return False
    except ConnectorError:
        return True
    return bool(barred)
