"""Object Lock: what keeps a version, and until when; nothing that is locked is ever asked to be removed.

Governance locks can be bypassed by those who are allowed to: no request here ever asks for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from retentiond.connectors.s3.answers import read_texts, read_time
from retentiond.connectors.s3.bucket import Bucket
from retentiond.connectors.s3.failures import DENIED_CODES, code_of, told
from retentiond.connectors.s3.names import Name
from retentiond.domain.waiting import LEGAL_HOLD, OBJECT_LOCK, waits
from retentiond.errors import ConnectorError

_THREADS = 8
_NO_CONFIGURATION = (
    "ObjectLockConfigurationNotFoundError",
    "ObjectLockConfigurationNotFound",
    "NotImplemented",
    "501",
    "MethodNotAllowed",
    "405",
)
_HEADERS = ("legal-hold", "mode", "retain-until-date")
_NONE = ("NoSuchObjectLockConfiguration", "NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed", "405")


class Locks:
    """The locks of one bucket's versions, looked up one by one, and only where the bucket has Object Lock at all.

    Args:
        at: The time of now; locks that ended before it are over.
    """

    def __init__(self, bucket: Bucket, at: datetime) -> None:
        self._bucket = bucket
        self._at = at
        self._on: bool | None = None

    def of(self, names: Sequence[Name]) -> list[str]:
        """Return for each name why it cannot be removed now, as `waits` puts it; empty where it can.

        Raises:
            ConnectorError: Whether the bucket has Object Lock cannot be told.
        """
        lockable = [name for name in names if name.version and not name.upload]
        if not lockable or not self._enabled():
            return [""] * len(names)
        with ThreadPoolExecutor(_THREADS) as pool:
            found = dict(zip(lockable, pool.map(self._lock, lockable), strict=True))
        return [found.get(name, "") for name in names]

    def _enabled(self) -> bool:
        if self._on is None:
            said = self._bucket.ask("", {"object-lock": ""}, "see whether Object Lock is on",
                                    "s3:GetBucketObjectLockConfiguration", _NO_CONFIGURATION)  # fmt: skip
            with told(self._bucket.name, "see whether Object Lock is on", "s3:GetBucketObjectLockConfiguration"):
                self._on = said is not None and read_texts(said.body).get("ObjectLockEnabled") == "Enabled"
        return self._on

    def _lock(self, name: Name) -> str:
        try:
            hold, mode, date = self._head(name)
        except ConnectorError as error:
            return f"whether it is locked cannot be told: {error.what}"
        if hold == "ON":
            return waits(LEGAL_HOLD, None)
        until = read_time(date)
        over = not mode or (until is not None and until <= self._at)
        return "" if over else waits(OBJECT_LOCK, until)

    def _head(self, name: Name) -> tuple[str, str, str]:
        """Return legal hold, mode and date; from HEAD, or where that is denied, from their own two requests."""
        try:
            with told(self._bucket.name, "see its lock", "s3:GetObjectVersion", ""):
                said = self._bucket.wire.send("HEAD", name.key, {"versionId": name.version}).headers
        except ConnectorError as error:
            if code_of(error.__cause__) in _NONE:
                return "", "", ""
            if code_of(error.__cause__) not in DENIED_CODES:
                raise
        else:
            return tuple(said.get(f"x-amz-object-lock-{part}", "") for part in _HEADERS)  # type: ignore[return-value]
        hold = self._said(name, "legal-hold", "s3:GetObjectLegalHold")
        retention = self._said(name, "retention", "s3:GetObjectRetention")
        return hold.get("Status", ""), retention.get("Mode", ""), retention.get("RetainUntilDate", "")

    def _said(self, name: Name, what: str, action: str) -> Mapping[str, str]:
        doing = f"see its {what} ({action})"
        answer = self._bucket.ask(name.key, {what: "", "versionId": name.version}, doing, action, _NONE)
        with told(self._bucket.name, doing, action):
            return read_texts(answer.body) if answer else {}
