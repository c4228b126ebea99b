"""What the entry point `s3` names; whoever opens no bucket does not import what speaks with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from retentiond.connectors.s3.options import S3Options
from retentiond.domain.dataset import Store
from retentiond.errors import ConnectorError
from retentiond.ports.looking import Visit

if TYPE_CHECKING:
    from retentiond.connectors.s3.connector import S3Connector

SCHEME = "s3://"


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

    def takes(self, url: str) -> bool:
        """Tell whether a text is `s3://bucket`, with or without a prefix."""
        return url.startswith(SCHEME)

    def visit(self, url: str, given: Mapping[str, str]) -> Visit:
        """List what stands at the top of a bucket, or below a prefix.

        Raises:
            ConnectorError: The bucket is not there, or cannot be listed.
        """
        from retentiond.connectors.s3.visiting import visit  # noqa: PLC0415 - boto3 takes a while

        bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
        chosen = {name: value for name, value in given.items() if name in ("endpoint", "region")}
        try:
            options = S3Options.model_validate({"bucket": bucket, **chosen})
        except ValidationError as error:
            what = error.errors(include_url=False)[0]["msg"]
            remedy = "write s3://BUCKET or s3://BUCKET/PREFIX/, and --endpoint https://HOST"
            raise ConnectorError(f"this is no bucket: {what}", where="--from", remedy=remedy) from error
        return visit(options, prefix)


connector = S3Kind()
