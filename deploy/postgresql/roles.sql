-- The roles of retentiond, once for a cluster, by a role that may make roles. None of them owns anything of the
-- application's. Give each a password with \password, or another way in by pg_hba.conf; then store.sql and ledger.sql.

CREATE ROLE retentiond_acting LOGIN;      -- scans, hides, purges: `dsn_env` of the store
CREATE ROLE retentiond_verifying LOGIN;   -- the separate read, and cannot write: `verify_dsn_env` of the store
CREATE ROLE retentiond_ledger LOGIN;      -- the ledger, which stands in a schema of its own: `ledger.dsn_env`
