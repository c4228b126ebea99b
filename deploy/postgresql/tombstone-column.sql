-- Besides purge.sql, for `tombstone: {column: deleted_at}`:
--   psql -d app -v schema=public -v table=api_requests -v column=deleted_at -f tombstone-column.sql

GRANT UPDATE (:"column") ON TABLE :"schema".:"table" TO retentiond_acting;
