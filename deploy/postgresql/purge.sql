-- What each dataset needs, by the owner of its table, in the store's database:
--   psql -d app -v schema=public -v table=api_requests -f purge.sql
-- Of a partitioned table the one on top is enough. Where row-level security hides rows, both roles need BYPASSRLS too.

GRANT CONNECT ON DATABASE :"DBNAME" TO retentiond_acting, retentiond_verifying;
GRANT USAGE ON SCHEMA :"schema" TO retentiond_acting, retentiond_verifying;
GRANT SELECT, DELETE ON TABLE :"schema".:"table" TO retentiond_acting;
GRANT SELECT ON TABLE :"schema".:"table" TO retentiond_verifying;
