"""What the entry point `s3` names; whoever opens no bucket does not import what speaks with one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from retentiond.connectors.s3.options import S3Options
from retentiond.domain.dataset import Store

if TYPE_CHECKING:
    from retentiond.connectors.s3.connector import S3Connector


class S3Kind:
    """Buckets."""

    kind = "s3"
    options: type[BaseModel] = S3Options

    def open(self, store: Store, base: Path) -> S3Connector:  # noqa: ARG002 - a bucket has no relative paths
        """Open a store.

        Raises:
            ConnectorError: The bucket is not there, or cannot be reached.
        """
        from retentiond.connectors.s3.connector import open_connector  # noqa: PLC0415 - boto3 takes a while

        return open_connector(S3Options.model_validate(dict(store.options)))


connector = S3Kind()
