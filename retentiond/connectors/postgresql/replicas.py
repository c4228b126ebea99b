"""How far replicas are behind, by what the primary hears of them (PostgreSQL documentation, pg_stat_replication)."""

from __future__ import annotations

from datetime import timedelta

from retentiond.connectors.postgresql.session import Transaction
from retentiond.ports.stores import Pressure

# Lags are NULL once a replica has replayed everything and nothing follows; a base backup's stream replays nothing.
_REPLICAS = """
SELECT replay_lsn IS NULL, replay_lsn >= pg_current_wal_lsn(), extract(epoch FROM replay_lag)::float8
FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup'
"""


def pressure(tx: Transaction) -> Pressure:
    """Return the lag of the slowest replica; None where one of them can't be told, or none is connected."""
    rows = tx.rows(_REPLICAS)
    if not rows:
        return Pressure(looked_at="pg_stat_replication: no replica is connected")
    if any(hidden for hidden, _, _ in rows):
        return Pressure(looked_at="pg_stat_replication: the role may not see it; GRANT pg_read_all_stats to it")
    seconds = [0.0 if caught_up else lag for _, caught_up, lag in rows]
    known = [each for each in seconds if each is not None]
    if len(known) < len(seconds):
        return Pressure(looked_at="pg_stat_replication: a replica has not said yet how far it is behind")
    return Pressure(timedelta(seconds=max(known)), f"pg_stat_replication: {len(rows)} replica(s)")
