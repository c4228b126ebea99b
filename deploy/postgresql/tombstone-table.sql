-- Besides purge.sql, for `tombstone: {table: api_requests_quarantine}`:
--   psql -d app -v schema=public -v table=api_requests_quarantine -f tombstone-table.sql

GRANT SELECT, INSERT, DELETE ON TABLE :"schema".:"table" TO retentiond_acting;
GRANT SELECT ON TABLE :"schema".:"table" TO retentiond_verifying;
