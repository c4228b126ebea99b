"""Multipart uploads that were begun and never completed: nobody sees them, and their parts hold data all the same."""

from __future__ import annotations

from collections.abc import Iterator

from retentiond.connectors.s3.bucket import Bucket
from retentiond.connectors.s3.failures import code_of
from retentiond.connectors.s3.listing import Version, by_key
from retentiond.errors import ConnectorError

_UNKNOWN_TO_IT = frozenset(("NotImplemented", "501", "MethodNotAllowed", "405"))


def uploads_below(bucket: Bucket, prefix: str) -> Iterator[list[Version]]:
    """Yield the unfinished uploads of one key after the other; nothing where the server has no such listing.

    Raises:
        ConnectorError: The listing is not complete.
    """
    try:
        yield from by_key(bucket.upload_pages(prefix))
    except ConnectorError as error:
        if not lists_none(error):
            raise


def lists_none(error: ConnectorError) -> bool:
    """Tell whether a server says that it does not list uploads at all."""
    return code_of(error.__cause__) in _UNKNOWN_TO_IT
