-- no-transaction
-- lock-timeout: 10min
-- Since the release before this one, runs are claimed by run_due_single and run_due_campaign alone; each step wrote its
-- run into this one, too.
DROP INDEX CONCURRENTLY IF EXISTS app.run_due;
