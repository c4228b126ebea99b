"""One bucket through one client: the few requests that retentiond sends, each with its failures told."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from retentiond.connectors.s3.answers import Malformed, deletion, read_answer, read_deletion, read_texts
from retentiond.connectors.s3.client import Access
from retentiond.connectors.s3.failures import DENIED_CODES, MALFORMED_CODES, TRANSIENT_CODES, code_of, told
from retentiond.connectors.s3.listing import Page, Progress, broken, read_page
from retentiond.connectors.s3.names import NULL, Name, in_order, unfit
from retentiond.connectors.s3.pace import Pace
from retentiond.connectors.s3.wire import Answer, Wire, is_content
from retentiond.errors import ConnectorError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAGE = 1_000
CALL = 1_000


class Versioning(StrEnum):
    """What a bucket keeps of an object that is uploaded again."""

    ENABLED = "Enabled"
    SUSPENDED = "Suspended"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a request may not have done all that it asked for.

    Attributes:
        final: Whether the store said no, so that asking again does not help.
        malformed: Whether the server could not read the request, so that some of its keys may go without the others.
        absent: Whether what was to be removed was not there.
    """

    why: str
    final: bool
    malformed: bool = False
    absent: bool = False


class Bucket:
    """One bucket.

    Args:
        page: How many entries to ask for in one page of a listing.
        attempts: How often a request is sent at most; 1 where each sending must be allowed anew.
    """

    def __init__(self, access: Access, name: str, pace: Pace, *, page: int = PAGE, attempts: int = 1) -> None:
        self.access = access
        self.name = name
        self.where = f"s3://{name}"
        self.pace = pace
        self.wire = Wire(access, pace, attempts)
        self._page = page

    @property
    def client(self) -> S3Client:
        """What sends everything else, under the credentials of now."""
        return self.access.client

    def close(self) -> None:
        """Let go of the connections."""
        self.wire.close()

    def exists(self) -> None:
        """Return if the bucket can be reached.

        Raises:
            ConnectorError: It is not there, not here, or not ours.
        """
        with told(self.name, "reach the bucket", "s3:ListBucket"):
            self.wire.send("HEAD")

    def now(self) -> datetime | None:
        """Return the time that the server bears in the `Date` of an answer (RFC 9110, section 6.6.1); None for none.

        Raises:
            ConnectorError: The bucket cannot be reached.
        """
        with told(self.name, "reach the bucket", "s3:ListBucket"):
            answer = self.wire.send("HEAD")
        try:
            said = parsedate_to_datetime(answer.headers["date"])
        except (KeyError, ValueError):
            return None
        return said.replace(tzinfo=said.tzinfo or UTC).astimezone(UTC)

    def versioning(self) -> Versioning:
        """Return what the bucket keeps, as it says now: it can change between any two requests.

        Raises:
            ConnectorError: It does not say.
        """
        with told(self.name, "see whether the bucket keeps versions", "s3:GetBucketVersioning"):
            said = read_texts(self.wire.send("GET", query={"versioning": ""}).body).get("Status", "")
        return Versioning(said) if said in (Versioning.ENABLED, Versioning.SUSPENDED) else Versioning.NEVER

    def pages(self, prefix: str, versioning: Versioning = Versioning.ENABLED) -> Iterator[Page]:
        """Yield the pages of a listing of all whose keys begin with a prefix: versions and markers, or objects.

        Raises:
            ConnectorError: The listing is not complete; it never ends early without this.
        """
        if versioning is Versioning.NEVER:
            return self._pages(prefix, {"list-type": "2"}, {"start-after": "key"})
        return self._pages(prefix, {"versions": ""}, {"key-marker": "key", "version-id-marker": "version"})

    def upload_pages(self, prefix: str) -> Iterator[Page]:
        """Yield the pages of a listing of uploads that were never completed.

        Raises:
            ConnectorError: The listing is not complete.
        """
        return self._pages(prefix, {"uploads": ""}, {"key-marker": "key", "upload-id-marker": "version"})

    def _pages(self, prefix: str, what: Mapping[str, str], position: Mapping[str, str]) -> Iterator[Page]:
        progress = Progress(self.where)
        more, after = True, dict[str, str]()
        while more:
            page = self._list(prefix, {**what, **after})
            progress.advance(page)
            if any(not each.key.startswith(prefix) for each in page.versions):
                raise broken("a listing holds keys that were not asked for", self.where)
            yield page
            after = {parameter: getattr(progress, part) for parameter, part in position.items()}
            more = page.more

    def names_below(self, prefix: str, versioning: Versioning = Versioning.ENABLED) -> Iterator[str]:
        """Yield what stands directly below a prefix: keys, and prefixes that end in a slash.

        Raises:
            ConnectorError: The listing is not complete.
        """
        objects = versioning is Versioning.NEVER
        what = {"list-type": "2", "delimiter": "/"} if objects else {"versions": "", "delimiter": "/"}
        progress = Progress(self.where)
        after: dict[str, str] = {}
        last, more = "", True
        while more:
            page = self._list(prefix, {**what, **after})
            entries = page.with_names()
            if not entries.versions and not page.more and progress.key and not progress.version:
                return  # some servers say that more follows when it is more of the last prefix
            progress.advance(entries)
            names = sorted({each.key for each in entries.versions}, key=in_order)
            yield from (name for name in names if in_order(name) > in_order(last))
            last = progress.key
            after = {"start-after" if objects else "key-marker": progress.key}
            if progress.version and not objects:
                after["version-id-marker"] = progress.version
            more = page.more

    def first_page(self, prefix: str, versioning: Versioning, delimiter: str) -> Page:
        """Return the first page of a listing, which rolls up names beyond a delimiter.

        Raises:
            ConnectorError: The answer is not whole.
        """
        what = {"list-type": "2"} if versioning is Versioning.NEVER else {"versions": ""}
        return self._list(prefix, {**what, "delimiter": delimiter})

    def _list(self, prefix: str, what: Mapping[str, str]) -> Page:
        doing, action, root, most = _LISTINGS[next(iter(what))]
        query = {**what, "encoding-type": "url", most: str(self._page)}
        if prefix:
            query["prefix"] = prefix
        with told(self.name, doing, action):
            try:
                said = read_answer(self.wire.send("GET", query=query).body, root)
            except Malformed as error:
                raise broken(f"an answer to a listing is not whole ({error})", self.where) from error
            except ClientError as error:
                # What one server answers when the bucket has no upload at all.
                if root != _UPLOADS or code_of(error) != "NoSuchUpload":
                    raise
                return Page((), (), more=False)
        if root == _UPLOADS and len(said.get("Uploads", ())) < self._page and not said.get("NextKeyMarker"):
            said = {"IsTruncated": False, **said}  # some servers leave out what is false
        return read_page(said, self.where)

    def ask(
        self, key: str, query: Mapping[str, str], doing: str, action: str, absent: tuple[str, ...]
    ) -> Answer | None:
        """Return what the server says of one object; None where it has nothing of the kind.

        Args:
            absent: The error codes that say so.

        Raises:
            ConnectorError: It gives no answer.
        """
        with told(self.name, doing, action, ""):
            try:
                answer = self.wire.send("GET", key, query)
            except ClientError as error:
                if code_of(error) in absent:
                    return None
                raise
        if is_content(answer.headers):
            remedy = "declare nothing that needs it: this server does not know the request, and answers with content"
            raise ConnectorError(f"the server does not let us {doing}", where=self.where, remedy=remedy)
        return answer

    def erase(self, names: Sequence[Name]) -> Trouble | None:
        """Remove exact versions, objects or an upload in one request; None only when the store says that all went."""
        action = _permission(names[0])
        try:
            with told(self.name, "remove versions", action, ""):
                if names[0].upload or unfit(names[0].key):
                    return self._erase_one(names[0])
                answer = self._delete([(name.key, name.version) for name in names])
        except ConnectorError as error:
            return _told_trouble(error, action)
        return _trouble(answer, len(names), action)

    def _erase_one(self, name: Name) -> Trouble | None:
        parameter = "uploadId" if name.upload else "versionId"
        query = {parameter: name.version} if name.version else {}
        try:
            self.wire.send("DELETE", name.key, query)
        except ClientError as error:
            if name.upload and code_of(error) in ("NoSuchUpload", "404"):
                return Trouble("NoSuchUpload", final=True, absent=True)
            raise
        return None

    def hide(self, keys: Sequence[str]) -> tuple[frozenset[str], Trouble | None]:
        """Put a delete marker on keys in one request; return the markers' version ids, and what went wrong."""
        try:
            with told(self.name, "put delete markers", _MARK, ""):
                answer = self._hide_one(keys[0]) if unfit(keys[0]) else self._delete([(key, "") for key in keys])
        except ConnectorError as error:
            return frozenset(), _told_trouble(error, _MARK)
        markers = frozenset(answer.markers)
        trouble = _trouble(answer, len(keys), _MARK)
        if trouble is None and len(markers) != len(keys):
            trouble = Trouble(f"the server named {len(markers)} of {len(keys)} delete markers", final=False)
        return markers, trouble

    def _delete(self, names: Sequence[tuple[str, str]]) -> _Said:
        body = deletion(names)
        # Servers older than the newer checksums demand this one.
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        headers = {"Content-Type": "application/xml", "Content-MD5": digest}
        answer = self.wire.send("POST", query={"delete": ""}, body=body, headers=headers)
        try:
            said = _Said(*read_deletion(answer.body))
        except Malformed as error:
            raise broken(f"the answer to a deletion is not whole ({error})", self.where) from error
        if "SlowDown" in said.codes:
            self.pace.slower()
        return said

    def _hide_one(self, key: str) -> _Said:
        """Return the answer to a deletion in a URL as DeleteObjects would put it."""
        version = self.wire.send("DELETE", key).headers.get("x-amz-version-id", "")
        return _Said(1, [version] if version not in ("", NULL) else [], [])


