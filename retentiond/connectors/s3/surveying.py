"""What `check` must know of a bucket before anything in it is planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from retentiond.connectors.s3.bucket import Bucket, Versioning
from retentiond.connectors.s3.failures import told
from retentiond.connectors.s3.fitness import refusal
from retentiond.connectors.s3.records import RecordReader
from retentiond.connectors.s3.settings import access_log, default_lock, encryption, lifecycle, replicas
from retentiond.connectors.s3.uploads import lists_none
from retentiond.domain.dataset import Dataset
from retentiond.domain.period import Period
from retentiond.errors import ConnectorError, DatasetRefused
from retentiond.ports.stores import Finding, Survey


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
    if not findings:
        unlisted = _failing(lambda: next(bucket.pages(dataset.prefix, bucket.versioning())), where)
        findings += [unlisted] if unlisted else []
    findings += _region(bucket, where)
    for look in _LOOKS:
        try:
            notes += look(bucket, dataset.prefix)
        except ConnectorError as error:
            findings.append(Finding(error.what, where, error.remedy, refuses=look is _uploads))
    return Survey(tuple(findings), tuple(notes), lock=_default_lock(bucket))


def _default_lock(bucket: Bucket) -> Period | None:
    try:
        return default_lock(bucket)[2]
    except ConnectorError:
        return None  # a finding already


def _region(bucket: Bucket, where: str) -> Iterator[Finding]:
    declared = bucket.access.declared_region
    if declared:
        what = f"the bucket is in the region {bucket.access.region}, and not in {declared}"
        yield Finding(what, where, f"write `region: {bucket.access.region}` in the store: each start asks twice")


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
    if dataset.blobs:
        remedy = "leave them out: only rows name objects"
        yield Finding("objects have no columns for blobs", where, remedy, refuses=True)


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


def _lock(bucket: Bucket, _prefix: str) -> Iterator[str]:
    on, mode, period = default_lock(bucket)
    if on:
        by_default = f", for {period} by default ({mode})" if period else ""
        yield f"{bucket.where}: Object Lock is on{by_default}: locked versions stay until their lock ends"


def _lifecycle(bucket: Bucket, prefix: str) -> Iterator[str]:
    rules = list(lifecycle(bucket, prefix))
    if rules:
        yield f"{bucket.where}: lifecycle rules act on this bucket too, without holds or receipts: {', '.join(rules)}"


def _replication(bucket: Bucket, _prefix: str) -> Iterator[str]:
    targets = replicas(bucket)
    if targets:
        yield (
            f"{bucket.where}: replicated to {', '.join(targets)}, and what is removed here stays there: govern these "
            "buckets too, or name them under `downstream`"
        )


def _encryption(bucket: Bucket, _prefix: str) -> Iterator[str]:
    for key in encryption(bucket):
        yield f"{bucket.where}: objects are encrypted under the KMS key {key}"


def _access_log(bucket: Bucket, _prefix: str) -> Iterator[str]:
    target = access_log(bucket)
    if target:
        yield f"{bucket.where}: accesses are logged, with keys, to {target}"


def _uploads(bucket: Bucket, prefix: str) -> Iterator[str]:
    try:
        next(bucket.upload_pages(prefix), None)
    except ConnectorError as error:
        if not lists_none(error):
            raise
        yield f"{bucket.where}: this server does not list uploads, so unfinished ones are neither found nor removed"


_LOOKS: tuple[Callable[[Bucket, str], Iterator[str]], ...] = (
    _lock,
    _lifecycle,
    _replication,
    _encryption,
    _access_log,
    _uploads,
)
