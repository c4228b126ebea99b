"""An audit of what the ledger has against what the log says: trust nothing, look again.

Apart from all the rest of the engine: it shares no code with what writes any of it. The published log itself, its tree
and its files, is audited by `retentiond.verify`, which hands each entry over as it reads it.
"""

from __future__ import annotations

from retentiond.engine.audit.ledger import LedgerAudit, signed_checkpoints

__all__ = ["LedgerAudit", "signed_checkpoints"]
