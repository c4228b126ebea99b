"""A data map that is whole, and models of options as connectors would bring them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SqliteOptions(Options):
    path: str


class FilesOptions(Options):
    root: str


class S3Options(Options):
    bucket: str
    region: str | None = None
    endpoint: str | None = None


class PostgresqlOptions(Options):
    dsn_env: str
    verify_dsn_env: str | None = None


OPTIONS: Mapping[str, type[BaseModel]] = {"sqlite": SqliteOptions, "files": FilesOptions, "s3": S3Options}
WITH_POSTGRESQL = {**OPTIONS, "postgresql": PostgresqlOptions}

DATAMAP = """\
stores:
  db: {kind: sqlite, path: requests.db, backups: {keep: 35 days}}
  disk: {kind: files, root: exports, backups: none}
  bucket: {kind: s3, bucket: payloads}
datasets:
  requests:
    store: db
    table: requests
    key: [request_id]
    clock: {column: created_at}
    account: account_id
    class: content
    attributes: {flagged: is_flagged, tier: tier, score: score}
    tombstone: {column: deleted_at}
    blobs: {column: payload_key, dataset: payloads}
  payloads:
    store: bucket
    prefix: requests/
    class: content
    follows: requests
  exports:
    store: disk
    prefix: ""
    clock: modified
    class: export
"""
