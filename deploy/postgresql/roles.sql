-- The roles of retentiond, once for a cluster, by a role that may make roles. They own nothing of the application's.
-- Each needs a password or another way in; then purge.sql and what your data map needs besides, and ledger.sql.

CREATE ROLE retentiond_acting LOGIN;      -- scans, hides, purges: `dsn_env` of the store
CREATE ROLE retentiond_verifying LOGIN;   -- the separate read, and cannot write: `verify_dsn_env` of the store
CREATE ROLE retentiond_ledger LOGIN;      -- the ledger, which stands in a schema of its own: `ledger.dsn_env`
