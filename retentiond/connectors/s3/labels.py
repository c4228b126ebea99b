"""Tags and metadata of objects, read only where a dataset declares them: each costs one request for each version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.errors import HeaderParseError
from email.header import decode_header, make_header

from botocore.exceptions import ClientError

from retentiond.connectors.s3.answers import read_tags
from retentiond.connectors.s3.bucket import Bucket
from retentiond.connectors.s3.failures import code_of, told
from retentiond.connectors.s3.listing import Version
from retentiond.connectors.s3.records import RecordReader
from retentiond.domain.dataset import Dataset
from retentiond.domain.record import Record

TAG, METADATA = "tag:", "metadata:"

_THREADS = 8
_HEADER = "x-amz-meta-"
_GONE = frozenset(("NoSuchKey", "NoSuchVersion", "NoSuchTagSet", "404", "405", "MethodNotAllowed"))
_NOTHING: Mapping[str, str] = {}


class Reading:
    """Makes records of what a listing holds, with the tags and metadata that the dataset declares.

    Raises:
        DatasetRefused: The dataset declares a clock, an owner or attributes that its objects cannot have.
    """

    def __init__(self, bucket: Bucket, dataset: Dataset) -> None:
        self._bucket = bucket
        self._records = RecordReader(dataset)
        declared = {dataset.clock.field, dataset.account_field, dataset.user_field, *dataset.attributes.values()}
        self._tags = any(each.startswith(TAG) for each in declared)
        self._metadata = any(each.startswith(METADATA) for each in declared)

    def records(self, keys: Sequence[Sequence[Version]]) -> list[list[Record]]:
        """Return the records of keys, all versions of each, newest first.

        Raises:
            ConnectorError: A tag or metadata cannot be read, and it is not because the version went meanwhile.
        """
        labels = self._labels(each for versions in keys for each in versions)
        return [self._records.records(versions, labels) if versions else [] for versions in keys]

    def _labels(self, versions: Iterable[Version]) -> Mapping[tuple[str, str], Mapping[str, str]]:
        if not self._tags and not self._metadata:
            return {}
        labelled = [each for each in versions if not each.marker and not each.upload]
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(self._of, labelled)
            return {(each.key, each.version): said for each, said in zip(labelled, found, strict=True)}

    def _of(self, version: Version) -> Mapping[str, str]:
        tags = self._tags_of(version) if self._tags else _NOTHING
        return {**tags, **(self._metadata_of(version) if self._metadata else _NOTHING)}

    def _tags_of(self, version: Version) -> Mapping[str, str]:
        action = "s3:GetObjectVersionTagging" if version.version else "s3:GetObjectTagging"
        query = {"tagging": "", **({"versionId": version.version} if version.version else {})}
        answer = self._bucket.ask(version.key, query, "read an object's tags", action, tuple(_GONE))
        with told(self._bucket.name, "read an object's tags", action, ""):
            return {TAG + name: value for name, value in read_tags(answer.body).items()} if answer else _NOTHING

    def _metadata_of(self, version: Version) -> Mapping[str, str]:
        action = "s3:GetObjectVersion" if version.version else "s3:GetObject"
        query = {"versionId": version.version} if version.version else {}
        with told(self._bucket.name, "read an object's metadata", action, ""):
            try:
                headers = self._bucket.wire.send("HEAD", version.key, query).headers
            except ClientError as error:
                if code_of(error) in _GONE:
                    return _NOTHING
                raise
        found = {name: _header(value) for name, value in headers.items() if name.startswith(_HEADER)}
        return {METADATA + name.removeprefix(_HEADER): text for name, text in found.items() if text is not None}


def _header(value: str) -> str | None:
    """Return a header's text, which is ASCII, UTF-8, or written as RFC 2047 says; None where it is none of them."""
    try:
        if value.startswith("=?"):
            return str(make_header(decode_header(value)))
        return value.encode("latin-1").decode("utf-8")
    except (UnicodeError, LookupError, ValueError, HeaderParseError):
        return None
