"""Issuer, log, wrapping and replay keys in local files. Key material never leaves this package."""

from __future__ import annotations

from retentiond.keys.local import Keys, create_all, load_keys

__all__ = ["Keys", "create_all", "load_keys"]
