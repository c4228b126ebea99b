"""A bucket in which files are published. Implements the port `Objects`; boto3, since there is little to send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from retentiond.connectors.s3.client import Access
from retentiond.connectors.s3.failures import code_of, told
from retentiond.connectors.s3.options import S3Options
from retentiond.ports.objects import Stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 4
_ABSENT = "NoSuchKey"  # a bare 404 may be a proxy's, and is no answer
# 409: somebody else writes under this key at the same moment; 404: a tag was demanded of what is not there.
_REFUSED = frozenset(("412", "PreconditionFailed", "409", "ConditionalRequestConflict", "NoSuchKey"))
_HEADERS = {
    "Content-Type": "ContentType",
    "Cache-Control": "CacheControl",
    "If-Match": "IfMatch",
    "If-None-Match": "IfNoneMatch",
}


class PublishedObjects:
    """The objects of one bucket, which is reached when it is first asked for: a hold counts without a log."""

    def __init__(self, options: S3Options) -> None:
        self.where = f"s3://{options.bucket}"
        self._options = options
        self._bucket = options.bucket
        self._access: Access | None = None

    def get(self, key: str) -> Stored | None:
        """Return an object; None only when the server says that there is none."""
        with told(self._bucket, f"read {key}", "s3:GetObject, s3:ListBucket", key):
            try:
                found = self._client().get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) == _ABSENT:
                    return None
                raise
            with found["Body"] as body:
                return Stored(body.read(), found["ETag"])

    def put(self, key: str, data: bytes, headers: Mapping[str, str]) -> str | None:
        """Write an object; return its tag, or None when the server says that a condition does not hold."""
        named: Any = {_HEADERS[name]: value for name, value in headers.items()}
        with told(self._bucket, f"write {key}", "s3:PutObject", key):
            try:
                return self._client().put_object(Bucket=self._bucket, Key=key, Body=data, **named)["ETag"]
            except ClientError as error:
                if code_of(error) in _REFUSED and _is_conditional(headers):
                    return None
                raise

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a prefix."""
        with told(self._bucket, "list what is published", "s3:ListBucket"):
            pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                yield from (each["Key"] for each in page.get("Contents", ()))

    def _client(self) -> S3Client:
        if self._access is None:
            self._access = Access(self._options, _ATTEMPTS)
        return self._access.client


def _is_conditional(headers: Mapping[str, str]) -> bool:
    return "If-Match" in headers or "If-None-Match" in headers
