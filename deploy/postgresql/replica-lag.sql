-- For `pace: {replica_lag: …}` of the store: how far replicas are behind.

GRANT pg_read_all_stats TO retentiond_acting;
