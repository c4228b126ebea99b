-- What the ledger's role needs in the ledger's database, by the owner of the database: a schema of its own, and nothing
-- else there. `retentiond init --ledger-dsn-env NAME` makes the tables.

GRANT CONNECT ON DATABASE retention TO retentiond_ledger;
CREATE SCHEMA retentiond AUTHORIZATION retentiond_ledger;
