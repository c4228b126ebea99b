"""Where the records of a dataset stand under the root: paths, keys, places. Pure: nothing here reads a directory.

A record's key is its path relative to the root, as text where its bytes are UTF-8, else as bytes. Its place is empty
for a file under its own path; the quarantine and the time, `.quarantine/20261124T031037Z`, for one that is hidden
under `<quarantine>/<time>/<path>`; and ends with `.retentiond-leaving` for one that was on its way out when retentiond
was killed (`acting` says why).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from retentiond.domain.dataset import Dataset
from retentiond.domain.record import Key, Record, micros
from retentiond.errors import DatasetRefused

LEAVING = b".retentiond-leaving"
MARK = b".retentiond-quarantine"

Parts: TypeAlias = tuple[bytes, ...]

_STAMP = re.compile(rb"\d{8}T\d{6}Z")


def split(path: bytes) -> Parts:
    """Return the names of a relative path.

    Raises:
        ValueError: It is empty, absolute, or has a name that is empty, `.`, `..` or holds NUL.
    """
    parts = tuple(path.split(b"/"))
    if any(part in {b"", b".", b".."} or b"\0" in part for part in parts):
        message = "not a relative path of plain names"
        raise ValueError(message)
    return parts


def key_of(path: Parts) -> Key:
    """Return the key of a path."""
    raw = b"/".join(path)
    try:
        return (raw.decode(),)
    except UnicodeDecodeError:
        return (raw,)


def path_of(key: Key) -> Parts:
    """Return the path of a key.

    Raises:
        ValueError: The key is no relative path of plain names.
    """
    match key:
        case (str() as text,):
            return split(text.encode())
        case (bytes() as raw,):
            return split(raw)
    message = "the key of a file is its path"
    raise ValueError(message)


def shown(parts: Parts) -> str:
    """Return a path for a terminal: what is not printable, control and direction marks included, is escaped."""
    text = b"/".join(parts).decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def stamp_of(at: datetime) -> bytes:
    """Return the name of the quarantine's directory for a time, in whole seconds of UTC."""
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ").encode()


def time_of(stamp: bytes) -> int | None:
    """Return the time of a quarantine's directory in microseconds since the epoch, None when its name is no time."""
    if not _STAMP.fullmatch(stamp):
        return None
    try:
        return micros(datetime.strptime(stamp.decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """One of the places at which the paths of a dataset begin.

    Attributes:
        top: The directory beneath which paths stand; empty for the root.
        hidden_at: When the files here were hidden, microseconds since the epoch; None for visible ones.
        leaving: Whether it is the directory for files on their way out.
        text: The place as records bear it.
    """

    top: Parts = ()
    hidden_at: int | None = None
    leaving: bool = False
    text: str = ""

    def directory(self, path: Parts) -> Parts:
        """Return the directory in which the file of a path stands here; its name is always the path's last."""
        return (*self.top, *path[:-1], LEAVING) if self.leaving else (*self.top, *path[:-1])

    def on_its_way_out(self) -> Place:
        """Return the place to which files of this place are set aside before they are removed."""
        text = "/".join(filter(None, (self.text, LEAVING.decode())))
        return Place(self.top, self.hidden_at, leaving=True, text=text)


LIVE = Place()


class Layout:
    """Where one dataset's records stand.

    Args:
        dataset: Its prefix selects paths as text does, `exports/2026` those that begin so; empty for all.

    Attributes:
        base: The directory that all of the dataset's paths share.
        stem: What names in that directory must begin with.
        quarantine: The directory of hidden records; None where the dataset hides nothing.

    Raises:
        DatasetRefused: The prefix or the quarantine is no relative path, or the one lies in the other.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.prefix = dataset.prefix.encode()
        head, slash, self.stem = self.prefix.rpartition(b"/")
        self.base = _relative(dataset, head, "prefix") if slash else ()
        directory = dataset.tombstone.directory.encode() if dataset.tombstone else b""
        self.quarantine = _relative(dataset, directory.rstrip(b"/"), "quarantine") if directory else None
        if self.quarantine and self.base[: len(self.quarantine)] == self.quarantine:
            raise DatasetRefused(
                "the quarantine holds the dataset's own files",
                where=dataset.name,
                remedy="hide files in a directory of its own, such as .quarantine",
            )

    def covers(self, path: Parts) -> bool:
        """Return whether a path is one of the dataset's."""
        hidden = self.quarantine is not None and path[: len(self.quarantine)] == self.quarantine
        return b"/".join(path).startswith(self.prefix) and not hidden and LEAVING not in path and path[-1] != MARK

    def hidden(self, stamp: bytes) -> Place | None:
        """Return the place of files that were hidden at a time; None when the name is no time."""
        at = time_of(stamp)
        if self.quarantine is None or at is None:
            return None
        top = (*self.quarantine, stamp)
        return Place(top, at, text=b"/".join(top).decode())

    def place(self, text: str) -> Place:
        """Return the place that a record bears.

        Raises:
            ValueError: There is no such place in this dataset.
        """
        if not text:
            return LIVE
        parts = split(text.encode())
        home: Place | None = LIVE
        if parts != (LEAVING,):
            stamp = parts[-2] if parts[-1] == LEAVING and len(parts) > 1 else parts[-1]
            home = self.hidden(stamp)
        for place in (home, home.on_its_way_out()) if home else ():
            if place.text == text:
                return place
        message = "there is no such place in this dataset"
        raise ValueError(message)

    def locate(self, record: Record) -> tuple[Place, Parts]:
        """Return a record's place and path.

        Raises:
            ValueError: It can be none of this dataset's.
        """
        path = path_of(record.key)
        if not self.covers(path):
            message = "its path is none of this dataset's"
            raise ValueError(message)
        return self.place(record.place), path


def _relative(dataset: Dataset, path: bytes, what: str) -> Parts:
    try:
        parts = split(path)
    except ValueError as error:
        raise DatasetRefused(
            f"the {what} {shown((path,))!r} is {error}",
            where=dataset.name,
            remedy="write it relative to the root, without '.', '..' or empty names",
        ) from error
    if LEAVING in parts or MARK in parts:
        raise DatasetRefused(
            f"the {what} has a name that retentiond uses itself", where=dataset.name, remedy="take another directory"
        )
    return parts
