"""Buckets that keep versions, on Amazon S3 and servers that speak its language."""

from __future__ import annotations

from retentiond.connectors.s3.kind import connector

__all__ = ["connector"]
