"""Connector for tables of PostgreSQL 15 or later, partitioned ones included.

Every look and every change goes through one predicate (`judging`): rows are judged by the decision's cases inside the
database, in the very statement that counts, hands out, changes or verifies them.
"""

from __future__ import annotations

from retentiond.connectors.postgresql.kind import PostgresqlKind, PostgresqlOptions

__all__ = ["PostgresqlKind", "PostgresqlOptions", "connector"]

connector = PostgresqlKind()
