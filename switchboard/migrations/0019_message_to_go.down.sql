-- no-transaction
DROP INDEX CONCURRENTLY IF EXISTS app.message_to_go;
