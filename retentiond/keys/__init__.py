"""Issuer, log, wrapping and replay keys: files, the environment, KMS. Key material never leaves this package."""

from __future__ import annotations

from retentiond.keys.local import create_all, load_keys
from retentiond.keys.sources import VARIABLE, KeySources
from retentiond.keys.store import LocalKeys

__all__ = ["VARIABLE", "KeySources", "LocalKeys", "create_all", "load_keys"]
