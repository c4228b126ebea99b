"""What the engine needs of the world, as Protocols: stores, ledger, log and keys. Implementations stand elsewhere."""
