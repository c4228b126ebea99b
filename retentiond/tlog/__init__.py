"""The append-only public log: C2SP tlog-tiles, checkpoints in signed notes, proofs; sequencing and recovery."""

from __future__ import annotations

from retentiond.tlog.bucket import BucketStore
from retentiond.tlog.directory import DirectoryStore
from retentiond.tlog.publish import LogKeys, TileLog

__all__ = ["BucketStore", "DirectoryStore", "LogKeys", "TileLog"]
