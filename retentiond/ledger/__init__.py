"""The ledger: what happened, in SQLite. Schema, named queries (one module for each noun or two), migrations."""

from __future__ import annotations

from retentiond.ledger.ledger import SqlLedger, open_ledger

__all__ = ["SqlLedger", "open_ledger"]
