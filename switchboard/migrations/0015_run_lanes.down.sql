-- no-transaction
DROP INDEX CONCURRENTLY IF EXISTS app.run_due_single;
DROP INDEX CONCURRENTLY IF EXISTS app.run_due_campaign;
