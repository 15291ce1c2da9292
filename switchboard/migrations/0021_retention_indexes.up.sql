-- no-transaction
-- lock-timeout: 10min
-- statement-timeout: 1h
-- Ended runs and mail as it came in lie in tables that are not parted by month: what is past its time is found by these.
-- A build that was broken off leaves an invalid index behind, so it starts over.
DROP INDEX CONCURRENTLY IF EXISTS app.run_ended_by_end;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_ended_by_end ON app.run_ended (workspace_id, ended_at);
DROP INDEX CONCURRENTLY IF EXISTS app.inbound_mail_by_age;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS inbound_mail_by_age ON app.inbound_mail (workspace_id, created_at);
