"""A bucket's own settings, as far as they bear on how long something lasts in it and where copies go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from retentiond.connectors.s3.bucket import Bucket
from retentiond.connectors.s3.failures import code_of, told
from retentiond.domain.period import Period

_UNKNOWN_TO_IT = frozenset(("NotImplemented", "501", "MethodNotAllowed", "405"))


@dataclass(frozen=True, slots=True)
class Setting:
    """How a setting is asked for: the method, what it is, the IAM action, and the codes that say there is none."""

    method: str
    doing: str
    action: str
    absent: tuple[str, ...]


LOCK = Setting(
    "get_object_lock_configuration",
    "see whether Object Lock is on",
    "s3:GetBucketObjectLockConfiguration",
    ("ObjectLockConfigurationNotFoundError", "ObjectLockConfigurationNotFound"),
)
LIFECYCLE = Setting(
    "get_bucket_lifecycle_configuration",
    "see the lifecycle rules",
    "s3:GetLifecycleConfiguration",
    ("NoSuchLifecycleConfiguration",),
)
REPLICATION = Setting(
    "get_bucket_replication",
    "see where the bucket is replicated to",
    "s3:GetReplicationConfiguration",
    ("ReplicationConfigurationNotFoundError", "NoSuchReplicationConfiguration"),
)
ENCRYPTION = Setting(
    "get_bucket_encryption",
    "see how objects are encrypted",
    "s3:GetEncryptionConfiguration",
    ("ServerSideEncryptionConfigurationNotFoundError",),
)
LOGGING = Setting("get_bucket_logging", "see where accesses are logged", "s3:GetBucketLogging", ())


def ask(bucket: Bucket, setting: Setting) -> Mapping[str, Any]:
    """Return a setting; empty where the bucket has none, or the server knows none of the kind.

    Raises:
        ConnectorError: It cannot be seen.
    """
    method: Callable[..., Mapping[str, Any]] = getattr(bucket.client, setting.method)
    with told(bucket.name, setting.doing, setting.action):
        try:
            return method(Bucket=bucket.name)
        except ClientError as error:
            if code_of(error) not in setting.absent and code_of(error) not in _UNKNOWN_TO_IT:
                raise
            return {}


def default_lock(bucket: Bucket) -> tuple[bool, str, Period | None]:
    """Return whether Object Lock is on, the mode that uploads get by default, and for how long.

    Raises:
        ConnectorError: It cannot be seen.
    """
    lock = ask(bucket, LOCK).get("ObjectLockConfiguration", {})
    default = lock.get("Rule", {}).get("DefaultRetention", {})
    days, years = default.get("Days"), default.get("Years")
    period = Period(days=days) if days else Period(months=12 * years) if years else None
    return lock.get("ObjectLockEnabled") == "Enabled", default.get("Mode", "no mode"), period


def lifecycle(bucket: Bucket, prefix: str) -> Iterator[str]:
    """Yield what each enabled lifecycle rule does to keys that begin with a prefix, or to some of them.

    Raises:
        ConnectorError: It cannot be seen.
    """
    for rule in ask(bucket, LIFECYCLE).get("Rules", ()):
        filtered = rule.get("Filter", {})
        covers = rule.get("Prefix") or filtered.get("Prefix") or filtered.get("And", {}).get("Prefix") or ""
        touches = covers.startswith(prefix) or prefix.startswith(covers)
        if rule.get("Status") == "Enabled" and touches:
            does = "; ".join(_effects(rule)) or "nothing that removes"
            yield f"{rule.get('ID') or 'unnamed'} ({does})"


def _effects(rule: Mapping[str, Any]) -> Iterator[str]:
    expiration = rule.get("Expiration", {})
    if expiration.get("Days"):
        yield f"expires objects after {expiration['Days']} days"
    if expiration.get("Date"):
        yield f"expires objects on {expiration['Date']:%Y-%m-%d}"
    if expiration.get("ExpiredObjectDeleteMarker"):
        yield "removes delete markers with nothing beneath"
    noncurrent = rule.get("NoncurrentVersionExpiration", {})
    if noncurrent.get("NoncurrentDays"):
        kept = f", but for the newest {noncurrent['NewerNoncurrentVersions']}" if noncurrent.get(
            "NewerNoncurrentVersions") else ""  # fmt: skip
        yield f"removes noncurrent versions after {noncurrent['NoncurrentDays']} days{kept}"
    upload = rule.get("AbortIncompleteMultipartUpload", {})
    if upload.get("DaysAfterInitiation"):
        yield f"aborts uploads after {upload['DaysAfterInitiation']} days"
    for transition in rule.get("Transitions", ()):
        yield f"moves objects to {transition.get('StorageClass')}"


def replicas(bucket: Bucket) -> tuple[str, ...]:
    """Return the buckets to which this one is replicated.

    Raises:
        ConnectorError: It cannot be seen.
    """
    rules = ask(bucket, REPLICATION).get("ReplicationConfiguration", {}).get("Rules", ())
    found = (rule.get("Destination", {}).get("Bucket", "") for rule in rules if rule.get("Status") == "Enabled")
    return tuple(dict.fromkeys(name.removeprefix("arn:aws:s3:::") for name in found if name))


def encryption(bucket: Bucket) -> Iterator[str]:
    """Yield the KMS keys under which objects are encrypted unless an upload says otherwise.

    Raises:
        ConnectorError: It cannot be seen.
    """
    rules = ask(bucket, ENCRYPTION).get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
    for rule in rules:
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        if str(default.get("SSEAlgorithm", "")).startswith("aws:kms"):
            yield default.get("KMSMasterKeyID") or "the account's own key for S3 (aws/s3)"


def access_log(bucket: Bucket) -> str:
    """Return where the server writes who accessed which key; empty for nowhere.

    Raises:
        ConnectorError: It cannot be seen.
    """
    enabled = ask(bucket, LOGGING).get("LoggingEnabled", {})
    return f"{enabled.get('TargetBucket', '')}/{enabled.get('TargetPrefix', '')}" if enabled else ""
