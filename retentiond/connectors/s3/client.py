"""The boto3 client: time-outs, retries, checksums that older servers understand, and timestamps read fast."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import botocore.session
from boto3.session import Session
from botocore.config import Config

from retentiond.connectors.s3.failures import told
from retentiond.connectors.s3.options import S3Options

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONNECT_SECONDS = 10
_READ_SECONDS = 60


def open_clients(options: S3Options, attempts: Sequence[int]) -> list[S3Client]:
    """Return clients, each with connections of its own; nothing is sent yet.

    Args:
        attempts: For each client, how often it sends a request at most; 1 where each sending must be allowed anew.

    Raises:
        ConnectorError: The platform's configuration or credentials are unusable.
    """
    with told(options.bucket, "prepare a connection", "s3:ListBucketVersions"):
        core = botocore.session.get_session()
        # More than half of a listing's time goes into the default parser of timestamps.
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_read_time)
        session = Session(botocore_session=core, region_name=options.region)
        clients = [
            session.client("s3", endpoint_url=options.endpoint, config=_config(options, most)) for most in attempts
        ]
    for client in clients:
        client.meta.events.register("before-call.s3.DeleteObjects", _add_digest)
    return clients


def _config(options: S3Options, attempts: int) -> Config:
    return Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": options.addressing},
    )


def _read_time(text: str) -> datetime | None:
    """Return the time of a listing; None for what is not ISO 8601 with a zone, which no clock is read from."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _add_digest(params: dict[str, Any], **_context: object) -> None:
    """Add what servers older than the newer checksums demand of this one request."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
