"""The way to a bucket: credentials, region and address, found as botocore finds them, for boto3 and for the wire.

Both change while a daemon lives: credentials expire, and a bucket may be in another region than the data map says.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import botocore.session
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError
from botocore.httpsession import get_cert_path
from botocore.loaders import Loader, create_loader

from retentiond.connectors.s3.answers import read_time
from retentiond.connectors.s3.options import S3Options

if TYPE_CHECKING:
    from botocore.session import Session as Core
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 10
READ_SECONDS = 60
_REGION = re.compile(r"^[a-z0-9-]{1,64}$")


class Access:
    """How one bucket is reached; shared by everything that sends requests to it.

    Args:
        attempts: How often boto3's client sends a request at most.

    Raises:
        BotoCoreError: The platform's configuration or credentials are unusable.
    """

    def __init__(self, options: S3Options, attempts: int) -> None:
        self._options = options
        self._attempts = attempts
        self._lock = threading.Lock()
        self._moved = False
        self._open(options.region)

    def _open(self, region: str | None) -> None:
        core = botocore.session.get_session()
        core.register_component("data_loader", descriptions(core.get_config_variable("data_path")))
        # More than half of a listing's time goes into the default parser of timestamps.
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=read_time)
        self._core: Core = core
        config = _config(self._options, self._attempts)
        made = core.create_client("s3", region, endpoint_url=self._options.endpoint, config=config)
        self.client = cast("S3Client", made)
        self.region = self.client.meta.region_name
        bucket = {"Bucket": self._options.bucket}
        self.base: str = (
            self.client.generate_presigned_url("list_objects_v2", Params=bucket).partition("?")[0].rstrip("/")
        )

    @property
    def declared_region(self) -> str | None:
        """The region that the data map or the platform named; None while the bucket is where they say."""
        return (self._options.region or "the platform's default") if self._moved else None

    @property
    def certificates(self) -> str:
        """The file of certificate authorities that are trusted."""
        bundle = self._core.get_config_variable("ca_bundle")
        return str(bundle or get_cert_path(verify=True))

    def credentials(self) -> ReadOnlyCredentials:
        """Return the credentials of now; the platform's chain refreshes those that have an end.

        Raises:
            BotoCoreError: There are none, or they cannot be refreshed.
        """
        with self._lock:
            found = self._core.get_credentials()
            if found is None:
                raise NoCredentialsError
            frozen: ReadOnlyCredentials = found.get_frozen_credentials()
            return frozen

    def renew(self, refused: ReadOnlyCredentials) -> bool:
        """Ask the platform's chain anew after the server refused credentials; tell whether it gave others."""
        with self._lock:
            fresh = botocore.session.get_session().get_credentials()
            other = fresh is not None and fresh.get_frozen_credentials() != refused
        if other:
            with self._lock:
                self._open(self.region)
        return other

    def move(self, region: str) -> bool:
        """Go to the region in which the server says the bucket is, once; tell whether that is another one."""
        with self._lock:
            if self._moved or region == self.region or not _REGION.match(region):
                return False
            self._moved = True
            self._open(region)
            return True

    def close(self) -> None:
        """Let go of the connections."""
        self.client.close()


@lru_cache
def descriptions(data_path: str | None) -> Loader:
    """Return what reads the service's description, which is parsed once for all buckets: four fifths of opening one."""
    return create_loader(data_path)


def _config(options: S3Options, attempts: int) -> Config:
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version="s3v4",
        s3={"addressing_style": options.addressing},
    )
