-- What two roles need in the database of a store, and no more, by the owner of the tables. Put your names in place of
-- app, public and the tables; leave out the parts that your data map does not ask for. Of partitioned tables the one on
-- top is enough. A table whose rows row-level security hides takes ALTER ROLE … BYPASSRLS for both roles besides.

-- part: purge
GRANT CONNECT ON DATABASE app TO retentiond_acting, retentiond_verifying;
GRANT USAGE ON SCHEMA public TO retentiond_acting, retentiond_verifying;
GRANT SELECT, DELETE ON TABLE public.api_requests TO retentiond_acting;
GRANT SELECT ON TABLE public.api_requests TO retentiond_verifying;

-- part: tombstone in a column, `tombstone: {column: deleted_at}`
GRANT UPDATE (deleted_at) ON TABLE public.api_requests TO retentiond_acting;

-- part: tombstone in a table, `tombstone: {table: api_requests_quarantine}`
GRANT SELECT, INSERT, DELETE ON TABLE public.api_requests_quarantine TO retentiond_acting;
GRANT SELECT ON TABLE public.api_requests_quarantine TO retentiond_verifying;

-- part: owner in another table, `account: {via: api_keys, …}`; a `parent` or child is a dataset with its own purge part
GRANT SELECT ON TABLE public.api_keys TO retentiond_acting, retentiond_verifying;

-- part: `pace: {replica_lag: …}`
GRANT pg_read_all_stats TO retentiond_acting;
