"""Looking at a bucket before any data map names it: what stands at its top, by name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from retentiond.connectors.s3.bucket import PAGE, Bucket, Versioning
from retentiond.connectors.s3.client import Access
from retentiond.connectors.s3.coverage import buckets
from retentiond.connectors.s3.failures import told
from retentiond.connectors.s3.options import S3Options
from retentiond.connectors.s3.pace import Pace
from retentiond.errors import ConnectorError
from retentiond.ports.looking import Visit

MOST_PREFIXES = 20
_ATTEMPTS = 4


def visit(options: S3Options, prefix: str) -> Visit:
    """List what stands directly below a prefix.

    Raises:
        ConnectorError: The bucket is not there, or cannot be listed.
    """
    with told(options.bucket, "prepare a connection", "s3:ListBucketVersions"):
        access = Access(options, _ATTEMPTS)
    bucket = Bucket(access, options.bucket, Pace(), page=PAGE, attempts=_ATTEMPTS)
    try:
        bucket.exists()
        versioning = bucket.versioning()
        names = list(islice(bucket.names_below(prefix, versioning), MOST_PREFIXES + 1))
        notes = tuple(_notes(bucket))
    finally:
        bucket.close()
        access.close()
    parts = len(names) <= MOST_PREFIXES and all(name.endswith("/") and name != prefix for name in names)
    chosen = {name: value for name, value in options.model_dump().items() if isinstance(value, str)}
    return Visit(
        name=options.bucket,
        options=chosen,
        prefixes=tuple(names) if parts and names else (prefix,),
        overwrites=versioning is not Versioning.ENABLED,
        notes=notes,
    )


def _notes(bucket: Bucket) -> Iterator[str]:
    try:
        others = [name for name in buckets(bucket) if name != bucket.name]
    except ConnectorError:
        return  # that they may not be listed is no matter here
    if others:
        yield f"other buckets of this account: {', '.join(others)}"
