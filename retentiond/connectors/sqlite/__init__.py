"""Connector for tables of a SQLite database file (3.37 or later).

Every look and every change goes through one predicate (`judging.Judge`): rows are judged by the decision's cases inside
SQLite, in the same transaction in which they are counted, handed out, changed or verified.
"""

from __future__ import annotations

from retentiond.connectors.sqlite.kind import SqliteKind, SqliteOptions

__all__ = ["SqliteKind", "SqliteOptions", "connector"]

connector = SqliteKind()
