-- What people need who plan, approve and hold where a daemon serves the ledger: to give it orders, and nothing else.
--   psql -d postgres -c 'CREATE ROLE retentiond_people LOGIN'
--   psql -d retention -f people.sql
-- By a superuser or as retentiond_ledger, once `retentiond init` has made the tables. People sign with SSH keys of their
-- own; each may have a role of their own that is a member of this one.

GRANT CONNECT ON DATABASE :"DBNAME" TO retentiond_people;
GRANT USAGE ON SCHEMA retentiond TO retentiond_people;
GRANT SELECT ON retentiond.alembic_version TO retentiond_people;
GRANT SELECT, INSERT, UPDATE, DELETE ON retentiond.orders TO retentiond_people;
