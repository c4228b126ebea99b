"""The ledger: what happened, in SQLite or PostgreSQL.

Schema, named queries (one module for each noun or two) and migrations are the same for both; what differs stands behind
`backend.Backend`.
"""

from __future__ import annotations

from retentiond.ledger.database import Database
from retentiond.ledger.ledger import SqlLedger, open_for_upgrade, open_ledger

__all__ = ["Database", "SqlLedger", "open_for_upgrade", "open_ledger"]