class _Said(NamedTuple):
    """What an answer to a deletion says: how many keys went, the markers that were put, and codes of errors."""

    deleted: int
    markers: Sequence[str]
    codes: Sequence[str]


_MARK = "s3:DeleteObject"
_UPLOADS = "ListMultipartUploadsResult"
_VERSIONS = ("list versions", "s3:ListBucketVersions", "ListVersionsResult", "max-keys")
_LISTINGS = {
    "versions": _VERSIONS,
    "list-type": ("list objects", "s3:ListBucket", "ListBucketResult", "max-keys"),
    "uploads": ("list uploads", "s3:ListBucketMultipartUploads", _UPLOADS, "max-uploads"),
}


def _permission(name: Name) -> str:
    if name.upload:
        return "s3:AbortMultipartUpload"
    return "s3:DeleteObjectVersion" if name.version else _MARK


def _told_trouble(error: ConnectorError, action: str) -> Trouble:
    code = code_of(error.__cause__)
    why = error.what + _denied([code], action)
    return Trouble(why, final=not error.transient, malformed=code in MALFORMED_CODES)


def _denied(codes: Iterable[str], action: str) -> str:
    return "" if DENIED_CODES.isdisjoint(codes) else f": {action} is not allowed, or something denies it"


def _trouble(said: _Said, asked: int, action: str) -> Trouble | None:
    # Keys come back changed and in another order: an answer says that something failed, not what.
    if said.codes:
        why = ", ".join(sorted(set(said.codes))) + _denied(said.codes, action)
        return Trouble(why, final=TRANSIENT_CODES.isdisjoint(said.codes))
    if said.deleted != asked:
        return Trouble(f"the server spoke of {said.deleted} of {asked} records", final=False)
    return None
