-- What the ledger's role needs, by the owner of the ledger's database: a schema of its own, and nothing else there.
--   psql -d retention -f ledger.sql
-- Then `retentiond init --ledger-dsn-env NAME` makes the tables.

GRANT CONNECT ON DATABASE :"DBNAME" TO retentiond_ledger;
CREATE SCHEMA retentiond AUTHORIZATION retentiond_ledger;
