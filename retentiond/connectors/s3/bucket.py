"""One bucket through one client: the few requests that retentiond sends, each with its failures told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from retentiond.connectors.s3.failures import TRANSIENT_CODES, told
from retentiond.connectors.s3.listing import Page, Progress, broken, read_page
from retentiond.errors import ConnectorError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

PAGE = 1_000
CALL = 1_000

# What XML 1.0 cannot carry, or carries as something else; such a key makes a whole DeleteObjects fail.
_UNFIT_FOR_XML = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
# What a server or proxy may take out of a URL's path, so that the request reaches another key.
_UNFIT_FOR_URL = re.compile(r"(?:^|/)(?:\.{0,2})(?:/|$)")


class Name(NamedTuple):
    """One version of an object, as requests name it."""

    key: str
    version: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a request may not have done all that it asked for.

    Attributes:
        final: Whether the store said no, so that asking again does not help.
    """

    why: str
    final: bool


class Bucket:
    """One bucket.

    Args:
        page: How many entries to ask for in one page of a listing.
    """

    def __init__(self, client: S3Client, name: str, *, page: int = PAGE) -> None:
        self.client = client
        self.name = name
        self.where = f"s3://{name}"
        self._page = page

    def close(self) -> None:
        """Let go of the connections."""
        self.client.close()

    def exists(self) -> None:
        """Return if the bucket can be reached.

        Raises:
            ConnectorError: It is not there, not here, or not ours.
        """
        with told(self.name, "reach the bucket", "s3:ListBucket"):
            self.client.head_bucket(Bucket=self.name)

    def now(self) -> datetime | None:
        """Return the time that the server bears in the `Date` of an answer (RFC 9110, section 6.6.1); None for none.

        Raises:
            ConnectorError: The bucket cannot be reached.
        """
        with told(self.name, "reach the bucket", "s3:ListBucket"):
            answer = self.client.head_bucket(Bucket=self.name)
        try:
            said = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        except (KeyError, ValueError):
            return None
        return said.replace(tzinfo=said.tzinfo or UTC).astimezone(UTC)

    def pages(self, prefix: str) -> Iterator[Page]:
        """Yield the pages of a listing of all versions and markers whose keys begin with a prefix.

        Raises:
            ConnectorError: The listing is not complete; it never ends early without this.
        """
        progress = Progress(self.where)
        position: dict[str, Any] = {}
        more = True
        while more:
            page = self._list(prefix, position)
            progress.advance(page)
            if any(not each.key.startswith(prefix) for each in page.versions):
                raise broken("a listing holds keys that were not asked for", self.where)
            yield page
            position = {"KeyMarker": progress.key, "VersionIdMarker": progress.version}
            more = page.more

    def names_below(self, prefix: str) -> Iterator[str]:
        """Yield what stands directly below a prefix: keys, and prefixes that end in a slash.

        Raises:
            ConnectorError: The listing is not complete.
        """
        progress = Progress(self.where)
        position: dict[str, Any] = {"Delimiter": "/"}
        last, more = "", True
        while more:
            page = self._list(prefix, position)
            entries = page.with_names()
            if not entries.versions and not page.more and progress.key and not progress.version:
                return  # some servers say that more follows when it is more of the last prefix
            progress.advance(entries)
            yield from (name for name in sorted({each.key for each in entries.versions}) if name > last)
            last = progress.key
            position = {"Delimiter": "/", "KeyMarker": progress.key}
            if progress.version:
                position["VersionIdMarker"] = progress.version
            more = page.more

    def _list(self, prefix: str, position: dict[str, Any]) -> Page:
        with told(self.name, "list versions", "s3:ListBucketVersions"):
            answer = self.client.list_object_versions(Bucket=self.name, Prefix=prefix, MaxKeys=self._page, **position)
        return read_page(answer, self.where)

    def erase(self, names: Sequence[Name]) -> Trouble | None:
        """Remove exact versions in one request; return None only when the store says that all of them went."""
        try:
            with told(self.name, "remove versions", "s3:DeleteObjectVersion", ""):
                if unfit(names[0].key):
                    self.client.delete_object(Bucket=self.name, Key=names[0].key, VersionId=names[0].version)
                    return None
                answer = self._delete([{"Key": key, "VersionId": version} for key, version in names])
        except ConnectorError as error:
            return Trouble(error.what, final=not error.transient)
        return _trouble(answer, len(names))

    def hide(self, keys: Sequence[str]) -> tuple[frozenset[str], Trouble | None]:
        """Put a delete marker on keys in one request; return the markers' version ids, and what went wrong."""
        try:
            with told(self.name, "put delete markers", "s3:DeleteObject", ""):
                answer = self._hide_one(keys[0]) if unfit(keys[0]) else self._delete([{"Key": key} for key in keys])
        except ConnectorError as error:
            return frozenset(), Trouble(error.what, final=not error.transient)
        deleted = answer.get("Deleted", ())
        markers = frozenset(each["DeleteMarkerVersionId"] for each in deleted if each.get("DeleteMarkerVersionId"))
        trouble = _trouble(answer, len(keys))
        if trouble is None and len(markers) != len(keys):
            trouble = Trouble(f"the server named {len(markers)} of {len(keys)} delete markers", final=False)
        return markers, trouble

    def _delete(self, objects: list[ObjectIdentifierTypeDef]) -> Mapping[str, Any]:
        return self.client.delete_objects(Bucket=self.name, Delete={"Objects": objects, "Quiet": False})

    def _hide_one(self, key: str) -> Mapping[str, Any]:
        """Return the answer to a deletion in a URL as DeleteObjects would put it."""
        answer = self.client.delete_object(Bucket=self.name, Key=key)
        return {"Deleted": [{"DeleteMarkerVersionId": answer.get("VersionId")}]}


def unfit(key: str) -> bool:
    """Tell whether a key must travel alone, in a URL."""
    return _UNFIT_FOR_XML.search(key) is not None


def unsafe(key: str) -> bool:
    """Tell whether no request without a version id can name a key and be sure to reach no other."""
    return unfit(key) and _UNFIT_FOR_URL.search(key) is not None


def requests_for(keys: Sequence[str], most: int) -> Iterator[list[int]]:
    """Yield the indexes of keys that go into one request together: at most so many, and unfit ones alone."""
    together: list[int] = []
    for index, key in enumerate(keys):
        if unfit(key):
            yield [index]
            continue
        together.append(index)
        if len(together) == most:
            yield together
            together = []
    if together:
        yield together


def _trouble(answer: Mapping[str, Any], asked: int) -> Trouble | None:
    # Keys come back changed and in another order: an answer says that something failed, not what.
    codes = sorted({str(each.get("Code") or "no code") for each in answer.get("Errors", ())})
    if codes:
        return Trouble(", ".join(codes), final=TRANSIENT_CODES.isdisjoint(codes))
    told_of = len(answer.get("Deleted", ()))
    if told_of != asked:
        return Trouble(f"the server spoke of {told_of} of {asked} records", final=False)
    return None
