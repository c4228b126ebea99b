"""Connectors: what retentiond can reach, each found through an entry point."""
