"""The bucket as it is behind its server's back: what tests fill and count, without the connector."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

BUCKET = "api-payloads"
ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Behind:
    """A bucket of the S3 server that runs in this process."""

    name: str = BUCKET

    @property
    def _backend(self) -> Any:
        from moto.s3.models import s3_backends  # noqa: PLC0415 - a second to import

        return s3_backends[ACCOUNT]["aws"]

    def make(self, *, versioning: str = "Enabled", lock: bool = False) -> None:
        self._backend.create_bucket(self.name, "us-east-1")
        bucket = self._backend.get_bucket(self.name)
        if versioning:
            self._backend.put_bucket_versioning(self.name, versioning)
        bucket.object_lock_enabled = lock

    def put(self, key: str, age: timedelta = timedelta(0), body: bytes = b"{}") -> str:
        """Upload a version as if so long ago; return its version id."""
        version = self._backend.put_object(self.name, key, body)
        version.last_modified = _ago(age)
        return str(version.version_id)

    def read(self, key: str) -> bytes:
        """Return what an application reads."""
        newest = max(self._versions(key), key=lambda each: each.last_modified)
        return bytes(newest.value)

    def hide(self, key: str, age: timedelta = timedelta(0)) -> str:
        """Put a delete marker as an application would; return its version id."""
        _, meta = self._backend.delete_object(self.name, key)
        identifier = str(meta["version-id"])
        marker = next(each for each in self._versions(key) if str(each.version_id) == identifier)
        marker.last_modified = _ago(age)
        return identifier

    def put_marker(self, key: str, age: timedelta) -> str:
        """Put a delete marker that has nothing beneath."""
        beneath = self.put(key, age)
        marker = self.hide(key, age)
        self.erase(key, beneath)
        return marker

    def erase(self, key: str, version: str) -> None:
        self._backend.delete_object(self.name, key, version)

    def versions(self, key: str) -> set[str]:
        """Return the ids of everything that a key has, markers included."""
        return {str(each.version_id) for each in self._versions(key)}

    def _versions(self, key: str) -> list[Any]:
        keys = self._backend.get_bucket(self.name).keys
        return list(keys.getlist(key)) if key in keys else []

    def with_data(self) -> set[str]:
        """Return the keys that have a version which is no marker."""
        keys = self._backend.get_bucket(self.name).keys
        return {key for key, versions in keys.iterlists() if any(hasattr(each, "etag") for each in versions)}

    def visible(self) -> set[str]:
        """Return the keys that an application can read."""
        keys = self._backend.get_bucket(self.name).keys
        latest = {key: max(versions, key=lambda each: each.last_modified) for key, versions in keys.iterlists()}
        return {key for key, version in latest.items() if hasattr(version, "etag")}

    def deny(self, policy: str | None) -> None:
        """Set or remove the bucket's policy."""
        self._backend.get_bucket(self.name).policy = policy.encode() if policy else None


def _ago(age: timedelta) -> datetime:
    return (datetime.now(UTC) - age).replace(tzinfo=None)  # noqa: TID251 - the server's clock is the machine's
