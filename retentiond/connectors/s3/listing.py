"""Pages of a listing, read with distrust: each must be whole, in order, and go further than the last.

Servers differ in how they say where the next page begins; what all agree on is that the last (key, version id) that was
actually seen may be sent back.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, pairwise
from operator import attrgetter, le
from typing import Any, NamedTuple

from retentiond.connectors.s3.names import NULL, in_order
from retentiond.domain.record import micros
from retentiond.errors import ConnectorError


class Version(NamedTuple):
    """One version of an object, or a delete marker.

    Attributes:
        modified: When it was stored, microseconds since the epoch; None when the server's answer cannot be read.
        exact: Whether the key is certainly the one that the object has: in an answer that is not URL-encoded, XML
            turns a carriage return into a line feed.
        etag: What the server calls its content; empty for markers and uploads.
        upload: Whether it is a multipart upload that was never completed; `version` is its id then.
    """

    key: str
    version: str
    modified: int | None
    size_bytes: int
    latest: bool
    marker: bool
    exact: bool
    etag: str = ""
    upload: bool = False


class Page(NamedTuple):
    """One page, its versions and markers together in listing order, and the names that a delimiter rolled up."""

    versions: Sequence[Version]
    names: Sequence[str]
    more: bool

    def with_names(self) -> Page:
        """Return the page with its names among its versions, in the order of keys, each without a version id."""
        rolled_up = [Version(name, "", None, 0, latest=False, marker=False, exact=True) for name in self.names]
        return self._replace(versions=sorted([*self.versions, *rolled_up], key=lambda each: in_order(each.key)))


def read_page(answer: Mapping[str, Any], where: str) -> Page:
    """Return a page of ListObjectVersions, ListObjectsV2 or ListMultipartUploads.

    Raises:
        ConnectorError: The answer is not whole, or not in the order of keys.
    """
    more = answer.get("IsTruncated")
    if not isinstance(more, bool):
        raise broken("an answer to a listing does not say whether it is whole", where)
    exact = answer.get("EncodingType") == "url"
    try:
        versions = [_version(entry, exact=exact, marker=False) for entry in answer.get("Versions", ())]
        versions += [_object(entry, exact=exact) for entry in answer.get("Contents", ())]
        versions += [_upload(entry, exact=exact) for entry in answer.get("Uploads", ())]
        markers = [_version(entry, exact=exact, marker=True) for entry in answer.get("DeleteMarkers", ())]
        names = [str(entry["Prefix"]) for entry in answer.get("CommonPrefixes", ())]
    except KeyError as error:
        raise broken(f"an entry of a listing has no {error.args[0]}", where) from error
    for entries in (versions, markers):
        if not _ordered([each.key for each in entries]):
            raise broken("a listing is not in the order of its keys", where)
    return Page(list(heapq.merge(versions, markers, key=_place)) if markers else versions, names, more)


def _ordered(keys: list[str]) -> bool:
    try:
        "".join(keys).encode()
    except UnicodeEncodeError:
        return all(in_order(earlier) <= in_order(later) for earlier, later in pairwise(keys))
    return all(map(le, keys, keys[1:]))  # texts of whole characters have the order of their bytes


def _version(entry: Mapping[str, Any], *, exact: bool, marker: bool) -> Version:
    key: str = entry["Key"]
    moment = entry.get("LastModified")
    return Version(
        key,
        entry.get("VersionId") or NULL,
        micros(moment) if moment else None,
        entry.get("Size", 0),
        bool(entry.get("IsLatest")),
        marker,
        exact or "\n" not in key,
        "" if marker else entry.get("ETag", ""),
    )


def _object(entry: Mapping[str, Any], *, exact: bool) -> Version:
    return _version(entry, exact=exact, marker=False)._replace(version="", latest=True)


def _upload(entry: Mapping[str, Any], *, exact: bool) -> Version:
    key: str = entry["Key"]
    return Version(
        key=key,
        version=entry["UploadId"],
        modified=micros(entry["Initiated"]) if entry.get("Initiated") else None,
        size_bytes=0,
        latest=False,
        marker=False,
        exact=exact or "\n" not in key,
        upload=True,
    )


def _place(version: Version) -> tuple[bytes, bool, int, bool]:
    # Within one second the order is not told; the version above the marker is the reading that keeps it longer.
    return (in_order(version.key), not version.latest, -(version.modified or 0), version.marker)


class Progress:
    """Where a listing stands, so that no page is taken for progress that is none."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._seen: set[str] = set()
        self.key = ""
        self.version = ""

    def advance(self, page: Page) -> None:
        """Take note of a page.

        Raises:
            ConnectorError: It brings nothing new, or goes back.
        """
        fresh = [each for each in page.versions if each.key != self.key or each.version not in self._seen]
        ahead = not self.key or (bool(fresh) and in_order(page.versions[0].key) >= in_order(self.key))
        if not ahead or (page.more and not fresh):
            raise broken("a page of a listing goes no further than the one before", self._where)
        if not page.versions:
            return
        last = page.versions[-1]
        if last.key != self.key:
            self._seen.clear()
        self._seen.update(each.version for each in page.versions if each.key == last.key)
        self.key, self.version = last.key, last.version


def by_key(pages: Iterable[Page]) -> Iterator[list[Version]]:
    """Yield all versions of one key after the other, newest first, each once."""
    versions = chain.from_iterable(page.versions for page in pages)
    for _, group in groupby(versions, key=attrgetter("key")):
        yield list({each.version: each for each in group}.values())


def broken(what: str, where: str) -> ConnectorError:
    """Return the error of a listing that cannot be relied on."""
    remedy = "run again; if it stays so, report it to the server's maker"
    return ConnectorError(what, where=where, remedy=remedy, transient=True)
