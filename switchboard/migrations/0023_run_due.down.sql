-- no-transaction
-- lock-timeout: 10min
-- statement-timeout: 1h
-- A build that was broken off leaves an invalid index behind, so it starts over.
DROP INDEX CONCURRENTLY IF EXISTS app.run_due;
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_due ON app.run (due_at) WHERE due_at IS NOT NULL AND parked IS NULL;
