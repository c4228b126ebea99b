"""Which conditions a server honours, found out on objects of our own, in a place that the operator gave for it.

Some servers take a condition, ignore it, and answer that all is well. Nothing in this connector relies on conditions;
what is found is for the operator, and for whoever wants to keep a log in such a bucket.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import chain

from botocore.exceptions import ClientError

from retentiond.connectors.s3.bucket import Bucket, Versioning
from retentiond.connectors.s3.failures import code_of, told
from retentiond.connectors.s3.names import Name
from retentiond.connectors.s3.settings import default_lock
from retentiond.errors import ConnectorError
from retentiond.ports.stores import Finding, Survey

_REFUSED = frozenset(("412", "PreconditionFailed", "409", "ConditionalRequestConflict"))
_OTHER_ETAG = '"00000000000000000000000000000000"'


def probe(reader: Bucket, writer: Bucket, prefix: str) -> Survey:
    """Find out which conditions a bucket's server honours; every object that it took is removed again.

    Args:
        prefix: Below it objects of a random name are written and removed; nothing else is touched.
    """
    where = reader.where
    try:
        if default_lock(reader)[0]:
            return Survey(notes=(f"{where}: conditions were not probed: what is uploaded here may be locked",))
        return _probed(reader, writer, f"{prefix}{uuid.uuid4()}")
    except ConnectorError as error:
        return Survey((Finding(f"conditions could not be probed: {error.what}", where, error.remedy),))


def _probed(reader: Bucket, writer: Bucket, key: str) -> Survey:
    notes = []
    findings = []
    try:
        for condition, honoured in ((_IF_NONE_MATCH, _put_twice), (_IF_MATCH, _delete_other)):
            verdict = "is honoured" if honoured(writer, key) else "is NOT honoured"
            notes.append(f"{reader.where}: {condition} {verdict}")
    finally:
        left = list(_clean(reader, writer, key))
        if left:
            remedy = f"remove it by hand: {key}"
            findings.append(Finding("what the probe wrote could not be removed", reader.where, remedy))
    return Survey(tuple(findings), tuple(notes))


_IF_NONE_MATCH = "a put with `If-None-Match: *`"
_IF_MATCH = "a delete with `If-Match`"


def _put_twice(bucket: Bucket, key: str) -> bool:
    _put(bucket, key, {})
    return _refuses(bucket, "PUT", key, {"If-None-Match": "*"})


def _delete_other(bucket: Bucket, key: str) -> bool:
    return _refuses(bucket, "DELETE", key, {"If-Match": _OTHER_ETAG})


def _put(bucket: Bucket, key: str, headers: dict[str, str]) -> None:
    with told(bucket.name, "write an object to probe", "s3:PutObject", ""):
        bucket.wire.send("PUT", key, body=b"retentiond probes this server", headers=headers)


def _refuses(bucket: Bucket, method: str, key: str, headers: dict[str, str]) -> bool:
    with told(bucket.name, "probe a condition", "s3:DeleteObject" if method == "DELETE" else "s3:PutObject", ""):
        try:
            bucket.wire.send(method, key, body=b"another" if method == "PUT" else b"", headers=headers)
        except ClientError as error:
            if code_of(error) in _REFUSED:
                return True
            raise
    return False


def _clean(reader: Bucket, writer: Bucket, key: str) -> Iterator[str]:
    """Remove everything of a key, and yield what stays."""
    versioning = reader.versioning()
    for name in _names(reader, key, versioning):
        writer.erase([name])
    yield from (name.version for name in _names(reader, key, versioning))


def _names(bucket: Bucket, key: str, versioning: Versioning) -> list[Name]:
    versions = chain.from_iterable(page.versions for page in bucket.pages(key, versioning))
    return [Name(each.key, each.version) for each in versions if each.key == key]
