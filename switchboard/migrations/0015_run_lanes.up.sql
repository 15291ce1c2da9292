-- no-transaction
-- lock-timeout: 10min
-- statement-timeout: 1h
-- A campaign of a million runs must not stand before the single run of somebody who has just written: each kind is
-- claimed by an index of its own. A build that was broken off leaves an invalid index behind, so it starts over.
DROP INDEX CONCURRENTLY IF EXISTS app.run_due_single;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_due_single ON app.run (due_at)
    WHERE due_at IS NOT NULL AND parked IS NULL AND campaign_id IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS app.run_due_campaign;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS run_due_campaign ON app.run (due_at)
    WHERE due_at IS NOT NULL AND parked IS NULL AND campaign_id IS NOT NULL;
