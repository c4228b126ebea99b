-- Besides purge.sql, for a table that only says who owns the rows of another, `account: {via: api_keys, …}`:
--   psql -d app -v schema=public -v table=api_keys -f owner.sql

GRANT SELECT ON TABLE :"schema".:"table" TO retentiond_acting, retentiond_verifying;
