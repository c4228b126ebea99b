"""What a bucket holds that no dataset covers, and which buckets stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from retentiond.connectors.s3.bucket import Bucket, Versioning
from retentiond.connectors.s3.failures import told
from retentiond.connectors.s3.uploads import uploads_below


def uncovered(bucket: Bucket, prefixes: Sequence[str], ignored: Callable[[str], bool]) -> Iterator[str]:
    """Yield keys, and prefixes that end in a slash, which no dataset covers; as high up as can be told.

    Args:
        prefixes: What the keys of the datasets begin with.
    """
    told = set()
    for name in _below("", bucket, bucket.versioning(), prefixes, ignored):
        told.add(name)
        yield name
    for uploads in uploads_below(bucket, ""):
        name = _highest(uploads[0].key, prefixes)
        if name and name not in told and not ignored(name):
            told.add(name)
            yield name


def buckets(bucket: Bucket) -> Iterator[str]:
    """Yield the names of all buckets of the account, this one's too.

    Raises:
        ConnectorError: They may not be listed, or the server lists none.
    """
    asked: dict[str, str] = {}
    while True:
        with told(bucket.name, "list the buckets of the account", "s3:ListAllMyBuckets"):
            answer: Mapping[str, Any] = bucket.client.list_buckets(**asked)  # type: ignore[arg-type]
        yield from (each["Name"] for each in answer.get("Buckets", ()))
        token = answer.get("ContinuationToken")
        if not token or asked.get("ContinuationToken") == token:
            return
        asked = {"ContinuationToken": token}


def _below(
    prefix: str, bucket: Bucket, versioning: Versioning, prefixes: Sequence[str], ignored: Callable[[str], bool]
) -> Iterator[str]:
    for name in bucket.names_below(prefix, versioning):
        if ignored(name) or any(name.startswith(each) for each in prefixes):
            continue
        if any(each.startswith(name) for each in prefixes) and name.endswith("/"):
            yield from _below(name, bucket, versioning, prefixes, ignored)
        else:
            yield name


def _highest(key: str, prefixes: Sequence[str]) -> str:
    """Return the highest name above a key that no dataset is under; empty where a dataset covers the key."""
    if any(key.startswith(prefix) for prefix in prefixes):
        return ""
    parts = key.split("/")
    above = ["/".join(parts[:count]) + "/" for count in range(1, len(parts))]
    return next((name for name in above if not any(prefix.startswith(name) for prefix in prefixes)), key)
