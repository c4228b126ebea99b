"""What `check` must know of a bucket before anything in it is planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from retentiond.connectors.s3.bucket import Bucket, Versioning
from retentiond.connectors.s3.failures import told
from retentiond.connectors.s3.fitness import refusal
from retentiond.connectors.s3.records import RecordReader
from retentiond.domain.dataset import Dataset
from retentiond.errors import ConnectorError, DatasetRefused
from retentiond.ports.stores import Finding, Survey

_NO_LOCK = ("ObjectLockConfigurationNotFoundError", "ObjectLockConfigurationNotFound")
_NO_RULES = ("NoSuchLifecycleConfiguration",)


def survey(bucket: Bucket, dataset: Dataset) -> Survey:
    """Look at a dataset's bucket; changes nothing.

    What a survey cannot see without trying is whether versions may be removed; a refusal is told when it happens.
    """
    findings: list[Finding] = []
    notes: list[str] = []
    where = f"{dataset.name}, {bucket.where}"
    findings += _declaration(dataset, where)
    unreachable = _failing(bucket.exists, where)
    if unreachable:
        return Survey((*findings, unreachable))
    findings += _versioning(bucket, dataset, where)
    unlisted = _failing(lambda: next(bucket.pages(dataset.prefix)), where)
    findings += [unlisted] if unlisted else []
    for look in (_lock, _lifecycle):
        try:
            notes += look(bucket)
        except ConnectorError as error:
            findings.append(Finding(error.what, where, error.remedy))
    return Survey(tuple(findings), tuple(notes))


def _failing(look: Callable[[], object], where: str) -> Finding | None:
    try:
        look()
    except ConnectorError as error:
        return Finding(error.what, where, error.remedy, refuses=True)
    return None


def _declaration(dataset: Dataset, where: str) -> Iterator[Finding]:
    try:
        RecordReader(dataset)
    except DatasetRefused as refused:
        yield Finding(refused.what, where, refused.remedy, refuses=True)
    if dataset.tombstone is not None and not dataset.tombstone.marker:
        yield Finding("objects are hidden by delete markers only", where, "write `tombstone: marker`", refuses=True)
    if dataset.attributes or dataset.blobs:
        remedy = "leave them out, or let the dataset follow a table that has them"
        yield Finding("objects have no columns for attributes or blobs", where, remedy, refuses=True)


def _versioning(bucket: Bucket, dataset: Dataset, where: str) -> Iterator[Finding]:
    try:
        with told(bucket.name, "see whether the bucket keeps versions", "s3:GetBucketVersioning"):
            answer = bucket.client.get_bucket_versioning(Bucket=bucket.name)
    except ConnectorError as error:
        yield Finding(error.what, where, error.remedy, refuses=True)
        return
    refused = refusal(dataset, Versioning(answer.get("Status", Versioning.NEVER)), where)
    if refused:
        yield Finding(refused.what, where, refused.remedy, refuses=True)
    if answer.get("MFADelete") == "Enabled":
        yield Finding(
            "MFA delete is on: versions go only with a code that somebody types",
            where,
            "turn MFA delete off for this bucket, or remove its versions by hand",
            refuses=True,
        )


def _lock(bucket: Bucket) -> Iterator[str]:
    def ask() -> Mapping[str, Any]:
        return bucket.client.get_object_lock_configuration(Bucket=bucket.name)

    answer = _asked(bucket, ask, "see whether Object Lock is on", "s3:GetBucketObjectLockConfiguration", _NO_LOCK)
    lock = answer.get("ObjectLockConfiguration", {})
    if lock.get("ObjectLockEnabled") != "Enabled":
        return
    default = lock.get("Rule", {}).get("DefaultRetention", {})
    lengths = [f"{default[unit]} {unit.lower()}" for unit in ("Days", "Years") if default.get(unit)]
    by_default = f", for {lengths[0]} by default ({default.get('Mode', 'no mode')})" if lengths else ""
    yield f"{bucket.where}: Object Lock is on{by_default}: locked versions stay until their lock ends"


def _lifecycle(bucket: Bucket) -> Iterator[str]:
    def ask() -> Mapping[str, Any]:
        return bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)

    answer = _asked(bucket, ask, "see the lifecycle rules", "s3:GetLifecycleConfiguration", _NO_RULES)
    rules = [str(rule.get("ID", "unnamed")) for rule in answer.get("Rules", ()) if rule.get("Status") == "Enabled"]
    if rules:
        yield f"{bucket.where}: lifecycle rules act on this bucket too, without holds or receipts: {', '.join(rules)}"


def _asked(
    bucket: Bucket, ask: Callable[[], Mapping[str, Any]], doing: str, action: str, absent: tuple[str, ...]
) -> Mapping[str, Any]:
    """Return a configuration; empty where the bucket has none."""
    with told(bucket.name, doing, action):
        try:
            return ask()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in absent:
                raise
            return {}
