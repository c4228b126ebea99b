"""The engine: plans, guards, enforcement, receipts, closures. It knows stores, ledger, log and keys by their ports."""
